//! The `deputy` program: wiring, and words for people. What is decided is in `domain`, what is done
//! in `engine`, what policies may do in `sandbox`.

mod app;
mod commands;
mod config;
mod exit;
mod logging;
mod moment;
mod out_file;
mod output;
mod person;
mod reason;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::exit::{Exit, Outcome, Problem};

/// Gives Apple devices their enrolment profile, unattended: syncs the devices Apple lists, asks a
/// policy which profile each gets, shows a plan, assigns, and reminds you before a token runs out.
#[derive(Parser)]
#[command(name = "deputy", version, propagate_version = true, arg_required_else_help = true, after_help = START)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

const START: &str = "\
New here?
  deputy demo             the whole loop against a simulated Apple, in less than a minute
  deputy init my-fleet    a commented configuration to begin with

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 refused, 4 needs a person,
5 Apple or the network did not answer.";

/// What every command takes.
#[derive(clap::Args, Clone)]
struct Common {
    /// The configuration file
    #[arg(long, global = true, env = "DEPUTY_CONFIG", default_value = "deputy.toml", value_name = "FILE")]
    config: PathBuf,
    /// Print the result as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Log more: what is done, then every detail
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Subcommand)]
enum Command {
    /// Write a commented configuration that runs
    Init(commands::init::Arguments),
    /// Show the whole loop against a simulated Apple
    Demo(commands::demo::Arguments),
    /// Run workflows on their schedules until stopped
    Serve(commands::serve::Arguments),
    /// Show tokens, last and next runs, and what needs a person (then it exits with 4)
    Status,
    /// Server tokens: request, import, check, list, show, rename, restore, forget, decrypt
    #[command(subcommand)]
    Token(commands::token::Command),
    /// Enrolment profiles: list, check, push, show, diff, pull, import, record, panes, anchors
    #[command(subcommand)]
    Profile(commands::profile::Command),
    /// Take the profile from devices, by name; asks first
    Unassign(commands::unassign::Arguments),
    /// Ask Apple what changed and store it
    Sync(commands::sync::Arguments),
    /// Devices: list, explain, history, disown
    #[command(subcommand)]
    Device(commands::device::Command),
    /// Devices that are expected: list
    #[command(subcommand)]
    Expected(commands::expected::Command),
    /// Workflows: list, show, next, pause, resume, check
    #[command(subcommand)]
    Workflow(commands::workflow::Command),
    /// Show what a workflow would do, and change nothing at Apple
    Plan(commands::plan::Arguments),
    /// Carry out a workflow now
    Run(commands::run::Arguments),
    /// Carry out a plan that `deputy plan --out` has written, if the world is still the one it was made for
    Apply(commands::apply::Arguments),
    /// Give a profile to devices, by name; shows what would be done and asks
    Assign(commands::assign::Arguments),
    /// Let a plan go ahead that waits for a person, or refuse it; without a run: show what waits
    Approve(commands::approve::Arguments),
    /// Past runs: list, show, replay, rollback
    #[command(subcommand)]
    Runs(commands::runs::Command),
    /// Ways to reach people: list, test
    #[command(subcommand)]
    Channel(commands::channel::Command),
    /// Messages on their way to people: list, show, retry, drop
    #[command(subcommand)]
    Outbox(commands::outbox::Command),
    /// The key that opens Deputy's secrets: rotate
    #[command(subcommand)]
    Secrets(commands::secrets::Command),
    /// What policies look things up in: list, check, show
    #[command(subcommand)]
    Table(commands::table::Command),
    /// What may stand in each kind of file: JSON Schemas for editors, or every key in a table
    Schema(commands::schema::Arguments),
    /// Policies: new, build, inspect, check, try, test, diff, bench, trust, list, rest
    #[command(subcommand)]
    Plugin(commands::plugin::Command),
    /// What Deputy starts to compile a plugin; not for people
    #[command(name = app::COMPILE, hide = true)]
    Compile {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Command::Compile { arguments } = &arguments.command {
        // Before there is a thread, a log or anything else.
        return sandbox::compile::serve(arguments);
    }
    let serving = matches!(arguments.command, Command::Serve(_));
    logging::start(arguments.common.verbose, serving);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            Problem::new(Exit::Failure, format!("cannot start: {error}")).print();
            return Exit::Failure.into();
        }
    };
    let outcome = runtime.block_on(dispatch(arguments));
    // A thread that still computes must not hold the program for long. One that ends by itself must have
    // ended: what it still does with OpenSSL while that is taken down at exit would crash us.
    runtime.shutdown_timeout(Duration::from_millis(500));
    match outcome {
        Ok(exit) => exit.into(),
        Err(problem) => {
            problem.print();
            problem.exit.into()
        }
    }
}

async fn dispatch(arguments: Arguments) -> Outcome {
    let common = arguments.common;
    match arguments.command {
        Command::Init(arguments) => commands::init::run(&common, &arguments),
        Command::Demo(arguments) => commands::demo::run(&arguments).await,
        Command::Serve(arguments) => commands::serve::run(&common, &arguments).await,
        Command::Status => commands::status::run(&common).await,
        Command::Token(command) => commands::token::run(&common, command).await,
        Command::Profile(command) => commands::profile::run(&common, command).await,
        Command::Unassign(arguments) => commands::unassign::run(&common, &arguments).await,
        Command::Sync(arguments) => commands::sync::run(&common, &arguments).await,
        Command::Device(command) => commands::device::run(&common, command).await,
        Command::Expected(command) => commands::expected::run(&common, command).await,
        Command::Workflow(command) => commands::workflow::run(&common, command).await,
        Command::Plan(arguments) => commands::plan::run(&common, &arguments).await,
        Command::Run(arguments) => commands::run::run(&common, &arguments).await,
        Command::Apply(arguments) => commands::apply::run(&common, &arguments).await,
        Command::Assign(arguments) => commands::assign::run(&common, &arguments).await,
        Command::Approve(arguments) => commands::approve::run(&common, &arguments).await,
        Command::Runs(command) => commands::runs::run(&common, command).await,
        Command::Channel(command) => commands::channel::run(&common, command).await,
        Command::Outbox(command) => commands::outbox::run(&common, command).await,
        Command::Secrets(command) => commands::secrets::run(&common, &command).await,
        Command::Table(command) => commands::table::run(&common, command).await,
        Command::Schema(arguments) => commands::schema::run(&common, &arguments),
        Command::Plugin(command) => commands::plugin::run(&common, command).await,
        Command::Compile { .. } => unreachable!("it was carried out before anything else"),
    }
}
