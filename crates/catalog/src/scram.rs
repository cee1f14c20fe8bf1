//! SCRAM-SHA-256 verifiers: what PostgreSQL keeps of a password.

use std::{fmt, str::FromStr};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use thiserror::Error;

const ITERATIONS: u32 = 4096;
const MECHANISM: &str = "SCRAM-SHA-256";

const SALT_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
/// What the decoder wants to have room for: whole groups of three bytes.
const KEY_ROOM: usize = KEY_BYTES.next_multiple_of(3);

/// What is kept of a password, in PostgreSQL's text form (`SCRAM-SHA-256$4096:<salt>$<stored key>:<server key>`).
///
/// It can be given to `CREATE ROLE ... PASSWORD` as it is. Who reads it can't log in with it, but can try out
/// passwords, so it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramVerifier(String);

impl ScramVerifier {
    /// Computes the verifier of a password of ASCII characters, with a salt that nobody could foretell, which takes about half a
    /// millisecond.
    pub fn compute(password: &SecretString, salt: [u8; SALT_BYTES]) -> Self {
        let password = password.expose_secret().as_bytes();
        let salted = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, &salt, ITERATIONS);
        let stored_key = Sha256::digest(hmac(&salted, b"Client Key"));
        let server_key = hmac(&salted, b"Server Key");
        let encode = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
        Self(format!("{MECHANISM}${ITERATIONS}:{}${}:{}", encode(&salt), encode(&stored_key), encode(&server_key)))
    }

    /// Whether this is what it says of a password.
    #[cfg(test)]
    pub(crate) fn accepts(&self, password: &SecretString) -> bool {
        let salt = self.0.split(['$', ':']).nth(2).and_then(|salt| BASE64_STANDARD.decode(salt).ok());
        salt.and_then(|salt| salt.try_into().ok()).is_some_and(|salt| Self::compute(password, salt) == *self)
    }

    /// The verifier's text, for a server that is to know it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramVerifier(redacted)")
    }
}

/// A text is not a SCRAM-SHA-256 verifier in PostgreSQL's form. The text isn't shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a verifier of the form SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>")]
pub struct ParseVerifierError;

impl FromStr for ScramVerifier {
    type Err = ParseVerifierError;

    fn from_str(text: &str) -> Result<Self, ParseVerifierError> {
        let fields = || -> Option<(&str, &str, &str, &str)> {
            let (rounds, keys) = text.strip_prefix(MECHANISM)?.strip_prefix('$')?.split_once('$')?;
            let ((iterations, salt), (stored, server)) = (rounds.split_once(':')?, keys.split_once(':')?);
            Some((iterations, salt, stored, server))
        };
        let (iterations, salt, stored, server) = fields().ok_or(ParseVerifierError)?;
        let is_key = |text: &str| BASE64_STANDARD.decode_slice(text, &mut [0; KEY_ROOM]) == Ok(KEY_BYTES);
        let right = iterations.parse::<u32>().is_ok_and(|count| count > 0)
            && BASE64_STANDARD.decode(salt).is_ok_and(|salt| !salt.is_empty())
            && is_key(stored)
            && is_key(server);
        if right { Ok(Self(text.to_owned())) } else { Err(ParseVerifierError) }
    }
}

fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    // HMAC pads a key that is shorter than the hash's block with zeros.
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    Hmac::<Sha256>::new(&block.into()).chain_update(message).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    fn keys(verifier: &ScramVerifier) -> ([u8; 32], [u8; 32]) {
        let (stored, server) = verifier.expose().rsplit_once('$').and_then(|(_, keys)| keys.split_once(':')).unwrap();
        let decode = |text: &str| BASE64_STANDARD.decode(text).unwrap().try_into().unwrap();
        (decode(stored), decode(server))
    }

    /// The exchange that RFC 7677 section 3 publishes.
    #[test]
    fn the_published_exchange_succeeds_against_the_verifier() -> TestResult {
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==")?;
        let verifier = ScramVerifier::compute(&"pencil".into(), salt.try_into().unwrap());
        let (stored_key, server_key) = keys(&verifier);
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let exchange =
            format!("n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}");

        let signature = BASE64_STANDARD.encode(hmac(&server_key, exchange.as_bytes()));
        assert_eq!(signature, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");

        let proof = BASE64_STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")?;
        let mask = hmac(&stored_key, exchange.as_bytes());
        let client_key: Vec<u8> = proof.iter().zip(mask).map(|(proof, mask)| proof ^ mask).collect();
        assert_eq!(Sha256::digest(client_key).as_slice(), stored_key);
        Ok(())
    }

    #[test]
    fn postgres_clients_compute_the_same_verifier() -> TestResult {
        let theirs = postgres_protocol::password::scram_sha_256(b"FLfASd8mbKO9xx01");
        let salt = theirs.split(['$', ':']).nth(2).ok_or("no salt")?;
        let salt = BASE64_STANDARD.decode(salt)?.try_into().unwrap();
        assert_eq!(ScramVerifier::compute(&"FLfASd8mbKO9xx01".into(), salt).expose(), theirs);
        Ok(())
    }

    #[test]
    fn only_whole_verifiers_parse() {
        let verifier = ScramVerifier::compute(&"pencil".into(), [7; SALT_BYTES]);
        assert_eq!(verifier.expose().parse(), Ok(verifier.clone()));
        for end in 0..verifier.expose().len() {
            assert_eq!(verifier.expose()[..end].parse::<ScramVerifier>(), Err(ParseVerifierError));
        }
    }

    #[test]
    fn a_verifier_is_not_printed() {
        let verifier = ScramVerifier::compute(&"pencil".into(), [7; SALT_BYTES]);
        assert_eq!(format!("{verifier:?}"), "ScramVerifier(redacted)");
    }
}
