//! A policy of version 1.1 that says for how long its verdicts last: truly, or in the way its settings name.
//!
//! `{ "behaviour": "until", "end": 1770000000 }`. It stays in that version, so that what was built against it is known
//! to run.

// Natively there is nothing to build: the host is not misbehaved at by linking it.
#![cfg(target_arch = "wasm32")]

use std::sync::OnceLock;

use bindings::deputy::policy::log::{Level, log};
use bindings::deputy::policy::tables::lookup;
use bindings::exports::deputy::policy::assignment::{
    self, Decision, Device, DeviceFields, Verdict, Verdicts,
};
use bindings::exports::deputy::policy::lasting::{self, Lasting};
use bindings::exports::deputy::policy::plugin::{self, Description, SettingsProblem, Setup, TableUse};

#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated from the contract")]
mod bindings {
    wit_bindgen::generate!({ world: "lasting-assignment-policy", path: "../../../wit/v1.1" });

    use super::Policy;
    export!(Policy);
}

struct Policy;

struct Settings {
    behaviour: String,
    /// When verdicts become others, in those behaviours in which they do.
    end: u64,
}

static SETTINGS: OnceLock<Settings> = OnceLock::new();

fn settings() -> &'static Settings {
    SETTINGS.get().expect("Deputy calls `configure` first")
}

const DAY: u64 = 86_400;

impl plugin::Guest for Policy {
    fn describe() -> Description {
        Description {
            summary: "says for how long its verdicts last".into(),
            version: "1.0.0".into(),
            settings_schema: Some("true".into()),
        }
    }

    fn configure(settings: String, _: Setup) -> Result<(), Vec<SettingsProblem>> {
        let after = |key: &str| settings.split_once(&format!("\"{key}\":")).map_or("", |(_, rest)| rest);
        let behaviour = after("behaviour").split('"').nth(1).unwrap_or("always").to_owned();
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let end = after("end");
        let end = end[..digits(end)].parse().unwrap_or(0);
        SETTINGS.get_or_init(|| Settings { behaviour, end });
        Ok(())
    }

    fn tables() -> Vec<TableUse> {
        match settings().behaviour.as_str() {
            "look" => vec![TableUse { table: "terms".into(), columns: vec!["end".into()] }],
            _ => Vec::new(),
        }
    }
}

impl assignment::Guest for Policy {
    fn reads() -> DeviceFields {
        DeviceFields::SERIAL_NUMBER
    }

    fn decide(context: assignment::Context, devices: Vec<Device>) -> Verdicts {
        let Settings { behaviour, end } = settings();
        let mut reasons = vec!["before".to_owned(), "after".to_owned()];
        let verdict = |device: &Device| match behaviour.as_str() {
            // Each device is held until a moment of its own.
            "holds" => {
                let own = end + device.serial_number.bytes().map(u64::from).sum::<u64>() * DAY;
                match context.now < own {
                    true => Verdict { decision: Decision::Hold(Some(own)), reason: 0 },
                    false => Verdict { decision: Decision::Ignore, reason: 1 },
                }
            }
            "until" | "too-long" => {
                Verdict { decision: Decision::Ignore, reason: u32::from(context.now >= *end) }
            }
            "wrong-by-the-day" => Verdict { decision: Decision::Ignore, reason: 2 },
            _ => Verdict { decision: Decision::Ignore, reason: 0 },
        };
        let verdicts = devices.iter().map(verdict).collect();
        reasons.push(format!("day {} of the week", context.now / DAY % 7));
        Verdicts { verdicts, reasons }
    }
}

impl lasting::Guest for Policy {
    fn how_long(context: lasting::Context) -> Lasting {
        let Settings { behaviour, end } = settings();
        match behaviour.as_str() {
            "not-said" => Lasting::NotSaid,
            "until" if context.now < *end => Lasting::Until(*end),
            "too-long" => Lasting::Until(end + DAY),
            "look" => {
                let row = lookup(0, &context.token).unwrap_or_default();
                row.first().and_then(|cell| cell.parse().ok()).map_or(Lasting::NotSaid, Lasting::Until)
            }
            "show" => {
                log(Level::Info, &format!("{context:?}"));
                Lasting::Always
            }
            "trap" => unreachable!(),
            "loop" => loop {
                std::hint::black_box(());
            },
            "no-calendar" => Lasting::Until(u64::MAX),
            _ => Lasting::Always,
        }
    }
}
