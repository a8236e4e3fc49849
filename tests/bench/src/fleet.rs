//! A whole fleet through Deputy: every device into an empty store, then nothing new, then a few changes.
//!
//! Either the step `sync` alone, or the workflow of a first day: sync, decide in the sandbox, plan, assign, and
//! record every outcome. Beside them the baseline over the same pages, and of that the time its answers took
//! to come, which no client can go below.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use domain::run::Outcome;
use serde::{Deserialize, Serialize};

use crate::apple::{Apple, Play};
use crate::decode::{self, Decoded};
use crate::deputy::{self, Access, Step};
use crate::measure::{self, Meter, Part, Usage};
use crate::policy;
use crate::table::{Aim, Comparison, Row, count};

/// How many devices the last part finds changed.
const CHANGED: u64 = 100;

/// What both benchmarks over a fleet take.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many devices; several sizes with commas between
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000", value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    devices: Vec<u64>,
    /// How often each part is measured; the median counts
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How long Apple takes for every answer, in milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS")]
    latency: u64,
    /// The account's largest page [default: the simulator's, 1000]
    #[arg(long, value_name = "N")]
    page_limit: Option<usize>,
    /// Where the store is put for as long as this takes [default: the system's temporary folder]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Print the comparison as JSON
    #[arg(long)]
    json: bool,
}

/// What is done with the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Work {
    /// The step `sync` alone.
    Sync,
    /// All that gives every device its profile.
    Run,
}

/// One run over a store.
#[derive(Serialize, Deserialize)]
pub(crate) struct Job {
    work: Work,
    apple_url: String,
    store: PathBuf,
    /// Compiled policies.
    cache: PathBuf,
}

/// What the run came to.
#[derive(Serialize, Deserialize)]
pub(crate) struct Ran {
    added: u64,
    changed: u64,
    gone: u64,
    assigned: u64,
    usage: Usage,
    /// Its steps, and how many seconds each took.
    steps: Vec<(String, f64)>,
}

/// Does it, in this process.
pub(crate) fn run(job: Job) -> anyhow::Result<Ran> {
    // As many threads as the program `deputy` has.
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let meter = Meter::start();
        let policy = match job.work {
            Work::Sync => None,
            Work::Run => Some(policy::load(&job.cache)?),
        };
        let engine = deputy::engine(&job.store, &job.apple_url, policy).await?;
        let steps = deputy::run(&engine, job.work.workflow()).await?;
        drop(engine);
        let (usage, seconds) = (meter.read(), |step: &Step| (step.uses.to_owned(), step.seconds));
        let steps_took = steps.iter().map(seconds).collect();
        let mut ran = Ran { added: 0, changed: 0, gone: 0, assigned: 0, usage, steps: steps_took };
        for step in steps {
            match step.outcome {
                Outcome::Synced(synced) => {
                    (ran.added, ran.changed, ran.gone) = (synced.added, synced.changed, synced.gone);
                }
                Outcome::Applied(applied) => ran.assigned = applied.succeeded,
                _ => {}
            }
        }
        Ok(ran)
    })
}

/// Measures every size and prints the comparison.
pub(crate) async fn compare(work: Work, arguments: Arguments) -> anyhow::Result<()> {
    let mut comparison = Comparison::new(work.name(), arguments.latency, arguments.runs);
    for devices in &arguments.devices {
        let parts = measure_size(work, &arguments, *devices).await?;
        parts.report(work, *devices, arguments.latency, &mut comparison);
    }
    comparison.print(arguments.json)
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Run => "run",
        }
    }

    fn workflow(self) -> &'static str {
        match self {
            Self::Sync => "version = 1\nname = \"sync\"\n[[steps]]\nuses = \"sync\"\n",
            Self::Run => policy::WORKFLOW,
        }
    }
}

/// Every measurement of each part.
struct Parts {
    page_limit: u32,
    decode: Measured<Decoded>,
    first: Measured<Ran>,
    echo: Measured<Ran>,
    unchanged: Measured<Ran>,
    changed: Measured<Ran>,
}

async fn measure_size(work: Work, arguments: &Arguments, devices: u64) -> anyhow::Result<Parts> {
    let folder = arguments.folder.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::Builder::new().prefix("deputy-bench-").tempdir_in(&folder);
    let folder = folder.context("cannot make a temporary folder")?;
    let cache = folder.path().join("cache");
    if work == Work::Run {
        // Compiled once, as an operator's is; what is measured loads it.
        drop(policy::load(&cache)?);
    }
    let size = count(devices);
    let mut parts = Parts {
        page_limit: 0,
        decode: Measured(Vec::new()),
        first: Measured(Vec::new()),
        echo: Measured(Vec::new()),
        unchanged: Measured(Vec::new()),
        changed: Measured(Vec::new()),
    };
    for run in 1..=arguments.runs {
        let say = |part: &str, usage: &Usage| {
            eprintln!("{size} devices: run {run} of {}: {part} {:.3} s", arguments.runs, usage.seconds);
        };
        // Apple anew each time: a run leaves devices that have their profile.
        eprintln!("{size} devices: run {run} of {}: starting Apple", arguments.runs);
        let (page_limit, latency_ms) = (arguments.page_limit, arguments.latency);
        let apple = Apple::start(Play { devices, page_limit, latency_ms }).await?;
        let store = folder.path().join(format!("run-{run}.db"));
        let access = deputy::exchange(&store, &apple).await?;
        parts.page_limit = access.page_limit;

        let decoded: Decoded = measure::run(&Part::Decode(decode::Job { access: access.clone() })).await?;
        ensure!(decoded.devices == devices, "decode saw {} devices", decoded.devices);
        say("decode", &decoded.usage);
        parts.decode.0.push((decoded.usage, decoded.pages, decoded));

        let over = Over { work, apple: &apple, access: &access, store: &store, cache: &cache };
        let assigned = if work == Work::Run { devices } else { 0 };
        let first = over.ran(&Expected { added: devices, changed: 0, assigned }).await?;
        say(work.name(), &first.1.usage);
        parts.first.push(first);

        if work == Work::Run {
            let echo = over.ran(&Expected { added: 0, changed: 0, assigned: 0 }).await?;
            say("echo", &echo.1.usage);
            parts.echo.push(echo);
        }

        let unchanged = over.ran(&Expected { added: 0, changed: 0, assigned: 0 }).await?;
        say("unchanged", &unchanged.1.usage);
        parts.unchanged.push(unchanged);

        let changed = apple.change(CHANGED, &format!("BENCH-{run}")).await?;
        let assigned = if work == Work::Run { changed } else { 0 };
        let few = over.ran(&Expected { added: 0, changed, assigned }).await?;
        say("changed", &few.1.usage);
        parts.changed.push(few);
        std::fs::remove_file(&store).context("cannot remove the store of a run")?;
    }
    Ok(parts)
}

/// One store, and what is done over it.
struct Over<'a> {
    work: Work,
    apple: &'a Apple,
    access: &'a Access,
    store: &'a Path,
    cache: &'a Path,
}

/// What a run must come to, or it measures something else.
struct Expected {
    added: u64,
    changed: u64,
    assigned: u64,
}

impl Over<'_> {
    /// One run, and how many answers of Apple's it took.
    async fn ran(&self, expected: &Expected) -> anyhow::Result<(u64, Ran)> {
        let before = self.apple.calls().await?;
        let job = Job {
            work: self.work,
            apple_url: self.access.apple_url.clone(),
            store: self.store.to_owned(),
            cache: self.cache.to_owned(),
        };
        let ran: Ran = measure::run(&Part::Fleet(job)).await?;
        let Ran { added, changed, gone, assigned, .. } = ran;
        ensure!(
            (added, changed, gone, assigned) == (expected.added, expected.changed, 0, expected.assigned),
            "the run found {added} devices new, {changed} changed and {gone} gone, and assigned {assigned}"
        );
        Ok((self.apple.calls().await? - before, ran))
    }
}

impl Parts {
    fn report(self, work: Work, devices: u64, latency_ms: u64, comparison: &mut Comparison) {
        comparison.page_limit = self.page_limit;
        let (Some(decode), Some(first), Some(unchanged), Some(changed)) =
            (self.decode.median(), self.first.median(), self.unchanged.median(), self.changed.median())
        else {
            return;
        };
        let waited = Usage::of_time(decode.what.waited);
        let row = |part: &str, answers, usage: Usage, speed| Row {
            devices,
            part: part.to_owned(),
            answers: Some(answers),
            usage,
            devices_per_second: Some(devices).filter(|_| speed).map(|all| all as f64 / usage.seconds),
            ratio: usage.seconds / decode.usage.seconds,
        };
        comparison.rows.extend([
            row("download", decode.answers, waited, true),
            row("decode", decode.answers, decode.usage, true),
            row(work.name(), first.answers, first.usage, true),
        ]);
        if work == Work::Run {
            comparison.rows.extend(first.what.steps.iter().map(|(uses, seconds)| Row {
                answers: None,
                ..row(&format!("run: {uses}"), 0, Usage::of_time(*seconds), true)
            }));
        }
        let echo = self.echo.median();
        comparison.rows.extend(echo.as_ref().map(|echo| row("echo", echo.answers, echo.usage, true)));
        comparison.rows.extend([
            row("unchanged", unchanged.answers, unchanged.usage, false),
            row("changed", changed.answers, changed.usage, false),
        ]);

        let mut aim = |what, measured: Option<f64>, limit| {
            comparison.aims.extend(measured.map(|measured| Aim { devices, what, measured, limit }));
        };
        let ratio = first.usage.seconds / decode.usage.seconds;
        // What an answer takes by itself, times the answers there were.
        let own = waited.seconds / decode.answers as f64 * first.answers as f64;
        match (latency_ms, work) {
            (0, Work::Sync) => aim("sync: times the time of decode", Some(ratio), 1.5),
            (0, Work::Run) => aim("run: times the time of decode", Some(ratio), 3.0),
            (_, _) => aim("first: times its answers' own time", Some(first.usage.seconds / own), 1.05),
        }
        if work == Work::Run {
            let pages = decode.answers;
            // A page for each of the baseline's and the assignments; two more are fair.
            let fewest = pages + devices.div_ceil(ASSIGNED_AT_ONCE) + 2;
            aim(
                "run: answers beyond pages, assignments and two",
                Some(first.answers as f64 - fewest as f64),
                0.0,
            );
        }
        let echo = echo.and_then(|echo| echo.peak_mib);
        let peaks = [first.peak_mib, echo, unchanged.peak_mib, changed.peak_mib].into_iter().flatten();
        aim("all runs: MiB of memory", peaks.reduce(f64::max), 100.0);
        aim("changed: seconds of processor time", changed.usage.cpu_seconds, 1.0);
    }
}

/// Devices in an assignment, as the simulator's account allows.
const ASSIGNED_AT_ONCE: u64 = 1_000;

/// All measurements of a part: what it used, the answers it took, what it came to.
struct Measured<T>(Vec<(Usage, u64, T)>);

/// The one in the middle, and the most memory of any.
struct Median<T> {
    usage: Usage,
    answers: u64,
    what: T,
    peak_mib: Option<f64>,
}

impl Measured<Ran> {
    fn push(&mut self, (answers, ran): (u64, Ran)) {
        self.0.push((ran.usage, answers, ran));
    }
}

impl<T> Measured<T> {
    fn median(mut self) -> Option<Median<T>> {
        let peak_mib = self.0.iter().filter_map(|(usage, ..)| usage.peak_mib).reduce(f64::max);
        self.0.sort_by(|a, b| a.0.seconds.total_cmp(&b.0.seconds));
        let middle = self.0.len() / 2;
        let (usage, answers, what) = self.0.into_iter().nth(middle)?;
        Some(Median { usage, answers, what, peak_mib })
    }
}
