//! `deputy-bench`: how fast Deputy is, beside what the same machine does at best.
//!
//! A benchmark prints its own comparison: a number means little without the baseline taken in the same
//! minutes on the same machine. Every part of one, Apple included, runs in a process of its own, so that
//! its memory and its processor time are its own. No number fails the program: machines differ.

mod decide;
mod sync;

mod decode;
mod deputy;

mod apple;
mod measure;
mod table;

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};

/// Measures Deputy: a sync beside a bare download of the same pages, decisions beside the same rules natively.
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
  cargo run --release -p bench -- decide

Close what else keeps the machine busy, and compare ratios rather than seconds.";

#[derive(Subcommand)]
enum Command {
    Sync(sync::Arguments),
    Decide(decide::Arguments),
    /// What the sandbox starts to compile a plugin
    #[command(name = decide::COMPILE, hide = true)]
    Compile {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// One part of a benchmark; its job comes on standard input
    #[command(hide = true)]
    Part,
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Compile { arguments } => return Ok(sandbox::compile::serve(&arguments)),
        Command::Part => measure::carry_out()?,
        Command::Decide(arguments) => {
            warn_of_debug();
            decide::compare(arguments)?;
        }
        Command::Sync(arguments) => until_interrupted(sync::compare(arguments))?,
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
