//! The table of the race.

use super::{
    cell::{CAP, Cell},
    contestants::NAMES,
};

/// What a row's figures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    Bytes,
}

/// One workload: what each contestant did, and what the machine allows.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    /// One for each of [`NAMES`].
    pub(crate) cells: Vec<Cell>,
    pub(crate) limits: Vec<(&'static str, f64)>,
}

impl Row {
    /// The figure of a limit that the row has.
    pub(crate) fn limit(&self, name: &str) -> Option<f64> {
        self.limits.iter().find(|(limit, _)| *limit == name).map(|(_, figure)| *figure)
    }
}

/// The rows as a table in Markdown.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = format!("| workload | {} | limit of the machine |\n|---|", NAMES.join(" | "));
    text.push_str(&"---|".repeat(NAMES.len() + 1));
    for row in rows {
        let cells: Vec<_> = row.cells.iter().map(|cell| show(*cell, row.unit)).collect();
        let limits: Vec<_> =
            row.limits.iter().map(|(name, figure)| format!("{name} {}", row.unit.show(*figure))).collect();
        text.push_str(&format!("\n| {} | {} | {} |", row.name, cells.join(" | "), limits.join(", ")));
    }
    text
}

fn show(cell: Cell, unit: Unit) -> String {
    let stopped = |at: f64| format!("stopped at {at:.0} after {} s", CAP.as_secs());
    match cell {
        Cell::Measured(figure) => unit.show(figure),
        Cell::Stopped { at, figure: None } => stopped(at),
        Cell::Stopped { at, figure: Some(figure) } => format!("{}; {}", unit.show(figure), stopped(at)),
        Cell::NotOffered => "not offered".to_owned(),
    }
}

impl Unit {
    /// A figure with three digits or so, in a unit that suits it.
    fn show(self, figure: f64) -> String {
        let (value, name) = self.scale(figure);
        if value < 10.0 { format!("{value:.2} {name}") } else { format!("{value:.0} {name}") }
    }

    /// A figure of one digit and zeros, as the labels of an axis have.
    pub(crate) fn show_round(self, figure: f64) -> String {
        // What floating point has made a little less than 1 is 1.
        let (value, name) = self.scale(figure * 1.000_001);
        format!("{value:.0} {name}")
    }

    fn scale(self, figure: f64) -> (f64, &'static str) {
        let steps: &[(f64, &'static str)] = match self {
            Self::Seconds => &[(1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")],
            Self::Bytes => &[(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1_024.0, "KiB"), (1.0, "B")],
        };
        let (size, name) =
            steps.iter().find(|(size, _)| figure >= *size).or(steps.last()).copied().unwrap_or((1.0, ""));
        (figure / size, name)
    }
}
