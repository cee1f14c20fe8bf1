//! Secrets that the catalog makes: the passwords of roles and the secrets of API keys.

use secrecy::SecretString;

use crate::{
    entropy::{Entropy, EntropyError, draw_alphanumerics, draw_bytes},
    scram::ScramVerifier,
};

/// 24 of 62 characters: 142 bits.
const PASSWORD_CHARACTERS: usize = 24;
/// 40 of 62 characters: 238 bits.
const KEY_CHARACTERS: usize = 40;

/// A new password, and all that will be kept of it.
pub(crate) struct NewPassword {
    pub(crate) password: SecretString,
    pub(crate) verifier: ScramVerifier,
}

impl NewPassword {
    /// Draws a password. Computing its verifier takes a while, so this doesn't belong in a transaction.
    pub(crate) fn draw(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let password = SecretString::from(draw_alphanumerics(entropy, PASSWORD_CHARACTERS)?);
        let verifier = ScramVerifier::compute(&password, draw_bytes(entropy)?);
        Ok(Self { password, verifier })
    }
}

/// Draws the secret of a new API key.
pub(crate) fn draw_key_secret(entropy: &dyn Entropy) -> Result<SecretString, EntropyError> {
    Ok(format!("osk_{}", draw_alphanumerics(entropy, KEY_CHARACTERS)?).into())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::testing::SeededEntropy;

    #[test]
    fn secrets_are_long_alphanumeric_and_never_the_same() -> Result<(), EntropyError> {
        let entropy = SeededEntropy::new(3);
        let (one, other) = (NewPassword::draw(&entropy)?, NewPassword::draw(&entropy)?);
        assert_ne!(one.password.expose_secret(), other.password.expose_secret());
        assert_ne!(one.verifier, other.verifier);
        assert_eq!(one.password.expose_secret().len(), 24);
        assert!(one.password.expose_secret().bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let key = draw_key_secret(&entropy)?;
        assert!(key.expose_secret().strip_prefix("osk_").is_some_and(|rest| rest.len() == 40));
        Ok(())
    }
}
