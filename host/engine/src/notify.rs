//! Where messages to people go.
//!
//! A channel delivers or says why not; whether a message is sent again is up to whoever keeps
//! track of it. A webhook's address is a secret in itself (whoever has it can write there), so no
//! error shows more of it than its host.

use std::time::Duration;

use domain::token::Severity;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;

/// Under this target the log channel writes. Whoever filters the log lets it through: a message
/// counts as delivered.
pub const LOG_TARGET: &str = "channel";

/// Something people should know.
#[derive(Clone, Debug, Serialize)]
pub struct Message {
    /// `reminder` or `run`.
    pub kind: &'static str,
    /// How urgent.
    pub severity: Severity,
    /// One line.
    pub subject: String,
    /// The rest, plain text.
    pub text: String,
    /// The same for machines.
    pub data: Value,
}

/// A way to reach people.
#[derive(Clone, Debug)]
pub enum Channel {
    /// Deputy's own log.
    Log,
    /// A `POST` of the message as JSON.
    Webhook(Webhook),
}

/// An address that takes messages as JSON.
#[derive(Clone, Debug)]
pub struct Webhook {
    url: SecretString,
    host: String,
    http: reqwest::Client,
}

/// What a webhook gets.
#[derive(Serialize)]
struct Envelope<'a> {
    version: u32,
    #[serde(flatten)]
    message: &'a Message,
}

impl Webhook {
    /// A webhook at this address, or why it is none.
    pub fn new(url: &str) -> Result<Self, String> {
        let parsed = url::Url::parse(url).map_err(|error| format!("not a URL: {error}"))?;
        let host = match (parsed.scheme(), parsed.host_str()) {
            ("http" | "https", Some(host)) => host.to_owned(),
            _ => return Err("not an http or https URL".to_owned()),
        };
        let http = reqwest::Client::builder()
            .user_agent(concat!("deputy/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| format!("TLS could not be set up: {error}"))?;
        Ok(Self { url: SecretString::from(url), host, http })
    }

    async fn post(&self, message: &Message) -> Result<(), String> {
        let body = Envelope { version: 1, message };
        let sent = self.http.post(self.url.expose_secret()).json(&body).send().await;
        let answer =
            sent.map_err(|error| format!("no answer from {}: {}", self.host, cause(&error.without_url())))?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(format!("{} answered {status}", self.host)) }
    }
}

impl Channel {
    /// Delivers a message, or says why it did not arrive.
    pub async fn deliver(&self, message: &Message) -> Result<(), String> {
        match self {
            Self::Webhook(webhook) => webhook.post(message).await,
            Self::Log => {
                let (subject, text) = (&message.subject, message.text.trim_end());
                match message.severity {
                    Severity::Info => tracing::info!(target: LOG_TARGET, "{subject}\n{text}"),
                    Severity::Warning => tracing::warn!(target: LOG_TARGET, "{subject}\n{text}"),
                    Severity::Critical => tracing::error!(target: LOG_TARGET, "{subject}\n{text}"),
                }
                Ok(())
            }
        }
    }
}

/// The innermost reason, which is the one that says something.
fn cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
