//! Ways to reach people.
//!
//! A channel delivers a message to a recipient or says why not, and whether that will change by itself;
//! keeping it until then is the outbox's business. Whatever lets somebody write to a channel is a secret:
//! a password, and the address of a webhook as well. They are read when they are used, so a new one needs
//! no restart, and no error shows more of an address than its host.

mod command;
mod email;
mod hook;
mod secret;
mod smtp;
mod trouble;

use std::time::Duration;

use domain::id::ChannelName;
use domain::message::Message;
use domain::token::Severity;

pub use crate::store::{Address, Reason};
pub use command::Command;
pub use email::{Email, Login, Mailbox, Tls};
pub use hook::{Format, Hook, HookUrl};
pub use secret::SecretSource;

/// Under this target the log channel writes. Whoever filters the log lets it through: a message
/// counts as delivered.
pub const LOG_TARGET: &str = "channel";

/// A way to reach people.
#[derive(Clone, Debug)]
pub enum Channel {
    /// Deputy's own log.
    Log,
    /// Mail.
    Email(Box<Email>),
    /// A `POST` to a webhook: of a chat, or of whoever wants JSON.
    Hook(Box<Hook>),
    /// A program, with the message on its standard input.
    Command(Command),
}

/// Why a message did not arrive, and when it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// What happened, and what a person can do.
    pub reason: Reason,
    /// When it may arrive.
    pub next: Next,
}

/// When a message that did not arrive may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Never: this message is refused.
    Refused,
    /// Later, to this recipient; others can be reached now.
    LaterToThisOne,
    /// Later: nobody can be reached by this channel now. How long it asks to be left alone, if it said.
    Later(Option<Duration>),
}

impl Channel {
    /// The word for its kind, as in `deputy.toml`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Email(_) => "email",
            Self::Hook(hook) => hook.kind(),
            Self::Command(_) => "command",
        }
    }

    /// Where it leads, without anything secret.
    pub fn place(&self) -> String {
        match self {
            Self::Log => "the log".to_owned(),
            Self::Email(email) => email.place(),
            Self::Hook(hook) => hook.place(),
            Self::Command(command) => command.place(),
        }
    }

    /// Who is to get a message: each a delivery of its own, so that one full mailbox keeps nobody
    /// else waiting.
    pub fn addresses(&self, name: &ChannelName, message: &Message) -> Vec<Address> {
        let recipients = match self {
            Self::Email(email) => email.recipients(&message.contacts),
            _ => vec![String::new()],
        };
        let to = |recipient| Address { channel: name.clone(), recipient };
        recipients.into_iter().map(to).collect()
    }

    /// Delivers a message, or says why it did not arrive. Takes no longer than the channel's limit.
    pub async fn send(&self, message: &Message, recipient: &str) -> Result<(), Undelivered> {
        match self {
            Self::Email(email) => email.send(message, recipient).await,
            Self::Hook(hook) => hook.send(message).await,
            Self::Command(command) => command.send(message).await,
            Self::Log => {
                let (subject, text) = (&message.subject, message.text.trim_end());
                match message.severity {
                    Severity::Info => {
                        tracing::info!(target: LOG_TARGET, "{subject}\n{text}")
                    }
                    Severity::Warning => {
                        tracing::warn!(target: LOG_TARGET, "{subject}\n{text}")
                    }
                    Severity::Critical => {
                        tracing::error!(target: LOG_TARGET, "{subject}\n{text}")
                    }
                }
                Ok(())
            }
        }
    }
}

impl Undelivered {
    pub(crate) fn new(next: Next, why: impl Into<String>, advice: Option<&str>) -> Self {
        Self { reason: Reason { why: why.into(), advice: advice.map(str::to_owned) }, next }
    }
}

/// What somebody else wrote, to be shown in one line: not much of it, and nothing that a terminal would obey.
fn one_line(text: &str) -> String {
    const MOST: usize = 200;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST).collect()
}
