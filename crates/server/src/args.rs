//! The command line and the environment.

use clap::{Args, Parser, Subcommand, ValueEnum};
use secrecy::SecretString;
use std::{env, net::SocketAddr, path::PathBuf};

/// Branch metadata for Postgres platforms: a copy-on-write engine that speaks the Neon API v2.
#[derive(Debug, Parser)]
#[command(name = "offshoot", version, args_override_self = true)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `offshoot` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the server until SIGTERM or Ctrl-C.
    ///
    /// A new data directory gets an account with one API key. The key is printed once when standard output is a
    /// terminal; otherwise it is written to the file `api-key` in the data directory, which only you can read.
    ///
    /// Environment: OFFSHOOT_API_KEY is the first key of a new data directory, instead of a generated one. OFFSHOOT_LOG filters
    /// the log on standard error, as in `info` (the default) or `warn,offshoot_api=debug`.
    Serve(ServeOptions),
}

/// How to serve.
#[derive(Args, Debug)]
pub struct ServeOptions {
    /// Where the data is kept; made when it does not exist.
    #[arg(long, value_name = "DIR", default_value = "./offshoot-data")]
    pub data_dir: PathBuf,
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7070")]
    pub listen: SocketAddr,
    /// The account that a new data directory gets [default: the operating system's user].
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// What keeps the data.
    #[arg(long, value_name = "STORE", default_value = "sled")]
    pub store: StoreKind,
    /// What runs the operations on computes.
    #[arg(long, value_name = "DRIVER", default_value = "none")]
    pub compute: ComputeDriver,
    /// The first API key of a new data directory, instead of a generated one: at least 24 printable characters, no spaces.
    // An argument would show up in the list of processes.
    #[arg(skip = env::var("OFFSHOOT_API_KEY").ok().filter(|key| !key.is_empty()).map(SecretString::from))]
    pub first_key: Option<SecretString>,
}

/// Where the data is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StoreKind {
    /// In the data directory, durably.
    Sled,
    /// In memory: gone when the server ends. For trying things out; OFFSHOOT_API_KEY gives the key where there is no terminal.
    Memory,
}

/// What runs the operations on computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ComputeDriver {
    /// Nothing: each operation is finished at once, and computes stay idle.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn serve_has_the_documented_defaults() -> Result<(), clap::Error> {
        let Command::Serve(options) = CommandLine::try_parse_from(["offshoot", "serve"])?.command;
        assert_eq!(options.data_dir, PathBuf::from("./offshoot-data"));
        assert_eq!(options.listen.to_string(), "127.0.0.1:7070");
        assert_eq!(options.account, None);
        assert_eq!(options.store, StoreKind::Sled);
        assert_eq!(options.compute, ComputeDriver::None);
        Ok(())
    }
}
