//! Where instants come from, and how a commit's instant is chosen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;

/// A source of the present instant. Injected, so that tests are deterministic.
pub trait Clock: Send + Sync + 'static {
    /// The present instant; what is finer than a microsecond is dropped.
    fn now(&self) -> DateTime<Utc>;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// An instant as it is stored: microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Micros(pub(crate) i64);

impl Micros {
    pub(crate) fn of(instant: DateTime<Utc>) -> Self {
        Self(instant.timestamp_micros())
    }

    /// The instant; one outside chrono's range of 262,000 years is clamped to its end.
    pub(crate) fn instant(self) -> DateTime<Utc> {
        let clamped = if self.0 < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
        DateTime::from_timestamp_micros(self.0).unwrap_or(clamped)
    }

    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Hands out instants that strictly increase, whatever the clock does.
pub(crate) struct Instants {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    clamped: AtomicU64,
}

struct State {
    /// The newest instant that was given out.
    last: Micros,
    /// The newest instant whose state was read; no later commit may carry it or an earlier one.
    observed: Micros,
}

impl Instants {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Mutex::new(State { last: Micros(i64::MIN), observed: Micros(i64::MIN) }),
            clamped: AtomicU64::new(0),
        }
    }

    /// An instant after all others that were given out, and after `floor`.
    pub(crate) fn next(&self, floor: Micros) -> Micros {
        let mut state = self.state.lock();
        let now = Micros::of(self.clock.now());
        let least = floor.max(state.last).next();
        if now < floor {
            let times = self.clamped.fetch_add(1, Ordering::Relaxed) + 1;
            // A wrong clock shows in every commit: say so each time the count doubles.
            if times.is_power_of_two() {
                tracing::warn!(
                    behind_micros = floor.0.saturating_sub(now.0),
                    times,
                    "the clock is behind the newest commit"
                );
            }
        }
        state.last = now.max(least);
        state.last
    }

    /// Notes that the state at `instant` is about to be read, if that has passed. Gives the present, before which instants have passed.
    pub(crate) fn observe(&self, instant: Micros) -> Micros {
        let mut state = self.state.lock();
        let present = Micros::of(self.clock.now()).max(state.last.next());
        if instant < present {
            state.observed = state.observed.max(instant);
        }
        present
    }

    /// The present.
    pub(crate) fn now(&self) -> Micros {
        Micros::of(self.clock.now())
    }

    /// The newest instant whose state was read.
    pub(crate) fn observed(&self) -> Micros {
        self.state.lock().observed
    }

    /// How many commits found the clock behind their branch's head.
    pub(crate) fn clamped(&self) -> u64 {
        self.clamped.load(Ordering::Relaxed)
    }
}
