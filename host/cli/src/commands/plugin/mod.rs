//! `deputy plugin`: what the authors of policies work with, and what operators look at before they trust one.

mod inspect;

use crate::Common;
use crate::exit::Outcome;

/// What `deputy plugin` can do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show what a component is and asks for; of its code runs only what describes it
    Inspect(inspect::Arguments),
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, command: Command) -> Outcome {
    match command {
        Command::Inspect(arguments) => inspect::run(common, &arguments),
    }
}
