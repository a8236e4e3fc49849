//! Bad days on demand: which call is to fail next, and how.
//!
//! Faults are asked in the order they were set; the first that matches is played. A fault that lets a call
//! through, because it counts first or because the dice say so, does not hide those behind it. What a fault
//! does to the body of an answer is `distort`'s business; names for common ones are in `presets`.

use crate::dice::Dice;
use crate::endpoint::Endpoint;
use serde::{Deserialize, Deserializer, Serialize, de};

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
    /// Is carried out; the answer's headers promise all of it, half of it is sent, then the connection closed.
    ResetInBody,
    /// Is not carried out and never answered: until the client goes away, or the simulator stops.
    Hang,
    /// Is carried out, and answered 200 with `body`; without one, with valid JSON of another shape.
    WrongJson,
    /// Is carried out; every object of the answer, each device too, has members nobody has heard of.
    UnknownFields,
    /// Is carried out; the members named in `fields` are missing from the answer. If none is named, all that
    /// a client has no right to expect: of a device, all but its serial number and model.
    MissingFields,
    /// Like `missing_fields`, but the members are there and `null`.
    NullFields,
    /// The server's session ends: this call is 401 `UNAUTHORIZED`, and not carried out.
    EndSession,
    /// Says `body`, for example `FAILED`, of every device that was named, and leaves them all alone.
    DeviceStatus,
}

/// One fault: which calls, how, and how many of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// For `status` and `wrong_json`: the body, sent as it is. For `device_status`: the status.
    #[serde(default)]
    pub body: String,
    /// For `status`: the value of a `Retry-After` header, in seconds or as an HTTP date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<String>,
    /// For `slow`: how many milliseconds.
    #[serde(default)]
    pub ms: u64,
    /// For `missing_fields` and `null_fields`: which members.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// How many matching calls fail; 0 means without end.
    #[serde(default = "once")]
    pub times: u32,
    /// How many matching calls are let through first.
    #[serde(default)]
    pub after: u32,
    /// How likely a matching call fails, from 0 to 1. The dice are those of `Settings::seed`, so the same
    /// calls in the same order fail again.
    #[serde(default = "surely", deserialize_with = "probability", skip_serializing_if = "is_sure")]
    pub probability: f64,
}

fn once() -> u32 {
    1
}

fn unavailable() -> u16 {
    503
}

fn surely() -> f64 {
    1.0
}

fn is_sure(probability: &f64) -> bool {
    *probability >= 1.0
}

fn probability<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let given = f64::deserialize(deserializer)?;
    if (0.0..=1.0).contains(&given) {
        Ok(given)
    } else {
        Err(de::Error::custom("`probability` is from 0 to 1"))
    }
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
            fields: Vec::new(),
            times: once(),
            after: 0,
            probability: surely(),
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

    /// Does what was asked, sends half of the answer, then closes the connection.
    pub fn reset_in_body() -> Self {
        Self::new(FaultKind::ResetInBody)
    }

    /// Never answers.
    pub fn hang() -> Self {
        Self::new(FaultKind::Hang)
    }

    /// Does what was asked, and answers with valid JSON of another shape.
    pub fn wrong_json() -> Self {
        Self::new(FaultKind::WrongJson)
    }

    /// Does what was asked, and answers this instead, with status 200.
    pub fn answer(body: &str) -> Self {
        Self { body: body.into(), ..Self::wrong_json() }
    }

    /// Puts members into every object of the answer that nobody has heard of.
    pub fn unknown_fields() -> Self {
        Self::new(FaultKind::UnknownFields)
    }

    /// Leaves out everything that a client has no right to expect.
    pub fn missing_fields() -> Self {
        Self::new(FaultKind::MissingFields)
    }

    /// Leaves out these members wherever the answer has them.
    pub fn without_fields(fields: &[&str]) -> Self {
        Self::missing_fields().naming(fields)
    }

    /// Sets these members to `null` wherever the answer has them; with no names, all optional ones.
    pub fn null_fields(fields: &[&str]) -> Self {
        Self::new(FaultKind::NullFields).naming(fields)
    }

    /// Ends the session of whoever calls.
    pub fn end_session() -> Self {
        Self::new(FaultKind::EndSession)
    }

    /// Says this of every device that was named, and leaves them all alone.
    pub fn device_status(status: &str) -> Self {
        Self { body: status.into(), ..Self::new(FaultKind::DeviceStatus) }
    }

    fn naming(self, fields: &[&str]) -> Self {
        Self { fields: fields.iter().map(|&field| field.into()).collect(), ..self }
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

    /// That many calls; 0 means without end.
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// Only once that many calls were let through.
    pub fn after(self, after: u32) -> Self {
        Self { after, ..self }
    }

    /// Every matching call from now on.
    pub fn always(self) -> Self {
        self.times(0)
    }

    /// Only as many of the matching calls as chance has it; what is no number from 0 to 1 is brought there.
    pub fn with_probability(self, probability: f64) -> Self {
        let probability = if probability.is_nan() { 0.0 } else { probability.clamp(0.0, 1.0) };
        Self { probability, ..self }
    }
}

/// The faults still to be played.
#[derive(Debug, Default)]
pub(crate) struct Faults(pub(crate) Vec<Fault>);

impl Faults {
    /// The fault of this call, if it has one; counts it.
    pub(crate) fn take(
        &mut self,
        endpoint: Endpoint,
        server: Option<&str>,
        dice: &mut Dice,
    ) -> Option<Fault> {
        let matches = |fault: &Fault| {
            fault.endpoint.is_none_or(|only| only == endpoint)
                && fault.server.as_deref().is_none_or(|only| Some(only) == server)
        };
        let plays = |fault: &mut Fault| {
            if !matches(fault) {
                return false;
            }
            if fault.after > 0 {
                fault.after -= 1;
                return false;
            }
            is_sure(&fault.probability) || dice.roll() < fault.probability
        };
        let at = self.0.iter_mut().position(plays)?;
        if self.0[at].times == 1 {
            return Some(self.0.remove(at));
        }
        self.0[at].times = self.0[at].times.saturating_sub(1);
        Some(self.0[at].clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    /// Plays calls, written as endpoint or server:endpoint, against faults written in JSON.
    fn check(faults: &[&str], calls: &str, expect: Expect) {
        let mut faults = Faults(faults.iter().map(|json| serde_json::from_str(json).unwrap()).collect());
        let mut dice = Dice::new(1);
        let played = calls.split(' ').map(|call| {
            let (server, endpoint) = call.split_once(':').unwrap_or(("emea", call));
            match faults.take(Endpoint::parse(endpoint).unwrap(), Some(server), &mut dice) {
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
    fn a_fault_without_end_lets_those_before_it_have_their_turn() {
        check(
            &[r#"{"kind":"truncate","endpoint":"sync"}"#, r#"{"kind":"status","times":0}"#],
            "sync sync sync assign",
            expect!["Truncate 503 503 503"],
        );
    }

    #[test]
    fn chance_has_it_the_same_way_every_time_and_only_failures_count() {
        let faults = [r#"{"kind":"status","times":3,"probability":0.5}"#];
        check(&faults, "sync sync sync sync sync sync sync sync", expect!["- - - - - 503 503 503"]);
        check(&faults, "sync sync sync sync sync sync sync sync", expect!["- - - - - 503 503 503"]);
        check(&[r#"{"kind":"hang","times":0,"probability":0}"#], "sync sync sync", expect!["- - -"]);
    }

    #[test]
    fn misspelt_faults_are_refused_with_what_there_is() {
        let refused = |json: &str| serde_json::from_str::<Fault>(json).unwrap_err().to_string();
        assert!(refused(r#"{"kind":"status","endpoint":"asign"}"#).contains("there is no endpoint `asign`"));
        assert!(refused(r#"{"kind":"status","time":2}"#).contains("unknown field `time`"));
        assert!(refused(r#"{"kind":"hang","probability":2}"#).contains("`probability` is from 0 to 1"));
    }
}
