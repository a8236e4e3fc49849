//! Tells people about tokens that run out, once for each threshold and channel.
//!
//! A reminder is on record when it has arrived, so a channel that is down gets it at a later run,
//! and the others do not get it twice.

use std::collections::BTreeMap;

use domain::duration::Span;
use domain::id::{ChannelName, RunId, TokenName};
use domain::run::Reminded;
use domain::token::{Reminder, due_reminder};
use serde_json::json;

use crate::engine::Engine;
use crate::failure::Error;
use crate::notify::Message;
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
            let mut arrived: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for channel in channels {
                let sent = engine.store.reminders_sent(name, token.expires_at, channel).await?;
                let Some(reminder) = due_reminder(&token, thresholds, &sent, now) else { continue };
                if dry {
                    arrived.entry(reminder.subject).or_default().push(format!("{channel} (not sent)"));
                    continue;
                }
                match deliver(engine, channel, &reminder).await {
                    Ok(()) => {
                        engine.store.reminder_arrived(&reminder, channel, run, now).await?;
                        arrived.entry(reminder.subject).or_default().push(channel.to_string());
                    }
                    Err(why) => {
                        let note = format!("{channel}: {why}: {}", reminder.subject);
                        tracing::warn!(token = %name, %run, "a reminder was not delivered to {note}");
                        reminded.failed.push(note);
                    }
                }
            }
            let lines = arrived
                .into_iter()
                .map(|(subject, channels)| format!("{subject} (to {})", channels.join(", ")));
            reminded.sent.extend(lines);
        }
        Ok(reminded)
    }
}

async fn deliver(engine: &Engine, channel: &ChannelName, reminder: &Reminder) -> Result<(), String> {
    let contacts = engine.settings.tokens.get(&reminder.token).map(|token| token.contacts.clone());
    let message = Message {
        kind: "reminder",
        severity: reminder.severity,
        subject: reminder.subject.clone(),
        text: reminder.text.clone(),
        data: json!({
            "token": reminder.token,
            "expires_at": reminder.expires_at,
            "threshold": reminder.threshold.to_string(),
            "contacts": contacts.unwrap_or_default(),
        }),
    };
    match engine.settings.channels.get(channel) {
        Some(channel) => channel.deliver(&message).await,
        None => Err("no such channel in deputy.toml".to_owned()),
    }
}
