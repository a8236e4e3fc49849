//! `deputy expected`: devices that are expected, what has come of them, and what is late.

use domain::id::TableName;
use engine::expected::{ExpectedList, Standing, standings};
use serde_json::{Value, json};

use crate::Common;
use crate::app::{App, Policies, unknown};
use crate::commands::device::profile_words;
use crate::exit::{Exit, Outcome};
use crate::output::{maybe, or_dash, print_json, print_table};

/// What `deputy expected` can do.
#[derive(clap::Subcommand)]
#[command(after_help = "\
A list is a CSV file with the columns serial_number, profile, due and note; only
the first must be there:

  [expected.spring-order]
  csv = \"tables/spring-order.csv\"

A device in it gets its profile the moment it appears, if a workflow asks the
list before other policies:

  [[steps]]
  uses = \"decide\"
  policy = \"expected.spring-order\"")]
pub(crate) enum Command {
    /// Show what is expected: what has come, what is awaited, what is late
    List {
        /// Only this list
        name: Option<String>,
        /// Only devices that are late
        #[arg(long)]
        late: bool,
        /// Only devices that are not here
        #[arg(long)]
        missing: bool,
    },
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, command: Command) -> Outcome {
    let app = App::open(&common.config, Policies::Unused).await?;
    let Command::List { name, late, missing } = command;
    let lists = &app.engine.settings.expected;
    let short = |name: &TableName| name.as_str().trim_start_matches("expected.").to_owned();
    if let Some(name) = &name
        && !lists.keys().any(|list| short(list) == *name)
    {
        let names: Vec<String> = lists.keys().map(short).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        return Err(unknown("list of expected devices", name, &names));
    }
    let (mut rows, mut data) = (Vec::new(), Vec::new());
    for (list, settings) in
        lists.iter().filter(|(list, _)| name.as_ref().is_none_or(|name| short(list) == *name))
    {
        let (mut devices, mistakes) = standings(&app.engine, list, settings).await?;
        devices.retain(|device| (!late || device.late_by.is_some()) && (!missing || device.here.is_none()));
        for device in devices {
            data.push(as_json(&short(list), &device));
            rows.push(row(&app, &short(list), settings, device).await?);
        }
        for mistake in mistakes {
            eprintln!("warning: the list `{}`: {mistake}", short(list));
        }
    }
    if common.json {
        print_json("expected", &data.into());
        return Ok(Exit::Success);
    }
    let nothing = if lists.is_empty() {
        "nothing is expected; `deputy expected --help` shows how to write a list"
    } else {
        "no such devices are expected"
    };
    print_table(["serial", "list", "profile", "due", "state", "note"], rows, nothing);
    Ok(Exit::Success)
}

async fn row(app: &App, list: &str, settings: &ExpectedList, device: Standing) -> Outcome<[String; 6]> {
    let Standing { expected, here, late_by } = device;
    let state = match (here, late_by) {
        (Some(here), _) => {
            let on = profile_words(app, &here.token, here.on.as_ref()).await?;
            let of = if settings.token.is_none() { format!(" to {}", here.token) } else { String::new() };
            format!("came{of} {}, profile {on}", maybe(here.since, "at some time"))
        }
        (None, Some(1)) => "late by 1 day".to_owned(),
        (None, Some(days)) => format!("late by {days} days"),
        (None, None) => "awaited".to_owned(),
    };
    let profile = or_dash(expected.profile.as_ref().map(|profile| profile.as_str()));
    let due = or_dash(expected.due.map(|due| due.to_string()).as_deref());
    Ok([
        expected.serial_number.to_string(),
        list.to_owned(),
        profile,
        due,
        state,
        or_dash(Some(&expected.note)),
    ])
}

fn as_json(list: &str, device: &Standing) -> Value {
    let Standing { expected, here, late_by } = device;
    json!({
        "list": list, "serial_number": expected.serial_number, "profile": expected.profile,
        "due": expected.due.map(|due| due.to_string()), "note": expected.note, "late_by_days": late_by,
        "here": here.as_ref().map(|here| json!({ "token": here.token, "since": here.since, "on": here.on })),
    })
}
