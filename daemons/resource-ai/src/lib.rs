//! Pressure, latency, forecasts and cgroup weights over D-Bus.
