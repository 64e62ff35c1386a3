//! The command line of QuantumOS.
