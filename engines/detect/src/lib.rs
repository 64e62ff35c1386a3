//! Sigma rules compiled into one matcher over typed events.
