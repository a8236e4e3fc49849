//! Something people should know, and how it looks in each kind of channel.
//!
//! A message says the same everywhere. Made once, it is never changed: its id is what a receiver
//! knows a repetition by. Where it goes and when is `engine::outbox`'s business.

mod calendar;
mod chat;
mod html;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::id::MessageId;
use crate::token::Severity;

/// Something people should know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its name, the same however often it is sent.
    pub id: MessageId,
    /// When it was written. It may arrive much later.
    pub created_at: Timestamp,
    /// `reminder`, `run` or `test`.
    pub kind: String,
    /// How urgent.
    pub severity: Severity,
    /// One line.
    pub subject: String,
    /// The rest, plain text.
    pub text: String,
    /// What it is about ends at a date.
    pub ends: Option<Ending>,
    /// Mail addresses of those whom it concerns; channels with `contacts = true` write to them.
    pub contacts: Vec<String>,
    /// The same for machines.
    pub data: Value,
}

/// A date at which something ends, such as a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// When.
    pub at: Timestamp,
    /// What ends, as a key that stays the same when the end moves: `token-emea`. A calendar keeps one
    /// entry for each key, so a later message with another date moves it.
    pub key: String,
    /// What a calendar shows on that day.
    pub title: String,
}

impl Message {
    /// The message as JSON: what webhooks get, and commands on their standard input.
    pub fn json(&self) -> Value {
        json!({
            "version": 1,
            "id": self.id,
            "created_at": self.created_at,
            "kind": self.kind,
            "severity": self.severity,
            "subject": self.subject,
            "text": self.text,
            "ends_at": self.ends.as_ref().map(|ends| ends.at),
            "contacts": self.contacts,
            "data": self.data,
        })
    }

    /// The subject without what would end a line of a mail's head.
    pub fn subject_line(&self) -> String {
        let spaced = self.subject.chars().map(|c| if c.is_control() { ' ' } else { c });
        spaced.collect::<String>().trim().to_owned()
    }

    /// When it was written, for people: it may be read much later.
    fn written(&self) -> String {
        self.created_at.strftime("%Y-%m-%d %H:%M UTC").to_string()
    }

    /// Its text is laid out in columns.
    fn is_in_columns(&self) -> bool {
        self.kind == "run"
    }
}

/// At most so many characters, with a sign that there was more.
fn clipped(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most - 1).collect();
    kept + "…"
}

#[cfg(test)]
mod tests;
