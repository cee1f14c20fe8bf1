//! Where random bytes come from, and how ids and secrets are drawn from them.

use thiserror::Error;

/// A source of random bytes. Ids and secrets are drawn from it.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `bytes` with random bytes.
    ///
    /// # Errors
    ///
    /// [`EntropyError`] when the source can't give any.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError>;
}

/// The source of random bytes failed, so no id or secret could be drawn.
#[derive(Clone, Debug, Error)]
#[error("no random bytes to be had: {reason}")]
pub struct EntropyError {
    reason: String,
}

impl EntropyError {
    /// A failure, told in a few words.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// The operating system's source of random bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(bytes).map_err(|error| EntropyError::new(error.to_string()))
    }
}

const ALPHANUMERICS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A number below `bound`, each equally likely; `bound` is at least 1.
pub(crate) fn draw_below(entropy: &dyn Entropy, bound: u32) -> Result<u32, EntropyError> {
    // Numbers in the last, incomplete stretch of `bound` would favour the small ones: they are drawn again.
    let whole_stretches = u32::MAX - u32::MAX % bound;
    loop {
        let mut bytes = [0; 4];
        entropy.fill(&mut bytes)?;
        let drawn = u32::from_le_bytes(bytes);
        if drawn < whole_stretches {
            return Ok(drawn % bound);
        }
    }
}

/// One of `choices`, each equally likely. `choices` isn't empty.
pub(crate) fn draw_from<'a>(entropy: &dyn Entropy, choices: &[&'a str]) -> Result<&'a str, EntropyError> {
    let bound = u32::try_from(choices.len()).map_err(|error| EntropyError::new(error.to_string()))?;
    Ok(choices[draw_below(entropy, bound)? as usize])
}

/// A text of `length` letters and digits, each of the 62 equally likely.
pub(crate) fn draw_alphanumerics(entropy: &dyn Entropy, length: usize) -> Result<String, EntropyError> {
    // Bytes above the last whole stretch of 62 would favour some: they are left out.
    const WHOLE_STRETCHES: u8 = u8::MAX - u8::MAX % 62;
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let drawn = draw_bytes::<32>(entropy)?.into_iter().filter(|byte| *byte < WHOLE_STRETCHES);
        let drawn = drawn.map(|byte| char::from(ALPHANUMERICS[usize::from(byte % 62)]));
        text.extend(drawn.take(length - text.len()));
    }
    Ok(text)
}

/// `N` random bytes.
pub(crate) fn draw_bytes<const N: usize>(entropy: &dyn Entropy) -> Result<[u8; N], EntropyError> {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SeededEntropy;

    #[test]
    fn every_alphanumeric_is_drawn_about_equally_often() -> Result<(), EntropyError> {
        let text = draw_alphanumerics(&SeededEntropy::new(1), 62_000)?;
        for character in ALPHANUMERICS {
            let times = text.bytes().filter(|byte| byte == character).count();
            assert!((850..1150).contains(&times), "{} came {times} times", char::from(*character));
        }
        Ok(())
    }

    #[test]
    fn the_operating_system_gives_other_bytes_each_time() -> Result<(), EntropyError> {
        assert_ne!(draw_bytes::<32>(&OsEntropy)?, draw_bytes::<32>(&OsEntropy)?);
        Ok(())
    }

    #[test]
    fn a_number_drawn_from_the_incomplete_stretch_is_drawn_again() -> Result<(), EntropyError> {
        /// Gives all ones first, then zeros.
        struct OnesFirst(std::sync::atomic::AtomicBool);
        impl Entropy for OnesFirst {
            fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
                let again = self.0.swap(true, std::sync::atomic::Ordering::Relaxed);
                bytes.fill(if again { 0 } else { u8::MAX });
                Ok(())
            }
        }
        assert_eq!(draw_below(&OnesFirst(false.into()), 62)?, 0);
        Ok(())
    }
}
