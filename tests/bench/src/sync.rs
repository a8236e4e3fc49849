//! Sync alone: every device into an empty store, then nothing new, then a few changes.
//!
//! Beside it the baseline over the same pages, and of that the time its answers took to come, which no
//! client can go below.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use domain::run::{Outcome, Synced};
use serde::{Deserialize, Serialize};

use crate::apple::{Apple, Play};
use crate::decode::{self, Decoded};
use crate::deputy::{self, Access};
use crate::measure::{self, Meter, Part, Usage};
use crate::table::{Aim, Comparison, Row, count};

/// The whole workflow.
const WORKFLOW: &str = "version = 1\nname = \"sync\"\n[[steps]]\nuses = \"sync\"\n";
/// How many devices the last part finds changed.
const CHANGED: u64 = 100;

/// Fetch every device into an empty store, then only what changed
///
/// For each size, one after the other:
///
///   download   the pages of all devices: how long their answers took
///   decode     the baseline: the same, and each page decoded into Apple's complete device
///              type; one thread, one connection, nothing kept
///   sync       Deputy's own `sync` step into an empty store on disk, from opening the store
///              to closing it
///   unchanged  the same once more; nothing has changed
///   changed    the same once more; 100 devices have changed
///
/// RATIO is the time beside that of decode. CPU S is processor time on all cores, PEAK MIB the
/// most memory the process had resident; `-` where the system does not tell.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// How many devices; several sizes with commas between
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000", value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    devices: Vec<u64>,
    /// How often each part is measured; the fastest counts
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
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

/// One run over a store.
#[derive(Serialize, Deserialize)]
pub(crate) struct Job {
    apple_url: String,
    store: PathBuf,
}

/// What the run came to.
#[derive(Serialize, Deserialize)]
pub(crate) struct Ran {
    synced: Synced,
    usage: Usage,
}

/// Does it, in this process.
pub(crate) fn sync(job: Job) -> anyhow::Result<Ran> {
    // As many threads as the program `deputy` has.
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let meter = Meter::start();
        let engine = deputy::engine(&job.store, &job.apple_url).await?;
        let outcomes = deputy::run(&engine, WORKFLOW).await?;
        drop(engine);
        let usage = meter.read();
        match <[Outcome; 1]>::try_from(outcomes) {
            Ok([Outcome::Synced(synced)]) => Ok(Ran { synced, usage }),
            other => bail!("the run did something else than sync: {other:?}"),
        }
    })
}

/// Measures every size and prints the comparison.
pub(crate) async fn compare(arguments: Arguments) -> anyhow::Result<()> {
    let mut comparison = Comparison::new("sync", arguments.latency, arguments.runs);
    for devices in &arguments.devices {
        let parts = measure_size(&arguments, *devices).await?;
        parts.report(*devices, arguments.latency, &mut comparison);
    }
    comparison.print(arguments.json)
}

/// The fastest of each part.
struct Parts {
    page_limit: u32,
    decode: Fastest<Decoded>,
    sync: Fastest<Ran>,
    unchanged: Fastest<Ran>,
    changed: Fastest<Ran>,
}

async fn measure_size(arguments: &Arguments, devices: u64) -> anyhow::Result<Parts> {
    let folder = arguments.folder.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::Builder::new().prefix("deputy-bench-").tempdir_in(&folder);
    let folder = folder.context("cannot make a temporary folder")?;
    let size = count(devices);
    eprintln!("{size} devices: starting Apple");
    let (page_limit, latency_ms) = (arguments.page_limit, arguments.latency);
    let apple = Apple::start(Play { devices, page_limit, latency_ms }).await?;
    let empty = folder.path().join("empty.db");
    let access = deputy::exchange(&empty, &apple).await?;

    let mut parts = Parts {
        page_limit: access.page_limit,
        decode: Fastest::new(),
        sync: Fastest::new(),
        unchanged: Fastest::new(),
        changed: Fastest::new(),
    };
    for run in 1..=arguments.runs {
        let say = |part: &str, usage: &Usage| {
            eprintln!("{size} devices: run {run} of {}: {part} {:.3} s", arguments.runs, usage.seconds);
        };
        let decoded: Decoded = measure::run(&Part::Decode(decode::Job { access: access.clone() })).await?;
        ensure!(decoded.devices == devices, "decode saw {} devices", decoded.devices);
        say("decode", &decoded.usage);
        parts.decode.take(decoded.usage, decoded);

        // The token is exchanged once: a new one would end the one before.
        let store = folder.path().join(format!("run-{run}.db"));
        std::fs::copy(&empty, &store).context("cannot copy the empty store")?;
        let ran = ran(&store, &access, &Expected { new: devices, changed: 0 }).await?;
        say("sync", &ran.usage);
        parts.sync.take(ran.usage, ran);

        let ran = self::ran(&store, &access, &Expected { new: 0, changed: 0 }).await?;
        say("unchanged", &ran.usage);
        parts.unchanged.take(ran.usage, ran);

        let changed = apple.change(CHANGED, &format!("BENCH-{run}")).await?;
        let ran = self::ran(&store, &access, &Expected { new: 0, changed }).await?;
        say("changed", &ran.usage);
        parts.changed.take(ran.usage, ran);
        std::fs::remove_file(&store).context("cannot remove the store of a run")?;
    }
    Ok(parts)
}

/// What a run must come to, or it measures something else.
struct Expected {
    new: u64,
    changed: u64,
}

async fn ran(store: &Path, access: &Access, expected: &Expected) -> anyhow::Result<Ran> {
    let job = Job { apple_url: access.apple_url.clone(), store: store.to_owned() };
    let ran: Ran = measure::run(&Part::Sync(job)).await?;
    let Synced { added, changed, gone, .. } = ran.synced;
    ensure!(
        (added, changed, gone) == (expected.new, expected.changed, 0),
        "the run found {added} devices new, {changed} changed and {gone} gone"
    );
    Ok(ran)
}

impl Parts {
    fn report(self, devices: u64, latency_ms: u64, comparison: &mut Comparison) {
        comparison.page_limit = self.page_limit;
        let (Some(decode), Some(sync), Some(unchanged), Some(changed)) =
            (self.decode.0, self.sync.0, self.unchanged.0, self.changed.0)
        else {
            return;
        };
        let waited = Usage { seconds: decode.1.waited, cpu_seconds: None, peak_mib: None };
        let row = |part, answers, usage, speed| Row {
            devices,
            part,
            answers,
            usage,
            devices_per_second: Some(devices).filter(|_| speed).map(|all| all as f64 / usage.seconds),
            ratio: usage.seconds / decode.0.seconds,
        };
        let all = [sync.0, unchanged.0, changed.0];
        comparison.rows.extend([
            row("download", decode.1.pages, waited, true),
            row("decode", decode.1.pages, decode.0, true),
            row("sync", sync.1.synced.pages, sync.0, true),
            row("unchanged", unchanged.1.synced.pages, unchanged.0, false),
            row("changed", changed.1.synced.pages, changed.0, false),
        ]);

        let mut aim = |what, measured: Option<f64>, limit| {
            comparison.aims.extend(measured.map(|measured| Aim { devices, what, measured, limit }));
        };
        if latency_ms == 0 {
            aim("sync: times the time of decode", Some(sync.0.seconds / decode.0.seconds), 1.5);
        } else {
            // Of the answers sync asks for, one tells that nothing came after the last page.
            let own = waited.seconds / decode.1.pages as f64 * sync.1.synced.pages as f64;
            aim("sync: times its answers' own time", Some(sync.0.seconds / own), 1.05);
        }
        let peaks = all.iter().filter_map(|usage| usage.peak_mib);
        aim("sync, unchanged, changed: MiB of memory", peaks.reduce(f64::max), 100.0);
        aim("changed: seconds of processor time", changed.0.cpu_seconds, 1.0);
    }
}

/// The fastest of several.
struct Fastest<T>(Option<(Usage, T)>);

impl<T> Fastest<T> {
    fn new() -> Self {
        Self(None)
    }

    fn take(&mut self, usage: Usage, what: T) {
        if self.0.as_ref().is_none_or(|(best, _)| usage.seconds < best.seconds) {
            self.0 = Some((usage, what));
        }
    }
}
