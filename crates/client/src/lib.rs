//! The client library: users, devices, groups, streams.
