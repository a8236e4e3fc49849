//! The facts about a token as Deputy knows them, with what people said of them.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::Serialize;

use super::{Fact, Instance, Trouble};
use crate::token::Token;
use crate::token_facts::{Refusal, Why};

/// Which fact of a token: `terms`, or `mdm-certificate:mdm.example.com` where there are several of a kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct FactName {
    /// The contract's word.
    pub kind: String,
    /// Which of its kind; empty where there is one.
    pub name: String,
}

/// What somebody said of a fact, or, without one, of everything about a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Muted {
    /// They know of this instance: until the fact changes.
    pub acknowledged: Option<Instance>,
    /// They want to hear nothing of it before.
    pub snoozed_until: Option<Timestamp>,
    /// Why, or who.
    pub note: String,
    /// When they said so.
    pub at: Timestamp,
}

/// A fact, and what people said of it that still counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Known {
    /// The fact, as a policy is told.
    #[serde(flatten)]
    pub fact: Fact,
    /// Until when nobody wants to hear of it.
    pub snoozed_until: Option<Timestamp>,
    /// What they noted.
    pub note: Option<String>,
}

impl Fact {
    /// Which one it is.
    pub fn which(&self) -> FactName {
        FactName { kind: self.kind.clone(), name: self.name.clone() }
    }
}

impl Muted {
    /// Whether it says anything of this instance at this moment.
    pub fn counts(&self, instance: Instance, now: Timestamp) -> bool {
        self.acknowledged == Some(instance) || self.snoozed_until.is_some_and(|until| until > now)
    }
}

impl FactName {
    /// Stands for everything about a token.
    pub fn everything() -> Self {
        Self { kind: String::new(), name: String::new() }
    }

    /// Whether `fact` is meant by this: without a name, all of the kind are.
    pub fn means(&self, fact: &Self) -> bool {
        self.kind == fact.kind && (self.name.is_empty() || self.name == fact.name)
    }
}

impl fmt::Display for FactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name } = self;
        if name.is_empty() { f.write_str(kind) } else { write!(f, "{kind}:{name}") }
    }
}

impl FromStr for FactName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        let (kind, name) = (kind.trim().to_owned(), name.trim().to_owned());
        if kind.is_empty() {
            return Err("write a kind, such as `terms`, or `KIND:NAME`".to_owned());
        }
        Ok(Self { kind, name })
    }
}

/// The kind of fact that a refusal of Apple's is about, and what is wrong with it.
pub fn about_refusal(token: &Token, refusal: &Refusal) -> (&'static str, Trouble) {
    let Token { name, server_name, .. } = token;
    let renew = format!(
        "download a new token from Apple's portal, then at once: deputy token import {name} FILE.p7m"
    );
    let (kind, code, advice) = match refusal.why {
        Why::TermsNotSigned => (
            "terms",
            "terms-not-signed",
            "sign in at https://business.apple.com or https://school.apple.com as an administrator and accept \
             the new terms"
                .to_owned(),
        ),
        Why::Rejected => ("token", "token-rejected", renew),
        Why::Expired => ("token", "token-expired", renew),
        Why::CreatorGone => (
            "account",
            "creator-gone",
            format!("sign in to Apple's portal with an account that stays and may manage device management services; {renew}"),
        ),
        Why::ServerInactive => (
            "server",
            "server-inactive",
            format!(
                "type `deputy token request {name}`, add a device management service with that certificate in \
                 Apple's portal, and import its token"
            ),
        ),
        Why::SessionRefused => (
            "session",
            "session-refused",
            "look whether another program uses the same token; each ends the other's sessions".to_owned(),
        ),
        Why::OtherServer => (
            "server",
            "other-server",
            format!("look whether `apple_url` is right, and import the token of the server \"{server_name}\""),
        ),
    };
    let message = refusal.why.in_words().to_owned();
    (kind, Trouble { code: code.to_owned(), message, advice, since: refusal.since })
}
