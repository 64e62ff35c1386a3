//! Each daemon over a real private bus.
