//! `deputy runs rollback`: gives the devices that a run changed what they had before.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::id::{RunId, SerialNumber, TokenName};
use domain::plan::{Given, Left, Origin, Wish};
use serde_json::json;

use super::given::Wanted;
use super::run::RailsArguments;
use super::runs::find;
use crate::Common;
use crate::app::{App, Policies};
use crate::commands::freeze::Freezing;
use crate::exit::{Exit, Outcome, Problem};
use crate::out_file::OutFile;
use crate::output::print_json;

/// What `deputy runs rollback` takes.
#[derive(clap::Args)]
#[command(
    after_help = "A plan of its own: only devices that are still as that run left them, back to the very profile of Apple's \
that they had. Shows it, tells what is left alone and why, and asks. A device that had no profile before stays: taking \
one away is what `deputy unassign` is for.

  deputy runs rollback last
  deputy runs rollback last --token emea --unassign-list had-none.txt
  deputy unassign --token emea --file had-none.txt"
)]
pub(crate) struct Arguments {
    /// The run, or `last`
    run: String,
    /// Do it without asking; without this and without a terminal, only show what would be done
    #[arg(long)]
    yes: bool,
    /// Only this token's devices; may be repeated
    #[arg(long = "token", value_name = "NAME")]
    tokens: Vec<TokenName>,
    /// Only write the devices that had no profile before to this file, for `deputy unassign --file`
    #[arg(long, value_name = "FILE", conflicts_with = "yes")]
    unassign_list: Option<PathBuf>,
    #[command(flatten)]
    freezing: Freezing,
    #[command(flatten)]
    rails: RailsArguments,
}

/// Devices that are left alone for the same reason.
type LeftAlone = BTreeMap<(TokenName, Left), Vec<SerialNumber>>;

/// As many of them are named.
const NAMED: usize = 10;

/// Carries the command out.
pub(crate) async fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let app = App::open(&common.config, Policies::All).await?;
    let run = find(&app, &arguments.run).await?;
    if run.dry || run.shadow {
        let why = if run.dry { "a dry run" } else { "a run in shadow mode" };
        return Err(Problem::usage(format!("run {} was {why}: there is nothing to take back", run.id)));
    }
    if !arguments.tokens.is_empty() {
        app.tokens(&arguments.tokens)?;
    }
    let reason: Arc<str> = format!("takes run {} back", run.id).into();
    let (mut given, mut left) = (BTreeMap::new(), LeftAlone::new());
    let mut done = 0;
    for (token, all) in app.engine.store.done_by(&run.id).await? {
        if !arguments.tokens.is_empty() && !arguments.tokens.contains(&token) {
            continue;
        }
        done += all.len();
        let mut wishes: Vec<Wish> = Vec::new();
        for it in all {
            let serial = it.serial_number.clone();
            match it.taken_back(&reason) {
                Ok(wish) => wishes.push(wish),
                Err(why) => left.entry((token.clone(), why)).or_default().push(serial),
            }
        }
        if !wishes.is_empty() {
            given.insert(token, of(&run.id, wishes));
        }
    }
    if done == 0 {
        let of: Vec<&str> = arguments.tokens.iter().map(TokenName::as_str).collect();
        let of = if of.is_empty() { String::new() } else { format!(" of {}", of.join(", ")) };
        return Err(Problem::usage(format!(
            "run {} changed no device{of}: there is nothing to take back",
            run.id
        ))
        .hint(format!("`deputy runs show {}` shows what came of it", run.id)));
    }
    if let Some(path) = &arguments.unassign_list {
        return write_list(common, path, &run.id, &left);
    }
    let nothing = given.is_empty() && left.keys().any(|(_, why)| *why == Left::FirstAssignment);
    let wanted = Wanted {
        name: "rollback-by-hand",
        given,
        rails: app.config.defaults.rails.clone(),
        typed: arguments.rails.meant(),
        review: None,
        freezing: arguments.freezing,
        left_alone: Some((words(&run.id, &left), json_of(&left))),
    };
    let exit = wanted.confirm_and_carry_out(common, &app, arguments.yes).await?;
    // Only a person can do what is left.
    Ok(if nothing { Exit::NeedsPerson } else { exit })
}

fn of(run: &RunId, wishes: Vec<Wish>) -> Given {
    let origin = Origin::Rollback { run: run.clone() };
    Given { origin, server: None, made_at: None, contents: BTreeMap::new(), wishes }
}

/// Writes the devices that only a person takes the profile from, a line for each.
fn write_list(common: &Common, path: &Path, run: &RunId, left: &LeftAlone) -> Outcome {
    let mut first = left.iter().filter(|((_, why), _)| *why == Left::FirstAssignment);
    let Some(((token, _), serials)) = first.next() else {
        return Err(Problem::usage(format!(
            "no device has its first profile from run {run} and no other since"
        ))
        .hint(format!("`deputy runs rollback {run}` shows what can be taken back")));
    };
    if let Some(((other, _), _)) = first.next() {
        return Err(Problem::usage(
            "a list is of one token, and the run gave devices of several their first profile",
        )
        .hint(format!("`--token {token}` or `--token {other}` says whose")));
    }
    let out = OutFile::open(path)?;
    let (place, to_output) = (out.shown(), out.is_standard_output());
    out.write(|out| {
        writeln!(out, "# of {token}: had no profile before run {run}")?;
        serials.iter().try_for_each(|serial| writeln!(out, "{serial}"))
    })?;
    if common.json && !to_output {
        print_json("written", &json!({ "file": place, "token": token, "devices": serials.len() }));
    } else {
        eprintln!("wrote {} to {place}", devices(serials.len()));
        eprintln!(
            "hint: `{}` takes their profile from them",
            unassign(token, &format!("--file {}", path.display()))
        );
    }
    Ok(Exit::Success)
}

fn words(run: &RunId, left: &LeftAlone) -> String {
    let mut text = String::new();
    for ((token, why), serials) in left {
        let named: Vec<&str> = serials.iter().take(NAMED).map(SerialNumber::as_str).collect();
        let are_all = named.len() == serials.len();
        let such = if are_all { ":" } else { ", such as" };
        let number = devices(serials.len());
        let _ = writeln!(text, "{number} of {token} left alone{such} {}: each {why}", named.join(", "));
        if *why == Left::FirstAssignment && are_all {
            let unassign = unassign(token, &named.join(" "));
            let _ = writeln!(text, "hint: `{unassign}` takes their profile from them");
        } else if *why == Left::FirstAssignment {
            let unassign = unassign(token, "--file FILE");
            let _ = writeln!(
                text,
                "hint: `deputy runs rollback {run} --token {token} --unassign-list FILE` lists them all; \
                 then `{unassign}` takes their profile from them"
            );
        }
    }
    text
}

/// The command that takes the profile from devices.
fn unassign(token: &TokenName, which: &str) -> String {
    format!("deputy unassign --token {token} {which}")
}

fn devices(number: usize) -> String {
    if number == 1 { "1 device".to_owned() } else { format!("{number} devices") }
}

fn json_of(left: &LeftAlone) -> serde_json::Value {
    let left = left.iter().map(|((token, why), serials)| {
        json!({
            "token": token, "why": why, "devices": serials.len(), "examples": &serials[..serials.len().min(NAMED)],
        })
    });
    left.collect()
}
