//! A report as people read it.

use std::{collections::BTreeSet, fmt};

use super::{
    findings::{Affected, Finding, Problem},
    key::Kind,
    report::{Count, Fill, Report},
};

impl fmt::Display for Report {
    /// A table of what is stored, then the findings with what each means, then what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<28}{:>16}{:>20}", "stored", "number", "bytes")?;
        for kind in Kind::ALL {
            let count = self.count(kind);
            if count.number > 0 {
                row(f, &kind.to_string(), count)?;
            }
        }
        row(f, "all", self.total())?;
        if !self.records.is_empty() {
            writeln!(f, "The records are of {}.", plural(self.records.len() as u64, "namespace", "namespaces"))?;
        }
        self.write_maps(f)?;
        self.write_unneeded(f)?;
        writeln!(f)?;
        self.write_findings(f)
    }
}

impl Report {
    fn write_maps(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let maps = &self.maps;
        writeln!(f, "\n{:<28}{:>16}", "maps of versions", "number")?;
        if maps.inline > 0 {
            writeln!(f, "{:<28}{:>16}", "inline", grouped(maps.inline))?;
        }
        for (height, versions) in &maps.heights {
            writeln!(f, "{:<28}{:>16}", format!("height {height}"), grouped(*versions))?;
        }
        let columns = ["nodes", "mean", "least", "most"];
        writeln!(
            f,
            "\n{:<28}{:>16}{:>12}{:>12}{:>12}",
            "bytes of nodes", columns[0], columns[1], columns[2], columns[3]
        )?;
        for (name, fill) in [("leaves", &maps.leaves), ("above the leaves", &maps.inner)] {
            let numbers = [fill.nodes, fill.mean(), fill.least, fill.most].map(grouped);
            writeln!(f, "{name:<28}{:>16}{:>12}{:>12}{:>12}", numbers[0], numbers[1], numbers[2], numbers[3])?;
        }
        write!(f, "\n{:<28}", "nodes by bytes, up to")?;
        for eighth in 1..=8 {
            write!(f, "{:>9}", grouped(Fill::FULL_BYTES * eighth / 8))?;
        }
        writeln!(f, "{:>9}", "more")?;
        for (name, fill) in [("leaves", &maps.leaves), ("above the leaves", &maps.inner)] {
            write!(f, "{name:<28}")?;
            fill.eighths.iter().try_for_each(|nodes| write!(f, "{:>9}", grouped(*nodes)))?;
            writeln!(f)?;
        }
        if maps.underfull > 0 {
            let nodes = plural(maps.underfull, "node that is no root is", "nodes that are no roots are");
            writeln!(f, "{nodes} smaller than {}: no damage, only room.", grouped(Fill::LEAST_BYTES))?;
        }
        Ok(())
    }

    fn write_unneeded(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = &self.waiting;
        writeln!(f, "\n{:<28}{:>16}{:>20}", "not needed any more", "number", "bytes")?;
        row(f, "versions of what is deleted", waiting.versions)?;
        row(f, "their instants", waiting.instants)?;
        row(f, "their nodes", waiting.nodes)?;
        row(f, "nodes that nothing leads to", self.garbage)?;
        let namespaces = plural(waiting.namespaces, "namespace", "namespaces");
        writeln!(f, "Deleted: {namespaces}, {}.", plural(waiting.branches, "branch", "branches"))
    }

    fn write_findings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_sound() {
            return writeln!(f, "Nothing is wrong.");
        }
        let found = self.findings.len() as u64;
        writeln!(f, "{} wrong:", plural(found + self.more_findings, "thing is", "things are"))?;
        for finding in &self.findings {
            writeln!(f, "{finding}")?;
        }
        if self.more_findings > 0 {
            writeln!(f, "... and about {} more", grouped(self.more_findings))?;
        }
        writeln!(f, "\nWhat to do:")?;
        let problems: BTreeSet<Problem> = self.findings.iter().map(|finding| finding.problem).collect();
        problems.into_iter().try_for_each(|problem| writeln!(f, "- {}", problem.advice()))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "- {}: {}", self.place(), self.what)?;
        writeln!(f, "  key \"{}\"", self.key.escape_ascii())?;
        write!(f, "  {}", self.meaning())
    }
}

impl fmt::Display for Affected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.branches == 0 {
            let versions = plural(self.deleted_versions, "version", "versions");
            return write!(f, "{versions} of deleted branches cannot be read: nothing that can be read is lost");
        }
        let branches = plural(self.branches, "branch", "branches");
        write!(f, "{branches} cannot be read as a whole, {} at the newest version; ", grouped(self.heads))?;
        write!(f, "unreadable versions of their own: {}; ", grouped(self.versions))?;
        for (at, named) in self.named.iter().enumerate() {
            let (namespace, number) = (named.branch.namespace(), named.branch.number());
            write!(f, "{}namespace {namespace}, branch {number} ", if at == 0 { "" } else { "; " })?;
            match named.first == named.last {
                true => write!(f, "at LSN {}", named.first)?,
                false => write!(f, "from LSN {} to {}", named.first, named.last)?,
            }
            if named.is_head {
                f.write_str(", the newest")?;
            }
        }
        match self.branches.saturating_sub(self.named.len() as u64) {
            0 => Ok(()),
            more => write!(f, "; and {} more", plural(more, "branch", "branches")),
        }
    }
}

impl Problem {
    /// What to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::UnknownKey => {
                "A key of an unknown form: something else writes to this store, or a newer release did. \
                 Open it with the release that wrote it."
            }
            Self::Damaged => {
                "Damaged values: the disk or the memory may be failing. Keep a copy of the directory as it is, check the hardware, \
                 and restore a backup elsewhere."
            }
            Self::Missing => {
                "Missing values: the store lost something that it had acknowledged. Write nothing more to it, keep a copy of the \
                 directory as it is, and restore a backup."
            }
            Self::Replaced => {
                "Valid values that are not the right ones: files of different times or stores may have been mixed. Restore one \
                 backup as a whole."
            }
            Self::Disorder => {
                "Maps that are not in order: the bytes are as they were written, so this is a mistake of a release. \
                 Please report it, with this report."
            }
            Self::Contradiction => {
                "Values that contradict each other: a part of the store may have gone back in time, or a release made a mistake. \
                 Write nothing more to it, restore a backup, and please report it."
            }
        }
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, count: Count) -> fmt::Result {
    writeln!(f, "{name:<28}{:>16}{:>20}", grouped(count.number), grouped(count.bytes))
}

fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// The number with a comma between each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
