//! `deputy outbox`: messages on their way to people.

use std::time::Duration;

use domain::id::{ChannelName, MessageId};
use domain::token::from_now;
use engine::store::{Delivery, DeliveryFilter, DeliveryState};
use serde_json::{Value, json};

use crate::Common;
use crate::app::{App, Policies};
use crate::commands::channel::{left, messages};
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json, print_table, time};

/// How long `retry` tries before it leaves the rest to the daemon.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `deputy outbox` can do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show the messages that wait or were set aside, and why
    List {
        /// Only of this channel
        #[arg(long, value_name = "NAME")]
        channel: Option<ChannelName>,
        /// Also what was delivered or dropped, for as long as it is remembered
        #[arg(long)]
        all: bool,
        /// At most so many, the latest
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
    },
    /// Show a message and what became of it everywhere
    Show {
        /// The message
        message: MessageId,
    },
    /// Send what waits or was set aside again, now
    Retry {
        /// Only these messages [default: all]
        messages: Vec<MessageId>,
        /// Only of this channel
        #[arg(long, value_name = "NAME")]
        channel: Option<ChannelName>,
    },
    /// Give up messages that wait or were set aside
    Drop {
        /// These messages
        #[arg(required_unless_present = "channel")]
        messages: Vec<MessageId>,
        /// Of this channel; without messages, all of it
        #[arg(long, value_name = "NAME")]
        channel: Option<ChannelName>,
    },
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, command: Command) -> Outcome {
    let app = App::open(&common.config, Policies::Unused).await?;
    match command {
        Command::List { channel, all, limit } => {
            let states = if all { Vec::new() } else { vec![DeliveryState::Waiting, DeliveryState::SetAside] };
            let filter = DeliveryFilter { channel, states, ..DeliveryFilter::default() };
            list(common, &app, filter, limit).await
        }
        Command::Show { message } => show(common, &app, message).await,
        Command::Retry { messages, channel } => {
            retry(common, &app, DeliveryFilter { channel, messages, states: Vec::new() }).await
        }
        Command::Drop { messages, channel } => {
            let filter = DeliveryFilter { channel, messages, states: Vec::new() };
            let count = app.engine.store.drop_deliveries(filter, app.engine.now()).await?;
            told(common, "dropped", count)
        }
    }
}

async fn list(common: &Common, app: &App, filter: DeliveryFilter, limit: u32) -> Outcome {
    let deliveries = app.engine.store.deliveries(filter, limit).await?;
    if common.json {
        print_json("deliveries", &deliveries.iter().map(as_json).collect());
        return Ok(Exit::Success);
    }
    let now = app.engine.now();
    let rows = deliveries.iter().map(|delivery| {
        let why = delivery.trouble.as_ref().map_or(String::new(), |trouble| format!(": {}", trouble.why));
        let to = match delivery.address.recipient.as_str() {
            "" => delivery.address.channel.to_string(),
            recipient => format!("{}: {recipient}", delivery.address.channel),
        };
        [
            delivery.message.id.to_string(),
            to,
            from_now(delivery.message.created_at, now),
            format!("{}{why}", delivery.state.as_str()),
            delivery.message.subject_line(),
        ]
    });
    print_table(["message", "to", "written", "state", "subject"], rows.collect(), "the outbox is empty");
    Ok(Exit::Success)
}

async fn show(common: &Common, app: &App, id: MessageId) -> Outcome {
    let filter = DeliveryFilter { messages: vec![id.clone()], ..DeliveryFilter::default() };
    let deliveries = app.engine.store.deliveries(filter, u32::MAX).await?;
    let Some(first) = deliveries.first() else {
        let problem = Problem::usage(format!("there is no message `{id}`"));
        return Err(problem.hint("`deputy outbox list --all` shows them"));
    };
    let message = &first.message;
    if common.json {
        let mut value = message.json();
        value["deliveries"] = deliveries.iter().map(as_json).collect();
        print_json("message", &value);
        return Ok(Exit::Success);
    }
    print(&format!(
        "{}\n\n{}\n\nWritten {}",
        message.subject_line(),
        message.text.trim_end(),
        time(message.created_at)
    ));
    for delivery in &deliveries {
        let to = format!("{} {}", delivery.address.channel, delivery.address.recipient);
        let at = delivery.ended_at.map_or(String::new(), |at| format!(" {}", time(at)));
        print(&format!("  {}: {}{at}", to.trim_end(), delivery.state.as_str()));
        if let Some(trouble) = &delivery.trouble {
            print(&format!("    {}", trouble.why));
            trouble.advice.iter().for_each(|advice| print(&format!("    hint: {advice}")));
        }
    }
    Ok(Exit::Success)
}

async fn retry(common: &Common, app: &App, filter: DeliveryFilter) -> Outcome {
    let count = app.engine.store.retry_deliveries(filter).await?;
    let states = app.engine.deliver_now(PATIENCE).await?;
    left(&states);
    told(common, "tried", count)?;
    Ok(if states.is_empty() { Exit::Success } else { Exit::Unavailable })
}

fn told(common: &Common, what: &str, count: u64) -> Outcome {
    if common.json {
        print_json(what, &Value::from(count));
    } else {
        print(&format!("{what} {}", messages(count)));
    }
    Ok(Exit::Success)
}

fn as_json(delivery: &Delivery) -> Value {
    let message = &delivery.message;
    json!({
        "message": message.id, "channel": delivery.address.channel, "recipient": delivery.address.recipient,
        "subject": message.subject, "created_at": message.created_at, "state": delivery.state,
        "tries": delivery.tries, "trouble": delivery.trouble, "ended_at": delivery.ended_at,
    })
}
