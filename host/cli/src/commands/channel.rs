//! `deputy channel`: the ways to reach people, and whether they work.

use domain::id::ChannelName;
use domain::message::{Ending, Message};
use domain::token::{Severity, from_now};
use engine::channel::{Next, Undelivered};
use engine::store::{Address, ChannelState};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::Common;
use crate::app::{App, Policies, unknown};
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json, print_table};

/// What `deputy channel` can do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show the channels, where each leads, and how it goes with them
    List,
    /// Send a sample by a channel, at once, and tell what came of it
    #[command(
        after_help = "The sample goes past the outbox, so that it tells how it is now. It says that it is a test, and has \
        a date in a week, so that a mail carries its calendar file.\n\nEnds with 0 if everybody got it, with 4 if a person has \
        something to mend, and with 5 if the channel could not be reached."
    )]
    Test {
        /// The channel
        name: ChannelName,
        /// By mail: send it to this address in place of the configured ones; may be repeated
        #[arg(long, value_name = "ADDRESS")]
        to: Vec<String>,
    },
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, command: Command) -> Outcome {
    let app = App::open(&common.config, Policies::Unused).await?;
    match command {
        Command::List => list(common, &app).await,
        Command::Test { name, to } => test(common, &app, &name, to).await,
    }
}

async fn list(common: &Common, app: &App) -> Outcome {
    let states = app.engine.store.channel_states().await?;
    let now = app.engine.now();
    let (mut rows, mut data) = (Vec::new(), Vec::new());
    for (name, channel) in &app.engine.settings.channels {
        let state = states.iter().find(|state| state.name == *name);
        rows.push([
            name.to_string(),
            channel.kind().to_owned(),
            channel.place(),
            state.map_or(0, |state| state.waiting).to_string(),
            in_words(state, now),
        ]);
        data.push(json!({ "name": name, "kind": channel.kind(), "leads_to": channel.place(), "state": state.map(as_json) }));
    }
    if common.json {
        print_json("channels", &Value::from(data));
        return Ok(Exit::Success);
    }
    print_table(
        ["channel", "kind", "leads to", "waiting", "last"],
        rows,
        "no channels; `[channels.log]` with `kind = \"log\"` is one",
    );
    Ok(Exit::Success)
}

async fn test(common: &Common, app: &App, name: &ChannelName, to: Vec<String>) -> Outcome {
    let channels = &app.engine.settings.channels;
    let channel = channels.get(name).ok_or_else(|| {
        let names: Vec<&str> = channels.keys().map(ChannelName::as_str).collect();
        unknown("channel", name.as_str(), &names)
    })?;
    // It has no contacts: a test does not write to other people unless it is told to.
    let message = sample(app, name);
    let mut addresses = channel.addresses(name, &message);
    if !to.is_empty() {
        if channel.kind() != "email" {
            return Err(Problem::usage(format!("`{name}` is no mail: `--to` has no meaning for it")));
        }
        addresses = to.into_iter().map(|recipient| Address { channel: name.clone(), recipient }).collect();
    }
    if addresses.is_empty() {
        let problem = Problem::usage(format!("`{name}` writes to contacts only, and a test has none"));
        return Err(problem.hint(format!("`deputy channel test {name} --to you@example.com`")));
    }
    let (mut exit, mut results) = (Exit::Success, Vec::new());
    for address in addresses {
        let sent = channel.send(&message, &address.recipient).await;
        let whom = if address.recipient.is_empty() { channel.place() } else { address.recipient.clone() };
        let reason = sent.as_ref().err().map(|undelivered| &undelivered.reason);
        results.push(json!({
            "recipient": address.recipient, "delivered": sent.is_ok(), "trouble": reason,
        }));
        exit = exit.or_worse(exit_of(&sent));
        if common.json {
            continue;
        }
        match &sent {
            Ok(()) => print(&format!("{name} took it: message {} for {whom}", message.id)),
            Err(Undelivered { reason, .. }) => {
                let problem = Problem::new(exit, format!("{name} did not take it: {}", reason.why));
                match &reason.advice {
                    Some(advice) => problem.hint(advice).print(),
                    None => problem.print(),
                }
            }
        }
    }
    if common.json {
        print_json("test", &json!({ "channel": name, "id": message.id, "results": results }));
    }
    Ok(exit)
}

fn exit_of(sent: &Result<(), Undelivered>) -> Exit {
    match sent {
        Ok(()) => Exit::Success,
        Err(Undelivered { next: Next::Refused, .. }) => Exit::NeedsPerson,
        Err(_) => Exit::Unavailable,
    }
}

fn sample(app: &App, name: &ChannelName) -> Message {
    let subject = format!("a test of the channel `{name}`");
    let text = format!(
        "Somebody typed `deputy channel test {name}`. If you read this, it works.\n\nNothing has happened, and nothing \
         is to be done."
    );
    let message = app.engine.new_message("test", Severity::Info, subject, text);
    let in_a_week = message.created_at.checked_add(jiff::SignedDuration::from_hours(7 * 24));
    let ends = in_a_week.ok().map(|at| Ending {
        at,
        key: format!("test-{name}"),
        title: format!("A test of Deputy's channel {name}"),
    });
    Message { ends, data: json!({ "channel": name }), ..message }
}

/// How it goes with a channel: `delivered 2 hours ago`, `failing for 3 days: why`.
pub(crate) fn in_words(state: Option<&ChannelState>, now: Timestamp) -> String {
    let Some(state) = state else { return "never used".to_owned() };
    let last = match (state.failing_since, &state.trouble, state.delivered_at) {
        (Some(since), Some(trouble), _) => format!("failing since {}: {}", from_now(since, now), trouble.why),
        (_, _, Some(at)) => format!("delivered {}", from_now(at, now)),
        _ => "nothing delivered yet".to_owned(),
    };
    if state.set_aside > 0 { format!("{last}; set aside: {}", state.set_aside) } else { last }
}

/// What `--json` says of a channel.
pub(crate) fn as_json(state: &ChannelState) -> Value {
    let mut value = json!(state);
    // Its name is beside it, and a moment that has passed says nothing.
    if let Some(table) = value.as_object_mut() {
        table.remove("name");
        if state.failing_since.is_none() {
            table.remove("next_at");
        }
    }
    value
}

/// What still waits or was set aside after a command has tried to deliver, for standard error.
pub(crate) fn left(states: &[ChannelState]) {
    for state in states {
        let name = &state.name;
        if state.waiting > 0 {
            let why = state
                .trouble
                .as_ref()
                .map_or("its turn has not come".to_owned(), |trouble| trouble.why.clone());
            eprintln!("waiting: {} for {name}: {why}", messages(state.waiting));
        }
        if state.set_aside > 0 {
            eprintln!("set aside: {} for {name}; `deputy outbox list` tells why", messages(state.set_aside));
        }
        if let Some(advice) = state.trouble.as_ref().and_then(|trouble| trouble.advice.as_ref()) {
            eprintln!("hint: {advice}");
        }
    }
}

/// `1 message`, `3 messages`.
pub(crate) fn messages(count: u64) -> String {
    format!("{count} {}", if count == 1 { "message" } else { "messages" })
}
