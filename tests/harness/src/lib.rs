//! Private buses, a polkit authority, software TPMs and guests for tests.
