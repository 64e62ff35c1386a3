//! Boots the image and runs scenarios inside it.
