//! A second look at a plan before it is carried out: may it go ahead, must a person see it, or not?
//!
//! Every limit is looked at, and all that are broken are told together; the strictest decides. The
//! settings are described in the README beside this crate, for people who write them.

mod hours;
mod limit;

use deputy_policy::review::{Context, Decision, Move, Opinion, Plan};
use deputy_policy::settings::{At, Value};
use deputy_policy::{Glob, Policy, Review, Setup, Tables};

use hours::Hours;
use limit::Limit;

deputy_policy::export!(Guard: review);

/// The limits of a plan.
#[derive(Clone, Debug)]
pub struct Guard {
    limits: Vec<(Count, Limit)>,
    from_one_profile: Option<Limit>,
    protect: Vec<Protected>,
    hours: Option<Hours>,
}

/// A number of the plan that can be limited.
#[derive(Clone, Copy, Debug)]
struct Count {
    key: &'static str,
    words: &'static str,
    of: fn(&Plan) -> u64,
}

const COUNTS: [Count; 6] = [
    Count { key: "changes", words: "changes", of: |plan| plan.first_assignments + plan.reassignments },
    Count { key: "first_assignments", words: "first assignments", of: |plan| plan.first_assignments },
    Count { key: "reassignments", words: "reassignments", of: |plan| plan.reassignments },
    Count { key: "held", words: "devices held", of: |plan| plan.held },
    Count { key: "faults", words: "devices that the policy failed on", of: |plan| plan.faults },
    Count { key: "ignored", words: "devices ignored", of: |plan| plan.ignored },
];

/// Moves that deserve a person, or none.
#[derive(Clone, Debug)]
struct Protected {
    from: Option<Glob>,
    to: Option<Glob>,
    then: Decision,
}

const KEYS: [&str; 9] = [
    "changes",
    "faults",
    "first_assignments",
    "from_one_profile",
    "held",
    "hours",
    "ignored",
    "protect",
    "reassignments",
];

impl Policy for Guard {
    const SUMMARY: &'static str = "limits on what one run may change, how much, and when";
    const VERSION: &'static str = "1.0.0";
    const SCHEMA: Option<&'static str> = Some(include_str!("settings.schema.json"));

    fn read(settings: At, setup: &Setup) -> Self {
        let settings = settings.table(&KEYS);
        let limits = COUNTS.iter().filter_map(|count| Some((*count, Limit::read(&settings.get(count.key)?))));
        let protect = settings.get("protect").map(|at| at.list("start each with `[[protect]]`"));
        let protect = protect.unwrap_or_default();
        Self {
            limits: limits.collect(),
            from_one_profile: settings.get("from_one_profile").map(|at| Limit::read(&at)),
            protect: protect.iter().map(|at| Protected::read(at, &setup.profiles)).collect(),
            hours: settings.get("hours").map(|at| Hours::read(&at)),
        }
    }
}

impl Protected {
    fn read(at: &At, profiles: &[String]) -> Self {
        let table = at.table(&["from", "then", "to"]);
        let profile = |key| {
            let at: At = table.get(key)?;
            let name = at.text()?;
            let glob = Glob::new(name);
            // One that Deputy did not define goes by Apple's id, and can only be left.
            let is_apples_id =
                key == "from" && name.len() == 32 && name.bytes().all(|it| it.is_ascii_hexdigit());
            if !is_apples_id && !profiles.iter().any(|profile| glob.matches(profile)) {
                let profiles = profiles.iter().map(String::as_str);
                at.unknown(name, format!("no profile is called `{name}`"), profiles);
            }
            Some(glob)
        };
        let (from, to) = (profile("from"), profile("to"));
        // What is no table at all has been complained about.
        let is_table = matches!(at.value(), Value::Table(_));
        if is_table && table.get("from").is_none() && table.get("to").is_none() {
            at.problem_with_hint(
                "this protects nothing",
                "add `from = \"PROFILE\"`, `to = \"PROFILE\"` or both",
            );
        }
        let then = table.get("then").and_then(|at| at.choice(&DECISIONS)).unwrap_or(Decision::Refuse);
        Self { from, to, then }
    }

    fn concerns(&self, change: &Move) -> bool {
        let from = change.from.as_deref();
        self.from.as_ref().is_none_or(|glob| from.is_some_and(|from| glob.matches(from)))
            && self.to.as_ref().is_none_or(|glob| glob.matches(&change.to))
    }
}

/// What can be asked for where a limit is broken.
const DECISIONS: [(&str, Decision); 2] = [("ask", Decision::Ask), ("refuse", Decision::Refuse)];

impl Review for Guard {
    fn review(&self, context: &Context, plan: &Plan, _: &dyn Tables) -> Opinion {
        let mut broken: Vec<(Decision, String)> = Vec::new();
        for (count, limit) in &self.limits {
            broken.extend(limit.breaks((count.of)(plan), plan.devices, count.words));
        }
        if let Some(limit) = &self.from_one_profile {
            for (profile, devices) in leaving(&plan.moves) {
                broken.extend(limit.breaks(devices, plan.devices, &format!("devices leaving `{profile}`")));
            }
        }
        for change in &plan.moves {
            let rules = self.protect.iter().filter(|protected| protected.concerns(change));
            if let Some(then) = rules.map(|protected| protected.then).max_by_key(|then| strictness(*then)) {
                let from = change.from.as_ref().map(|from| format!(" from `{from}`")).unwrap_or_default();
                let Move { to, devices, .. } = change;
                broken.push((
                    then,
                    format!("{}{from} to `{to}`, which is protected", count(*devices, "device")),
                ));
            }
        }
        // A plan without changes does no harm at any hour.
        if let Some(hours) = &self.hours
            && plan.first_assignments + plan.reassignments > 0
        {
            broken.extend(hours.breaks(context.now, context.utc_offset));
        }
        opinion(broken, plan)
    }
}

/// How many devices leave each profile, the most first.
fn leaving(moves: &[Move]) -> Vec<(&str, u64)> {
    let mut leaving: Vec<(&str, u64)> = Vec::new();
    for change in moves {
        let Some(from) = &change.from else { continue };
        match leaving.iter_mut().find(|(profile, _)| profile == from) {
            Some((_, devices)) => *devices += change.devices,
            None => leaving.push((from, change.devices)),
        }
    }
    leaving.sort_by_key(|(_, devices)| std::cmp::Reverse(*devices));
    leaving
}

/// The strictest of what was found decides; all of it is told, the strictest first.
fn opinion(mut broken: Vec<(Decision, String)>, plan: &Plan) -> Opinion {
    broken.sort_by_key(|(decision, _)| std::cmp::Reverse(strictness(*decision)));
    let Some((decision, _)) = broken.first() else {
        let reason = format!(
            "{} and {} are within the limits",
            count(plan.first_assignments, "first assignment"),
            count(plan.reassignments, "reassignment"),
        );
        return Opinion { decision: Decision::Approve, reason };
    };
    let decision = *decision;
    let mut lines = Vec::new();
    let mut length = 0;
    for (index, (_, line)) in broken.iter().enumerate() {
        length += line.len() + 1;
        // The contract cuts after 1 KiB; better to say that there is more.
        if length > 960 {
            lines.push(format!("and {} more", broken.len() - index));
            break;
        }
        lines.push(line.clone());
    }
    Opinion { decision, reason: lines.join("\n") }
}

fn strictness(decision: Decision) -> u8 {
    match decision {
        Decision::Approve => 0,
        Decision::Ask => 1,
        Decision::Refuse => 2,
    }
}

/// `1 device`, `2 devices`.
fn count(number: u64, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}
