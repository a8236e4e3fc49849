//! `deputy runs rollback`: gives the devices that a run changed what they had before.

use std::collections::BTreeMap;
use std::fmt::Write as _;
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

/// What `deputy runs rollback` takes.
#[derive(clap::Args)]
#[command(
    after_help = "A plan of its own: only devices that are still as that run left them, back to the very profile of Apple's \
that they had. Shows it, tells what is left alone and why, and asks. A device that had no profile before stays: taking \
one away is what `deputy unassign` is for."
)]
pub(crate) struct Arguments {
    /// The run, or `last`
    run: String,
    /// Do it without asking; without this and without a terminal, only show what would be done
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    freezing: Freezing,
    #[command(flatten)]
    rails: RailsArguments,
}

/// Devices that are left alone for the same reason: how many, and the first of them.
type LeftAlone = BTreeMap<(TokenName, Left), (u64, Vec<SerialNumber>)>;

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
    let reason: Arc<str> = format!("takes run {} back", run.id).into();
    let (mut given, mut left) = (BTreeMap::new(), LeftAlone::new());
    let mut done = 0;
    for (token, all) in app.engine.store.done_by(&run.id).await? {
        done += all.len();
        let mut wishes: Vec<Wish> = Vec::new();
        for it in all {
            let serial = it.serial_number.clone();
            match it.taken_back(&reason) {
                Ok(wish) => wishes.push(wish),
                Err(why) => {
                    let (number, examples) = left.entry((token.clone(), why)).or_default();
                    *number += 1;
                    if examples.len() < NAMED {
                        examples.push(serial);
                    }
                }
            }
        }
        if !wishes.is_empty() {
            given.insert(token, of(&run.id, wishes));
        }
    }
    if done == 0 {
        return Err(Problem::usage(format!(
            "run {} changed no device: there is nothing to take back",
            run.id
        ))
        .hint(format!("`deputy runs show {}` shows what came of it", run.id)));
    }
    let nothing = given.is_empty() && left.keys().any(|(_, why)| *why == Left::FirstAssignment);
    let wanted = Wanted {
        name: "rollback-by-hand",
        given,
        rails: app.config.defaults.rails.clone(),
        typed: arguments.rails.meant(),
        review: None,
        freezing: arguments.freezing,
        left_alone: Some((words(&left), json_of(&left))),
    };
    let exit = wanted.confirm_and_carry_out(common, &app, arguments.yes).await?;
    // Only a person can do what is left.
    Ok(if nothing { Exit::NeedsPerson } else { exit })
}

fn of(run: &RunId, wishes: Vec<Wish>) -> Given {
    let origin = Origin::Rollback { run: run.clone() };
    Given { origin, server: None, made_at: None, contents: BTreeMap::new(), wishes }
}

fn words(left: &LeftAlone) -> String {
    let mut text = String::new();
    for ((token, why), (number, examples)) in left {
        let named: Vec<&str> = examples.iter().map(SerialNumber::as_str).collect();
        let such = if *number == named.len() as u64 { ":" } else { ", such as" };
        let devices = if *number == 1 { "1 device".to_owned() } else { format!("{number} devices") };
        let _ = writeln!(text, "{devices} of {token} left alone{such} {}: each {why}", named.join(", "));
        if *why == Left::FirstAssignment {
            let which =
                if *number == named.len() as u64 { named.join(" ") } else { "--file FILE".to_owned() };
            let _ = writeln!(
                text,
                "hint: `deputy unassign --token {token} {which}` takes their profile from them"
            );
        }
    }
    text
}

fn json_of(left: &LeftAlone) -> serde_json::Value {
    let left = left.iter().map(|((token, why), (number, examples))| {
        json!({ "token": token, "why": why, "devices": number, "examples": examples })
    });
    left.collect()
}
