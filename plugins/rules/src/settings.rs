//! From an operator's settings to rules, with every mistake found and said where it stands.

use serde_json::{Map, Value};

use crate::condition::{Condition, Field, Wanted};
use crate::glob::is_pattern;
use crate::policy::{Decision, Outcome, Policy, Rule};
use crate::time;

/// One thing that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

const TOP: [&str; 2] = ["default", "rules"];
const RULE: [&str; 8] = ["assign", "hold", "hold_until", "ignore", "name", "reason", "unless", "when"];
const DEFAULT: [&str; 4] = ["assign", "hold", "ignore", "reason"];
const STATUS: [&str; 4] = ["assigned", "empty", "pushed", "removed"];
const RANGE: [&str; 2] = ["after", "before"];

pub(crate) fn read(settings: &str, profiles: &[String]) -> Result<Policy, Vec<Problem>> {
    let mut reader = Reader { profiles, problems: Vec::new(), reasons: Vec::new() };
    let value = match serde_json::from_str(settings) {
        Ok(value) => value,
        Err(error) => {
            reader.problem("", format!("this is not JSON: {error}"), None);
            Value::Object(Map::new())
        }
    };
    let (rules, otherwise) = reader.top(&value);
    match reader.problems.is_empty() {
        true => Ok(Policy { rules, otherwise, reasons: reader.reasons }),
        false => Err(reader.problems),
    }
}

/// Reads on after a mistake, with something harmless in its place; the rules are thrown away if
/// there was any.
struct Reader<'a> {
    profiles: &'a [String],
    problems: Vec<Problem>,
    reasons: Vec<String>,
}

impl Reader<'_> {
    fn top(&mut self, value: &Value) -> (Vec<Rule>, Outcome) {
        let nothing = Map::new();
        let table = self.table(value, "", &TOP).unwrap_or(&nothing);
        let rules = match table.get("rules") {
            None => Vec::new(),
            Some(Value::Array(rules)) => {
                rules.iter().enumerate().map(|(index, rule)| self.rule(rule, index)).collect()
            }
            Some(_) => {
                self.problem(
                    "/rules",
                    "rules are a list of tables",
                    Some("start each with `[[rules]]`".to_owned()),
                );
                Vec::new()
            }
        };
        let otherwise = match table.get("default") {
            None => Outcome { decision: Decision::Hold(None), reason: self.reason("no rule matched") },
            Some(value) => {
                let table = self.table(value, "/default", &DEFAULT).unwrap_or(&nothing);
                self.outcome(table, "/default", "no rule matched")
            }
        };
        (rules, otherwise)
    }

    fn rule(&mut self, value: &Value, index: usize) -> Rule {
        let pointer = format!("/rules/{index}");
        let nothing = Map::new();
        let table = self.table(value, &pointer, &RULE).unwrap_or(&nothing);
        let name = match self.text(table, "name", &pointer) {
            Some(name) => format!("rule `{name}`"),
            // People count from one.
            None => format!("rule {}", index + 1),
        };
        Rule {
            when: self.conditions(table, "when", &pointer),
            unless: self.conditions(table, "unless", &pointer),
            outcome: self.outcome(table, &pointer, &name),
        }
    }

    /// Exactly one of `assign`, `hold`, `hold_until` and `ignore`, and perhaps a `reason`.
    fn outcome(&mut self, table: &Map<String, Value>, pointer: &str, reason: &str) -> Outcome {
        let mut decisions = Vec::new();
        for action in ["assign", "hold", "hold_until", "ignore"] {
            if let Some(value) = table.get(action) {
                decisions.push((action, self.decision(action, value, &format!("{pointer}/{action}"))));
            }
        }
        let decision = match decisions[..] {
            [(_, decision)] => decision,
            // A table that is no table has been complained about already.
            [] if table.is_empty() && !self.problems.is_empty() => Decision::Ignore,
            [] => {
                let hint = "add one of `assign = \"PROFILE\"`, `hold = true` and `ignore = true`".to_owned();
                self.problem(pointer, "nothing says what to do", Some(hint));
                Decision::Ignore
            }
            [..] => {
                let names: Vec<String> = decisions.iter().map(|(name, _)| format!("`{name}`")).collect();
                self.problem(pointer, format!("{} exclude each other", names.join(" and ")), None);
                Decision::Ignore
            }
        };
        let reason = self.text(table, "reason", pointer).unwrap_or(reason).to_owned();
        Outcome { decision, reason: self.reason(&reason) }
    }

    fn decision(&mut self, action: &str, value: &Value, pointer: &str) -> Decision {
        match (action, value) {
            ("assign", Value::String(profile)) => {
                match self.profiles.iter().position(|known| known == profile) {
                    Some(index) => Decision::Assign(index as u32),
                    None => {
                        let hint = nearest(profile, self.profiles.iter().map(String::as_str));
                        self.problem(pointer, format!("there is no profile `{profile}` to assign"), hint);
                        Decision::Ignore
                    }
                }
            }
            ("hold", Value::Bool(true)) => Decision::Hold(None),
            ("ignore", Value::Bool(true)) => Decision::Ignore,
            ("hold_until", value) => Decision::Hold(Some(self.date(value, pointer).unwrap_or(0))),
            ("assign", _) => {
                self.problem(pointer, "a profile is named by a text", None);
                Decision::Ignore
            }
            (action, _) => {
                let hint = format!("leave `{action}` out if it is not meant");
                self.problem(pointer, format!("`{action}` can only be `true`"), Some(hint));
                Decision::Ignore
            }
        }
    }

    /// The conditions in the table `key`. None at all is fine: such a `when` fits every device.
    fn conditions(&mut self, rule: &Map<String, Value>, key: &str, pointer: &str) -> Vec<Condition> {
        let Some(value) = rule.get(key) else { return Vec::new() };
        let pointer = format!("{pointer}/{key}");
        let Value::Object(table) = value else {
            let hint = format!("such as `{key} = {{ device_family = \"iPad\" }}`");
            self.problem(&pointer, format!("`{key}` is a table of fields"), Some(hint));
            return Vec::new();
        };
        let conditions = flattened(table).into_iter().filter_map(|(name, path, value)| {
            let pointer = format!("{pointer}{path}");
            let Some(field) = Field::named(&name) else {
                let names = Field::NAMES.iter().map(|(name, _)| *name);
                let hint = nearest(&name, names)
                    .or_else(|| Some(format!("a field younger than Deputy is `extra.{name}`")));
                self.problem(&pointer, format!("devices have no field `{name}`"), hint);
                return None;
            };
            let wanted = match &field {
                field if field.is_date() => self.range(value, &pointer),
                Field::ProfileStatus => self.texts(value, &pointer, &STATUS),
                _ => self.texts(value, &pointer, &[]),
            };
            wanted.map(|wanted| Condition { field, wanted })
        });
        conditions.collect()
    }

    /// Texts and patterns; of a field that can only be one of `known`, texts that can be.
    fn texts(&mut self, value: &Value, pointer: &str, known: &[&str]) -> Option<Wanted> {
        let values = match value {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        let texts: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
        if texts.is_none() {
            let hint = "such as `\"LIB-*\"` or `[\"A\", \"B\"]`".to_owned();
            self.problem(pointer, "a field is compared with a text or a list of texts", Some(hint));
        }
        for text in texts.iter().flatten().filter(|text| !known.is_empty() && !is_pattern(text)) {
            if !known.iter().any(|known| known.eq_ignore_ascii_case(text)) {
                let hint = nearest(text, known.iter().copied())
                    .unwrap_or_else(|| format!("known are {}", listed(known)));
                self.problem(pointer, format!("no device is ever `{text}`"), Some(hint));
            }
        }
        texts.map(|texts| Wanted::any_of(texts.into_iter()))
    }

    fn range(&mut self, value: &Value, pointer: &str) -> Option<Wanted> {
        if !value.is_object() {
            let hint = "such as `{ after = \"2026-01-01\", before = \"2026-02-01\" }`".to_owned();
            self.problem(pointer, "a date is compared with a range", Some(hint));
            return None;
        }
        let table = self.table(value, pointer, &RANGE)?;
        let [after, before] = RANGE.map(|key| {
            let value = table.get(key)?;
            self.date(value, &format!("{pointer}/{key}"))
        });
        if let (Some(after), Some(before)) = (after, before)
            && after >= before
        {
            self.problem(pointer, "`after` is not before `before`, so no date fits", None);
        }
        Some(Wanted::Date { after, before })
    }

    fn date(&mut self, value: &Value, pointer: &str) -> Option<u64> {
        let date = value.as_str().and_then(time::parse);
        if date.is_none() {
            let hint = "such as `2026-02-01` or `2026-02-01T08:00:00+01:00`".to_owned();
            self.problem(pointer, format!("{value} is not a date"), Some(hint));
        }
        date
    }

    /// The value as a table with no other keys than these.
    fn table<'v>(
        &mut self,
        value: &'v Value,
        pointer: &str,
        keys: &[&str],
    ) -> Option<&'v Map<String, Value>> {
        let Value::Object(table) = value else {
            self.problem(pointer, format!("this is a table with the keys {}", listed(keys)), None);
            return None;
        };
        for key in table.keys().filter(|key| !keys.contains(&key.as_str())) {
            let hint =
                nearest(key, keys.iter().copied()).unwrap_or_else(|| format!("known are {}", listed(keys)));
            self.problem(&format!("{pointer}/{}", escaped(key)), format!("unknown key `{key}`"), Some(hint));
        }
        Some(table)
    }

    fn text<'v>(&mut self, table: &'v Map<String, Value>, key: &str, pointer: &str) -> Option<&'v str> {
        let value = table.get(key)?;
        if !value.is_string() {
            self.problem(&format!("{pointer}/{key}"), format!("`{key}` is a text"), None);
        }
        value.as_str()
    }

    /// The index of a reason; equal ones share it.
    fn reason(&mut self, reason: &str) -> u32 {
        let known = self.reasons.iter().position(|known| known == reason);
        known.unwrap_or_else(|| {
            self.reasons.push(reason.to_owned());
            self.reasons.len() - 1
        }) as u32
    }

    fn problem(&mut self, pointer: &str, message: impl Into<String>, hint: Option<String>) {
        self.problems.push(Problem { pointer: pointer.to_owned(), message: message.into(), hint });
    }
}

/// Fields by name, each with its place below the table. `extra.NAME` may be written with quotes
/// around it or without, which TOML takes for a table in a table.
fn flattened(table: &Map<String, Value>) -> Vec<(String, String, &Value)> {
    let mut fields = Vec::new();
    for (name, value) in table {
        let path = format!("/{}", escaped(name));
        match value {
            Value::Object(inner) if name == "extra" => {
                fields.extend(inner.iter().map(|(name, value)| {
                    (format!("extra.{name}"), format!("{path}/{}", escaped(name)), value)
                }))
            }
            value => fields.push((name.clone(), path, value)),
        }
    }
    fields
}

/// A key as it stands in a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let by_distance = known.map(|known| (strsim::damerau_levenshtein(word, known), known));
    let (distance, known) = by_distance.min()?;
    // A third of the letters may be wrong; beyond that it is another word.
    (distance * 3 <= word.chars().count().max(3)).then(|| format!("did you mean `{known}`?"))
}

fn listed(keys: &[&str]) -> String {
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}
