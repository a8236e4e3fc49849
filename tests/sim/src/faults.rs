//! Bad days on demand: which call is to fail next, and how.
//!
//! Faults are asked in the order they were set; the first that matches is played. A fault that still lets
//! calls through counts them down and does not hide those behind it.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// Apple's endpoints, by the names used for faults and in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// `GET /session`
    Session,
    /// `GET /account`
    Account,
    /// `POST /server/devices`
    Fetch,
    /// `POST /devices/sync`
    Sync,
    /// `POST /devices`
    Details,
    /// `POST /devices/disown`
    Disown,
    /// `POST /profile`
    Define,
    /// `GET /profile`
    Profile,
    /// `POST` or `PUT /profile/devices`
    Assign,
    /// `DELETE /profile/devices`
    Clear,
    /// Anything else that was called.
    Unknown,
}

impl Endpoint {
    const ALL: [(Self, &'static str, &'static str, &'static str); 11] = [
        (Self::Session, "session", "GET", "/session"),
        (Self::Account, "account", "GET", "/account"),
        (Self::Fetch, "fetch", "POST", "/server/devices"),
        (Self::Sync, "sync", "POST", "/devices/sync"),
        (Self::Details, "details", "POST", "/devices"),
        (Self::Disown, "disown", "POST", "/devices/disown"),
        (Self::Define, "define", "POST", "/profile"),
        (Self::Profile, "profile", "GET", "/profile"),
        (Self::Assign, "assign", "POST", "/profile/devices"),
        (Self::Assign, "assign", "PUT", "/profile/devices"),
        (Self::Clear, "clear", "DELETE", "/profile/devices"),
    ];

    /// The endpoint of a request; `Err(true)` if the path exists, but not with this method.
    pub(crate) fn of(method: &str, path: &str) -> Result<Self, bool> {
        let here = || Self::ALL.iter().filter(|(_, _, _, at)| *at == path);
        here()
            .find(|(_, _, with, _)| *with == method)
            .map(|(endpoint, ..)| *endpoint)
            .ok_or(here().next().is_some())
    }

    /// Reads `assign` as well as `POST /profile/devices`.
    pub fn parse(text: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, name, method, path)| {
            *name == text || text.split_once(' ').is_some_and(|(with, at)| with == *method && at == *path)
        });
        found.map(|(endpoint, ..)| *endpoint).or((text == "unknown").then_some(Self::Unknown))
    }

    /// The short name, for example `assign`.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(endpoint, ..)| *endpoint == self).map_or("unknown", |(_, name, ..)| name)
    }

    /// The methods and paths there are, for `/account` and for help.
    pub(crate) fn routes() -> impl Iterator<Item = (Self, &'static str, &'static str)> {
        Self::ALL.iter().map(|(endpoint, _, method, path)| (*endpoint, *method, *path))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            let mut names = Self::ALL.map(|(_, name, ..)| name).to_vec();
            names.dedup();
            let names = names.join(", ");
            de::Error::custom(format!("there is no endpoint `{text}`; there are {names} and unknown"))
        })
    }
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Is answered with `status` and `body`, and not carried out.
    Status,
    /// Is not carried out, and the connection closed without an answer.
    HangUp,
    /// Is carried out, and the connection closed without an answer.
    HangUpAfter,
    /// Is carried out, and answered `ms` milliseconds late.
    Slow,
    /// Is carried out, and only the first half of the answer's JSON is sent, as if it were all.
    Truncate,
    /// Is carried out; the answer has the cursor that was asked for and claims that more follows.
    SameCursor,
}

/// One fault: which calls, how, and how many of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// How the call fails.
    pub kind: FaultKind,
    /// Only calls of this endpoint; of every endpoint if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// Only calls of this server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// For `status`: the HTTP status.
    #[serde(default = "unavailable")]
    pub status: u16,
    /// For `status`: the body, sent as it is.
    #[serde(default)]
    pub body: String,
    /// For `status`: the value of a `Retry-After` header, in seconds or as an HTTP date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<String>,
    /// For `slow`: how many milliseconds.
    #[serde(default)]
    pub ms: u64,
    /// How many matching calls fail.
    #[serde(default = "once")]
    pub times: u32,
    /// How many matching calls are let through first.
    #[serde(default)]
    pub after: u32,
}

fn once() -> u32 {
    1
}

fn unavailable() -> u16 {
    503
}

impl Fault {
    /// A fault of the next call, whatever it is for.
    pub fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            endpoint: None,
            server: None,
            status: unavailable(),
            body: String::new(),
            retry_after: None,
            ms: 0,
            times: once(),
            after: 0,
        }
    }

    /// Answers with this status and body.
    pub fn status(status: u16, body: &str) -> Self {
        Self { status, body: body.into(), ..Self::new(FaultKind::Status) }
    }

    /// Closes the connection without doing anything.
    pub fn hang_up() -> Self {
        Self::new(FaultKind::HangUp)
    }

    /// Does what was asked, then closes the connection.
    pub fn hang_up_after() -> Self {
        Self::new(FaultKind::HangUpAfter)
    }

    /// Answers late.
    pub fn slow(ms: u64) -> Self {
        Self { ms, ..Self::new(FaultKind::Slow) }
    }

    /// Only calls of this endpoint.
    pub fn on(self, endpoint: Endpoint) -> Self {
        Self { endpoint: Some(endpoint), ..self }
    }

    /// Only calls of this server.
    pub fn of_server(self, server: &str) -> Self {
        Self { server: Some(server.into()), ..self }
    }

    /// With this `Retry-After` header.
    pub fn retry_after(self, value: &str) -> Self {
        Self { retry_after: Some(value.into()), ..self }
    }

    /// That many calls.
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// Only once that many calls were let through.
    pub fn after(self, after: u32) -> Self {
        Self { after, ..self }
    }
}

/// The faults still to be played.
#[derive(Debug, Default)]
pub(crate) struct Faults(pub(crate) Vec<Fault>);

impl Faults {
    /// The fault of this call, if it has one; counts it.
    pub(crate) fn take(&mut self, endpoint: Endpoint, server: Option<&str>) -> Option<Fault> {
        let matches = |fault: &Fault| {
            fault.endpoint.is_none_or(|only| only == endpoint)
                && fault.server.as_deref().is_none_or(|only| Some(only) == server)
        };
        let mut played = None;
        for fault in self.0.iter_mut().filter(|fault| matches(fault)) {
            if fault.after > 0 {
                fault.after -= 1;
            } else if fault.times > 0 {
                fault.times -= 1;
                played = Some(fault.clone());
                break;
            }
        }
        self.0.retain(|fault| fault.times > 0);
        played
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    /// Plays calls, written as endpoint or server:endpoint, against faults written in JSON.
    fn check(faults: &[&str], calls: &str, expect: Expect) {
        let mut faults = Faults(faults.iter().map(|json| serde_json::from_str(json).unwrap()).collect());
        let played = calls.split(' ').map(|call| {
            let (server, endpoint) = call.split_once(':').unwrap_or(("emea", call));
            match faults.take(Endpoint::parse(endpoint).unwrap(), Some(server)) {
                None => "-".to_owned(),
                Some(fault) if fault.kind == FaultKind::Status => fault.status.to_string(),
                Some(fault) => format!("{:?}", fault.kind),
            }
        });
        expect.assert_eq(&played.collect::<Vec<_>>().join(" "));
    }

    #[test]
    fn a_fault_is_played_as_often_as_asked_and_then_forgotten() {
        check(
            &[r#"{"kind":"status","status":500,"endpoint":"assign","times":2}"#],
            "assign sync assign assign",
            expect!["500 - 500 -"],
        );
    }

    #[test]
    fn a_fault_can_let_calls_through_first() {
        check(
            &[r#"{"kind":"hang_up","endpoint":"POST /profile/devices","after":1}"#],
            "assign assign assign",
            expect!["- HangUp -"],
        );
    }

    #[test]
    fn a_fault_of_one_server_does_not_touch_another() {
        check(&[r#"{"kind":"slow","ms":5,"server":"amer"}"#], "emea:sync amer:sync", expect!["- Slow"]);
    }

    #[test]
    fn several_faults_are_played_in_turn() {
        check(
            &[r#"{"kind":"status"}"#, r#"{"kind":"truncate"}"#],
            "sync sync sync",
            expect!["503 Truncate -"],
        );
    }

    #[test]
    fn misspelt_faults_are_refused_with_what_there_is() {
        let refused = |json: &str| serde_json::from_str::<Fault>(json).unwrap_err().to_string();
        assert!(refused(r#"{"kind":"status","endpoint":"asign"}"#).contains("there is no endpoint `asign`"));
        assert!(refused(r#"{"kind":"status","time":2}"#).contains("unknown field `time`"));
    }
}
