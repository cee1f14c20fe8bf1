//! The list that says which server is whose.

use std::{collections::BTreeMap, path::PathBuf};

use offshoot_catalog::EndpointId;
use tokio_postgres::{Config, config::SslMode};

use crate::driver::DriverError;

/// How an administrator connects to a server.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) config: Config,
    pub(super) security: Security,
}

/// Whether connections to a server have to be secured, and which certificates vouch for the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Security {
    /// They aren't.
    None,
    /// Those that are named for all servers, or else those that the system trusts.
    Usual,
    /// Those in a file.
    File(PathBuf),
    /// Those that the system trusts.
    System,
}

/// Reads a list. Errors name lines, and never show what stands in them.
pub(super) fn parse(text: &str) -> Result<BTreeMap<EndpointId, Server>, DriverError> {
    let mut servers = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |what: &str| DriverError::Servers(format!("line {number} {what}"));
        let (endpoint, server) = line
            .split_once(char::is_whitespace)
            .ok_or_else(|| wrong("is not an endpoint's id, a space and a connection string"))?;
        let endpoint: EndpointId = endpoint.parse().map_err(|_| wrong("does not begin with an endpoint's id"))?;
        let server = Server::parse(server.trim()).map_err(wrong)?;
        if servers.insert(endpoint, server).is_some() {
            return Err(wrong("names an endpoint that an earlier line names"));
        }
    }
    Ok(servers)
}

impl Server {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let WithoutTls { rest, sslmode, sslrootcert } = WithoutTls::of(text);
        let mut config: Config = rest.parse().map_err(|_| "does not end with a connection string of PostgreSQL")?;
        let is_secured = match sslmode.as_deref() {
            None | Some("prefer") => false,
            Some("disable") => {
                config.ssl_mode(SslMode::Disable);
                false
            }
            Some("require" | "verify-full") => {
                config.ssl_mode(SslMode::Require);
                true
            }
            Some(_) => {
                return Err("has an sslmode that is not known here; it can be disable, prefer, require or verify-full");
            }
        };
        let security = match sslrootcert {
            None if is_secured => Security::Usual,
            None => Security::None,
            Some(_) if !is_secured => return Err("has an sslrootcert, which needs sslmode=verify-full besides"),
            Some(system) if system == "system" => Security::System,
            Some(file) => Security::File(file.into()),
        };
        Ok(Self { config, security })
    }
}

/// A connection string without what libpq knows about certificates and `tokio_postgres` does not.
#[derive(Default)]
struct WithoutTls {
    rest: String,
    sslmode: Option<String>,
    sslrootcert: Option<String>,
}

impl WithoutTls {
    fn of(text: &str) -> Self {
        let mut found = Self::default();
        if !["postgresql://", "postgres://"].iter().any(|scheme| text.starts_with(scheme)) {
            for (pair, key, value) in Pairs(text) {
                if !found.take(key, &value) {
                    found.rest.push_str(pair);
                }
            }
            return found;
        }
        // A password may have a question mark in it.
        let host = text.find('@').map_or(0, |at| at + 1);
        let Some(query) = text[host..].find('?').map(|at| host + at) else {
            return Self { rest: text.to_owned(), ..found };
        };
        found.rest.push_str(&text[..query]);
        let mut separator = '?';
        for pair in text[query + 1..].split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
            if !found.take(key, &value) {
                found.rest.push(separator);
                found.rest.push_str(pair);
                separator = '&';
            }
        }
        found
    }

    fn take(&mut self, key: &str, value: &str) -> bool {
        match key {
            "sslmode" => self.sslmode = Some(value.to_owned()),
            "sslrootcert" => self.sslrootcert = Some(value.to_owned()),
            _ => return false,
        }
        true
    }
}

/// The pairs in `key = 'value' key=value`, each as it stands there, with its key and its value.
struct Pairs<'a>(&'a str);

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, &'a str, String);

    fn next(&mut self) -> Option<Self::Item> {
        let all = self.0;
        if all.trim().is_empty() {
            return None;
        }
        // What is no pair is left as it is, for whoever reads the rest to refuse.
        let Some((key, after)) = all.split_once('=') else {
            self.0 = "";
            return Some((all, "", String::new()));
        };
        let start = all.len() - after.trim_start().len();
        let is_quoted = all[start..].starts_with('\'');
        let (mut value, mut end, mut is_escaped) = (String::new(), all.len(), false);
        for (at, character) in all[start..].char_indices().skip(usize::from(is_quoted)) {
            let is_last = if is_quoted { character == '\'' } else { character.is_whitespace() };
            if is_last && !is_escaped {
                end = start + at + usize::from(is_quoted);
                break;
            }
            is_escaped = character == '\\' && !is_escaped;
            if !is_escaped {
                value.push(character);
            }
        }
        self.0 = &all[end..];
        Some((&all[..end], key.trim(), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(text: &str) -> Result<Server, &'static str> {
        Server::parse(text)
    }

    #[test]
    fn a_list_has_a_line_for_each_endpoint() -> Result<(), DriverError> {
        let servers =
            parse("# a comment\n\nep-a-b-1  postgresql://admin:secret@db1:6432/postgres\nep-a-b-2\thost=db2 user=x\n")?;
        assert_eq!(servers.len(), 2);
        let first: EndpointId = "ep-a-b-1".parse().map_err(|_| DriverError::Servers(String::new()))?;
        assert_eq!(servers.get(&first).map(|server| server.config.get_ports().to_vec()), Some(vec![6432]));
        Ok(())
    }

    #[test]
    fn a_wrong_line_is_named_and_not_shown() {
        for text in [
            "ep-a-b-1",
            "E secret",
            "ep-a-b-1 secret",
            "ep-a-b-1 host=secret\nep-a-b-1 host=secret",
            "ep-a-b-1 host=secret sslmode=verify-ca",
            "ep-a-b-1 host=secret sslrootcert=secret",
            "ep-a-b-1 postgresql://a:secret@b/c?sslmode=secret",
        ] {
            let error = parse(text).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("line ") && !error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_said_about_certificates_is_taken_out_of_either_form() -> Result<(), &'static str> {
        let file = || Security::File("/a b/ca.pem".into());
        for (text, security) in [
            ("postgresql://u:p?x@h:1/d?sslmode=verify-full&sslrootcert=/a%20b/ca.pem&connect_timeout=3", file()),
            ("postgres://u:p?x@h:1/d?connect_timeout=3&sslmode=require", Security::Usual),
            (
                r"host=h port = 1 sslmode = 'verify-full' sslrootcert='/a b/ca.pem' user=u password='p?x' dbname=d",
                file(),
            ),
            (r"sslrootcert=system host=h port=1 user=u password=p?x dbname=d sslmode=verify-full", Security::System),
            (r"host=h port=1 user=u password='p?x' dbname=d", Security::None),
            (r"host=h port=1 user=u password=p?x dbname=d sslmode=disable", Security::None),
        ] {
            let server = server(text)?;
            assert_eq!(server.security, security, "{text}");
            let config = &server.config;
            assert_eq!(config.get_password(), Some(&b"p?x"[..]), "{text}");
            assert_eq!((config.get_user(), config.get_dbname(), config.get_ports()), (Some("u"), Some("d"), &[1][..]));
        }
        Ok(())
    }

    #[test]
    fn a_password_may_look_like_anything() -> Result<(), &'static str> {
        let server = server(r"host=h password='it\'s sslmode=require \\' sslmode=disable user=u")?;
        assert_eq!(server.config.get_password(), Some(&br"it's sslmode=require \"[..]));
        assert_eq!(server.security, Security::None);
        Ok(())
    }
}
