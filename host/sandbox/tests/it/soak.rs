//! A program that runs for years: what ten thousand batches leave behind.
//!
//! `DEPUTY_SOAK=10000 cargo test --workspace --test it -- soak --nocapture`; a few hundred otherwise.

#![cfg(target_os = "linux")]

use std::process::Command;

use domain::policy::Policy as _;

use crate::help::{SANDBOX, context, devices, spec};

/// How much more memory may be in use at the end, in KiB: less than one more instance would take.
const GROWTH: usize = 4 << 10;

#[test]
fn batches_leave_no_memory_behind() {
    // Among other tests, their memory would be counted too.
    let alone = Command::new(std::env::current_exe().unwrap())
        .args(["soak::alone", "--exact", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&alone.stdout) + String::from_utf8_lossy(&alone.stderr);
    println!("{words}");
    assert!(alone.status.success(), "{words}");
}

#[test]
#[ignore = "needs a process of its own, which the test above starts"]
fn alone() {
    let batches: usize = std::env::var("DEPUTY_SOAK").map_or(300, |number| number.parse().unwrap());
    let serials: Vec<String> = (0..100).map(|index| format!("C{index}")).collect();
    let (devices, context) = (devices(&serials.join(" ")), context());
    let rules = serde_json::json!({ "rules": [{ "when": { "serial_number": "*7" }, "assign": "kiosk" }] });
    let good = SANDBOX.load(spec(shipped::RULES, rules)).unwrap();
    let bad = ["trap", "eat-memory", "flood-the-log", "huge-output"].map(|behaviour| {
        let mut spec = spec(artifacts::MISBEHAVE, serde_json::json!({ "behaviour": behaviour }));
        spec.limits.fuel_per_call = 200_000_000;
        SANDBOX.load(spec).unwrap()
    });
    let mut first = 0;
    for batch in 0..batches {
        good.decide(&context, &devices);
        bad[batch % bad.len()].decide(&context, &devices[..1]);
        if batch == batches / 3 {
            first = resident_kib();
        }
    }
    let last = resident_kib();
    println!("{batches} batches: {first} KiB after a third of them, {last} KiB at the end");
    assert!(last <= first + GROWTH, "memory has grown from {first} to {last} KiB");
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
