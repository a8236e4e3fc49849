//! `deputy token forget`: a token and all that is kept under its name, or the keys of open requests.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use domain::id::TokenName;
use engine::lifecycle;
use engine::store::Belongings;
use serde_json::json;

use super::request::open_requests;
use crate::Common;
use crate::app::{App, unknown};
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json, time};

/// What `deputy token forget` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The token
    name: TokenName,
    /// Only the keys of requests for which no token was imported
    #[arg(long)]
    pending: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Also if the token is still in deputy.toml
    #[arg(long)]
    force: bool,
}

/// Carries the command out.
pub(super) async fn run(common: &Common, app: &App, arguments: &Arguments) -> Outcome {
    if arguments.pending { pending(common, app, arguments).await } else { all(common, app, arguments).await }
}

async fn all(common: &Common, app: &App, arguments: &Arguments) -> Outcome {
    let name = &arguments.name;
    let belongings = app.engine.store.belongings(name).await?;
    if belongings.is_nothing() {
        return Err(nothing(app, name).await?);
    }
    // A run must not lose the ground under it.
    let _held = app.engine.hold_token_now(name)?.ok_or_else(|| {
        Problem::new(Exit::Unavailable, format!("a run works with `{name}`; nothing was forgotten"))
            .hint("type it again when the run has ended")
    })?;
    if !common.json {
        print(&losses(name, &belongings));
    }
    if app.config.tokens.contains_key(name) && !arguments.force {
        return Err(Problem::usage(format!(
            "`{name}` is in deputy.toml, so it is in use; nothing was forgotten"
        ))
        .hint(format!("remove `[tokens.{name}]` there first, or add --force")));
    }
    confirm(common, arguments)?;
    let forgotten = app.engine.store.forget_token(name).await?;
    if common.json {
        print_json("forgotten", &json!({ "name": name, "lost": forgotten }));
    } else {
        print(&format!("Forgot `{name}`."));
    }
    Ok(Exit::Success)
}

async fn pending(common: &Common, app: &App, arguments: &Arguments) -> Outcome {
    let name = &arguments.name;
    let open = lifecycle::pending_keys(&app.engine, name).await?;
    if open.is_empty() {
        return Err(Problem::usage(format!("`{name}` has no open request")));
    }
    if !common.json {
        print(&format!(
            "A token that was downloaded for one of these certificates cannot be imported any more:\n{}",
            open_requests(&open)
        ));
    }
    confirm(common, arguments)?;
    let forgotten = app.engine.store.forget_pending_keys(name).await?.len();
    if common.json {
        print_json("forgotten", &json!({ "name": name, "open_requests": open }));
    } else {
        print(&format!("Forgot {}.", number(forgotten as u64, "open request", "open requests")));
    }
    Ok(Exit::Success)
}

/// Exactly what is lost, and what is not.
fn losses(name: &TokenName, lost: &Belongings) -> String {
    let mut lines = Vec::new();
    if let Some(token) = &lost.token {
        let (server, end) = (&token.server_name, time(token.expires_at));
        lines.push(format!("the token of the server \"{server}\" of {}, which ends {end}", token.org_name));
    }
    if lost.previous {
        lines.push("the token before it".to_owned());
    }
    let open = number(lost.pending_keys, "open request", "open requests");
    let amounts = [
        (lost.keys, format!("{}, {open}", number(lost.keys, "private key", "private keys"))),
        (
            lost.devices,
            format!(
                "{} with {} and {}",
                number(lost.devices, "device", "devices"),
                number(lost.changes, "change in their history", "changes in their history"),
                number(lost.actions, "action on record", "actions on record")
            ),
        ),
        (
            lost.profiles,
            format!(
                "which of Apple's profiles are ours ({})",
                number(lost.profiles, "definition", "definitions")
            ),
        ),
        (
            lost.reminders,
            format!("which reminders were sent ({})", number(lost.reminders, "reminder", "reminders")),
        ),
    ];
    lines.extend(amounts.into_iter().filter(|(amount, _)| *amount > 0).map(|(_, text)| text));
    let list: String = lines.iter().map(|line| format!("  - {line}\n")).collect();
    format!(
        "To be forgotten with `{name}`:\n{list}At Apple nothing changes: the token is good until its end, and devices \
         keep their profiles. Reports of past runs stay."
    )
}

/// Asks whoever sits there. A script cannot answer: it has a flag.
fn confirm(common: &Common, arguments: &Arguments) -> Outcome<()> {
    let name = &arguments.name;
    if arguments.yes {
        return Ok(());
    }
    if !common.json && std::io::stdin().is_terminal() {
        eprint!("type {name} to go on: ");
        let _ = std::io::stderr().flush();
        let mut typed = String::new();
        let read = std::io::stdin().lock().read_line(&mut typed);
        read.map_err(|error| Problem::new(Exit::Failure, format!("cannot read the answer: {error}")))?;
        if typed.trim() == name.as_str() {
            return Ok(());
        }
    }
    Err(Problem::new(Exit::NeedsPerson, "it was not confirmed, so nothing was forgotten")
        .hint("in a terminal it is asked for; a script adds --yes"))
}

async fn nothing(app: &App, name: &TokenName) -> Outcome<Problem> {
    if app.config.tokens.contains_key(name) {
        return Ok(Problem::usage(format!(
            "nothing is kept of `{name}`: it was never requested or imported"
        ))
        .hint(format!("if it is not wanted, remove `[tokens.{name}]` from deputy.toml")));
    }
    let stored = app.engine.store.tokens().await?;
    let names: Vec<&str> = stored.iter().map(|it| it.token.name.as_str()).collect();
    Ok(unknown("token", name.as_str(), &names))
}

fn number(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
