//! `deputy plugin`: what the authors of policies work with, and what operators look at before they trust one.

mod inspect;
pub(crate) mod list;
mod rest;
mod trust;

use crate::Common;
use crate::exit::Outcome;

/// What `deputy plugin` can do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show what a component is, asks for and may use; of its code runs only what describes it
    ///
    /// With the name of a plugin in deputy.toml, the limits are those it has there; with a file, the defaults.
    Inspect(inspect::Arguments),
    /// Show every plugin, whether it may run, and what it did so far
    List,
    /// Show what is different about a plugin's file, then trust it
    Trust(trust::Arguments),
    /// Show whether a plugin is left alone because it keeps failing, and wake it
    Rest(rest::Arguments),
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, command: Command) -> Outcome {
    match command {
        Command::Inspect(arguments) => inspect::run(common, &arguments),
        Command::List => list::run(common).await,
        Command::Trust(arguments) => trust::run(common, &arguments).await,
        Command::Rest(arguments) => rest::run(common, &arguments).await,
    }
}
