//! `deputy plugin bench`: how fast a policy decides, and what a call costs whatever it is about.
//!
//! Times differ between machines and minutes, so each is told beside another of the same run; fuel is the
//! same everywhere. Every call is a fresh instance, as in a run.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use domain::device::Device;
use domain::verdict::Context;
use sandbox::Plugin;
use serde_json::{Value, json};

use super::devices::From;
use super::subject::{self, Subject, Told};
use crate::Common;
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{bar, grouped, print, print_json};

/// What `deputy plugin bench` takes.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The component file, or the name of a plugin in deputy.toml
    #[arg(value_name = "FILE|NAME")]
    plugin: PathBuf,
    #[command(flatten)]
    told: Told,
    /// Devices of a file, as `deputy plugin try` takes them [default: 1,000 simulated ones]
    #[arg(long, value_name = "FILE")]
    devices: Option<PathBuf>,
    /// How often each is measured; the median counts
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    runs: u32,
}

const EXAMPLES: &str = "\
Examples:
  deputy plugin bench policy.wasm
  deputy plugin bench site-policy --runs 21 --json

RATIO is the rate beside that of the largest batch. A run asks in batches of 1,000, so the last line is what
counts there. Close what else keeps the machine busy; fuel does not depend on that.";

/// The batches that are measured.
const SIZES: [usize; 4] = [1, 10, 100, 1_000];
/// How many calls a measurement takes at least: a single one is mostly chance.
const CALLS: usize = 20;

/// One size of batch.
struct Row {
    size: usize,
    /// Of each measurement, the time for one device.
    each: Vec<Duration>,
    fuel: u64,
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, arguments: Arguments) -> Outcome {
    let config = subject::config(common)?;
    let subject = Subject::find(common, config.as_ref(), &arguments.plugin, &arguments.told)?;
    let from = From::saved_or_simulated(arguments.devices.clone(), SIZES[SIZES.len() - 1] as u64);
    let devices = from.open(common).await?;
    let json = common.json;
    super::in_the_background(move || {
        let mut devices = devices;
        let first = devices.next().ok_or_else(|| devices.none_found())??;
        let context = devices.context(&first.token, &subject.surroundings());
        measure(json, &subject, &context, &first.devices, arguments.runs)
    })
    .await
}

fn measure(json: bool, subject: &Subject, context: &Context, devices: &[Device], runs: u32) -> Outcome {
    let failed = |error: String| Problem::new(Exit::Failure, error);
    let folder = tempfile::tempdir().map_err(|error| failed(format!("no temporary folder: {error}")))?;
    let sandbox =
        crate::app::sandbox(Some(folder.path().to_owned())).map_err(|error| failed(error.to_string()))?;
    let began = Instant::now();
    let plugin = subject.load(&sandbox)?;
    let compiled = began.elapsed();
    super::decides(subject, &plugin)?;

    // As many as the largest batch, whatever there is.
    let devices: Vec<Device> = devices.iter().cycle().take(SIZES[SIZES.len() - 1]).cloned().collect();
    let mut rows: Vec<Row> =
        SIZES.iter().map(|size| Row { size: *size, each: Vec::new(), fuel: 0 }).collect();
    let mut cached = Vec::new();
    let bar = bar(json, "measuring", Some(u64::from(runs)));
    // All sizes in turn, so that what else the machine does is shared by all of them.
    for _ in 0..runs {
        let began = Instant::now();
        subject.load(&sandbox)?;
        cached.push(began.elapsed());
        for row in &mut rows {
            ask(&plugin, context, &devices, row).map_err(|fault| {
                failed(format!("{} cannot be measured: it fails: {fault}", subject.shown))
                    .hint("`deputy plugin try` shows on which devices")
            })?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let found = Found { compiled, cached: median(&mut cached), rows };
    match json {
        true => print_json("bench", &found.as_json(subject)),
        false => print(&found.words(subject)),
    }
    Ok(Exit::Success)
}

fn ask(plugin: &Plugin, context: &Context, devices: &[Device], row: &mut Row) -> Result<(), String> {
    let (began, mut asked) = (Instant::now(), 0);
    for batch in devices.chunks(row.size).cycle().take(CALLS) {
        let answer = plugin.answer_assignment(context, batch);
        if let Some(verdict) = answer.answer.iter().find(|verdict| verdict.fault) {
            return Err(verdict.reason.to_string());
        }
        asked += batch.len();
        row.fuel = answer.usage.fuel / batch.len() as u64;
    }
    row.each.push(began.elapsed() / asked as u32);
    Ok(())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// What was measured.
struct Found {
    compiled: Duration,
    cached: Duration,
    rows: Vec<Row>,
}

impl Found {
    /// Of each size, the time for a device.
    fn each(&self) -> Vec<Duration> {
        self.rows.iter().map(|row| median(&mut row.each.clone())).collect()
    }

    /// What a call costs whatever it is about: one with one device, without its share of a large one.
    fn instance(&self) -> Duration {
        let each = self.each();
        each[0].saturating_sub(each[each.len() - 1])
    }

    fn words(&self, subject: &Subject) -> String {
        let each = self.each();
        let best = each[each.len() - 1].as_secs_f64();
        let mut text = format!(
            "{}: {} bytes\n  load      {:.1?} compiled, {:.1?} from the cache\n  a call    {:.1?} for a fresh instance and its settings\n\n{:>6}  {:>12}  {:>10}  {:>11}  {:>6}",
            subject.shown,
            grouped(subject.bytes.len() as u64),
            self.compiled,
            self.cached,
            self.instance(),
            "BATCH",
            "DECISIONS/S",
            "EACH",
            "FUEL EACH",
            "RATIO",
        );
        for (row, each) in self.rows.iter().zip(each) {
            text += &format!(
                "\n{:>6}  {:>12}  {:>10}  {:>11}  {:>6.2}",
                grouped(row.size as u64),
                grouped(rate(each) as u64),
                format!("{each:.1?}"),
                grouped(row.fuel),
                best / each.as_secs_f64().max(f64::MIN_POSITIVE),
            );
        }
        text += "\n\nRATIO is the rate beside that in batches of 1,000, in which a run asks: what a call costs by itself is shared.";
        text
    }

    fn as_json(&self, subject: &Subject) -> Value {
        let each = self.each();
        let best = each[each.len() - 1].as_secs_f64();
        let rows = self.rows.iter().zip(&each).map(|(row, each)| {
            json!({
                "batch": row.size, "decisions_per_second": rate(*each), "nanos_per_device": each.as_nanos() as u64,
                "fuel_per_device": row.fuel, "ratio": best / each.as_secs_f64().max(f64::MIN_POSITIVE),
            })
        });
        json!({
            "plugin": subject.shown, "bytes": subject.bytes.len(),
            "compiled_micros": self.compiled.as_micros() as u64, "cached_micros": self.cached.as_micros() as u64,
            "instance_micros": self.instance().as_micros() as u64, "batches": rows.collect::<Vec<_>>(),
        })
    }
}

fn rate(each: Duration) -> f64 {
    1.0 / each.as_secs_f64().max(f64::MIN_POSITIVE)
}
