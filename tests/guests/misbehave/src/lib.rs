//! A policy that misbehaves on purpose, in the way its settings name: `{ "behaviour": "loop" }`.
//!
//! With any behaviour it holds each device for the reason `fine`, except where the behaviour gets in
//! its way. A behaviour that ends in `-on-bad` shows only when a device is there whose serial number
//! ends in `BAD`, as one poisoned record would.

// Natively there is nothing to build: the host is not misbehaved at by linking it.
#![cfg(target_arch = "wasm32")]

use std::sync::OnceLock;

use bindings::deputy::policy::log::{Level, log};
use bindings::exports::deputy::policy::assignment::{
    Context, Decision, Device, DeviceFields, Guest, SettingsProblem, Verdict, Verdicts,
};

#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated from the contract")]
mod bindings {
    wit_bindgen::generate!({ world: "policy", path: "../../../wit/v0.1" });

    use super::Misbehave;
    export!(Misbehave);
}

struct Misbehave;

static BEHAVIOUR: OnceLock<String> = OnceLock::new();

impl Guest for Misbehave {
    fn configure(settings: String, _: Vec<String>) -> Result<(), Vec<SettingsProblem>> {
        let behaviour = settings.split('"').nth(3).unwrap_or("none").to_owned();
        match behaviour.as_str() {
            "refuse-settings" => Err(vec![
                SettingsProblem {
                    pointer: "/behaviour".into(),
                    message: "never good enough".into(),
                    hint: None,
                },
                SettingsProblem {
                    pointer: String::new(),
                    message: "nor is\u{1b}[31m the rest".into(),
                    hint: Some("did you mean `none`?".into()),
                },
            ]),
            "loop-in-configure" => spin(),
            _ => {
                BEHAVIOUR.get_or_init(|| behaviour);
                Ok(())
            }
        }
    }

    fn reads() -> DeviceFields {
        match behaviour() {
            "reads-nothing" => DeviceFields::empty(),
            "trap-in-reads" => unreachable!(),
            // Every one of the twelve flags.
            _ => DeviceFields::from_bits_retain((1 << 12) - 1),
        }
    }

    fn decide(context: Context, devices: Vec<Device>) -> Verdicts {
        let mut verdicts: Vec<Verdict> =
            devices.iter().map(|_| Verdict { decision: Decision::Hold(None), reason: 0 }).collect();
        let mut reasons = vec!["fine".to_owned()];
        let bad = devices.iter().position(|device| device.serial_number.ends_with("BAD"));
        let behaviour = match (behaviour().strip_suffix("-on-bad"), bad) {
            (Some(_), None) => "none",
            (Some(behaviour), Some(_)) => behaviour,
            (None, _) => behaviour(),
        };
        let victim = bad.unwrap_or(0);
        match behaviour {
            "loop" => spin(),
            "trap" => unreachable!(),
            "overflow-the-stack" => verdicts[victim].reason = recurse(0),
            "eat-memory" => reasons = eat(),
            "too-few" => drop(verdicts.pop()),
            "too-many" => verdicts.push(Verdict { decision: Decision::Ignore, reason: 0 }),
            "unknown-profile" => {
                verdicts[victim].decision = Decision::Assign(context.profiles.len() as u32);
            }
            "unknown-reason" => verdicts[victim].reason = 1,
            "endless-hold" => verdicts[victim].decision = Decision::Hold(Some(u64::MAX)),
            "flood-the-log" => (0..1_000).for_each(|line| log(Level::Info, &format!("line {line}\nis long"))),
            "log-for-ever" => loop {
                log(Level::Info, "still here");
            },
            "huge-output" => reasons = vec!["x".repeat(16 << 20)],
            "many-reasons" => reasons = vec![String::new(); 1_000_000],
            "long-reason" => reasons = vec![format!("\u{1b}[31m{}", "é".repeat(100_000))],
            "bad-text" => reasons = vec![not_text()],
            "show-what-it-sees" => reasons = vec![format!("{:?}", devices[victim])],
            _ => {}
        }
        Verdicts { verdicts, reasons }
    }
}

fn behaviour() -> &'static str {
    BEHAVIOUR.get().map_or("not-configured", String::as_str)
}

/// Never returns, and gives the optimiser no reason to think about it.
fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

#[expect(unconditional_recursion, reason = "that is the misbehaviour")]
fn recurse(depth: u32) -> u32 {
    let here = std::hint::black_box([depth; 256]);
    recurse(depth + 1).wrapping_add(here[depth as usize % here.len()])
}

fn eat() -> Vec<String> {
    let mut eaten = Vec::new();
    loop {
        eaten.push(std::hint::black_box(String::with_capacity(1 << 20)));
    }
}

#[allow(unsafe_code, reason = "a policy in another language may not know what text is")]
fn not_text() -> String {
    unsafe { String::from_utf8_unchecked(vec![0xff, 0xfe]) }
}
