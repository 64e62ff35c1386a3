//! Every measurement, one line each.
