//! Where profiles differ, field by field, under Apple's names.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

use super::normal;
use crate::id::Digest;

/// One field of profiles laid side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Apple's name for it.
    pub field: String,
    /// What each has there; none where it has nothing, or is not known at all.
    pub values: Vec<Option<Value>>,
    /// Those that are known do not agree.
    pub differs: bool,
}

/// Lays profiles side by side. One that is not known, none, agrees with everything.
pub fn compare(profiles: &[Option<&Map<String, Value>>]) -> Vec<Row> {
    let sides: Vec<Option<BTreeMap<String, Value>>> = profiles.iter().map(|it| it.map(normal)).collect();
    let fields: BTreeSet<&String> = sides.iter().flatten().flat_map(BTreeMap::keys).collect();
    let row = |field: &String| {
        let known: Vec<Option<&Value>> = sides.iter().flatten().map(|side| side.get(field)).collect();
        let differs = known.windows(2).any(|pair| pair[0] != pair[1]);
        let values = sides.iter().map(|side| side.as_ref()?.get(field).cloned()).collect();
        Row { field: field.clone(), values, differs }
    };
    fields.into_iter().map(row).collect()
}

/// Whether anything differs.
pub fn differ(rows: &[Row]) -> bool {
    rows.iter().any(|row| row.differs)
}

impl Row {
    /// What each has there, in words. Of lists only what is not in all of them is named.
    pub fn words(&self) -> Vec<String> {
        let lists: Vec<BTreeSet<String>> = self.values.iter().flatten().filter_map(list).collect();
        let shared: BTreeSet<String> = match lists.split_first() {
            Some((first, rest)) if self.differs && !rest.is_empty() => {
                first.iter().filter(|word| rest.iter().all(|other| other.contains(*word))).cloned().collect()
            }
            _ => BTreeSet::new(),
        };
        let words = |value: &Option<Value>| match value.as_ref().map(|value| (value, list(value))) {
            None => "-".to_owned(),
            Some((value, None)) => plain(value),
            Some((_, Some(all))) if shared.is_empty() => all.into_iter().collect::<Vec<_>>().join(", "),
            Some((_, Some(all))) => {
                let own: Vec<String> = all.difference(&shared).cloned().collect();
                match own.as_slice() {
                    [] => format!("{} shared", shared.len()),
                    own => format!("{} shared, {}", shared.len(), own.join(", ")),
                }
            }
        };
        self.values.iter().map(words).collect()
    }
}

/// The words of a list; certificates by their digest.
fn list(value: &Value) -> Option<BTreeSet<String>> {
    let Value::Array(list) = value else { return None };
    Some(list.iter().map(plain).collect())
}

/// A value on one line.
pub fn plain(value: &Value) -> String {
    /// Longer than any pane's name and any word; a certificate is always longer.
    const LONG: usize = 300;
    match value {
        Value::String(text) if text.len() > LONG => {
            format!("{}… ({} characters)", Digest::of(text.as_bytes()).short(), text.len())
        }
        Value::String(text) => text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(profiles: &[Value], expected: Expect) {
        let objects: Vec<Option<&Map<String, Value>>> = profiles.iter().map(Value::as_object).collect();
        let rows = compare(&objects);
        let lines = rows
            .iter()
            .filter(|row| row.differs)
            .map(|row| format!("{}: {}\n", row.field, row.words().join(" | ")));
        expected.assert_eq(&lines.collect::<String>());
    }

    #[test]
    fn defaults_empty_values_and_order_make_no_difference() {
        check(
            &[
                json!({ "profile_name": "Lab", "skip_setup_items": ["Siri", "Zoom"] }),
                json!({
                    "profile_name": "Lab", "skip_setup_items": ["Zoom", "Siri"], "allow_pairing": true,
                    "is_supervised": false, "department": "", "anchor_certs": [], "devices": ["C02AA"],
                    "profile_uuid": "A", "language": null,
                }),
            ],
            expect![""],
        );
    }

    #[test]
    fn each_field_that_differs_is_shown_with_what_each_has() {
        check(
            &[
                json!({ "url": "https://a", "is_supervised": true, "skip_setup_items": ["Siri", "TOS", "Zoom"] }),
                json!({ "url": "https://b", "is_supervised": 1, "skip_setup_items": ["Siri", "Tips", "TOS"] }),
                json!({ "url": "https://a", "skip_setup_items": ["Siri", "TOS"], "tomorrow": { "a": 1 } }),
            ],
            expect![[r#"
                is_supervised: true | true | false
                skip_setup_items: 2 shared, Zoom | 2 shared, Tips | 2 shared
                tomorrow: - | - | {"a":1}
                url: https://a | https://b | https://a
            "#]],
        );
    }

    #[test]
    fn what_is_not_known_agrees_with_everything() {
        check(&[json!({ "url": "https://a" }), Value::Null, json!({ "url": "https://a" })], expect![""]);
        check(
            &[json!({ "url": "https://a" }), Value::Null, json!({ "url": "https://b" })],
            expect![[r#"
                url: https://a | - | https://b
            "#]],
        );
    }
}
