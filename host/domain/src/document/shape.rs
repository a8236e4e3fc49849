//! A TOML document held against a JSON Schema: every key and value that does not fit, with its place.
//!
//! It knows the part of JSON Schema that schemars writes for serde types, not the whole standard.
//! What it does not know it lets through; serde has the last word.

use std::ops::Range;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Findings, list_of, suggestion};

/// Adds to `findings` whatever in `document` does not fit `schema`.
pub(super) fn check(document: &Spanned<DeTable<'_>>, schema: &Value, findings: &mut Findings<'_>) {
    let mut shape = Shape { root: schema, findings };
    shape.table(document.get_ref(), 0..0, schema);
}

struct Shape<'a, 'f, 's> {
    root: &'a Value,
    findings: &'f mut Findings<'s>,
}

impl<'a> Shape<'a, '_, '_> {
    fn value(&mut self, value: &Spanned<DeValue<'_>>, schema: &'a Value) {
        let schema = self.resolve(schema);
        let branches = branches(schema);
        if !branches.is_empty() {
            return self.one_of(value, &branches);
        }
        if let Some(words) = words(schema) {
            return self.word(value, &words);
        }
        if let Some(expected) = schema.get("const")
            && !equals(value.get_ref(), expected)
        {
            return self.findings.add(value.span(), format!("must be {expected}"), None);
        }
        if !fits(value.get_ref(), schema) {
            let wanted = type_words(schema);
            return self.findings.add(
                value.span(),
                format!("must be {wanted}, not {}", name_of(value.get_ref())),
                None,
            );
        }
        match value.get_ref() {
            DeValue::Table(table) => self.table(table, value.span(), schema),
            DeValue::Array(array) => {
                if let Some(items) = schema.get("items") {
                    for item in array {
                        self.value(item, items);
                    }
                }
                let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
                if (array.len() as u64) < least {
                    self.findings.add(value.span(), format!("must have at least {least}"), None);
                }
            }
            _ => self.bounds(value, schema),
        }
    }

    fn table(&mut self, table: &DeTable<'_>, span: Range<usize>, schema: &'a Value) {
        let schema = self.resolve(schema);
        let nothing = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object);
        let rest = schema.get("additionalProperties");
        for (key, value) in table {
            match (properties.and_then(|known| known.get(key.get_ref().as_ref())), rest) {
                (Some(known), _) => self.value(value, known),
                (None, Some(Value::Bool(false))) => {
                    let names: Vec<&str> =
                        properties.unwrap_or(&nothing).keys().map(String::as_str).collect();
                    let message = format!("unknown key `{}`", key.get_ref());
                    let ours = properties.and_then(|known| key_for(known, key.get_ref()));
                    let help = ours.or_else(|| suggestion(key.get_ref(), &names));
                    self.findings.add(key.span(), message, help);
                }
                (None, Some(other)) if other.is_object() => self.value(value, other),
                (None, _) => {}
            }
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        for key in required.filter_map(Value::as_str).filter(|key| !table.contains_key(*key)) {
            let known = properties.and_then(|known| known.get(key));
            let help = known.and_then(|known| example(self.resolve(known), key));
            let help = help.map(|example| format!("for example `{example}`"));
            self.findings.add(span.clone(), format!("missing key `{key}`"), help);
        }
    }

    /// A value of one of several shapes: told apart by a tag if they have one, else by type.
    fn one_of(&mut self, value: &Spanned<DeValue<'_>>, branches: &[&'a Value]) {
        let branches: Vec<&Value> = branches.iter().map(|branch| self.resolve(branch)).collect();
        if let (DeValue::Table(table), Some(tag)) = (value.get_ref(), tag_of(&branches)) {
            let known: Vec<&str> = branches.iter().filter_map(|branch| tag_value(branch, tag)).collect();
            let Some((key, typed)) = table.get_key_value(tag) else {
                let message = format!("missing key `{tag}`, one of {}", list_of(known));
                return self.findings.add(value.span(), message, None);
            };
            let typed_text = text_of(typed.get_ref());
            let chosen = branches.iter().find(|branch| tag_value(branch, tag) == typed_text);
            return match (chosen, typed_text) {
                (Some(branch), _) => self.table(table, key.span(), branch),
                (None, Some(text)) => {
                    self.findings.add(
                        typed.span(),
                        format!("unknown `{tag}` value `{text}`"),
                        suggestion(text, &known),
                    );
                }
                (None, None) => {
                    self.findings.add(typed.span(), format!("must be one of {}", list_of(known)), None)
                }
            };
        }
        let fitting: Vec<&&Value> =
            branches.iter().filter(|branch| fits(value.get_ref(), self.resolve(branch))).collect();
        match fitting.as_slice() {
            [] => {
                let wanted: Vec<String> = branches.iter().map(|branch| type_words(branch)).collect();
                let found = name_of(value.get_ref());
                self.findings.add(
                    value.span(),
                    format!("must be {}, not {found}", wanted.join(" or ")),
                    None,
                );
            }
            [only, ..] => self.value(value, only),
        }
    }

    fn word(&mut self, value: &Spanned<DeValue<'_>>, words: &[&str]) {
        match text_of(value.get_ref()) {
            Some(text) if words.contains(&text) => {}
            Some(text) => {
                self.findings.add(value.span(), format!("unknown value `{text}`"), suggestion(text, words));
            }
            None => self.findings.add(
                value.span(),
                format!("must be one of {}", list_of(words.iter().copied())),
                None,
            ),
        }
    }

    fn bounds(&mut self, value: &Spanned<DeValue<'_>>, schema: &Value) {
        let DeValue::Integer(integer) = value.get_ref() else { return };
        let Ok(number) = i64::from_str_radix(integer.as_str(), integer.radix()) else {
            return self.findings.add(value.span(), "the number is too large", None);
        };
        let bound = |key: &str| schema.get(key).and_then(Value::as_i64);
        if let Some(least) = bound("minimum").filter(|least| number < *least) {
            self.findings.add(value.span(), format!("must be at least {least}"), None);
        }
        if let Some(most) = bound("maximum").filter(|most| number > *most) {
            self.findings.add(value.span(), format!("must be at most {most}"), None);
        }
    }

    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let target = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|to| self.root.pointer(to.trim_start_matches('#')));
        target.map_or(schema, |target| self.resolve(target))
    }
}

/// Our key for what Apple calls so, where a schema gives Apple's names.
fn key_for(known: &Map<String, Value>, apples: &str) -> Option<String> {
    let (key, _) = known.iter().find(|(_, schema)| schema.get("x-apple").is_some_and(|it| it == apples))?;
    Some(format!("what Apple calls `{apples}` is `{key}` here"))
}

/// The alternatives of a schema, without the `null` that stands for an absent key.
fn branches(schema: &Value) -> Vec<&Value> {
    let all = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array);
    let all: Vec<&Value> = all.into_iter().flatten().collect();
    if all.iter().all(|branch| branch.get("const").is_some()) {
        return Vec::new();
    }
    all.into_iter().filter(|branch| branch.get("type").and_then(Value::as_str) != Some("null")).collect()
}

/// The words a value may be, if the schema is a plain list of them.
fn words(schema: &Value) -> Option<Vec<&str>> {
    if let Some(list) = schema.get("enum").and_then(Value::as_array) {
        return Some(list.iter().filter_map(Value::as_str).collect());
    }
    let list = schema.get("oneOf").and_then(Value::as_array)?;
    list.iter().map(|branch| branch.get("const").and_then(Value::as_str)).collect()
}

/// The property by which tables of several shapes are told apart: a constant in each of them.
fn tag_of<'a>(branches: &[&'a Value]) -> Option<&'a str> {
    let first = branches.first()?.get("properties")?.as_object()?;
    first
        .keys()
        .map(String::as_str)
        .find(|key| branches.iter().all(|branch| tag_value(branch, key).is_some()))
}

fn tag_value<'a>(branch: &'a Value, tag: &str) -> Option<&'a str> {
    branch.get("properties")?.get(tag)?.get("const")?.as_str()
}

fn fits(value: &DeValue<'_>, schema: &Value) -> bool {
    let kind = match value {
        DeValue::String(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "number",
        DeValue::Boolean(_) => "boolean",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "object",
        DeValue::Datetime(_) => "datetime",
    };
    match schema.get("type") {
        None => kind == "string" || words(schema).is_none(),
        Some(Value::Array(kinds)) => kinds.iter().any(|one| one == kind),
        Some(one) => one == kind || (one == "number" && kind == "integer"),
    }
}

/// An article and a word for what a schema asks for.
fn type_words(schema: &Value) -> String {
    let word = |kind: &str| match kind {
        "string" => "a string",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a table",
        _ => "",
    };
    match schema.get("type") {
        Some(Value::String(kind)) => word(kind).to_owned(),
        Some(Value::Array(kinds)) => {
            let words: Vec<&str> =
                kinds.iter().filter_map(Value::as_str).map(word).filter(|word| !word.is_empty()).collect();
            words.join(" or ")
        }
        _ => "something else".to_owned(),
    }
}

fn name_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn text_of<'v>(value: &'v DeValue<'_>) -> Option<&'v str> {
    match value {
        DeValue::String(text) => Some(text.as_ref()),
        _ => None,
    }
}

fn equals(value: &DeValue<'_>, expected: &Value) -> bool {
    match (value, expected) {
        (DeValue::String(text), Value::String(expected)) => text.as_ref() == expected,
        (DeValue::Integer(number), Value::Number(expected)) => number.as_str() == expected.to_string(),
        (DeValue::Boolean(flag), Value::Bool(expected)) => flag == expected,
        _ => false,
    }
}

/// How a missing key could be written, if its schema says.
fn example(schema: &Value, key: &str) -> Option<String> {
    let value = schema.get("const").or_else(|| schema.get("examples").and_then(|list| list.get(0)))?;
    Some(format!("{key} = {value}"))
}
