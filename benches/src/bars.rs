//! Bars: what a measurement has to be, and the report of them.

use std::{process::ExitCode, time::Duration};

use crate::Outcome;

/// The groups of bars, in all binaries together. Each binary measures its own, and lets pass the names of the others'.
pub const GROUPS: [&str; 10] =
    ["reads", "forks", "commits", "journal", "sustained", "million", "http", "computes", "race", "branches"];

/// The exit status for arguments that name no group.
const USAGE: u8 = 2;

/// Measures some bars.
pub type Group = fn() -> Outcome<Vec<Bar>>;

/// One line of the report.
pub struct Bar {
    /// What is measured; with its unit where it is no ratio.
    pub name: String,
    /// The measurements that the value was made of.
    pub measured: String,
    /// The ratio of two measurements; an absolute figure where the bar is one.
    pub value: f64,
    /// What the value has to be.
    pub limit: Limit,
}

/// What a value has to be.
#[derive(Clone, Copy)]
pub enum Limit {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
    /// Less than this.
    Below(f64),
    /// Anything: the value is only reported.
    None,
}

impl Bar {
    /// The ratio of two times per operation, each with the name of what took it.
    pub fn times(name: impl Into<String>, of: (&str, Duration), to: (&str, Duration), limit: Limit) -> Self {
        let measured = format!("{} {} / {} {}", of.0, micros(of.1), to.0, micros(to.1));
        Self { name: name.into(), measured, value: of.1.as_secs_f64() / to.1.as_secs_f64(), limit }
    }

    /// The ratio of two rates, given as times per operation.
    pub fn rates(name: impl Into<String>, of: (&str, Duration), to: (&str, Duration), limit: Limit) -> Self {
        let measured = format!("{} {} / {} {}", of.0, rate(of.1), to.0, rate(to.1));
        Self { name: name.into(), measured, value: to.1.as_secs_f64() / of.1.as_secs_f64(), limit }
    }

    /// Whether the value is what it has to be. What is no number meets nothing.
    pub fn is_met(&self) -> bool {
        match self.limit {
            Limit::AtMost(limit) => self.value <= limit,
            Limit::AtLeast(limit) => self.value >= limit,
            Limit::Below(limit) => self.value < limit,
            Limit::None => true,
        }
    }

    fn row(&self) -> String {
        let limit = match self.limit {
            Limit::AtMost(limit) => format!("at most {limit}"),
            Limit::AtLeast(limit) => format!("at least {limit}"),
            Limit::Below(limit) => format!("below {limit}"),
            Limit::None => "none".to_owned(),
        };
        let verdict = match self.limit {
            Limit::None => "reported",
            _ if self.is_met() => "met",
            _ => "**missed**",
        };
        format!("| {} | {} | {:.2} | {limit} | {verdict} |", self.name, self.measured, self.value)
    }
}

fn micros(time: Duration) -> String {
    format!("{:.2} us", time.as_secs_f64() * 1e6)
}

fn rate(time: Duration) -> String {
    format!("{:.0}/s", 1.0 / time.as_secs_f64())
}

/// Measures those of a binary's `own` groups that are `asked` for, all of them where nothing is, and prints a table of their bars.
///
/// Exits with 1 when a bar is missed or could not be measured, with 2 when there is no group of an asked name.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the report goes to whoever ran the command")]
pub fn run(asked: &[String], own: &[(&str, Group)]) -> ExitCode {
    if let Some(unknown) = asked.iter().find(|name| !GROUPS.contains(&name.as_str())) {
        eprintln!("there is no group of bars named {unknown}; there are: {}", GROUPS.join(", "));
        return ExitCode::from(USAGE);
    }
    let is_asked = |name: &str| asked.is_empty() || asked.iter().any(|asked| asked == name);
    let (mut bars, mut all_measured) = (Vec::new(), true);
    for (name, group) in own.iter().filter(|(name, _)| is_asked(name)) {
        eprintln!("measuring {name} ...");
        match group() {
            Ok(measured) => bars.extend(measured),
            Err(error) => {
                eprintln!("{name}: {error}");
                all_measured = false;
            }
        }
    }
    if !bars.is_empty() {
        println!("| bar | measured | value | limit | |");
        println!("|---|---|---|---|---|");
    }
    for bar in &bars {
        println!("{}", bar.row());
    }
    if all_measured && bars.iter().all(Bar::is_met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(value: f64, limit: Limit) -> Bar {
        Bar { name: "a bar".to_owned(), measured: "10 / 5".to_owned(), value, limit }
    }

    #[test]
    fn a_limit_itself_is_allowed_unless_the_value_has_to_be_below() {
        assert!(bar(2.0, Limit::AtMost(2.0)).is_met() && bar(2.0, Limit::AtLeast(2.0)).is_met());
        assert!(!bar(2.0, Limit::Below(2.0)).is_met());
        assert!(!bar(2.1, Limit::AtMost(2.0)).is_met() && !bar(1.9, Limit::AtLeast(2.0)).is_met());
    }

    #[test]
    fn what_is_no_number_meets_no_limit() {
        let limits = [Limit::AtMost(2.0), Limit::AtLeast(2.0), Limit::Below(2.0)];
        assert!(limits.into_iter().all(|limit| !bar(f64::NAN, limit).is_met()));
    }

    #[test]
    fn a_row_says_whether_the_bar_is_met() {
        assert_eq!(bar(2.0, Limit::Below(2.0)).row(), "| a bar | 10 / 5 | 2.00 | below 2 | **missed** |");
        assert_eq!(bar(2.0, Limit::None).row(), "| a bar | 10 / 5 | 2.00 | none | reported |");
    }

    #[test]
    fn a_ratio_of_rates_is_greater_for_the_faster() {
        let (fast, slow) = (("fast", Duration::from_micros(10)), ("slow", Duration::from_micros(40)));
        assert!((Bar::rates("", fast, slow, Limit::None).value - 4.0).abs() < 1e-9);
        assert!((Bar::times("", fast, slow, Limit::None).value - 0.25).abs() < 1e-9);
    }

    #[test]
    fn only_names_of_groups_are_taken() {
        let never: Group = || Err("not asked for".into());
        assert_eq!(run(&["reads".to_owned()], &[("race", never)]), ExitCode::SUCCESS);
        assert_eq!(run(&["read".to_owned()], &[("race", never)]), ExitCode::from(USAGE));
        assert_eq!(run(&[], &[("race", never)]), ExitCode::FAILURE);
    }
}
