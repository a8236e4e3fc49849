//! `deputy plugin`: what the authors of policies work with, and what operators look at before they trust one.

mod bench;
mod build;
mod check;
pub(in crate::commands) mod diff;
mod inspect;
pub(crate) mod list;
mod new;
mod rest;
mod test;
mod trust;
mod r#try;

mod asker;
pub(in crate::commands) mod bounds;
mod devices;
mod fuel;
mod odd;
mod other;
pub(crate) mod project;
mod properties;
mod saved;
mod schema;
pub(in crate::commands) mod subject;
mod surroundings;

use domain::policy::Question;

use crate::Common;
use crate::exit::{Exit, Outcome, Problem};

/// What `deputy plugin` can do.
#[derive(clap::Subcommand)]
#[command(after_help = LOOP)]
pub(crate) enum Command {
    /// Write a new policy that works, to change into your own
    New(new::Arguments),
    /// Build a policy with the tools of its language, into one component
    Build(build::Arguments),
    /// Show what a component is, asks for and may use; of its code runs only what describes it
    ///
    /// With the name of a plugin in deputy.toml, the limits are those it has there; with a file, those of the preset
    /// that goes with its size.
    Inspect(inspect::Arguments),
    /// Tell everything that would be refused when a policy is loaded, all at once
    Check(check::Arguments),
    /// Ask a policy about devices, tokens or a plan, and show every answer, its reason and what it took
    Try(r#try::Arguments),
    /// Ask a policy in many ways, and tell where it does not hold what every policy must
    Test(test::Arguments),
    /// Show which devices another component, or other settings, would decide differently about
    Diff(diff::Arguments),
    /// Measure how fast a policy decides, and what a call of it costs
    Bench(bench::Arguments),
    /// Show every plugin, whether it may run, and what it did so far
    List,
    /// Show what is different about a plugin's file, then trust it
    Trust(trust::Arguments),
    /// Show whether a plugin is left alone because it keeps failing, and wake it
    Rest(rest::Arguments),
}

const LOOP: &str = "\
Writing a policy:
  deputy plugin new site-policy --language python    or rust, typescript, c
  cd site-policy
  deputy plugin build                                fetches the tools, makes site-policy.wasm
  deputy plugin test site-policy.wasm                its cases, and what every policy must hold
  deputy plugin try site-policy.wasm --settings settings.toml --profile standard --simulated 20

Using it, in the folder of deputy.toml, which needs the lines that the build has printed:
  deputy plugin check site-policy                    all that would keep it from running
  deputy plugin try site-policy                      what it says of the devices there are
  deputy plugin trust site-policy                    what it is, what it would change; then pins it
  deputy plan                                        once a workflow names it: what a run would do";

/// Carries the command out.
pub(crate) async fn run(common: &Common, command: Command) -> Outcome {
    match command {
        Command::New(arguments) => new::run(common, &arguments),
        Command::Build(arguments) => build::run(common, &arguments),
        Command::Inspect(arguments) => inspect::run(common, &arguments),
        Command::Bench(arguments) => bench::run(common, arguments).await,
        Command::Check(arguments) => check::run(common, arguments).await,
        Command::Test(arguments) => test::run(common, arguments).await,
        Command::Try(arguments) => r#try::run(common, arguments).await,
        Command::Diff(arguments) => diff::run(common, arguments).await,
        Command::List => list::run(common).await,
        Command::Trust(arguments) => trust::run(common, &arguments).await,
        Command::Rest(arguments) => rest::run(common, &arguments).await,
    }
}

/// Policies compute and devices are waited for: not on a thread that serves others.
async fn in_the_background<T: Send + 'static>(
    work: impl FnOnce() -> Outcome<T> + Send + 'static,
) -> Outcome<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Problem::new(Exit::Failure, format!("this broke off: {error}"))))
}

/// Only a policy that answers the question about devices can be asked about them.
fn decides(subject: &subject::Subject, plugin: &sandbox::Plugin) -> Outcome<()> {
    answers(subject, plugin, Question::Assignment)
}

/// Only a policy that answers a question can be asked it.
fn answers(subject: &subject::Subject, plugin: &sandbox::Plugin, question: Question) -> Outcome<()> {
    let questions = &plugin.inspection().questions;
    if questions.contains(&question) {
        return Ok(());
    }
    let does_not = match question {
        Question::Assignment => "does not decide about devices",
        Question::Reminder => "does not say who hears about tokens",
        Question::Review => "does not review plans",
    };
    let answers = domain::document::list_of(questions.iter().map(|question| question.as_str()));
    Err(Problem::usage(format!("{} {does_not}: it answers {answers}", subject.shown)))
}
