//! `deputy plugin`: what the authors of policies work with, and what operators look at before they trust one.

mod diff;
mod inspect;
mod r#try;

mod devices;
mod saved;
mod subject;

use crate::Common;
use crate::exit::{Exit, Outcome, Problem};

/// What `deputy plugin` can do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show what a component is and asks for, without running it
    Inspect(inspect::Arguments),
    /// Ask a policy about devices, and show every verdict, its reason and what it took
    Try(r#try::Arguments),
    /// Show which devices another component, or other settings, would decide differently about
    Diff(diff::Arguments),
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, command: Command) -> Outcome {
    match command {
        Command::Inspect(arguments) => inspect::run(common, &arguments),
        Command::Try(arguments) => r#try::run(common, arguments).await,
        Command::Diff(arguments) => diff::run(common, arguments).await,
    }
}

/// Policies compute and devices are waited for: not on a thread that serves others.
async fn in_the_background(work: impl FnOnce() -> Outcome + Send + 'static) -> Outcome {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Problem::new(Exit::Failure, format!("this broke off: {error}"))))
}
