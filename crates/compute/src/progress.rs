//! Giving up on what makes no progress.

use std::{future::Future, pin::pin, time::Duration};

use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

/// How far something is.
pub(crate) struct Progress(Mutex<Seen>);

#[derive(Clone, Copy)]
struct Seen {
    parts: u64,
    last: Instant,
}

impl Default for Progress {
    fn default() -> Self {
        Self(Mutex::new(Seen { parts: 0, last: Instant::now() }))
    }
}

impl Progress {
    /// Notes that a part is done.
    pub(crate) fn note(&self) {
        let mut seen = self.0.lock();
        *seen = Seen { parts: seen.parts + 1, last: Instant::now() };
    }

    /// What comes of `work`; nothing where none of its parts is done for `limit`.
    pub(crate) async fn watch<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        loop {
            let seen = *self.0.lock();
            match timeout_at(seen.last + limit, &mut work).await {
                Ok(done) => return Some(done),
                Err(_) if self.0.lock().parts == seen.parts => return None,
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn what_gets_on_may_take_as_long_as_it_takes() {
        let progress = Progress::default();
        let work = async {
            for _ in 0..10 {
                progress.note();
                yield_now().await;
            }
        };
        assert_eq!(progress.watch(Duration::ZERO, work).await, Some(()));
    }

    #[tokio::test]
    async fn what_does_not_get_on_is_given_up() {
        let progress = Progress::default();
        let work = async {
            progress.note();
            pending::<()>().await;
        };
        assert_eq!(progress.watch(Duration::ZERO, work).await, None);
    }
}
