//! The decision: plain functions of plain values, tested by `cargo test` without WebAssembly.
//!
//! A device gets the profile of the longest prefix that its asset tag begins with, else the profile
//! of its family. What neither settles is held, with a reason, for somebody to look at.

#[cfg(target_arch = "wasm32")]
mod component;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Something that is wrong with the settings, and where: a JSON pointer.
#[derive(Debug, Default)]
pub struct Problem {
    pub pointer: String,
    pub message: String,
    pub hint: Option<String>,
}

/// The settings, with profiles as indices into the operator's list.
#[derive(Debug, Default)]
pub struct Policy {
    prefixes: BTreeMap<String, u32>,
    families: BTreeMap<String, u32>,
}

const KEYS: [&str; 2] = ["families", "prefixes"];

impl Policy {
    /// Reads the settings, or tells everything that is wrong with them.
    pub fn read(settings: &str, profiles: &[String]) -> Result<Self, Vec<Problem>> {
        let settings: Map<String, Value> = serde_json::from_str(settings).map_err(|error| {
            vec![Problem { message: format!("the settings are not a table: {error}"), ..Problem::default() }]
        })?;
        let mut problems = Vec::new();
        for key in settings.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            problems.push(Problem {
                pointer: format!("/{}", escape(key)),
                message: format!("there is no setting `{key}`"),
                hint: Some("the settings are `families` and `prefixes`".to_owned()),
            });
        }
        let policy = Self {
            families: read_profiles(&settings, "families", profiles, &mut problems),
            prefixes: read_profiles(&settings, "prefixes", profiles, &mut problems),
        };
        if policy.prefixes.contains_key("") {
            problems.push(Problem {
                pointer: "/prefixes/".to_owned(),
                message: "the empty text begins every asset tag".to_owned(),
                hint: Some("write what is for a whole family under `families`".to_owned()),
            });
        }
        if problems.is_empty() && policy.families.is_empty() && policy.prefixes.is_empty() {
            problems.push(Problem {
                pointer: String::new(),
                message: "nothing is set, so no device would get a profile".to_owned(),
                hint: Some(format!("families = {{ iPad = \"{}\" }}", example(profiles))),
            });
        }
        if problems.is_empty() { Ok(policy) } else { Err(problems) }
    }

    /// The profile that a device gets, or none to hold it; and why.
    pub fn decide(&self, asset_tag: Option<&str>, family: Option<&str>) -> (Option<u32>, String) {
        let tag = asset_tag.unwrap_or_default();
        let fitting = self.prefixes.iter().filter(|(prefix, _)| tag.starts_with(prefix.as_str()));
        if let Some((prefix, profile)) = fitting.max_by_key(|(prefix, _)| prefix.len()) {
            return (Some(*profile), format!("the asset tag begins with {prefix}"));
        }
        let Some(family) = family.filter(|family| !family.is_empty()) else {
            return (None, "Apple does not say which family the device is of".to_owned());
        };
        match self.families.get(family) {
            Some(profile) => (Some(*profile), format!("the family is {family}")),
            None => (None, "no profile is set for the family of the device".to_owned()),
        }
    }
}

/// Reads the table `key`, from a text to the name of a profile.
fn read_profiles(
    settings: &Map<String, Value>,
    key: &str,
    profiles: &[String],
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, u32> {
    let mut read = BTreeMap::new();
    let table = match settings.get(key) {
        None => return read,
        Some(Value::Object(table)) => table,
        Some(_) => {
            problems.push(Problem {
                pointer: format!("/{key}"),
                message: format!("`{key}` is not a table"),
                hint: Some(format!("{key} = {{ ... = \"{}\" }}", example(profiles))),
            });
            return read;
        }
    };
    for (name, wanted) in table {
        let pointer = format!("/{key}/{}", escape(name));
        let Some(wanted) = wanted.as_str() else {
            let message = "the name of a profile is a text".to_owned();
            problems.push(Problem { pointer, message, hint: None });
            continue;
        };
        match (0..).zip(profiles).find(|(_, profile)| *profile == wanted) {
            Some((index, _)) => {
                read.insert(name.clone(), index);
            }
            None => {
                let known: Vec<String> = profiles.iter().map(|profile| format!("`{profile}`")).collect();
                problems.push(Problem {
                    pointer,
                    message: format!("there is no profile `{wanted}`"),
                    hint: Some(format!("there are {}", known.join(", "))),
                });
            }
        }
    }
    read
}

fn example(profiles: &[String]) -> &str {
    profiles.first().map_or("standard", String::as_str)
}

/// A step of a JSON pointer.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
