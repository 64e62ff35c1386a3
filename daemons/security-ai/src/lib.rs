//! Detection over eBPF events with Sigma rules, as D-Bus alerts.
