//! A policy of version 1.0 that answers every question, well or in the way its settings name:
//! `{ "behaviour": "show" }`.
//!
//! With `show` it logs all it is told. A behaviour that ends in `-on-bad` shows only when a device or a token
//! is there whose name ends in `BAD` or `bad`. `{ "behaviour": "…", "reads": 5 }` says which fields of a
//! device it reads, by their bits; without, all of them.

// Natively there is nothing to build: the host is not misbehaved at by linking it.
#![cfg(target_arch = "wasm32")]

use std::sync::OnceLock;

use bindings::deputy::policy::log::{Level, log};
use bindings::deputy::policy::tables::lookup;
use bindings::exports::deputy::policy::assignment::{self, Device, DeviceFields, Verdict, Verdicts};
use bindings::exports::deputy::policy::plugin::{self, Description, SettingsProblem, Setup, TableUse};
use bindings::exports::deputy::policy::reminder::{self, Occasion, Reminder, Severity, Token};
use bindings::exports::deputy::policy::review::{self, Opinion, Plan};

#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated from the contract")]
mod bindings {
    wit_bindgen::generate!({ world: "policy", path: "../../../wit/v1.0" });

    use super::Questions;
    export!(Questions);
}

struct Questions;

static BEHAVIOUR: OnceLock<String> = OnceLock::new();
static READS: OnceLock<u32> = OnceLock::new();

fn behaviour() -> &'static str {
    BEHAVIOUR.get().map_or("not-configured", String::as_str)
}

/// The behaviour, as far as it shows among these names.
fn shown<'a>(names: impl Iterator<Item = &'a str>) -> &'static str {
    let bad = names.into_iter().any(|name| name.to_ascii_uppercase().ends_with("BAD"));
    match behaviour().strip_suffix("-on-bad") {
        Some(behaviour) if bad => behaviour,
        Some(_) => "none",
        None => behaviour(),
    }
}

fn show(what: impl std::fmt::Debug) {
    if behaviour() == "show" {
        log(Level::Info, &format!("{what:?}"));
    }
}

impl plugin::Guest for Questions {
    fn describe() -> Description {
        Description {
            summary: "answers every question, also as it should not".into(),
            version: "1.2.3".into(),
            settings_schema: Some(r#"{"properties":{"behaviour":{"type":"string"}}}"#.into()),
        }
    }

    fn configure(settings: String, setup: Setup) -> Result<(), Vec<SettingsProblem>> {
        let behaviour = settings.split('"').nth(3).unwrap_or("none").to_owned();
        let reads = settings.split_once(r#""reads":"#).map(|(_, rest)| {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest[..digits].parse().unwrap()
        });
        READS.get_or_init(|| reads.unwrap_or(u32::MAX));
        BEHAVIOUR.get_or_init(|| behaviour);
        show(&setup);
        match self::behaviour() {
            "refuse-settings" => {
                let [pointer, message] = ["/behaviour", "not that"].map(str::to_owned);
                Err(vec![SettingsProblem { pointer, message, hint: Some("something else".into()) }])
            }
            "look-too-early" => {
                lookup(0, "C1");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn tables() -> Vec<TableUse> {
        let table = |table: &str, columns: &[&str]| TableUse {
            table: table.into(),
            columns: columns.iter().map(|column| (*column).into()).collect(),
        };
        match behaviour() {
            "tables-of-no-name" => vec![table("../\u{1b}[31metc", &[])],
            "too-many-tables" => (0..1_000).map(|index| table(&format!("t{index}"), &[])).collect(),
            behaviour if behaviour.starts_with("look") => {
                vec![table("assets", &["room", "site", "room"]), table("people", &["mail"])]
            }
            _ => Vec::new(),
        }
    }
}

impl assignment::Guest for Questions {
    fn reads() -> DeviceFields {
        DeviceFields::from_bits_retain(READS.get().unwrap() & ((1 << 22) - 1))
    }

    fn decide(context: assignment::Context, devices: Vec<Device>) -> Verdicts {
        show(&context);
        devices.iter().for_each(show);
        let held = |reason| Verdict { decision: assignment::Decision::Hold(None), reason };
        let mut verdicts: Vec<Verdict> = devices.iter().map(|_| held(0)).collect();
        let mut reasons = vec!["fine".to_owned()];
        match shown(devices.iter().map(|device| device.serial_number.as_str())) {
            "look" => {
                for (device, verdict) in devices.iter().zip(&mut verdicts) {
                    verdict.reason = reasons.len() as u32;
                    reasons.push(match lookup(0, &device.serial_number) {
                        Some(cells) => cells.join("|"),
                        None => format!("no row; {:?}", lookup(1, &format!(" {} ", device.serial_number))),
                    });
                }
            }
            "look-and-trap" => {
                let rows = devices.iter().filter_map(|device| lookup(0, &device.serial_number));
                if rows.flatten().any(|cell| cell == "trap") {
                    unreachable!();
                }
            }
            "look-nowhere" => _ = lookup(2, "C1"),
            "look-for-ever" => loop {
                std::hint::black_box(lookup(0, "C1"));
            },
            "look-for-much" => _ = lookup(0, &"x".repeat(8 << 20)),
            "look-for-nonsense" => {
                let keys = ["", "\0", "\u{202e}é", "'; DROP TABLE device; --", &"x".repeat(100_000)];
                reasons[0] = keys.map(|key| u8::from(lookup(0, key).is_some()).to_string()).concat();
            }
            "spread" => {
                // A verdict of every kind, by nothing but the device itself.
                for (device, verdict) in devices.iter().zip(&mut verdicts) {
                    let sum = device.serial_number.bytes().map(u64::from).sum::<u64>();
                    verdict.decision = match sum % 4 {
                        0 => assignment::Decision::Assign((sum % context.profiles.len() as u64) as u32),
                        1 => assignment::Decision::Hold(Some(context.now + sum)),
                        2 => assignment::Decision::Hold(None),
                        _ => assignment::Decision::Ignore,
                    };
                    verdict.reason = reasons.len() as u32;
                    reasons.push(format!("the sum is {sum}"));
                }
            }
            "trap" => unreachable!(),
            "too-few" => drop(verdicts.pop()),
            "unknown-profile" => verdicts[0].decision = assignment::Decision::Assign(99),
            "unknown-reason" => verdicts[0].reason = 99,
            "huge" => reasons = vec!["x".repeat(16 << 20)],
            _ => {}
        }
        Verdicts { verdicts, reasons }
    }
}

impl reminder::Guest for Questions {
    fn remind(context: reminder::Context, tokens: Vec<Token>) -> Vec<Vec<Reminder>> {
        show(&context);
        tokens.iter().for_each(show);
        let due = |token: &Token| {
            let facts = token.facts.iter().zip(0..);
            let due = facts.map(|(fact, index)| Reminder {
                fact: index,
                occasion: match (fact.ends, &fact.trouble) {
                    (Some(ends), _) => Occasion::Threshold(ends as i64 - context.now as i64),
                    (None, Some(trouble)) => Occasion::Threshold(trouble.since as i64 - context.now as i64),
                    (None, None) => Occasion::Recovered,
                },
                severity: if fact.trouble.is_some() { Severity::Critical } else { Severity::Warning },
                channels: Vec::new(),
                subject: format!("{} of {}", fact.kind, token.name),
                text: format!("first line about {}\n\n  second\u{7} line\r\n", fact.name),
            });
            due.collect()
        };
        let mut answer: Vec<Vec<Reminder>> = tokens.iter().map(due).collect();
        let behaviour = shown(tokens.iter().map(|token| token.name.as_str()));
        let first = answer.iter_mut().flatten().next();
        match (behaviour, first) {
            ("trap", _) => unreachable!(),
            ("too-few", _) => drop(answer.pop()),
            ("too-many", _) => answer.push(Vec::new()),
            ("unknown-fact", Some(first)) => first.fact = 99,
            ("unknown-channel", Some(first)) => first.channels = vec![0, 2],
            ("channels-twice", Some(first)) => first.channels = vec![1, 1],
            ("long", Some(first)) => {
                first.subject = "é\n".repeat(1_000);
                first.text = "é\n".repeat(100_000);
            }
            ("empty", Some(first)) => {
                first.subject = " \n".into();
                first.text = "\u{1b}".into();
            }
            ("huge", Some(first)) => first.text = "x".repeat(16 << 20),
            ("many", _) => {
                let reminder = || Reminder {
                    fact: 0,
                    occasion: Occasion::Recovered,
                    severity: Severity::Info,
                    channels: Vec::new(),
                    subject: String::new(),
                    text: String::new(),
                };
                answer[0].extend((0..200_000).map(|_| reminder()));
            }
            ("look", Some(first)) => first.text = format!("{:?}", lookup(0, &tokens[0].name)),
            _ => {}
        }
        answer
    }
}

impl review::Guest for Questions {
    fn review(context: review::Context, plan: Plan) -> Opinion {
        show(&context);
        show(&plan);
        let (decision, reason) = match behaviour() {
            "trap" => unreachable!(),
            "refuse" => (review::Decision::Refuse, "not today".into()),
            "empty" => (review::Decision::Approve, String::new()),
            "long" => (review::Decision::Ask, "é\n".repeat(1_000)),
            "huge" => (review::Decision::Ask, "x".repeat(16 << 20)),
            "look" => (review::Decision::Ask, format!("{:?}", lookup(0, &context.token))),
            _ if plan.reassignments > 0 => {
                (review::Decision::Ask, format!("{} devices change:\n\u{1b}[31msee", plan.reassignments))
            }
            _ => (review::Decision::Approve, "only first assignments".into()),
        };
        Opinion { decision, reason }
    }
}
