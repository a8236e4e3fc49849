//! The policy most people need: ordered rules, of which the first that matches decides.
//!
//! The settings are described in the README beside this crate, for people who write them.

use deputy_policy::assignment::{Context, Decision, Device, DeviceFields, Verdict, Verdicts};
use deputy_policy::condition::{Conditions, Field, Lookups, Reader, Subject};
use deputy_policy::outcome::{self, Outcome};
use deputy_policy::settings::At;
use deputy_policy::{Assignment, Lasting, Policy, Reasons, Setup, TableUse, Tables};

deputy_policy::export!(Rules: assignment);

/// Rules in the order they are tried, and what happens when none matches.
#[derive(Clone, Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    otherwise: Verdict,
    reasons: Reasons,
    lookups: Lookups,
}

/// One rule: what has to hold, and the verdict if it does.
#[derive(Clone, Debug)]
struct Rule {
    conditions: Conditions,
    verdict: Verdict,
}

impl Policy for Rules {
    const SUMMARY: &'static str = "ordered rules over a device's fields; the first that matches decides";
    const VERSION: &'static str = "1.0.0";
    const SCHEMA: Option<&'static str> = Some(include_str!("settings.schema.json"));

    fn read(settings: At, setup: &Setup) -> Self {
        let settings = settings.table(&["default", "lookup", "rules"]);
        let mut reasons = Reasons::default();
        let mut reader = Reader::new(setup, settings.get("lookup"));
        let rules = settings.get("rules").map(|at| at.list("start each rule with `[[rules]]`"));
        let rules = rules.unwrap_or_default();
        let rules = rules.iter().enumerate().map(|(index, at)| {
            let name = at.entries().get("name").and_then(|name| name.text());
            let name = match name {
                Some(name) => format!("rule `{name}`"),
                // People count from one.
                None => format!("rule {}", index + 1),
            };
            let keys = [&["name", "unless", "when"][..], &outcome::KEYS].concat();
            let table = at.part_of(&name).table(&keys);
            let conditions = reader.conditions(&table);
            let Outcome { decision, reason } = Outcome::read(&table, setup, &name);
            Rule { conditions, verdict: reasons.verdict(decision, &reason) }
        });
        let rules = rules.collect();
        let lookups = reader.finish();
        let unmatched = Outcome { decision: Decision::Hold(None), reason: "no rule matched".to_owned() };
        let Outcome { decision, reason } = Outcome::default(&settings, setup, unmatched);
        let otherwise = reasons.verdict(decision, &reason);
        Self { rules, otherwise, reasons, lookups }
    }

    fn tables(&self) -> Vec<TableUse> {
        self.lookups.uses()
    }
}

impl Assignment for Rules {
    fn reads(&self) -> DeviceFields {
        let fields = self.rules.iter().flat_map(|rule| rule.conditions.fields()).chain(self.lookups.keys());
        fields.map(Field::flag).fold(DeviceFields::empty(), |all, flag| all | flag)
    }

    fn decide(&self, context: &Context, devices: &[Device], tables: &dyn Tables) -> Verdicts {
        let verdict = |device| {
            let subject = Subject::new(context, device, &self.lookups, tables);
            let mut rules = self.rules.iter().filter(|rule| !rule.is_over(context.now));
            let rule = rules.find(|rule| rule.conditions.hold(&subject));
            rule.map_or(self.otherwise, |rule| rule.verdict)
        };
        Verdicts {
            verdicts: devices.iter().map(verdict).collect(),
            reasons: self.reasons.as_slice().to_vec(),
        }
    }

    /// A rule that compares dates with the present may match a device any moment. One that holds until a date
    /// leaves off on it.
    fn lasting(&self, context: &Context, _: &dyn Tables) -> Lasting {
        let rules = || self.rules.iter().filter(|rule| !rule.is_over(context.now));
        if rules().any(|rule| rule.conditions.look_at_the_time()) {
            return Lasting::NotSaid;
        }
        rules().filter_map(Rule::end).min().map_or(Lasting::Always, Lasting::Until)
    }
}

impl Rule {
    /// A hold that has run out leaves devices to the rules after it.
    fn is_over(&self, now: u64) -> bool {
        self.end().is_some_and(|until| until <= now)
    }

    fn end(&self) -> Option<u64> {
        match self.verdict.decision {
            Decision::Hold(until) => until,
            Decision::Assign(_) | Decision::Ignore => None,
        }
    }
}
