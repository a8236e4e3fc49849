//! Decisions alone: the shipped rules in their sandbox, beside the same rules compiled into a program.
//!
//! What a sandbox costs is what is between the two: an instance for every call, its settings read anew, and
//! the texts of devices copied into it. All of it is measured in one process, each size in turn, and the
//! median of several runs counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use deputy_policy::{Assignment as _, NoTables, assignment as native};
use domain::device::{Device, ProfileStatus};
use domain::id::ProfileName;
use domain::policy::Setup;
use domain::verdict::Context;
use jiff::Timestamp;
use sandbox::{Compiler, Limits, Plugin, PluginSpec, Sandbox};
use serde_json::{Value, json};

/// Decide about devices with the shipped rules, in the sandbox and without one
///
/// For a rule over no field, over three fields, and over every field:
///
///   native   the same rules as plain functions in this program, 1,000 devices at once
///   sandbox  the component, a fresh instance for every batch of 1, 10, 100 and 1,000 devices
///
/// RATIO is the time for a device beside that of native. Before that: what it takes to load the component, and
/// what a call costs whatever it is about.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// How often each is measured; the median counts
    #[arg(long, default_value_t = 11, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    runs: u32,
    /// Print the comparison as JSON
    #[arg(long)]
    json: bool,
}

/// The command of the process that compiles.
pub(crate) const COMPILE: &str = "__compile";

const SIZES: [usize; 4] = [1, 10, 100, 1_000];
/// Calls in one measurement: a single one is mostly chance.
const CALLS: usize = 20;

/// One rule, in both forms.
struct Subject {
    rule: &'static str,
    /// How many decisions a second are aimed at, in batches of 1,000.
    aim: Option<f64>,
    plugin: Plugin,
    native: rules::Rules,
    rows: Vec<Row>,
}

/// One way of asking, and the time for a device in each measurement.
struct Row {
    part: &'static str,
    size: usize,
    each: Vec<Duration>,
}

/// Measures and prints.
pub(crate) fn compare(arguments: Arguments) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let compiler = Compiler {
        program: std::env::current_exe().context("this program does not know its own file")?,
        arguments: vec![COMPILE.to_owned()],
        notice: |_| (),
        retry: false,
    };
    let sandbox = Sandbox::new(compiler, Some(folder.path().to_owned()))?;
    let load = |settings: &Value| -> anyhow::Result<(Plugin, Duration)> {
        let began = Instant::now();
        Ok((sandbox.load(spec(settings)?)?, began.elapsed()))
    };
    let (_, compiled) = load(&json!({}))?;

    let devices: Vec<Device> = (0..1_000).map(device).collect::<anyhow::Result<_>>()?;
    let mut subjects = Vec::new();
    for (rule, when, aim) in conditions() {
        let settings = json!({ "rules": [{ "when": when, "assign": "kiosk" }] });
        let profiles = vec!["kiosk".to_owned()];
        let setup = deputy_policy::Setup { profiles, channels: Vec::new(), tokens: Vec::new() };
        let native = deputy_policy::configure(settings.to_string(), &setup);
        let native = native.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
        let part = |part, size| Row { part, size, each: Vec::new() };
        let mut rows = vec![part("native", 1_000)];
        rows.extend(SIZES.map(|size| part("sandbox", size)));
        subjects.push(Subject { rule, aim, plugin: load(&settings)?.0, native, rows });
    }
    let context = context()?;
    let mut cached = Vec::new();
    for run in 0..arguments.runs {
        eprint!("\rrun {} of {} ", run + 1, arguments.runs);
        cached.push(load(&json!({}))?.1);
        for Subject { plugin, native, rows, .. } in &mut subjects {
            for row in rows {
                let each = match row.part {
                    "native" => natively(native, &context, &devices)?,
                    _ => in_the_sandbox(plugin, &context, &devices, row.size)?,
                };
                row.each.push(each);
            }
        }
    }
    eprintln!();
    let load = (compiled, median(&mut cached));
    if arguments.json {
        print_json(load, &subjects)
    } else {
        print_text(load, &subjects)
    };
    Ok(())
}

fn conditions() -> [(&'static str, Value, Option<f64>); 3] {
    let three = json!({ "device_family": "iPad", "asset_tag": "LIB-*", "os": "iPadOS" });
    let everything = json!({
        "model": "?*", "description": "*GBR", "color": "?*", "asset_tag": "?*", "os": "?*", "device_family": "?*",
        "profile_uuid": "", "device_assigned_by": "*@example.com", "device_assigned_date": { "after": "2020-01-01" },
        "profile_assign_time": { "after": "2020-01-01" }, "extra.wifi_mac": "?*",
    });
    [
        ("no field", json!({}), None),
        ("three fields", three, Some(1_000_000.0)),
        ("every field", everything, Some(500_000.0)),
    ]
}

fn natively(policy: &rules::Rules, context: &Context, devices: &[Device]) -> anyhow::Result<Duration> {
    let profiles = context.profiles.iter().map(ToString::to_string).collect();
    let context = native::Context {
        now: seconds(context.now),
        utc_offset: context.utc_offset.seconds(),
        token: context.token.to_string(),
        profiles,
    };
    let devices: Vec<native::Device> = devices.iter().map(view).collect();
    let began = Instant::now();
    for _ in 0..CALLS {
        std::hint::black_box(policy.decide(&context, &devices, &NoTables));
    }
    Ok(began.elapsed() / (CALLS * devices.len()) as u32)
}

fn in_the_sandbox(
    plugin: &Plugin,
    context: &Context,
    devices: &[Device],
    size: usize,
) -> anyhow::Result<Duration> {
    let (began, mut asked) = (Instant::now(), 0);
    for batch in devices.chunks(size).cycle().take(CALLS) {
        let answer = plugin.answer_assignment(context, batch);
        ensure!(!answer.answer.iter().any(|verdict| verdict.fault), "the rules fail: {:?}", answer.answer);
        asked += batch.len();
    }
    Ok(began.elapsed() / asked as u32)
}

fn print_text((compiled, cached): (Duration, Duration), subjects: &[Subject]) {
    println!(
        "shipped rules, {} KiB: loaded in {compiled:.1?} when compiled, in {cached:.1?} from the cache\n",
        shipped::RULES.len() >> 10
    );
    println!(
        "{:<13} {:<8} {:>6} {:>10} {:>12} {:>7}",
        "RULE OVER", "PART", "BATCH", "EACH", "DECISIONS/S", "RATIO"
    );
    for Subject { rule, rows, .. } in subjects {
        for (row, (each, ratio)) in rows.iter().zip(times(rows)) {
            println!(
                "{rule:<13} {:<8} {:>6} {:>10} {:>12.0} {ratio:>7.1}",
                row.part,
                row.size,
                format!("{each:.1?}"),
                rate(each),
            );
        }
    }
    println!();
    for subject in subjects {
        let Some(aim) = subject.aim else { continue };
        let found = rate(times(&subject.rows)[SIZES.len()].0);
        let met = if found >= aim { "met" } else { "not met" };
        println!("aim, {}: at least {aim:.0} decisions a second, {found:.0} measured: {met}", subject.rule);
    }
    println!("a call costs {:.1?} whatever it is about (no field)", instance(&subjects[0].rows));
}

fn print_json((compiled, cached): (Duration, Duration), subjects: &[Subject]) {
    let subjects_json = subjects.iter().map(|Subject { rule, aim, rows, .. }| {
        let rows = rows.iter().zip(times(rows)).map(|(row, (each, ratio))| {
            json!({
                "part": row.part, "batch": row.size, "nanos_per_device": each.as_nanos() as u64,
                "decisions_per_second": rate(each), "ratio": ratio,
            })
        });
        json!({ "rule": rule, "aim_per_second": aim, "rows": rows.collect::<Vec<_>>() })
    });
    let value = json!({
        "version": 1,
        "decide": {
            "bytes": shipped::RULES.len(), "compiled_micros": compiled.as_micros() as u64,
            "cached_micros": cached.as_micros() as u64,
            "call_micros": instance(&subjects[0].rows).as_micros() as u64,
            "rules": subjects_json.collect::<Vec<_>>(),
        },
    });
    println!("{value:#}");
}

/// Of each row, the median and its ratio to the first, which is native.
fn times(rows: &[Row]) -> Vec<(Duration, f64)> {
    let each: Vec<Duration> = rows.iter().map(|row| median(&mut row.each.clone())).collect();
    let native = each[0].as_secs_f64().max(1e-9);
    each.into_iter().map(|each| (each, each.as_secs_f64() / native)).collect()
}

/// A call with one device, without its share of one with 1,000.
fn instance(rows: &[Row]) -> Duration {
    let times = times(rows);
    times[1].0.saturating_sub(times[SIZES.len()].0)
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn rate(each: Duration) -> f64 {
    1.0 / each.as_secs_f64().max(1e-9)
}

fn spec(settings: &Value) -> anyhow::Result<PluginSpec> {
    Ok(PluginSpec {
        name: "rules".parse()?,
        bytes: shipped::RULES.to_vec(),
        expected_digest: None,
        limits: Limits::default(),
        settings: settings.clone(),
        setup: Setup { profiles: vec![kiosk()?], ..Setup::default() },
        tables: BTreeMap::new(),
    })
}

fn context() -> anyhow::Result<Context> {
    Ok(Context {
        now: "2026-01-09T09:13:20Z".parse()?,
        utc_offset: jiff::tz::Offset::UTC,
        token: "emea".parse()?,
        profiles: vec![kiosk()?],
        defined: BTreeMap::new(),
        tables: Arc::default(),
    })
}

fn kiosk() -> anyhow::Result<ProfileName> {
    Ok("kiosk".parse()?)
}

/// As full as Apple's records are.
fn device(index: usize) -> anyhow::Result<Device> {
    let time = Some("2025-10-01T12:00:00Z".parse()?);
    let mut device = Device::new(format!("DMPXR{index:07}").parse()?);
    device.model = Some("iPad Air (5th generation)".to_owned());
    device.description = Some("IPAD AIR WI-FI 64GB SPACE GRAY-GBR".to_owned());
    device.color = Some("SPACE GRAY".to_owned());
    device.asset_tag = Some(format!("LIB-{index}"));
    device.os = Some("iPadOS".to_owned());
    device.device_family = Some("iPad".to_owned());
    device.profile_status = ProfileStatus::Assigned;
    device.profile_uuid = Some("7C1E88D0A4B94B6E9C3F2A5D6E7F8091".parse()?);
    device.profile_assign_time = time;
    device.device_assigned_by = Some("it@example.com".to_owned());
    device.device_assigned_date = time;
    device.extra.insert("wifi_mac".to_owned(), "00:11:22:33:44:55".to_owned());
    Ok(device)
}

/// The same as the rules see it.
fn view(device: &Device) -> native::Device {
    native::Device {
        serial_number: device.serial_number.to_string(),
        model: device.model.clone(),
        description: device.description.clone(),
        color: device.color.clone(),
        asset_tag: device.asset_tag.clone(),
        os: device.os.clone(),
        device_family: device.device_family.clone(),
        profile_status: native::ProfileStatus::Assigned,
        profile_uuid: device.profile_uuid.as_ref().map(ToString::to_string),
        current_profile: None,
        profile_assign_time: device.profile_assign_time.map(seconds),
        profile_push_time: device.profile_push_time.map(seconds),
        device_assigned_by: device.device_assigned_by.clone(),
        device_assigned_date: device.device_assigned_date.map(seconds),
        mdm_migration_deadline: None,
        is_replacement_device: None,
        imei: Vec::new(),
        meid: Vec::new(),
        eid: None,
        wifi_mac_address: None,
        bluetooth_mac_address: None,
        ethernet_mac_address: None,
        extra: device.extra.clone().into_iter().collect(),
    }
}

fn seconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_second()).unwrap_or(0)
}
