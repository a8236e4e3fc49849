//! `deputy plugin diff`: which devices another component, or other settings, would decide differently about.

use std::path::PathBuf;

use domain::device::Device;
use domain::difference::{Change, Difference, Said};
use domain::policy::Policy as _;
use domain::verdict::Verdict;
use sandbox::Plugin;
use serde_json::{Value, json};

use super::devices::{Devices, From};
use super::subject::{self, Settings, Subject, Told};
use super::surroundings::{self, Surroundings, TableFlag};
use crate::Common;
use crate::exit::{Exit, Outcome};
use crate::output::{bar, print, print_json};

/// What `deputy plugin diff` takes.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// What decides now: a component file, or the name of a plugin in deputy.toml
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// What might decide: a component file, or the name of a plugin in deputy.toml
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Settings of the old one: a TOML or JSON file [default: those in deputy.toml, or none]
    #[arg(long, value_name = "FILE")]
    settings_old: Option<PathBuf>,
    /// Settings of the new one [default: those in deputy.toml if it is named there, or those of the old one]
    #[arg(long, value_name = "FILE")]
    settings_new: Option<PathBuf>,
    /// A profile that they may assign; once for each [default: those in the folder profiles]
    #[arg(long = "profile", value_name = "NAME", value_delimiter = ',')]
    profiles: Vec<domain::id::ProfileName>,
    /// A table that they may look into, as NAME=FILE.csv with the key in the first column; once for each
    #[arg(long = "table", value_name = "NAME=FILE")]
    tables: Vec<TableFlag>,
    /// The time zone whose wall clock they are told [default: that of the first workflow that names them, or UTC]
    #[arg(long, value_name = "ZONE", value_parser = surroundings::timezone)]
    timezone: Option<jiff::tz::TimeZone>,
    /// What they may use [default: what deputy.toml says; for a file, what goes with its size]
    #[arg(long)]
    preset: Option<super::bounds::Preset>,
    #[command(flatten)]
    from: From,
    /// How many devices to name for each kind of change
    #[arg(long, default_value_t = 3, value_name = "N")]
    examples: usize,
    /// Name every device whose verdict changes, one a line, with both reasons
    #[arg(long)]
    all: bool,
    /// End with 1 if a verdict changes, for scripts
    #[arg(long)]
    exit_code: bool,
}

const EXAMPLES: &str = "\
Examples:
  deputy plugin diff site-policy build/policy.wasm
  deputy plugin diff site-policy site-policy --settings-new stricter.toml
  deputy plugin diff old.wasm new.wasm --simulated 100000 --profile lab,standard --exit-code

Devices come from the inventory unless the command says otherwise. Nothing is assigned or stored.
With --all --json, every change is a line of JSON of its own, and the last line has the totals.";

/// Carries the command out.
pub(crate) async fn run(common: &Common, arguments: Arguments) -> Outcome {
    let config = subject::config(common)?;
    let told = Told {
        settings: arguments.settings_old.clone(),
        profiles: arguments.profiles.clone(),
        tables: arguments.tables.clone(),
        timezone: arguments.timezone.clone(),
        preset: arguments.preset,
    };
    let old = Subject::find(common, config.as_ref(), &arguments.old, &told)?;
    let told = Told { settings: None, ..told };
    let mut new = Subject::find(common, config.as_ref(), &arguments.new, &told)?;
    if !new.is_configured {
        new.timezone = old.timezone.clone();
    }
    new.settings = match &arguments.settings_new {
        Some(file) => Settings::read(file)?,
        None if new.is_configured => new.settings,
        None => old.settings.clone(),
    };
    let sandbox = subject::sandbox(config.as_ref())?;
    let plugins = (old.load(&sandbox)?, new.load(&sandbox)?);
    super::decides(&old, &plugins.0)?;
    super::decides(&new, &plugins.1)?;
    let devices = arguments.from.open(common).await?;
    let json = common.json;
    let work = move || compare(json, &arguments, (&old, &plugins.0), (&new, &plugins.1), devices);
    super::in_the_background(work).await
}

fn compare(
    json: bool,
    arguments: &Arguments,
    (old, then): (&Subject, &Plugin),
    (new, now): (&Subject, &Plugin),
    mut devices: Devices,
) -> Outcome {
    let tell = |change: Change<'_>| {
        if arguments.all {
            print(&if json { as_json(change).to_string() } else { words(change) });
        }
    };
    let sides = ((then, &old.surroundings()), (now, &new.surroundings()));
    let difference = between(json, arguments.examples, sides.0, sides.1, &mut devices, tell)?;
    if difference.devices == 0 {
        return Err(devices.none_found());
    }
    let value = || total(&difference, then, now);
    match (json, arguments.all) {
        (true, true) => print(&json!({ "version": 1, "difference": value() }).to_string()),
        (true, false) => print_json("difference", &value()),
        (false, _) => print(&difference.to_string()),
    }
    let changed = arguments.exit_code && difference.changed > 0;
    Ok(if changed { Exit::Failure } else { Exit::Success })
}

/// Asks both about all devices, with what each is told besides; `tell` hears of every change.
pub(super) fn between(
    json: bool,
    examples: usize,
    (old, then): (&Plugin, &Surroundings),
    (new, now): (&Plugin, &Surroundings),
    devices: &mut Devices,
    mut tell: impl FnMut(Change<'_>),
) -> Outcome<Difference> {
    let bar = bar(json, "comparing", devices.total);
    let mut difference = Difference::new(examples);
    while let Some(batch) = devices.next() {
        let batch = batch?;
        let context = |surroundings| devices.context(&batch.token, surroundings);
        let tell = |change: Change<'_>| bar.suspend(|| tell(change));
        difference.ask((old, &context(then)), (new, &context(now)), &batch.devices, tell);
        bar.set_position(difference.devices);
    }
    bar.finish_and_clear();
    Ok(difference)
}

/// One change for people, in a line.
pub(in crate::commands) fn words(
    Change { device: Device { serial_number, .. }, old, new }: Change<'_>,
) -> String {
    let said = |verdict: &Verdict| format!("{} ({})", Said::of(verdict), verdict.reason);
    format!("{serial_number}: {} -> {}", said(old), said(new))
}

/// The same as data.
pub(in crate::commands) fn as_json(Change { device, old, new }: Change<'_>) -> Value {
    let said = |verdict: &Verdict| json!({ "verdict": verdict.decision, "reason": &*verdict.reason, "fault": verdict.fault });
    json!({ "serial_number": device.serial_number, "old": said(old), "new": said(new) })
}

fn total(difference: &Difference, old: &Plugin, new: &Plugin) -> Value {
    let mut value = counted(difference);
    value["old"] = json!(old.digest());
    value["new"] = json!(new.digest());
    value
}

/// What is different, as data.
pub(in crate::commands) fn counted(difference: &Difference) -> Value {
    let moves = difference.by_size().into_iter().map(|(old, new, moved)| {
        json!({ "old": old, "new": new, "devices": moved.devices, "examples": moved.examples })
    });
    json!({
        "devices": difference.devices, "changed": difference.changed, "reworded": difference.reworded,
        "moves": moves.collect::<Vec<_>>(),
    })
}
