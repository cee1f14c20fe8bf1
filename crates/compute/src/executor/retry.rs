//! When what failed is tried again.

use chrono::TimeDelta;

/// When an operation that failed is tried again, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// How many times it is tried in all.
    pub attempts: u32,
    /// How long to wait after the first failure; after each further one twice as long.
    pub first: TimeDelta,
    /// How long to wait at most.
    pub longest: TimeDelta,
}

impl Default for Retries {
    /// 12 attempts, over about half an hour.
    fn default() -> Self {
        Self { attempts: 12, first: TimeDelta::seconds(1), longest: TimeDelta::minutes(5) }
    }
}

impl Retries {
    /// How long to wait after an operation failed that had failed `failures` times before; nothing where it isn't tried
    /// again.
    pub(super) fn pause(&self, failures: u32) -> Option<TimeDelta> {
        if failures.saturating_add(1) >= self.attempts {
            return None;
        }
        let factor = 1_i32.checked_shl(failures.min(30)).unwrap_or(i32::MAX);
        Some(self.first.checked_mul(factor).map_or(self.longest, |pause| pause.min(self.longest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_end() {
        let retries = Retries { attempts: 5, first: TimeDelta::seconds(1), longest: TimeDelta::seconds(3) };
        let seconds: Vec<_> = (0..6).map(|failures| retries.pause(failures).map(|pause| pause.num_seconds())).collect();
        assert_eq!(seconds, [Some(1), Some(2), Some(3), Some(3), None, None]);
    }

    #[test]
    fn any_number_of_failures_has_an_answer() {
        let retries = Retries { attempts: u32::MAX, ..Retries::default() };
        for failures in [31, 32, 1000, u32::MAX - 2] {
            assert_eq!(retries.pause(failures), Some(retries.longest));
        }
        assert_eq!(retries.pause(u32::MAX), None);
    }
}
