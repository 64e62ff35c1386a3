//! The D-Bus contract: typed proxies, shared types and error names.
