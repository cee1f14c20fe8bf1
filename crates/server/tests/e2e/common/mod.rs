//! Starts the built binary and speaks to it, as a user would.

pub(crate) mod cli;
mod client;
mod server;

pub(crate) use client::{Client, text};
pub(crate) use server::{KEY, Server, ServerCommand};

/// What a test answers with, so that it can use `?`.
pub(crate) type TestResult = Result<(), Box<dyn std::error::Error>>;
