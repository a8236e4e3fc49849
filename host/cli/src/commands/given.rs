//! What `deputy assign` and `deputy runs rollback` share: show what would be done, and what would undo it;
//! have it confirmed; do it as a run of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use domain::id::{PluginName, TokenName};
use domain::plan::{Drawn, Entry, Given, Planner, Profiles, Skip, Target, Totals, Wish};
use domain::rails::{Breach, Rails, RailsOverride};
use domain::workflow::{Mode, Promises, Retry, Step, Uses, Workflow};
use engine::foresee::{self, ASKED, Undone};
use serde_json::{Value, json};

use crate::Common;
use crate::app::App;
use crate::commands::freeze::{self, Freezing};
use crate::commands::run::{Manner, carry_out};
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json, time};

/// As many devices are shown before somebody is asked.
const SHOWN: usize = 20;

/// What a person wants done.
pub(crate) struct Wanted {
    /// What the run is called.
    pub name: &'static str,
    /// By token.
    pub given: BTreeMap<TokenName, Given>,
    /// How much it may change.
    pub rails: Rails,
    /// The same, as it was typed.
    pub typed: RailsOverride,
    /// Which plugin may refuse it.
    pub review: Option<PluginName>,
    /// Do it although nothing is to be changed now.
    pub freezing: Freezing,
    /// What is left alone, and why: in words and as data.
    pub left_alone: Option<(String, Value)>,
}

/// Retries of what a person waits for.
const RETRY: Retry = Retry { attempts: 3, backoff: Duration::from_secs(2) };

/// A day: a person ends it sooner, if it takes too long.
const LIMIT: Duration = Duration::from_secs(24 * 3_600);

impl Wanted {
    /// Asks Apple what changed, holds what is wanted against that, and does it.
    pub(crate) async fn carry_out(self, common: &Common, app: &App) -> Outcome {
        let full = domain::workflow::Full::Every(Duration::from_secs(30 * 24 * 3_600));
        let tokens = Some(self.given.keys().cloned().collect());
        let steps = vec![
            Step::new(Uses::Sync { full, retry: RETRY }),
            Step::new(Uses::Given { given: Arc::new(self.given), rails: self.rails, review: self.review }),
            Step::new(Uses::Apply { retry: RETRY, read_back: false }),
        ];
        let workflow = Workflow {
            // Not the name of a file in workflows/: their runs are told apart.
            name: self.name.parse().expect("a good name"),
            description: String::new(),
            enabled: true,
            mode: Mode::Live,
            tokens,
            timing: None,
            promises: Promises::default(),
            timeout: LIMIT,
            steps,
        };
        let freezing = self.freezing;
        let manner = Manner { rails: self.typed, freezing, actions: SHOWN as u32, ..Manner::default() };
        carry_out(common, app, &workflow, manner).await
    }

    /// Shows it, has it confirmed, and does it.
    pub(crate) async fn confirm_and_carry_out(self, common: &Common, app: &App, yes: bool) -> Outcome {
        let seen = self.look(app).await?;
        let left_alone = self.left_alone.as_ref();
        // With `--yes` the one result is the run.
        if common.json && (!yes || seen.actions == 0 || !seen.breaches.is_empty()) {
            let mut value = json!({ "plans": seen.data });
            if let Some((_, left)) = left_alone {
                value["left_alone"] = left.clone();
            }
            print_json("plan", &value);
        } else if !common.json {
            print(&(seen.words + left_alone.map_or("", |(words, _)| words)));
        }
        if !seen.breaches.is_empty() {
            return Err(refused(&seen.breaches));
        }
        if seen.actions == 0 {
            return Ok(Exit::Success);
        }
        let tokens: Vec<TokenName> = self.given.keys().cloned().collect();
        freeze::refuse(app, &tokens, self.freezing)?;
        if !yes && !ask(common)? {
            let problem = Problem::new(Exit::NeedsPerson, "it was not confirmed, so nothing was changed");
            return Err(problem.hint("`--yes` confirms it"));
        }
        self.carry_out(common, app).await
    }

    /// What it comes to, as far as is known without asking Apple.
    async fn look(&self, app: &App) -> Outcome<Seen> {
        let rails = engine::rails::whole(self.typed.over(&self.rails)).await?;
        let mut seen = Seen::default();
        for (token, given) in &self.given {
            let store = &app.engine.store;
            let profiles = app.engine.profiles(token).await?;
            let serials = given.wishes.iter().map(|wish| wish.serial_number.clone()).collect();
            let found = store.look_up(token, serials).await?;
            let mut planner = Planner::new(&profiles, &rails, app.engine.now());
            let (mut rows, mut acted) = (Vec::new(), Vec::new());
            for wish in &given.wishes {
                let candidate = found.get(&wish.serial_number).map(|(_, candidate)| candidate);
                // It was looked at a moment ago: what moved on since, the run finds.
                if let Ok(Entry::Action(_)) = planner.follow(wish, candidate) {
                    if rows.len() < SHOWN {
                        let has =
                            wish.from.as_ref().map_or("none".to_owned(), |from| profiles.in_words(from));
                        rows.push([wish.serial_number.to_string(), has, target_words(&profiles, &wish.to)]);
                    }
                    acted.push(wish.clone());
                }
            }
            let all = store.devices_of(token, None).await?;
            planner.leave(all.saturating_sub(given.wishes.len() as u64), Skip::NotNamed);
            let Drawn { totals, breaches, .. } = planner.finish();
            let undone = foresee::undone(&app.engine, token, &acted).await?;
            let to = acted.iter().map(|wish| target_words(&profiles, &wish.to)).collect();
            seen.add(token, &totals, rows, &undone, breaches, (&acted, to));
        }
        Ok(seen)
    }
}

/// What is shown before somebody is asked.
#[derive(Default)]
struct Seen {
    words: String,
    data: Vec<Value>,
    breaches: Vec<Breach>,
    actions: u64,
}

impl Seen {
    fn add(
        &mut self,
        token: &TokenName,
        totals: &Totals,
        rows: Vec<[String; 3]>,
        undone: &[Undone],
        breaches: Vec<Breach>,
        (acted, to): (&[Wish], Vec<String>),
    ) {
        let number = devices(totals.actions());
        let words = &mut self.words;
        let _ = match totals.actions() {
            0 => writeln!(words, "nothing to do for {token}"),
            _ => writeln!(words, "changes {number} of {token}:"),
        };
        if !rows.is_empty() {
            let more = acted.len() - rows.len();
            let _ = writeln!(words, "{}", crate::output::table(["serial", "has", "gets"], rows));
            if more > 0 {
                let _ = writeln!(words, "and {more} more");
            }
        }
        for (skip, number) in totals.skips.iter().filter(|(skip, _)| **skip != Skip::NotNamed) {
            let _ = writeln!(words, "{} left alone: {skip}", devices(*number));
        }
        for it in undone {
            let _ = writeln!(words, "{}", undone_words(it, acted.len()));
        }
        self.data.push(json!({
            "token": token, "totals": totals, "breaches": breaches,
            "devices": acted.iter().zip(to).map(|(wish, to)| json!({
                "serial_number": wish.serial_number, "from": wish.from, "to": to,
            })).collect::<Vec<_>>(),
            "undone_by": undone.iter().map(|it| json!({
                "workflow": it.workflow, "next": it.next, "devices": it.devices, "example": it.example,
                "wants": it.wants, "policy": it.policy, "reason": &*it.reason,
            })).collect::<Vec<_>>(),
        }));
        self.breaches.extend(breaches);
        self.actions += totals.actions();
    }
}

/// That a workflow takes it back.
fn undone_words(it: &Undone, of: usize) -> String {
    let Undone { workflow, next, devices: number, example, wants, policy, reason } = it;
    let when = next.map_or("its next run, by hand".to_owned(), |at| format!("its next run, {}", time(at)));
    let of = if of > ASKED { format!(" of the first {ASKED}") } else { String::new() };
    format!(
        "note: {workflow} would move {}{of} on at {when}: {example} to {wants}, since {policy} says: {reason}\n\
         hint: change the policy, or `deputy workflow pause {workflow} --reason TEXT` first",
        devices(*number)
    )
}

/// What a device is to get.
fn target_words(profiles: &Profiles, to: &Target) -> String {
    match to {
        Target::Ours(name) => name.to_string(),
        Target::Exactly { id, .. } => profiles.in_words(id),
    }
}

/// A rail that keeps a person from something.
pub(crate) fn refused(breaches: &[Breach]) -> Problem {
    let list: Vec<String> = breaches.iter().map(ToString::to_string).collect();
    let problem = Problem::new(Exit::Refused, format!("it breaks a rail: {}", list.join("; ")));
    let hint = domain::report::way_past(breaches);
    problem.hint(hint.trim_start_matches("hint: "))
}

/// Asks whoever sits there. A script cannot answer: it has a flag.
pub(super) fn ask(common: &Common) -> Outcome<bool> {
    if common.json || !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    eprint!("type yes to go on: ");
    let _ = std::io::stderr().flush();
    let mut typed = String::new();
    let read = std::io::stdin().lock().read_line(&mut typed);
    read.map_err(|error| Problem::new(Exit::Failure, format!("cannot read the answer: {error}")))?;
    Ok(typed.trim().eq_ignore_ascii_case("yes"))
}

fn devices(number: u64) -> String {
    format!("{number} device{}", if number == 1 { "" } else { "s" })
}
