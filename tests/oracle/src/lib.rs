//! A second MLS stack beside the hub. Tests alone: see `tests/oracle`.
