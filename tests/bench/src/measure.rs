//! Parts of a benchmark in processes of their own, and what each of them used.
//!
//! The program starts itself once more, writes the job to its standard input as a line of JSON, and
//! reads what came of it from its standard output in the same form. A part measures itself: time by the
//! clock, processor time and peak memory by what Linux keeps of the process; elsewhere those are unknown.

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::{apple, decode, fleet};

/// What runs in a process of its own.
#[derive(Serialize, Deserialize)]
pub(crate) enum Part {
    /// Apple.
    Apple(apple::Play),
    /// The baseline.
    Decode(decode::Job),
    /// Deputy.
    Fleet(fleet::Job),
}

/// What a part used.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// By the clock.
    pub(crate) seconds: f64,
    /// On all processors, in user and in kernel mode.
    pub(crate) cpu_seconds: Option<f64>,
    /// The most memory the process ever had resident.
    pub(crate) peak_mib: Option<f64>,
}

impl Usage {
    /// Where no more is known.
    pub(crate) fn of_time(seconds: f64) -> Self {
        Self { seconds, cpu_seconds: None, peak_mib: None }
    }
}

/// Carries out the part that standard input describes.
pub(crate) fn carry_out() -> anyhow::Result<()> {
    let mut job = String::new();
    std::io::stdin().read_line(&mut job).context("cannot read the job")?;
    match serde_json::from_str(&job).context("this is no job; `part` is for the program's own use")? {
        Part::Apple(play) => apple::play(play),
        Part::Decode(job) => answer(&decode::decode(job)?),
        Part::Fleet(job) => answer(&fleet::run(job)?),
    }
}

/// Tells whoever started this part something, in a line of JSON.
pub(crate) fn answer(value: &impl Serialize) -> anyhow::Result<()> {
    let line = serde_json::to_string(value)?;
    writeln!(std::io::stdout(), "{line}").context("nobody listens to this part any more")
}

/// A part that is going on. It ends when this is dropped.
pub(crate) struct Process {
    child: Child,
    /// The simulator lives as long as this is open.
    _input: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts a part.
    pub(crate) async fn start(part: &Part) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot tell which program this is")?;
        let mut command = Command::new(program);
        command.arg("part").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().context("cannot start a part of the benchmark")?;
        let (mut input, output) =
            child.stdin.take().zip(child.stdout.take()).context("a part has no pipes")?;
        let job = serde_json::to_string(part)? + "\n";
        input.write_all(job.as_bytes()).await.context("a part does not take its job")?;
        Ok(Self { child, _input: input, answers: BufReader::new(output).lines() })
    }

    /// Waits for what the part has to tell.
    pub(crate) async fn answer<T: DeserializeOwned>(&mut self) -> anyhow::Result<T> {
        match self.answers.next_line().await.context("cannot hear a part of the benchmark")? {
            Some(line) => serde_json::from_str(&line).context("a part says something else than expected"),
            None => {
                let status = self.child.wait().await.context("cannot tell how a part ended")?;
                bail!("a part of the benchmark broke off ({status}); why is said above")
            }
        }
    }
}

/// Runs a part to its end.
pub(crate) async fn run<T: DeserializeOwned>(part: &Part) -> anyhow::Result<T> {
    let mut process = Process::start(part).await?;
    let answer = process.answer().await?;
    process.child.wait().await.context("cannot tell how a part ended")?;
    Ok(answer)
}

/// Measures this process from now on.
pub(crate) struct Meter {
    began: Instant,
    cpu: Option<Duration>,
}

impl Meter {
    /// Begins.
    pub(crate) fn start() -> Self {
        Self { began: Instant::now(), cpu: own_cpu_time() }
    }

    /// What was used since; of memory, what the process ever had.
    pub(crate) fn read(&self) -> Usage {
        let cpu = own_cpu_time().zip(self.cpu).map(|(now, then)| now.saturating_sub(then));
        Usage {
            seconds: self.began.elapsed().as_secs_f64(),
            cpu_seconds: cpu.map(|time| time.as_secs_f64()),
            peak_mib: peak_mib(),
        }
    }
}

/// Processor time of all threads of a process, those that have ended too, from its `stat`. (proc_pid_stat(5); what
/// it counts in has been a hundredth of a second on every machine for long.)
pub(crate) fn cpu_time(stat: &str) -> Option<Duration> {
    // The program's name may hold anything, so counting begins after it.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks()? + ticks()?) * 10))
}

fn own_cpu_time() -> Option<Duration> {
    cpu_time(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// (proc_pid_status(5): "Peak resident set size".)
fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u32 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(f64::from(kib) / 1024.0)
}
