//! The seven STEPPPS dimensions as pure state, parsed from kernel text.
