//! `deputy plugin`: what the authors of policies work with, and what operators look at before they trust one.

mod build;
mod inspect;
mod new;
mod project;

use crate::Common;
use crate::exit::Outcome;

/// What `deputy plugin` can do.
#[derive(clap::Subcommand)]
#[command(after_help = LOOP)]
pub(crate) enum Command {
    /// Write a new policy that works, to change into your own
    New(new::Arguments),
    /// Build a policy with the tools of its language, into one component
    Build(build::Arguments),
    /// Show what a component is and asks for; of its code runs only what describes it
    Inspect(inspect::Arguments),
}

const LOOP: &str = "\
Writing a policy:
  deputy plugin new site-policy --language python    or rust, typescript, c
  cd site-policy
  deputy plugin build                                fetches the tools, makes site-policy.wasm
  deputy plugin inspect site-policy.wasm             what it asks for and what it answers";

/// Carries the command out.
pub(crate) async fn run(common: &Common, command: Command) -> Outcome {
    match command {
        Command::New(arguments) => new::run(common, &arguments),
        Command::Build(arguments) => build::run(common, &arguments),
        Command::Inspect(arguments) => inspect::run(common, &arguments),
    }
}
