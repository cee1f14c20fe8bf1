//! The project's commands: `cargo xtask` lists them.

#![expect(clippy::print_stderr, reason = "a command line tool speaks to the person who runs it")]

mod bars;
mod console;
mod fuzz;
mod needs;
mod run;
mod test;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [ARGS]   gets what the tests need, or names it, then runs them all (ARGS go to `cargo test`)
  bars [ARGS]   measures the speed bars in release mode; fails when one is missed
  fuzz [SECONDS] [TARGETS]
                runs the fuzz targets, each for a minute unless said otherwise; fails when one finds something
  blocking      measures how long the console's pages block with 5,000 branches; fails when it is too long
  screenshots   takes the pictures of docs/console";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next();
    let rest: Vec<String> = args.collect();
    let outcome = match command.as_deref() {
        Some("test") => test::run(&rest),
        Some("bars") => bars::run(&rest),
        Some("fuzz") => fuzz::run(&rest),
        Some("blocking") => console::blocking(),
        Some("screenshots") => console::screenshots(),
        Some("help" | "--help" | "-h") => {
            eprintln!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        other => {
            if let Some(name) = other {
                eprintln!("error: there is no command `{name}`\n");
            }
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}
