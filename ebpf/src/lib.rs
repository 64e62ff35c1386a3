//! Loads the eBPF probes, decodes their events and counts what was lost.
