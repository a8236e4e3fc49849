//! `deputy token`: the exchange with Apple's portal, and what came of it.

mod check;
mod decrypt;
mod forget;
mod import;
mod list;
mod mute;
mod rename;
mod request;
mod show;

pub(crate) use show::said;

use std::path::PathBuf;

use domain::id::TokenName;

use crate::Common;
use crate::app::{App, Policies, unknown};
use crate::exit::Outcome;

/// What `deputy token` can do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Make a key pair; prints what to do with the certificate in Apple's portal
    Request {
        /// A token of deputy.toml
        name: TokenName,
        /// Where to write the certificate [default: NAME.pem]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Take over a token: decrypts it, checks it with Apple, stores it sealed
    #[command(after_long_help = import::SOURCES)]
    Import(import::Arguments),
    /// Ask Apple whether tokens work. Says who has to do what about those that do not
    #[command(after_long_help = check::SHAPE)]
    Check {
        /// Tokens of deputy.toml [default: all that are imported]
        names: Vec<TokenName>,
    },
    /// Show every token: whose, until when, how many devices
    List,
    /// Show everything known of one token, and what of it ends when; never a secret
    #[command(after_long_help = show::SHAPE)]
    Show {
        /// A token
        name: TokenName,
    },
    /// Say that you know of something that ends or is wrong: it is told once more at the last moment only,
    /// until it changes
    Acknowledge(mute::Acknowledge),
    /// Hear nothing of a token for a while. Sent nevertheless: that all is well again
    Snooze(mute::Snooze),
    /// Give a token another name, with all its devices and history; tells which lines of your files to change
    Rename {
        /// The name it has
        old: TokenName,
        /// The name it is to have
        new: TokenName,
    },
    /// Go back to the token before the one in use, if Apple takes it
    Restore {
        /// A token of deputy.toml
        name: TokenName,
    },
    /// Forget a token with all its devices and history, or its open requests; shows what is lost, and asks
    Forget(forget::Arguments),
    /// Look into a token file without any configuration or store; shows no secret unless told to
    Decrypt(decrypt::Arguments),
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, command: Command) -> Outcome {
    if let Command::Decrypt(arguments) = command {
        return decrypt::run(common, &arguments);
    }
    let app = App::open(&common.config, Policies::Unused).await?;
    match command {
        Command::Request { name, out } => request::run(common, &app, &name, out).await,
        Command::Import(arguments) => import::run(common, &app, &arguments).await,
        Command::Check { names } => check::run(common, &app, &names).await,
        Command::List => list::run(common, &app).await,
        Command::Show { name } => show::run(common, &app, &name).await,
        Command::Acknowledge(arguments) => mute::acknowledge(common, &app, &arguments).await,
        Command::Snooze(arguments) => mute::snooze(common, &app, &arguments).await,
        Command::Rename { old, new } => rename::run(common, &app, &old, &new).await,
        Command::Restore { name } => import::restore(common, &app, &name).await,
        Command::Forget(arguments) => forget::run(common, &app, &arguments).await,
        Command::Decrypt(_) => unreachable!("it needs no store"),
    }
}

fn known(app: &App, name: &TokenName) -> Outcome<()> {
    if app.config.tokens.contains_key(name) {
        return Ok(());
    }
    let names: Vec<&str> = app.config.tokens.keys().map(TokenName::as_str).collect();
    let problem = unknown("token", name.as_str(), &names);
    let hint = problem.hint.clone().map_or_else(String::new, |hint| format!("{hint}; otherwise "));
    Err(problem.hint(format!("{hint}add a table `[tokens.{name}]` to deputy.toml")))
}
