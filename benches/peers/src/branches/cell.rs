//! One measurement: what it found, and how long it may take.

use std::time::{Duration, Instant};

use offshoot_benches::Outcome;

/// How long one contestant may take for one row, its data included.
pub(crate) const CAP: Duration = Duration::from_secs(60);

/// What a contestant did in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell {
    /// Did all of it: a time per operation, in seconds, or whatever else the row's unit says.
    Measured(f64),
    /// Came to the cap. What it did until then is told, where that says something: how far it was, and its figure there.
    Stopped { at: f64, figure: Option<f64> },
    /// Has no such operation.
    NotOffered,
}

impl Cell {
    /// The figure, of however much of it was done.
    pub(crate) fn figure(self) -> Option<f64> {
        match self {
            Self::Measured(figure) => Some(figure),
            Self::Stopped { figure, .. } => figure,
            Self::NotOffered => None,
        }
    }

    /// The figure of all of it.
    pub(crate) fn measured(self) -> Option<f64> {
        match self {
            Self::Measured(figure) => Some(figure),
            Self::Stopped { .. } | Self::NotOffered => None,
        }
    }
}

/// The time that is left for a cell.
#[derive(Clone, Copy)]
pub(crate) struct Budget(Instant);

impl Budget {
    pub(crate) fn new() -> Self {
        Self(Instant::now() + CAP)
    }

    pub(crate) fn is_spent(self) -> bool {
        Instant::now() >= self.0
    }
}

/// Does something again and again, for about `enough` or until the budget is spent, at least once. Gives the time per operation.
pub(crate) fn repeat(budget: Budget, enough: Duration, mut operation: impl FnMut(u64) -> Outcome<()>) -> Outcome<f64> {
    let start = Instant::now();
    let mut done = 0;
    while done == 0 || (start.elapsed() < enough && !budget.is_spent()) {
        operation(done)?;
        done += 1;
    }
    Ok(start.elapsed().as_secs_f64() / done as f64)
}
