//! The decision: plain functions of plain values, tested by `cargo test` without WebAssembly.
//!
//! A plan that would move devices away from a protected profile is refused; one that would move many is
//! shown to a person first. What the operator's own limits refuse never comes here.

#[cfg(target_arch = "wasm32")]
mod component;

use serde_json::{Map, Value};

/// Something that is wrong with the settings, and where: a JSON pointer.
#[derive(Debug, Default)]
pub struct Problem {
    pub pointer: String,
    pub message: String,
    pub hint: Option<String>,
}

/// The settings.
#[derive(Debug, Default)]
pub struct Policy {
    ask_above: Option<u64>,
    protected: Vec<String>,
}

/// Whether a plan may go ahead.
#[derive(Debug)]
pub enum Decision {
    Approve,
    Ask,
    Refuse,
}

/// How many devices go from one profile to another.
#[derive(Debug)]
pub struct Move<'a> {
    pub from: Option<&'a str>,
    pub devices: u64,
}

const KEYS: [&str; 2] = ["ask_above", "protected"];

impl Policy {
    /// Reads the settings, or tells everything that is wrong with them.
    pub fn read(settings: &str, profiles: &[String]) -> Result<Self, Vec<Problem>> {
        let settings: Map<String, Value> = serde_json::from_str(settings).map_err(|error| {
            vec![Problem { message: format!("the settings are not a table: {error}"), ..Problem::default() }]
        })?;
        let mut problems = Vec::new();
        let mut problem = |pointer: String, message: String, hint: Option<String>| {
            problems.push(Problem { pointer, message, hint });
        };
        for key in settings.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            let hint = "the settings are `ask_above` and `protected`".to_owned();
            problem(format!("/{}", escape(key)), format!("there is no setting `{key}`"), Some(hint));
        }
        let mut policy = Self::default();
        if let Some(value) = settings.get("ask_above") {
            policy.ask_above = value.as_u64();
            if policy.ask_above.is_none() {
                let hint = "ask_above = 50".to_owned();
                problem("/ask_above".to_owned(), "not a whole number from 0".to_owned(), Some(hint));
            }
        }
        match settings.get("protected").map(Value::as_array) {
            None => {}
            Some(None) => {
                let hint = "protected = [\"executive-mac\"]".to_owned();
                problem("/protected".to_owned(), "not a list of profiles".to_owned(), Some(hint));
            }
            Some(Some(list)) => {
                for (index, value) in list.iter().enumerate() {
                    match profiles.iter().find(|profile| value.as_str() == Some(profile)) {
                        Some(profile) => policy.protected.push(profile.clone()),
                        None => {
                            let known: Vec<String> = profiles.iter().map(|name| format!("`{name}`")).collect();
                            problem(
                                format!("/protected/{index}"),
                                format!("there is no profile {value}"),
                                Some(format!("there are {}", known.join(", "))),
                            );
                        }
                    }
                }
            }
        }
        if settings.is_empty() {
            let hint = "ask_above = 50".to_owned();
            problem(String::new(), "nothing is set, so every plan would be approved".to_owned(), Some(hint));
        }
        if problems.is_empty() { Ok(policy) } else { Err(problems) }
    }

    /// Whether a plan with these moves may go ahead, and why.
    pub fn review(&self, reassignments: u64, moves: &[Move<'_>]) -> (Decision, String) {
        for Move { from, devices } in moves {
            if let Some(from) = from.filter(|from| self.protected.iter().any(|profile| profile == from)) {
                let reason = format!("{devices} devices would be moved away from {from}, which is protected");
                return (Decision::Refuse, reason);
            }
        }
        let moved = format!("{reassignments} devices would be moved to another profile");
        match self.ask_above.filter(|most| reassignments > *most) {
            Some(most) => (Decision::Ask, format!("{moved}, more than {most}")),
            None => (Decision::Approve, moved),
        }
    }
}

/// A step of a JSON pointer.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
