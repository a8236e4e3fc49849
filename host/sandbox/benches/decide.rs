//! How fast the shipped rules decide in the sandbox: `cargo bench -p sandbox`.
//!
//! Every 1,000 devices are a fresh instance, as in a run. Prints a table; measures, asserts nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::device::{Device, ProfileStatus};
use domain::policy::{Policy as _, Setup};
use domain::verdict::Context;
use sandbox::{Limits, Plugin, PluginSpec, Sandbox};
use serde_json::json;

const DEVICES: usize = 1_000_000;
const BATCH: usize = 1_000;

fn main() {
    let cache = tempfile::tempdir().expect("a folder for the cache");
    println!("shipped rules: {} KiB", shipped::RULES.len() >> 10);
    let start = Instant::now();
    let sandbox = Sandbox::new(Some(cache.path().to_owned())).expect("a sandbox");
    println!("start of the sandbox:  {:>9.3?}", start.elapsed());
    for what in ["compiled", "from the cache"] {
        let start = Instant::now();
        load(&sandbox, json!({}));
        println!("load, {what:<15}  {:>9.3?}", start.elapsed());
    }
    println!("memory of this program: {} KiB", resident_kib());

    let context = Context {
        now: "2026-01-09T09:13:20Z".parse().expect("a time"),
        utc_offset: jiff::tz::Offset::UTC,
        token: "emea".parse().expect("a name"),
        profiles: vec!["kiosk".parse().expect("a name")],
        defined: BTreeMap::new(),
        tables: Arc::default(),
    };
    let devices: Vec<Device> = (0..BATCH).map(device).collect();
    let three = json!({ "device_family": "iPad", "asset_tag": "LIB-*", "os": "iPadOS" });
    let everything = json!({
        "model": "?*", "description": "*GBR", "color": "?*", "asset_tag": "?*", "os": "?*", "device_family": "?*",
        "profile_uuid": "", "device_assigned_by": "*@example.com", "device_assigned_date": { "after": "2020-01-01" },
        "profile_assign_time": { "after": "2020-01-01" }, "extra.wifi_mac": "?*",
    });
    for (name, when) in [("no field", json!({})), ("three fields", three), ("every field", everything)] {
        let plugin = load(&sandbox, json!({ "rules": [{ "when": when, "assign": "kiosk" }] }));
        let start = Instant::now();
        let verdicts: usize =
            (0..DEVICES / BATCH).map(|_| plugin.decide(&context, &devices).answer.len()).sum();
        report(&format!("rule over {name}"), start.elapsed(), verdicts);
        println!(
            "{:>30} fuel a device",
            plugin.answer_assignment(&context, &devices).usage.fuel / BATCH as u64
        );
    }
    let plugin = load(&sandbox, json!({}));
    let start = Instant::now();
    let calls = 10_000;
    (0..calls).for_each(|_| drop(plugin.decide(&context, &devices[..1])));
    report("one device, fresh instance", start.elapsed(), calls);
    println!("memory of this program: {} KiB", resident_kib());
}

fn load(sandbox: &Sandbox, settings: serde_json::Value) -> Plugin {
    let spec = PluginSpec {
        name: "rules".parse().expect("a name"),
        bytes: shipped::RULES.to_vec(),
        expected_digest: None,
        limits: Limits::default(),
        settings,
        setup: Setup { profiles: vec!["kiosk".parse().expect("a name")], ..Setup::default() },
        tables: BTreeMap::new(),
    };
    sandbox.load(spec).unwrap_or_else(|error| panic!("{error}"))
}

/// As full as Apple's records are.
fn device(index: usize) -> Device {
    let time = "2025-10-01T12:00:00Z".parse().expect("a time");
    let mut device = Device::new(format!("DMPXR{index:07}").parse().expect("a serial number"));
    device.model = Some("iPad Air (5th generation)".to_owned());
    device.description = Some("IPAD AIR WI-FI 64GB SPACE GRAY-GBR".to_owned());
    device.color = Some("SPACE GRAY".to_owned());
    device.asset_tag = Some(format!("LIB-{index}"));
    device.os = Some("iPadOS".to_owned());
    device.device_family = Some("iPad".to_owned());
    device.profile_status = ProfileStatus::Assigned;
    device.profile_uuid = Some("7C1E88D0A4B94B6E9C3F2A5D6E7F8091".parse().expect("an id"));
    device.profile_assign_time = Some(time);
    device.device_assigned_by = Some("it@example.com".to_owned());
    device.device_assigned_date = Some(time);
    device.extra.insert("wifi_mac".to_owned(), "00:11:22:33:44:55".to_owned());
    device
}

fn report(what: &str, time: Duration, decisions: usize) {
    let rate = decisions as f64 / time.as_secs_f64();
    println!("{what:<28} {:>9.3?} a decision {rate:>12.0} decisions a second", time / decisions as u32);
}

/// What the system says this program holds in memory; 0 where it does not say.
fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
