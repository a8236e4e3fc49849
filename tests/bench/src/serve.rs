//! The daemon when nothing happens: how soon it serves, and what it costs while it waits.
//!
//! Measured is the program `deputy` itself, in the folder that `deputy init` writes, with ten plugins more. Their
//! components are the shipped rules ten times, each with a section that makes it a file of its own, so that each
//! has its own compiled code in the cache.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use domain::id::Digest;
use serde_json::json;

use crate::table::{Aim, aims, dash, table};

/// Start the daemon with ten cached plugins, and watch it idle
///
/// `deputy init` writes a folder, ten plugins are added to it, and one start compiles them. Then `deputy serve`
/// is started again and again: SECONDS is the time until it says that it serves. The last one is watched while
/// nothing is due: its processor time, how often it woke up, and its resident memory.
///
/// Measured is the program `deputy` beside this one: build both with `cargo build --release`.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// How often it is started; the median counts
    #[arg(long, default_value_t = 11, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    runs: u32,
    /// For how many seconds it is watched
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    idle: u64,
    /// The program [default: `deputy` beside this one]
    #[arg(long, value_name = "FILE")]
    deputy: Option<PathBuf>,
    /// Print the comparison as JSON
    #[arg(long)]
    json: bool,
}

/// How many plugins it has.
const PLUGINS: usize = 10;
/// What it says when it serves.
const SERVES: &str = "serving;";

/// Measures and prints.
pub(crate) fn compare(arguments: &Arguments) -> anyhow::Result<()> {
    let deputy = match &arguments.deputy {
        Some(deputy) => deputy.clone(),
        None => std::env::current_exe()
            .context("this program does not know its own file")?
            .with_file_name("deputy"),
    };
    ensure!(
        deputy.is_file(),
        "there is no program {}\nhint: `cargo build --release` makes it, `--deputy FILE` names another",
        deputy.display()
    );
    let folder = tempfile::Builder::new().prefix("deputy-bench-").tempdir();
    let folder = folder.context("cannot make a temporary folder")?;
    let home = folder.path().join("home");
    set_up(&deputy, &home)?;

    let (_, compiling) = Daemon::start(&deputy, &home)?;
    let mut starts = Vec::new();
    for run in 1..=arguments.runs {
        let (daemon, start) = Daemon::start(&deputy, &home)?;
        eprintln!("start {run} of {}: {:.3} s", arguments.runs, start.as_secs_f64());
        daemon.stop()?;
        starts.push(start);
    }
    starts.sort_unstable();
    let start = starts[starts.len() / 2];

    let (daemon, _) = Daemon::start(&deputy, &home)?;
    eprintln!("watching it for {} s", arguments.idle);
    let before = daemon.seen()?;
    std::thread::sleep(Duration::from_secs(arguments.idle));
    let after = daemon.seen()?;
    daemon.stop()?;
    let idle = Idle {
        seconds: arguments.idle,
        cpu: (after.cpu - before.cpu).as_secs_f64(),
        wakeups: after.wakeups.saturating_sub(before.wakeups),
        resident_mib: after.resident_mib,
    };
    print(arguments, compiling, start, &idle)
}

/// What an idle daemon used.
struct Idle {
    seconds: u64,
    cpu: f64,
    wakeups: u64,
    resident_mib: f64,
}

fn print(arguments: &Arguments, compiling: Duration, start: Duration, idle: &Idle) -> anyhow::Result<()> {
    let Idle { seconds, cpu, wakeups, resident_mib } = idle;
    let aim = |what, measured, limit| Aim { devices: 0, what, measured, limit };
    let all = [
        aim("start with ten cached plugins: seconds", start.as_secs_f64(), 0.15),
        aim("idle: MiB resident", *resident_mib, 40.0),
        // Somebody who waits busily has used all of it.
        aim("idle: processor time, of all the time", cpu / *seconds as f64, 0.01),
    ];
    let text = if arguments.json {
        let value = json!({
            "version": 1,
            "benchmark": "serve",
            "runs": arguments.runs,
            "compiling_seconds": compiling.as_secs_f64(),
            "start_seconds": start.as_secs_f64(),
            "idle": {
                "seconds": seconds, "cpu_seconds": cpu, "wakeups": wakeups, "resident_mib": resident_mib,
            },
            "aims": all.iter().map(Aim::json).collect::<Vec<_>>(),
        });
        format!("{value:#}")
    } else {
        let rows = [
            [
                "first start, compiling".to_owned(),
                format!("{:.3}", compiling.as_secs_f64()),
                dash(),
                dash(),
                dash(),
            ],
            ["start".to_owned(), format!("{:.3}", start.as_secs_f64()), dash(), dash(), dash()],
            [
                "idle".to_owned(),
                seconds.to_string(),
                format!("{cpu:.2}"),
                wakeups.to_string(),
                format!("{resident_mib:.1}"),
            ],
        ];
        let measured = table(["part", "seconds", "cpu s", "wake-ups", "MiB"], rows.into_iter());
        format!(
            "serve: {PLUGINS} plugins more, median of {} starts\n\n{measured}\n\n{}",
            arguments.runs,
            aims(&all)
        )
    };
    writeln!(std::io::stdout(), "{text}").context("cannot print the comparison")
}

/// A folder that serves, with ten plugins more and nothing that is due.
fn set_up(deputy: &Path, home: &Path) -> anyhow::Result<()> {
    let made = Command::new(deputy).arg("init").arg(home).stdout(Stdio::null()).status();
    ensure!(made.context("the program does not start")?.success(), "`deputy init` failed");
    let path = home.join("deputy.toml");
    let mut config = std::fs::read_to_string(&path).context("`deputy init` wrote no deputy.toml")?;
    for number in 0..PLUGINS {
        let component = distinct(number);
        let file = format!("plugins/copy-{number}.wasm");
        std::fs::write(home.join(&file), &component).context("cannot write a component")?;
        let digest = Digest::of(&component);
        config += &format!(
            "\n[plugins.copy-{number}]\npath = \"{file}\"\nsha256 = \"{}\"\nsettings = {{ default = {{ assign = \"standard\" }} }}\n",
            digest.as_str()
        );
    }
    std::fs::write(&path, config).context("cannot write deputy.toml")?;
    // A schedule that comes while it is watched would be work.
    for workflow in std::fs::read_dir(home.join("workflows")).context("`deputy init` wrote no workflows")? {
        let path = workflow?.path();
        let text = std::fs::read_to_string(&path)?;
        let never =
            text.lines().map(|line| if line.starts_with("cron = ") { "cron = \"0 0 1 1 *\"" } else { line });
        std::fs::write(&path, never.collect::<Vec<_>>().join("\n"))?;
    }
    Ok(())
}

/// The shipped rules, and behind them a section of our own, which means nothing. (WebAssembly, "Custom Section".)
fn distinct(number: usize) -> Vec<u8> {
    let mut component = shipped::RULES.to_vec();
    let name = format!("copy-{number}");
    let name = name.as_bytes();
    component.extend([0, name.len() as u8 + 1, name.len() as u8]);
    component.extend(name);
    component
}

/// `deputy serve`, as long as this lives.
struct Daemon {
    child: Child,
}

/// What the system keeps of it.
struct Seen {
    cpu: Duration,
    wakeups: u64,
    resident_mib: f64,
}

impl Daemon {
    /// Starts it and waits until it serves: that took so long.
    fn start(deputy: &Path, home: &Path) -> anyhow::Result<(Self, Duration)> {
        let began = Instant::now();
        let mut command = Command::new(deputy);
        command.arg("serve").current_dir(home).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn().context("the program does not start")?;
        let mut daemon = Self { child };
        let output = daemon.child.stderr.take().context("the daemon has no standard error")?;
        let mut lines = BufReader::new(output).lines();
        let mut said = String::new();
        for line in lines.by_ref() {
            let line = line.context("cannot hear the daemon")?;
            if line.contains(SERVES) {
                let took = began.elapsed();
                // It is heard on, so that it never waits for a full pipe.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok((daemon, took));
            }
            said += &line;
            said.push('\n');
        }
        bail!("the daemon ended before it served:\n{said}")
    }

    fn seen(&self) -> anyhow::Result<Seen> {
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let read = |path: PathBuf| {
            std::fs::read_to_string(&path).with_context(|| format!("this system has no {}", path.display()))
        };
        let stat = read(process.join("stat"))?;
        let mut wakeups = 0;
        for thread in std::fs::read_dir(process.join("task"))? {
            wakeups += field(&read(thread?.path().join("status"))?, "voluntary_ctxt_switches:")?;
        }
        let resident = field(&read(process.join("status"))?, "VmRSS:")?;
        Ok(Seen {
            cpu: crate::measure::cpu_time(&stat).context("the system does not tell processor times")?,
            wakeups,
            resident_mib: resident as f64 / 1024.0,
        })
    }

    /// As systemd does it.
    fn stop(mut self) -> anyhow::Result<()> {
        let told = Command::new("kill").arg(self.child.id().to_string()).status();
        ensure!(told.context("cannot tell the daemon to stop")?.success(), "the daemon cannot be stopped");
        let ended = self.child.wait().context("cannot tell how the daemon ended")?;
        ensure!(ended.success(), "the daemon ended with {ended}");
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has ended already if it was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A number from a file of /proc. (proc_pid_status(5).)
fn field(status: &str, name: &str) -> anyhow::Result<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    let value = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
    value.with_context(|| format!("the system does not tell {name}"))
}
