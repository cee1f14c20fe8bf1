//! Measuring in a process of its own: for its memory, and to kill it.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{self, ChildStdin, ChildStdout, Command, ExitCode, Stdio},
};

use crate::Outcome;

/// The first argument of a child; its name and its directory follow.
pub const MARK: &str = "--child";

/// What a child does with its directory; it prints figures.
pub type Work = fn(&Path) -> Outcome<()>;

/// Does the work of this name, in the child.
///
/// A binary that starts children calls this first, when its first argument is [`MARK`].
#[expect(clippy::print_stderr, reason = "whoever runs the bars reads it")]
pub fn run(children: &[(&str, Work)], name: &str, directory: &Path) -> ExitCode {
    let work = children.iter().find(|(child, _)| *child == name).map(|(_, work)| work);
    let done = work.map_or_else(|| Err("there is no such child".into()), |work| work(directory));
    let Err(error) = done else { return ExitCode::SUCCESS };
    eprintln!("{name}: {error}");
    ExitCode::FAILURE
}

/// Figures that a child has measured, by their names.
#[derive(Debug, Default)]
pub struct Figures(BTreeMap<String, f64>);

impl Figures {
    /// Adds a figure.
    pub fn with(mut self, name: impl Into<String>, figure: f64) -> Self {
        self.0.insert(name.into(), figure);
        self
    }

    /// The figure of this name.
    pub fn get(&self, name: &str) -> Outcome<f64> {
        self.0.get(name).copied().ok_or_else(|| format!("the child did not measure {name}").into())
    }

    /// Prints them for the parent, all before this returns.
    pub fn print(&self) -> Outcome<()> {
        let mut lines: String = self.0.iter().map(|(name, figure)| format!("{name}={figure}\n")).collect();
        lines.push('\n');
        let mut out = std::io::stdout().lock();
        out.write_all(lines.as_bytes())?;
        Ok(out.flush()?)
    }

    /// What a child printed, up to the line that ends it.
    fn read(out: impl BufRead) -> Outcome<Self> {
        let mut figures = Self::default();
        for line in out.lines() {
            let line = line?;
            if line.is_empty() {
                return Ok(figures);
            }
            let (name, figure) = line.split_once('=').ok_or("a child printed something else than figures")?;
            figures = figures.with(name, figure.parse()?);
        }
        Err("the child ended without its figures".into())
    }
}

/// A process that runs one of this binary's children. Dropped, it is killed.
pub struct Child {
    process: process::Child,
    out: BufReader<ChildStdout>,
    /// Closed, it tells a child that waits for it to go on.
    input: Option<ChildStdin>,
}

impl Child {
    /// Starts the child of this name.
    pub fn start(name: &str, directory: &Path) -> Outcome<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.args([MARK, name]).arg(directory).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let out = BufReader::new(process.stdout.take().ok_or("the child has no output")?);
        let input = process.stdin.take();
        Ok(Self { process, out, input })
    }

    /// Waits for the figures.
    pub fn figures(&mut self) -> Outcome<Figures> {
        Figures::read(&mut self.out)
    }

    /// Lets the child come to its end.
    pub fn finish(mut self) -> Outcome<()> {
        drop(self.input.take());
        let status = self.process.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the child failed: {status}").into()) }
    }

    /// Ends the child at once: `kill -9`.
    pub fn kill(mut self) -> Outcome<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // A child that has ended already is as good as a killed one.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits, in a child, until the parent lets it go on, or kills it.
pub fn wait_for_parent() -> Outcome<()> {
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
    Ok(())
}
