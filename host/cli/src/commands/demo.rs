//! `deputy demo`: the whole loop against a simulated Apple, told as a story.
//!
//! Nothing in it is staged: it types commands of this very program into a new folder, shows what
//! they print, and checks at the simulator that what they say is true.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sim::{ServerOptions, SimHandle, TokenOptions};

use crate::exit::{Exit, Outcome, Problem};

/// What `deputy demo` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leave the simulator running until Ctrl-C, to go on by hand
    #[arg(long)]
    keep: bool,
    /// The folder to work in; it must not be there [default: a new one called deputy-demo]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

const SERVER: &str = "Orchard MDM";
const DEVICES: usize = 2_000;
const ARRIVALS: usize = 25;
/// The demo's own patience; a run takes a second or two.
const PATIENCE: Duration = Duration::from_secs(45);

/// Carries the command out.
pub(crate) async fn run(arguments: &Arguments) -> Outcome {
    let folder = match &arguments.dir {
        Some(folder) if folder.exists() => {
            return Err(Problem::usage(format!("{} is there already", folder.display()))
                .hint("name a folder that is not: `deputy demo --dir DIR`"));
        }
        Some(folder) => folder.clone(),
        None => free_folder(),
    };
    let keep = arguments.keep;
    let told = tokio::task::spawn_blocking(move || Demo::new(folder)?.tell(keep)).await;
    told.map_err(|error| Problem::new(Exit::Failure, format!("the demo broke off: {error}")))?
}

struct Demo {
    folder: PathBuf,
    apple: SimHandle,
    program: PathBuf,
}

impl Demo {
    fn new(folder: PathBuf) -> Outcome<Self> {
        let apple = SimHandle::start(sim::Options::default())
            .map_err(|error| Problem::new(Exit::Failure, format!("the simulator does not start: {error}")))?;
        let program = std::env::current_exe()
            .map_err(|error| Problem::new(Exit::Failure, format!("where this program is: {error}")))?;
        Ok(Self { folder, apple, program })
    }

    fn tell(&self, keep: bool) -> Outcome {
        let began = Instant::now();
        say("1. An Apple of our own");
        let server =
            ServerOptions { org_name: Some("Orchard Tools Ltd".to_owned()), ..ServerOptions::new(SERVER) };
        self.apple.create_server(server);
        self.apple.generate_devices(SERVER, DEVICES, 7).map_err(sim_failed)?;
        tell(&format!(
            "A simulator of Apple's service listens at {}, with {DEVICES} devices.",
            self.apple.url()
        ));

        say("2. A configuration, and the token exchange with Apple's portal");
        let folder = self.folder.display().to_string();
        self.show(&["init", &folder, "--token", "demo", "--apple-url", &self.apple.url()], None)?;
        self.quicken()?;
        self.deputy(&["token", "request", "demo"])?;
        self.download_token()?;
        self.deputy(&["token", "import", "demo", "token.p7m"])?;

        say("3. Three enrolment profiles");
        self.deputy(&["profile", "push"])?;

        say("4. What a run would do");
        self.deputy(&["plan", "auto-assign", "--actions", "3"])?;

        say("5. Doing it");
        self.deputy(&["run", "auto-assign"])?;
        self.check_every_device(DEVICES)?;
        self.deputy(&["run", "auto-assign"])?;
        tell("The second run had nothing to do, and sent nothing.");

        say("6. Devices arrive, and the schedule picks them up");
        self.arrivals()?;

        say("7. The token runs out in nine days");
        self.reminder()?;

        say("8. Why has this device this profile?");
        let serial = self.apple.devices(SERVER).map_err(sim_failed)?[0].serial_number.to_string();
        self.deputy(&["device", "explain", &serial])?;

        println!(
            "\nThat took {:.1} seconds. The configuration is in {folder}.",
            began.elapsed().as_secs_f32()
        );
        if keep {
            println!(
                "The simulator stays at {} until Ctrl-C. In another terminal, type\n  cd {folder} && {} status",
                self.apple.url(),
                self.shown()
            );
            wait_for_interrupt();
        } else {
            println!("Look at it: cd {folder} && {} device list", self.shown());
            println!("The simulator has ended; `deputy demo --keep` leaves it running to go on by hand.");
        }
        Ok(Exit::Success)
    }

    /// In the demo the schedule must not take a quarter of an hour.
    fn quicken(&self) -> Outcome<()> {
        let file = self.folder.join("workflows/auto-assign.toml");
        let text = std::fs::read_to_string(&file).map_err(|error| Problem::file("read", &file, &error))?;
        let text = text.replace("cron = \"*/15 * * * *\"", "cron = \"*/2 * * * * *\"");
        std::fs::write(&file, text).map_err(|error| Problem::file("write", &file, &error))?;
        tell("(For this demo auto-assign runs every two seconds, not every quarter of an hour.)");
        Ok(())
    }

    /// The one step Apple leaves to a person.
    fn download_token(&self) -> Outcome<()> {
        let certificate = self.folder.join("demo.pem");
        let pem = std::fs::read(&certificate).map_err(|error| Problem::file("read", &certificate, &error))?;
        let in_nine_days = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(9 * 24 + 1);
        let options = TokenOptions { expires: Some(in_nine_days), ..TokenOptions::default() };
        let token = self.apple.token(SERVER, &pem, &options).map_err(sim_failed)?;
        let file = self.folder.join("token.p7m");
        std::fs::write(&file, &token.content).map_err(|error| Problem::file("write", &file, &error))?;
        tell(&format!("The portal takes the certificate and gives {}, here token.p7m.", token.file_name));
        Ok(())
    }

    /// Asks the simulator, not Deputy, which profile each device has, and works out from the
    /// device's own fields which it should have.
    fn check_every_device(&self, expected: usize) -> Outcome<()> {
        let profiles = self.apple.profiles(SERVER).map_err(sim_failed)?;
        let title = |uuid: &str| {
            let profile = profiles.iter().find(|profile| *profile.profile_uuid == *uuid);
            profile.and_then(|profile| profile.content["profile_name"].as_str()).unwrap_or("none").to_owned()
        };
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for device in self.apple.devices(SERVER).map_err(sim_failed)? {
            let has = device.profile_uuid.as_deref().map_or("none".to_owned(), title);
            let tag = device.asset_tag.as_deref().unwrap_or_default();
            let should = match device.device_family.as_deref() {
                Some("Mac") if tag.starts_with("EXEC-") => "Executive Mac",
                Some("iPad") if tag.starts_with("LIB-") => "Lab iPad",
                _ => "Standard",
            };
            if has != should {
                let message = format!("{} has {has} at Apple and should have {should}", device.serial_number);
                return Err(Problem::new(Exit::Failure, message));
            }
            *counts.entry(has).or_default() += 1;
        }
        let all: usize = counts.values().sum();
        let list: Vec<String> = counts.iter().map(|(title, count)| format!("{title} {count}")).collect();
        if all != expected {
            return Err(Problem::new(Exit::Failure, format!("{all} devices at Apple, {expected} expected")));
        }
        tell(&format!(
            "Asked at Apple, all {all} devices have the profile the rules say: {}.",
            list.join(", ")
        ));
        Ok(())
    }

    fn arrivals(&self) -> Outcome<()> {
        tell("$ deputy serve &");
        let log = self.folder.join("serve.log");
        let file = std::fs::File::create(&log).map_err(|error| Problem::file("write", &log, &error))?;
        let mut daemon = Command::new(&self.program)
            .arg("serve")
            .current_dir(&self.folder)
            .env_remove("DEPUTY_CONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .map_err(|error| Problem::new(Exit::Failure, format!("cannot start the daemon: {error}")))?;
        let picked_up = self.await_arrivals();
        // Ends the daemon cleanly, whatever came of it.
        let _ = Command::new("kill").arg("-TERM").arg(daemon.id().to_string()).status();
        let ended = daemon.wait();
        picked_up?;
        match ended {
            Ok(status) if status.success() => {}
            _ => {
                return Err(Problem::new(
                    Exit::Failure,
                    format!("the daemon did not end well; see {}", log.display()),
                ));
            }
        }
        tell("Stopped with SIGTERM, and it ended cleanly.");
        self.check_every_device(DEVICES + ARRIVALS)?;
        self.deputy(&["runs", "list", "--limit", "3"])
    }

    fn await_arrivals(&self) -> Outcome<()> {
        let serials = self.apple.generate_devices(SERVER, ARRIVALS, 8).map_err(sim_failed)?;
        tell(&format!("{ARRIVALS} new devices reach the server. Nobody types anything."));
        let began = Instant::now();
        loop {
            let devices = self.apple.devices(SERVER).map_err(sim_failed)?;
            let assigned =
                devices.iter().filter(|device| serials.iter().any(|it| **it == *device.serial_number));
            if assigned.filter(|device| device.profile_uuid.is_some()).count() == ARRIVALS {
                tell(&format!(
                    "After {:.1} seconds all {ARRIVALS} have a profile.",
                    began.elapsed().as_secs_f32()
                ));
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                let log = self.folder.join("serve.log");
                let problem = Problem::new(Exit::Failure, "the new devices got no profile in time");
                return Err(problem.hint(format!("see {}", log.display())));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn reminder(&self) -> Outcome<()> {
        let first = self.deputy_json(&["run", "token-reminders"])?;
        let second = self.deputy_json(&["run", "token-reminders"])?;
        let sent = |run: &serde_json::Value| {
            run["run"]["steps"][0]["outcome"]["sent"].as_array().map_or(0, Vec::len)
        };
        if (sent(&first), sent(&second)) != (1, 0) {
            let message =
                format!("{} reminders, then {}; one, then none were due", sent(&first), sent(&second));
            return Err(Problem::new(Exit::Failure, message));
        }
        tell("$ deputy run token-reminders");
        tell(first["run"]["steps"][0]["outcome"]["sent"][0].as_str().unwrap_or_default());
        tell("The same again sends nothing: a reminder belongs to its threshold, and is sent once.");
        Ok(())
    }

    /// Types a command, and shows it with what it prints.
    fn deputy(&self, arguments: &[&str]) -> Outcome<()> {
        self.show(arguments, Some(&self.folder))
    }

    fn show(&self, arguments: &[&str], folder: Option<&Path>) -> Outcome<()> {
        let output = self.output(arguments, folder)?;
        tell(&format!("$ deputy {}", arguments.join(" ")));
        output.lines().for_each(tell);
        Ok(())
    }

    fn deputy_json(&self, arguments: &[&str]) -> Outcome<serde_json::Value> {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let output = self.output(&arguments, Some(&self.folder))?;
        serde_json::from_str(&output)
            .map_err(|error| Problem::new(Exit::Failure, format!("not JSON: {error}")))
    }

    fn output(&self, arguments: &[&str], folder: Option<&Path>) -> Outcome<String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).env_remove("DEPUTY_CONFIG").stdin(Stdio::null());
        if let Some(folder) = folder {
            command.current_dir(folder);
        }
        let output = command.output().map_err(|error| {
            Problem::new(Exit::Failure, format!("cannot run this program again: {error}"))
        })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let message = format!(
                "`deputy {}` failed: {}{said}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stdout)
            );
            return Err(Problem::new(Exit::Failure, message));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn shown(&self) -> String {
        self.program.display().to_string()
    }
}

fn say(heading: &str) {
    println!("\n{heading}");
}

fn tell(line: &str) {
    println!("{}", format!("   {line}").trim_end());
}

fn sim_failed(error: sim::Error) -> Problem {
    Problem::new(Exit::Failure, format!("the simulator: {error}"))
}

/// `deputy-demo`, or the first of `deputy-demo-2`, … that is not there.
fn free_folder() -> PathBuf {
    let names =
        std::iter::once("deputy-demo".to_owned()).chain((2..).map(|number| format!("deputy-demo-{number}")));
    names.map(PathBuf::from).find(|folder| !folder.exists()).unwrap_or_default()
}

fn wait_for_interrupt() {
    let handle = tokio::runtime::Handle::current();
    let _ = handle.block_on(tokio::signal::ctrl_c());
}
