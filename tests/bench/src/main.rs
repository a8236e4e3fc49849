//! `deputy-bench`: how fast Deputy is, beside what the same machine does at best.
//!
//! A benchmark prints its own comparison: a number means little without the baseline taken in the same
//! minutes on the same machine. Every part of one, Apple included, runs in a process of its own, so that
//! its memory and its processor time are its own. No number fails the program: machines differ.

mod decide;
mod fleet;
mod serve;

mod decode;
mod deputy;
mod policy;

mod apple;
mod measure;
mod table;

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};

/// Measures Deputy: a sync and a whole first run beside a bare download of the same pages, decisions beside the
/// same rules natively.
///
/// Everything happens on this machine: Apple is played by a process of its own, and what is stored goes to
/// a temporary folder that is removed at the end. The tables go to standard output, what is going on
/// meanwhile to standard error.
#[derive(Parser)]
#[command(name = "deputy-bench", arg_required_else_help = true, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  cargo run --release -p bench -- sync
  cargo run --release -p bench -- sync --devices 100000 --runs 3
  cargo run --release -p bench -- sync --devices 100000 --latency 50
  cargo run --release -p bench -- sync --json > sync.json
  cargo run --release -p bench -- run --devices 100000
  cargo run --release -p bench -- decide
  cargo build --release && cargo run --release -p bench -- serve

Close what else keeps the machine busy, and compare ratios rather than seconds.";

#[derive(Subcommand)]
enum Command {
    /// Fetch every device into an empty store, then only what changed
    ///
    /// For each size, one after the other:
    ///
    ///   download   the pages of all devices: how long their answers took
    ///   decode     the baseline: the same, and each page decoded into Apple's complete device
    ///              type; one thread, one connection, nothing kept
    ///   sync       Deputy's own `sync` step into an empty store on disk, from opening the store
    ///              to closing it
    ///   unchanged  the same once more; nothing has changed
    ///   changed    the same once more; 100 devices have changed
    ///
    /// RATIO is the time beside that of decode. CPU S is processor time on all cores, PEAK MIB the
    /// most memory the process had resident; `-` where the system does not tell.
    #[command(verbatim_doc_comment)]
    Sync(fleet::Arguments),
    /// A whole first run: sync, decide, plan, assign every device; then only what changed
    ///
    /// The parts are those of `sync`, except that each is a run of the workflow with all its steps: the
    /// shipped rules decide in the sandbox about every device, every device is assigned its first
    /// profile, and each outcome is recorded. In the last part 100 devices get another profile. One part
    /// is more:
    ///
    ///   echo       the run after the first, to which Apple reports every assignment as a change
    Run(fleet::Arguments),
    Decide(decide::Arguments),
    Serve(serve::Arguments),
    /// What the sandbox starts to compile a plugin
    #[command(name = policy::COMPILE, hide = true)]
    Compile {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// One part of a benchmark; its job comes on standard input
    #[command(hide = true)]
    Part,
}

fn main() -> ExitCode {
    match carry_out(Arguments::parse().command) {
        Ok(exit) => exit,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Compile { arguments } => return Ok(sandbox::compile::serve(&arguments)),
        Command::Part => measure::carry_out()?,
        Command::Decide(arguments) => {
            warn_of_debug();
            decide::compare(arguments)?;
        }
        Command::Serve(arguments) => {
            warn_of_debug();
            serve::compare(&arguments)?;
        }
        Command::Sync(arguments) => until_interrupted(fleet::compare(fleet::Work::Sync, arguments))?,
        Command::Run(arguments) => until_interrupted(fleet::compare(fleet::Work::Run, arguments))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn warn_of_debug() {
    if cfg!(debug_assertions) {
        eprintln!("this is no release build, so its numbers say little: `cargo run --release -p bench`");
    }
}

/// Interrupted, it still ends its processes and removes its folder: dropping the work does both.
fn until_interrupted(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    warn_of_debug();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(async {
        tokio::select! {
            done = work => done,
            told = told_to_stop() => told.and_then(|()| bail!("interrupted")),
        }
    })
}

#[cfg(unix)]
async fn told_to_stop() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot listen for Ctrl-C"),
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn told_to_stop() -> anyhow::Result<()> {
    tokio::signal::ctrl_c().await.context("cannot listen for Ctrl-C")
}
