//! Whether a token works, and if not, who has to do what.
//!
//! Apple is asked once, for a session and for the account, and what it said is recorded; nothing else
//! is changed. What it comes to is a function of values, and the only place for the words of it.

use std::time::Duration;

use domain::id::TokenName;
use domain::run::State;
use domain::token::{Token, from_now, in_words};
use domain::token_facts::{Heard, Why};
use jiff::Timestamp;

use crate::apple::{Account, Error, Next, Trouble};
use crate::engine::Engine;
use crate::failure;

/// A token that was checked.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Which.
    pub name: TokenName,
    /// What was known of it, if it was ever imported.
    pub token: Option<Token>,
    /// What Apple says of it, if it answered.
    pub account: Option<Account>,
    /// What that comes to.
    pub finding: Finding,
}

/// What a check comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// One word for machines: `fine`, `expired`, … They do not change.
    pub state: &'static str,
    /// The same for people.
    pub summary: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Succeeded, unavailable for now, or needing a person.
    pub outcome: State,
}

/// What is known of a token before Apple is asked.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Our label for it.
    pub name: &'a TokenName,
    /// The token, if it was ever imported.
    pub token: Option<&'a Token>,
    /// When a key was last made for it.
    pub requested_at: Option<Timestamp>,
}

/// Checks a token. Whatever is wrong is in what it returns, so that others can be checked beside it.
pub async fn check(engine: &Engine, name: &TokenName) -> Checked {
    let (mut token, mut account) = (None, None);
    let finding = match ask(engine, name, &mut token, &mut account).await {
        Ok(finding) => finding,
        Err(error) => {
            let failure = error.failure();
            Finding { state: "failed", summary: failure.error, hint: failure.hint, outcome: failure.state }
        }
    };
    Checked { name: name.clone(), token, account, finding }
}

async fn ask(
    engine: &Engine,
    name: &TokenName,
    token: &mut Option<Token>,
    account: &mut Option<Account>,
) -> Result<Finding, failure::Error> {
    *token = engine.store.token(name).await?;
    let requested_at = super::pending_keys(engine, name).await?.first().map(|newest| newest.requested_at);
    let known = Known { name, token: token.as_ref(), requested_at };
    let Some(token) = known.token else {
        return Ok(not_imported(known, &engine.unconfigured().await?));
    };
    let answer = match engine.client(name).await {
        Ok(client) => client.account().await,
        Err(failure::Error::Apple(error)) => Err(error),
        Err(error) => return Err(error),
    };
    let finding = judge(known, token, answer.as_ref(), engine.now());
    if let Some(heard) = heard(token, answer.as_ref()) {
        engine.store.heard(name, token.imported_at, heard, engine.now()).await?;
    }
    *account = answer.ok();
    Ok(finding)
}

/// What the answer says about the token.
fn heard(token: &Token, answer: Result<&Account, &Error>) -> Option<Heard> {
    match answer {
        Ok(account) if account.server_uuid.as_ref().is_some_and(|theirs| *theirs != token.server_uuid) => {
            Some(Heard::Refused(Why::OtherServer))
        }
        Ok(_) => Some(Heard::Worked),
        Err(error) => error.refuses_token().map(Heard::Refused),
    }
}

fn not_imported(known: Known<'_>, others: &[TokenName]) -> Finding {
    let hint = how_to_import(known.name, known.requested_at, others);
    needs_person("not-imported", "no token was ever imported under this name".to_owned(), Some(hint))
}

/// What to do where a token is configured and not here.
pub(crate) fn how_to_import(
    name: &TokenName,
    requested_at: Option<Timestamp>,
    others: &[TokenName],
) -> String {
    let next = match requested_at {
        Some(_) => {
            format!("download the token from Apple's portal, then run `deputy token import {name} FILE`")
        }
        None => format!("type `deputy token request {name}` and follow what it says"),
    };
    match others {
        [] => next,
        others => {
            let others: Vec<String> = others.iter().map(|other| format!("`{other}`")).collect();
            let others = others.join(", ");
            format!(
                "if it was renamed, write the name it has now in deputy.toml (here, and not there: {others}); else {next}"
            )
        }
    }
}

/// What Apple's answer comes to, for a token that was imported.
pub fn judge(known: Known<'_>, token: &Token, answer: Result<&Account, &Error>, now: Timestamp) -> Finding {
    match answer {
        Ok(account) => accepted(known.name, token, account, now),
        Err(error) => refused(known, token, error, now),
    }
}

fn accepted(name: &TokenName, token: &Token, account: &Account, now: Timestamp) -> Finding {
    let date = token.expires_at.strftime("%Y-%m-%d");
    let theirs = account.server_uuid.as_ref().filter(|theirs| **theirs != token.server_uuid);
    if theirs.is_some() {
        let other = account.server_name.as_deref().unwrap_or("another one");
        let summary =
            format!("it is a token of the server \"{other}\", and not of \"{}\"", token.server_name);
        let hint = format!(
            "download a token of the server \"{}\" from Apple's portal, then run `deputy token import {name} FILE`",
            token.server_name
        );
        return needs_person("other-server", summary, Some(hint));
    }
    if token.expires_at <= now {
        let summary = format!("it ended on {date} by its own word, though Apple still accepts it");
        return needs_person("ended", summary, Some(renew(name)));
    }
    let left = Duration::try_from(token.expires_at.duration_since(now)).unwrap_or_default();
    let mut summary = format!("Apple accepts it; it expires {}", from_now(token.expires_at, now));
    let renamed = |ours: &str, theirs: &Option<String>, what: &str| match theirs {
        Some(theirs) if theirs != ours => format!("; the {what} is now called \"{theirs}\""),
        _ => String::new(),
    };
    summary += &renamed(&token.server_name, &account.server_name, "server");
    summary += &renamed(&token.org_name, &account.org_name, "organisation");
    let soon = left <= Duration::from_secs(30 * 86_400);
    Finding { state: "fine", summary, hint: soon.then(|| renew(name)), outcome: State::Succeeded }
}

fn refused(known: Known<'_>, token: &Token, error: &Error, now: Timestamp) -> Finding {
    let Known { name, requested_at, .. } = known;
    let requested_since = requested_at.filter(|at| *at > token.imported_at);
    let over = token.expires_at <= now;
    let mut hint = error.advice();
    let state = match error {
        Error::TokenExpired { .. } => "expired",
        Error::TokenRejected { .. } if over => {
            hint = Some(renew(name));
            "expired"
        }
        Error::TokenRejected { .. } if let Some(at) = requested_since => {
            hint = Some(format!(
                "a new token was asked for on {} and never imported; downloading it ended this one: run \
                 `deputy token import {name} FILE` with the newest file from Apple's portal",
                at.strftime("%Y-%m-%d")
            ));
            "replaced"
        }
        // The advice speaks of the clock, too.
        Error::TokenRejected { answer, .. } if answer.is_about_the_request() => "rejected",
        Error::TokenRejected { .. } => {
            hint = Some(format!(
                "it was revoked, or somebody downloaded a newer one, which ends it: import the newest file, or download \
                 a new one from Apple's portal and run `deputy token import {name} FILE`"
            ));
            "rejected"
        }
        Error::SessionRefused { .. } => {
            hint = Some("look whether another program uses this token, such as an MDM or another Deputy: one ends the \
                 sessions of the other"
                .to_owned());
            "session-refused"
        }
        Error::CreatorGone { .. } => "creator-gone",
        Error::ClockWrong { .. } => "clock-wrong",
        Error::TermsNotSigned { .. } => "terms-not-signed",
        Error::ServerInactive { .. } => "server-inactive",
        Error::AccessDenied { .. } => "access-denied",
        Error::Unreachable { trouble, .. } => word(trouble),
        Error::TooManyRequests { retry_after, .. } => {
            hint = Some(again(*retry_after));
            "too-many-requests"
        }
        Error::Unavailable { retry_after, .. } => {
            hint = Some(again(*retry_after));
            "unavailable"
        }
        Error::BadAnswer { .. } => "bad-answer",
        Error::Setup { .. } => "wrong-setup",
        _ => "unexpected",
    };
    let outcome = match error.next() {
        Next::Retry { .. } => State::Unavailable,
        Next::Operator(_) => State::NeedsPerson,
        _ => State::Failed,
    };
    let mut summary = error.to_string();
    if let Error::CreatorGone { .. } = error
        && !token.admin_id.is_empty()
    {
        summary += &format!(" (it was {})", token.admin_id);
    }
    let later = (outcome == State::Unavailable).then(|| "try again later".to_owned());
    let hint = hint.or(later);
    Finding { state, summary, hint, outcome }
}

fn word(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::Name => "name-not-resolved",
        Trouble::Refused => "connection-refused",
        Trouble::SlowConnection => "connection-timeout",
        Trouble::Untrusted(_) => "certificate-not-trusted",
        Trouble::NoTls => "no-tls",
        Trouble::NoTunnel | Trouble::ProxyCredentials => "proxy-refused",
        Trouble::SlowAnswer => "answer-timeout",
        Trouble::Other => "no-answer",
    }
}

fn renew(name: &TokenName) -> String {
    format!("download a new token from Apple's portal, then run `deputy token import {name} FILE`")
}

fn again(after: Option<Duration>) -> String {
    match after.filter(|after| !after.is_zero()) {
        Some(after) => format!("nothing to mend here; Apple asks to be left alone for {}", in_words(after)),
        None => "nothing to mend here; try again later".to_owned(),
    }
}

fn needs_person(state: &'static str, summary: String, hint: Option<String>) -> Finding {
    Finding { state, summary, hint, outcome: State::NeedsPerson }
}

#[cfg(test)]
mod tests;
