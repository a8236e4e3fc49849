//! Tells people about tokens that run out, once for each threshold and channel.
//!
//! A reminder is on record from the moment it is in the outbox, in one transaction. From there it arrives
//! by itself, however long the channel is down.

use std::collections::BTreeMap;

use domain::duration::Span;
use domain::id::{ChannelName, RunId, TokenName};
use domain::message::{Ending, Message};
use domain::run::Reminded;
use domain::token::{Reminder, due_reminder};
use serde_json::json;

use crate::engine::Engine;
use crate::failure::Error;
use crate::stop::Stop;

/// What is looked at, and who is told.
pub(crate) struct Reminding<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) run: &'a RunId,
    pub(crate) tokens: &'a [TokenName],
    pub(crate) thresholds: &'a [Span],
    pub(crate) channels: &'a [ChannelName],
    /// Tell nobody.
    pub(crate) dry: bool,
}

impl Reminding<'_> {
    pub(crate) async fn remind(&self, stop: &Stop) -> Result<Reminded, Error> {
        let Self { engine, run, tokens, thresholds, channels, dry } = *self;
        // Between looking and recording nobody else may look: a reminder is sent once.
        let _held = engine.hold_reminders(stop).await?;
        let now = engine.now();
        let mut reminded = Reminded::default();
        for name in tokens {
            if stop.is_set() {
                return Err(Error::Stopped);
            }
            // A token that was never imported has no end; that it is missing is told elsewhere.
            let Some(token) = engine.store.token(name).await? else { continue };
            reminded.tokens += 1;
            // The same message for every channel that is to have the same reminder.
            let mut messages: BTreeMap<Span, Message> = BTreeMap::new();
            let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for channel in channels {
                let sent = engine.store.reminders_sent(name, token.expires_at, channel).await?;
                let Some(reminder) = due_reminder(&token, thresholds, &sent, now) else { continue };
                if dry {
                    told.entry(reminder.subject).or_default().push(format!("{channel} (not sent)"));
                    continue;
                }
                let message =
                    messages.entry(reminder.threshold).or_insert_with(|| message(engine, &reminder));
                let outgoing = engine.outgoing(message.clone(), std::slice::from_ref(channel));
                if outgoing.addresses.is_empty() {
                    let note = format!("{channel}: nobody to send it to: {}", reminder.subject);
                    tracing::warn!(token = %name, %run, "a reminder was not sent by {note}");
                    reminded.failed.push(note);
                    continue;
                }
                engine.store.remind(&reminder, channel, run, outgoing, now).await?;
                told.entry(reminder.subject).or_default().push(channel.to_string());
            }
            let lines =
                told.into_iter().map(|(subject, channels)| format!("{subject} (to {})", channels.join(", ")));
            reminded.sent.extend(lines);
        }
        engine.ring_outbox();
        Ok(reminded)
    }
}

fn message(engine: &Engine, reminder: &Reminder) -> Message {
    let settings = engine.settings.tokens.get(&reminder.token);
    Message {
        ends: Some(Ending {
            at: reminder.expires_at,
            key: format!("token-{}", reminder.token),
            title: format!("The server token {} expires", reminder.token),
        }),
        contacts: settings.map(|token| token.contacts.clone()).unwrap_or_default(),
        data: json!({
            "token": reminder.token,
            "expires_at": reminder.expires_at,
            "threshold": reminder.threshold.to_string(),
        }),
        ..engine.new_message("reminder", reminder.severity, reminder.subject.clone(), reminder.text.clone())
    }
}
