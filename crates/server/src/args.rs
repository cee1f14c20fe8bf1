//! The command line and the environment.

use clap::{Args, Parser, Subcommand, ValueEnum};
use offshoot_catalog::RoleName;
use offshoot_compute::ServerList;
use secrecy::SecretString;
use std::{env, net::SocketAddr, ops::RangeInclusive, path::PathBuf, str::FromStr};

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
    /// Environment: OFFSHOOT_API_KEY is the first key of a new data directory, instead of a generated one. OFFSHOOT_PASSWORD_KEYS
    /// holds the keys that stored passwords are sealed under, instead of a file: each 32 bytes in base64, with commas in between, the
    /// newest one last. OFFSHOOT_LOG filters the log on standard error, as in `info` (the default) or `warn,offshoot_api=debug`;
    /// of what other targets than Offshoot's own say, nothing below `info` is shown, since it may hold secrets.
    Serve(Box<ServeOptions>),
    /// Writes all that is stored into one file: a backup.
    ///
    /// Of the server that runs on DIR, where there is one, which goes on working; otherwise of DIR itself. The dump is of one moment, and has
    /// all that was acknowledged before it began. It is read back and verified on its way from a server. It holds secrets, so only you can read it.
    ///
    /// Exit status: 0 when the whole dump is in FILE, durably; otherwise 1, and FILE is as it was.
    Dump(DumpOptions),
    /// Makes a new data directory of a dump.
    ///
    /// The whole dump is verified first. DIR has all of it in the end, or is not made.
    ///
    /// Exit status: 0 when it is done, otherwise 1.
    Load(LoadOptions),
    /// Reads all of a data directory, or of a dump, and says what is wrong.
    ///
    /// Mends nothing. No server may run on the directory; make a dump of it and check that.
    ///
    /// Exit status: 0 when nothing is wrong, 1 when something is, 2 when it cannot be checked.
    Check(CheckOptions),
    /// Says what has to be given up so that a damaged data directory can be used again, and does it with --yes.
    ///
    /// A server mends by itself whatever can be mended without loss; what is left is for this command. It removes nothing: what is damaged
    /// gets other names.
    ///
    /// Exit status: 0 when nothing has to be done or it was done, 1 when something has to be done and --yes is missing, 2 when it failed.
    Repair(RepairOptions),
    /// Creates, lists and deletes accounts, which own projects and API keys.
    ///
    /// On the server that runs on DIR, where there is one; otherwise on DIR itself.
    #[command(subcommand)]
    Account(AccountCommand),
    /// Creates, lists and revokes API keys.
    ///
    /// On the server that runs on DIR, where there is one; otherwise on DIR itself.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Changes the key that stored passwords are sealed under.
    #[command(subcommand)]
    PasswordKey(PasswordKeyCommand),
    /// Takes a role's old passwords out of the history of a project, so that no branch of an earlier point brings them back.
    ///
    /// What some branch of the project has at present stays. Elsewhere the role has no password then; a branch that is made of such a point can
    /// have it reset. Backups keep what they have. Run it again if it was interrupted.
    ///
    /// On the server that runs on DIR, where there is one; otherwise on DIR itself.
    Purge(PurgeOptions),
}

/// Whose old passwords go.
#[derive(Args, Clone, Debug)]
pub struct PurgeOptions {
    /// The data directory.
    pub dir: PathBuf,
    /// The name of the account that owns the project.
    pub account: String,
    /// The project's id.
    pub project: String,
    /// The role's name.
    pub role: String,
}

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Creates an account. It has no API key yet: `offshoot key create` makes one.
    Create {
        /// The data directory.
        dir: PathBuf,
        /// The account's name.
        name: String,
    },
    /// Lists the accounts: name, projects, API keys, when it was created.
    List {
        /// The data directory.
        dir: PathBuf,
    },
    /// Deletes an account with its API keys. One that has projects is left alone, unless --force says to delete them too.
    Delete {
        /// The data directory.
        dir: PathBuf,
        /// The account's name.
        name: String,
        /// Deletes its projects too, with all that is in them.
        #[arg(long)]
        force: bool,
    },
}

/// What can be done with API keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Creates an API key, and prints it, which is the only time it can be seen.
    Create {
        /// The data directory.
        dir: PathBuf,
        /// The name of the account that it is to speak for.
        account: String,
        /// What it is for.
        name: String,
    },
    /// Lists the API keys of an account: id, name, when it was created, when it was last used and from where.
    List {
        /// The data directory.
        dir: PathBuf,
        /// The account's name.
        account: String,
    },
    /// Revokes an API key: from now on it speaks for nobody.
    Revoke {
        /// The data directory.
        dir: PathBuf,
        /// The account's name.
        account: String,
        /// The key's id, as the list shows it.
        id: u64,
    },
}

/// What can be done with the password key.
#[derive(Debug, Subcommand)]
pub enum PasswordKeyCommand {
    /// Seals all stored passwords under a new key.
    ///
    /// The new key is added to the key file. Where OFFSHOOT_PASSWORD_KEYS holds the keys, the last of them is taken: add a new one
    /// there first. Older keys are needed for backups from before, and for nothing else, unless the command says that some are missing.
    ///
    /// On the server that runs on DIR, where there is one, with its keys; otherwise on DIR itself.
    Rotate {
        /// The data directory.
        dir: PathBuf,
        /// What the keys are in, where no server runs.
        #[command(flatten)]
        keys: PasswordKeyOptions,
    },
}

/// Where password keys are.
#[derive(Args, Clone, Debug)]
pub struct PasswordKeyOptions {
    /// The file with the keys that stored passwords are sealed under; made when it does not exist [default: `password-key` in the data directory].
    #[arg(long, value_name = "FILE")]
    pub password_key_file: Option<PathBuf>,
    /// The keys themselves, instead of a file: each 32 bytes in base64, with commas in between, the newest one last.
    // An argument would show up in the list of processes.
    #[arg(skip = env::var("OFFSHOOT_PASSWORD_KEYS").ok().filter(|keys| !keys.is_empty()).map(SecretString::from))]
    pub password_keys: Option<SecretString>,
}

/// What to dump, and where to.
#[derive(Args, Debug)]
pub struct DumpOptions {
    /// The data directory.
    pub dir: PathBuf,
    /// The file to write, which exists whole or not at all; `-` is standard output, of which that can't be said.
    pub file: PathBuf,
    /// Replaces FILE if it exists.
    #[arg(long)]
    pub force: bool,
}

/// What to load, and where to.
#[derive(Args, Debug)]
pub struct LoadOptions {
    /// The dump, as `offshoot dump` has written it.
    pub file: PathBuf,
    /// The new data directory: missing, or empty.
    pub dir: PathBuf,
}

/// What to check.
#[derive(Args, Debug)]
pub struct CheckOptions {
    /// The data directory, or a dump, which has to fit into memory.
    #[arg(value_name = "DIR|FILE")]
    pub path: PathBuf,
}

/// What to repair.
#[derive(Args, Debug)]
pub struct RepairOptions {
    /// The data directory.
    pub dir: PathBuf,
    /// Does what has to be done; without it, it is only told.
    #[arg(long)]
    pub yes: bool,
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
    /// What runs the computes of endpoints, and how.
    #[command(flatten)]
    pub compute: ComputeOptions,
    /// What passwords are sealed under.
    #[command(flatten)]
    pub keys: PasswordKeyOptions,
    /// Stores no passwords, whatever a project asks for, and reveals none.
    #[arg(long)]
    pub no_stored_passwords: bool,
    /// Whether the system's role `web_access` is listed with the others. Some clients want to see a single role.
    #[arg(long, value_name = "HOW", default_value = "listed")]
    pub system_roles: SystemRoles,
    /// The first API key of a new data directory, instead of a generated one: at least 24 printable characters, no spaces.
    // An argument would show up in the list of processes.
    #[arg(skip = env::var("OFFSHOOT_API_KEY").ok().filter(|key| !key.is_empty()).map(SecretString::from))]
    pub first_key: Option<SecretString>,
}

/// Whether the system's roles are in lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SystemRoles {
    /// As all others.
    Listed,
    /// Left out; whoever asks for one by its name finds it.
    Hidden,
}

/// Where the data is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StoreKind {
    /// In the data directory, durably.
    Sled,
    /// In memory: gone when the server ends. For trying things out; OFFSHOOT_API_KEY gives the key where there is no terminal.
    Memory,
}

/// What runs the computes of endpoints, and how.
#[derive(Args, Clone, Debug)]
pub struct ComputeOptions {
    /// What runs the computes of endpoints.
    #[arg(long, value_name = "DRIVER", default_value = "auto")]
    pub compute: ComputeDriver,
    /// Where PostgreSQL's programs are [default: the search path, or the newest below /usr/lib/postgresql].
    #[arg(long, value_name = "DIR")]
    pub postgres_bin: Option<PathBuf>,
    /// The user that PostgreSQL runs as where this server runs as root [default: postgres, or nobody].
    #[arg(long, value_name = "USER")]
    pub compute_user: Option<String>,
    /// The ports that endpoints get, on the loopback address.
    #[arg(long, value_name = "FIRST-LAST", default_value = "20000-31999")]
    pub compute_ports: PortRange,
    /// A file that says which PostgreSQL server is whose, for `--compute external`: on each line an endpoint's id, a space, and the
    /// connection string of an administrator. It is read again whenever a server is needed.
    #[arg(long, value_name = "FILE")]
    pub servers: Option<PathBuf>,
    /// A file with the certificates that vouch for those servers, in PEM form [default: those that the system trusts].
    #[arg(long, value_name = "FILE")]
    pub servers_ca: Option<PathBuf>,
    /// The group whose members the roles of branches are, on each server.
    #[arg(long, value_name = "ROLE", default_value = "neon_superuser")]
    pub privileged_role: RoleName,
    /// What the file of `--servers` would hold. It holds passwords, and an argument would show up in the list of processes.
    #[arg(skip = env::var("OFFSHOOT_SERVERS").ok().filter(|list| !list.is_empty()).map(SecretString::from))]
    pub server_lines: Option<SecretString>,
}

impl ComputeOptions {
    /// Where it stands which server is whose.
    pub(crate) fn server_list(&self) -> Option<ServerList> {
        let file = self.servers.clone().map(ServerList::File);
        file.or_else(|| self.server_lines.clone().map(ServerList::Text))
    }
}

/// What runs the computes of endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ComputeDriver {
    /// `postgres` where PostgreSQL is installed and can be used, otherwise `none`; the log says which, and why.
    Auto,
    /// Nothing: each operation is finished at once, and computes stay idle.
    None,
    /// A PostgreSQL cluster for each endpoint, on this machine.
    Postgres,
    /// PostgreSQL servers that somebody else runs; --servers or OFFSHOOT_SERVERS says which.
    External,
}

/// A range of ports, from the first to the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRange(pub RangeInclusive<u16>);

impl FromStr for PortRange {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<PortRange, &'static str> {
        let range = text.split_once('-').and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
        match range {
            Some((first, last)) if 1024 <= first && first <= last => Ok(PortRange(first..=last)),
            _ => Err("give the first and the last port, such as 20000-31999, none below 1024"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, error::ErrorKind};

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn serve_has_the_documented_defaults() -> Result<(), clap::Error> {
        let Command::Serve(options) = CommandLine::try_parse_from(["offshoot", "serve"])?.command else {
            return Err(clap::Error::new(ErrorKind::InvalidSubcommand));
        };
        assert_eq!(options.data_dir, PathBuf::from("./offshoot-data"));
        assert_eq!(options.listen.to_string(), "127.0.0.1:7070");
        assert_eq!(options.account, None);
        assert_eq!(options.store, StoreKind::Sled);
        assert_eq!(options.compute.compute, ComputeDriver::Auto);
        assert_eq!(options.compute.compute_ports, PortRange(20_000..=31_999));
        assert_eq!(options.compute.privileged_role.as_str(), "neon_superuser");
        assert_eq!(options.keys.password_key_file, None);
        assert_eq!(options.system_roles, SystemRoles::Listed);
        assert!(!options.no_stored_passwords);
        Ok(())
    }
}
