//! Seven views of the host as one, over D-Bus.
