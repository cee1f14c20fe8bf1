//! `cargo xtask fuzz`: runs the fuzz targets on the stable toolchain.

use crate::run::{cargo, workspace};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

/// For how long each target runs where nothing else is asked for.
const USUAL_SECONDS: u64 = 60;

/// Tells libFuzzer which code an input reaches. These are the flags of `cargo fuzz` without a sanitizer, which would need a nightly toolchain.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Takes a number of seconds and names of targets, all of which may be left out.
pub(crate) fn run(args: &[String]) -> Result<ExitCode, String> {
    let (seconds, names) = match args.split_first() {
        Some((first, rest)) if first.parse::<u64>().is_ok() => (first.parse().unwrap_or(USUAL_SECONDS), rest),
        _ => (USUAL_SECONDS, args),
    };
    let home = workspace().join("fuzz");
    let known = targets(&home)?;
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(format!("there is no fuzz target {unknown}; there are {}", known.join(", ")));
    }
    let chosen = if names.is_empty() { &known[..] } else { names };
    let built = build(&home)?;
    for target in chosen {
        run_target(&home, &built, target, seconds)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// All targets, by the names of their files.
fn targets(home: &Path) -> Result<Vec<String>, String> {
    let directory = home.join("fuzz_targets");
    let files = fs::read_dir(&directory).map_err(|error| format!("cannot read {}: {error}", directory.display()))?;
    let names = files.filter_map(|file| file.ok()?.path().file_stem()?.to_str().map(str::to_owned));
    let mut names: Vec<_> = names.collect();
    names.sort();
    Ok(names)
}

/// Builds all targets; gives the directory that they are in.
fn build(home: &Path) -> Result<PathBuf, String> {
    let host = host()?;
    // Not where all else is built: everything there is compiled with other flags.
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| home.join("target"), |other| Path::new(&other).join("fuzz"));
    // With a target named, the flags do not reach build scripts and macros.
    let status = Command::new(cargo())
        .args(["build", "--bins", "--target", &host, "--target-dir"])
        .arg(&target)
        .env("RUSTFLAGS", COVERAGE)
        .current_dir(home)
        .status()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if !status.success() {
        return Err(
            "the fuzz targets do not build; libFuzzer needs a C++ compiler, on Debian: apt-get install g++".into()
        );
    }
    Ok(target.join(host).join("debug"))
}

/// The triple of this machine.
fn host() -> Result<String, String> {
    let output = Command::new("rustc").arg("-vV").output().map_err(|error| format!("cannot run rustc: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc does not say for which host it is".into())
}

fn run_target(home: &Path, built: &Path, name: &str, seconds: u64) -> Result<(), String> {
    let (seeds, artifacts) = (home.join("corpus").join(name), home.join("artifacts").join(name));
    let found = built.join("corpus").join(name);
    for directory in [&artifacts, &found] {
        fs::create_dir_all(directory).map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
    }
    if !seeds.is_dir() {
        return Err(format!("the fuzz target {name} has no seeds in {}", seeds.display()));
    }
    // What reaches new code goes into the first directory; an input that takes so long or so much memory is a finding, too.
    let status = Command::new(built.join(name))
        .args([&found, &seeds])
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(format!("-max_total_time={seconds}"))
        .args(["-max_len=8192", "-timeout=60", "-rss_limit_mb=2048", "-verbosity=0", "-print_final_stats=1"])
        .status()
        .map_err(|error| format!("cannot run the fuzz target {name}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("the fuzz target {name} found something: see above")) }
}
