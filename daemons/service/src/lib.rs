//! What every daemon does: start, configure, notify, authorise, log, stop.
