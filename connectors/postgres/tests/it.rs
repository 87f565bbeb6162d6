//! The connector against a real server.
