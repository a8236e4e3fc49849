//! `deputy plugin try`: what a policy says of devices, without a run and without consequences.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use domain::device::Device;
use domain::difference::{Said, Tally};
use domain::id::SerialNumber;
use domain::policy::{Question, Usage};
use domain::verdict::{Decision, Verdict};
use sandbox::{Answer, Line, Plugin, Trace};
use serde_json::{Value, json};

use super::devices::{Devices, From};
use super::other::{self, About};
use super::subject::{self, Subject, Told};
use crate::Common;
use crate::exit::{Exit, Outcome};
use crate::output::{bar, grouped, print, print_json, time};

/// What `deputy plugin try` takes.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The component file, or the name of a plugin in deputy.toml
    #[arg(value_name = "FILE|NAME")]
    plugin: PathBuf,
    #[command(flatten)]
    told: Told,
    #[command(flatten)]
    from: From,
    #[command(flatten)]
    about: About,
    /// Show every verdict, not only the first ones
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Show so many verdicts; the totals count all devices
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u64,
    /// Ask about each device alone, and show what each took
    #[arg(long)]
    alone: bool,
}

const EXAMPLES: &str = "\
Examples:
  deputy plugin try site-policy                       every device of the inventory
  deputy plugin try site-policy --serial C02ZQ1XAMD6T
  deputy plugin try policy.wasm --simulated 1000 --profile lab,standard --settings lab.toml
  deputy device list --limit 1000000 --json > devices.json
  deputy plugin try policy.wasm --devices devices.json --alone
  deputy plugin try policy.wasm --simulated 1000 --table assets=assets.csv
  deputy plugin try reminders                         who would hear about the tokens there are
  deputy plugin try reminders --tokens tokens.toml    about those in a file
  deputy plugin try guard                             what it says of the last plan
  deputy plugin try guard --plan plan.toml            of a plan in a file

Files of tokens and plans have `version = 1` and then [[tokens]] or [plan], with the keys of case files. Nothing is assigned and nothing is stored. Ends with 1 if the policy failed.";

/// Carries the command out.
pub(crate) async fn run(common: &Common, arguments: Arguments) -> Outcome {
    let config = subject::config(common)?;
    let subject = Subject::find(common, config.as_ref(), &arguments.plugin, &arguments.told)?;
    let plugin = subject.load(&subject::sandbox(config.as_ref())?)?;
    if arguments.about.question(&plugin) != Question::Assignment {
        return other::run(common, &arguments.about, &arguments.from, subject, plugin).await;
    }
    super::decides(&subject, &plugin)?;
    let devices = arguments.from.open(common).await?;
    let json = common.json;
    let work = move || show(json, &arguments, &subject, &plugin, devices);
    super::in_the_background(work).await
}

/// What was shown and counted so far.
#[derive(Default)]
struct Tried {
    said: Tally,
    faults: BTreeMap<Arc<str>, (u64, Option<SerialNumber>)>,
    usage: Usage,
    devices: u64,
    shown: Vec<Value>,
    log: Vec<Line>,
    traces: Vec<Trace>,
}

/// Of the plugin's log so many lines are kept.
const LINES: usize = 100;
/// So many ways in which it failed are shown.
const TRACES: usize = 3;

fn show(
    json: bool,
    arguments: &Arguments,
    subject: &Subject,
    plugin: &Plugin,
    mut devices: Devices,
) -> Outcome {
    let limit = if arguments.all { u64::MAX } else { arguments.limit };
    let width = subject.setup.profiles.iter().map(|name| "assign ".len() + name.as_str().len()).max();
    let width = width.unwrap_or(0).max("verdict".len());
    let head = if arguments.alone { format!("{:>9}  {:>9}  ", "FUEL", "TIME") } else { String::new() };
    let bar = bar(json, "deciding", devices.total);
    let (mut tried, surroundings) = (Tried::default(), subject.surroundings());
    while let Some(batch) = devices.next() {
        let batch = batch?;
        let context = devices.context(&batch.token, &surroundings);
        let size = if arguments.alone { 1 } else { batch.devices.len() };
        for devices in batch.devices.chunks(size) {
            let answer = plugin.answer_assignment(&context, devices);
            let cost = arguments.alone.then_some(answer.usage);
            for (device, verdict) in devices.iter().zip(&answer.answer) {
                if tried.devices < limit && json {
                    tried.shown.push(as_json(device, verdict, cost));
                } else if tried.devices < limit {
                    if tried.devices == 0 {
                        print(&format!("{:<14} {:<width$} {head}REASON", "SERIAL", "VERDICT"));
                    }
                    bar.suspend(|| print(&line(device, verdict, cost, width)));
                }
                tried.count(device, verdict);
            }
            tried.add(answer);
        }
        bar.set_position(tried.devices);
    }
    bar.finish_and_clear();
    if tried.devices == 0 {
        return Err(devices.none_found());
    }
    match json {
        true => print_json("tried", &tried.as_json(subject)),
        false => print(&tried.words(subject, &devices.origin, limit)),
    }
    Ok(if tried.faults.is_empty() { Exit::Success } else { Exit::Failure })
}

/// One device: what it comes to, and why.
fn line(device: &Device, verdict: &Verdict, cost: Option<Usage>, width: usize) -> String {
    let said = Said::of(verdict).to_string();
    let until = match verdict.decision {
        Decision::Hold { until: Some(until) } => format!(" (until {})", time(until)),
        _ => String::new(),
    };
    let cost = cost.map_or(String::new(), |usage| {
        format!("{:>9}  {:>6} µs  ", grouped(usage.fuel), grouped(usage.time.as_micros() as u64))
    });
    format!("{:<14} {said:<width$} {cost}{}{until}", device.serial_number, verdict.reason)
}

fn as_json(device: &Device, verdict: &Verdict, cost: Option<Usage>) -> Value {
    let mut value = json!({
        "serial_number": device.serial_number, "verdict": verdict.decision,
        "reason": &*verdict.reason, "fault": verdict.fault,
    });
    if let Some(usage) = cost {
        value["fuel"] = usage.fuel.into();
        value["micros"] = (usage.time.as_micros() as u64).into();
    }
    value
}

/// In words: how many devices it says what of.
pub(super) fn counted(said: &Tally) -> String {
    let said = said.by_size().into_iter().map(|(said, count)| format!("{} {said}", grouped(count)));
    said.collect::<Vec<_>>().join(", ")
}

/// The same as data.
pub(super) fn as_totals(said: &Tally) -> BTreeMap<String, u64> {
    said.by_size().into_iter().map(|(said, count)| (said.to_string(), count)).collect()
}

impl Tried {
    fn count(&mut self, device: &Device, verdict: &Verdict) {
        self.devices += 1;
        self.said.add(verdict);
        if verdict.fault {
            let first = || (0, Some(device.serial_number.clone()));
            self.faults.entry(verdict.reason.clone()).or_insert_with(first).0 += 1;
        }
    }

    fn add(&mut self, answer: Answer<Vec<Verdict>>) {
        self.usage += answer.usage;
        // A batch that fails is asked again in halves, and says the same again.
        for line in answer.log {
            if self.log.len() < LINES && !self.log.contains(&line) {
                self.log.push(line);
            }
        }
        for trace in answer.traces {
            if self.traces.len() < TRACES && !self.traces.contains(&trace) {
                self.traces.push(trace);
            }
        }
    }

    fn words(&self, subject: &Subject, origin: &str, limit: u64) -> String {
        let mut text = String::new();
        let hidden = self.devices.saturating_sub(limit);
        if hidden > 0 {
            text += &format!("… and {} more; `--all` shows them\n", grouped(hidden));
        }
        let things = if self.devices == 1 { "device" } else { "devices" };
        let calls = if self.usage.calls == 1 { "call" } else { "calls" };
        text += &format!(
            "\n{} of {} {things} ({origin}): {}\n{} fuel a device, in {} {calls}",
            subject.shown,
            grouped(self.devices),
            counted(&self.said),
            grouped(self.usage.fuel / self.devices.max(1)),
            grouped(self.usage.calls),
        );
        for (reason, (count, example)) in &self.faults {
            let example = example.as_ref().map_or(String::new(), |serial| format!(", such as {serial}"));
            text += &format!("\nfault: {reason}; {} held{example}", grouped(*count));
        }
        text + &other::from_within(&self.traces, &self.log)
    }

    fn as_json(&self, subject: &Subject) -> Value {
        let faults = self.faults.iter().map(|(reason, (devices, example))| {
            json!({ "reason": &**reason, "devices": devices, "example": example })
        });
        let traces: Vec<String> = self.traces.iter().map(ToString::to_string).collect();
        json!({
            "plugin": subject.shown, "devices": self.devices, "totals": as_totals(&self.said),
            "faults": faults.collect::<Vec<_>>(), "traces": traces,
            "log": other::log_as_json(&self.log),
            "fuel": self.usage.fuel, "calls": self.usage.calls,
            "micros": self.usage.time.as_micros() as u64, "verdicts": self.shown,
        })
    }
}
