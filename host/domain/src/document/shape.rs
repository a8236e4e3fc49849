//! A TOML document held against a JSON Schema: every key and value that does not fit, with its place.
//!
//! It knows the part of JSON Schema that schemars writes for serde types, not the whole standard.
//! What it does not know it lets through; serde has the last word.

use std::ops::Range;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Findings, list_of, suggestion};

/// Adds to `findings` whatever in `document` does not fit `schema`. Returns the JSON pointers of what would
/// have to be left out for the rest to fit, in order; none if nothing would be left.
pub(super) fn check(
    document: &Spanned<DeTable<'_>>,
    schema: &Value,
    findings: &mut Findings<'_>,
) -> Option<Vec<String>> {
    if let Some((span, version)) = newer_version(document.get_ref(), schema) {
        // Whatever else it has, this Deputy cannot know whether it is right.
        let help = "use the Deputy it was written for, or a newer one".to_owned();
        findings.add(span, super::newer(version), Some(help));
        return None;
    }
    let mut shape = Shape { root: schema, findings, at: Vec::new(), left_out: Vec::new() };
    let fits = shape.table(document.get_ref(), 0..0, schema);
    let mut left_out = shape.left_out;
    left_out.sort();
    fits.then(|| left_out.iter().map(|path| pointer(path)).collect())
}

/// Takes away what is at this JSON pointer.
pub(super) fn remove(value: &mut toml::Value, pointer: &str) {
    let Some((parents, last)) = pointer.rsplit_once('/') else { return };
    let plain = |step: &str| step.replace("~1", "/").replace("~0", "~");
    let parent = parents.split('/').skip(1).try_fold(value, |value, step| match value {
        toml::Value::Table(table) => table.get_mut(&plain(step)),
        toml::Value::Array(array) => array.get_mut(step.parse::<usize>().ok()?),
        _ => None,
    });
    match (parent, last.parse::<usize>()) {
        (Some(toml::Value::Table(table)), _) => drop(table.remove(&plain(last))),
        (Some(toml::Value::Array(array)), Ok(nth)) if nth < array.len() => drop(array.remove(nth)),
        _ => {}
    }
}

/// A step of a path: places of a list in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    Key(String),
    Nth(usize),
}

fn pointer(path: &[At]) -> String {
    let step = |at: &At| match at {
        At::Key(key) => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        At::Nth(nth) => format!("/{nth}"),
    };
    path.iter().map(step).collect()
}

/// The version a document says it has, if that is later than the one the schema is of.
fn newer_version(document: &DeTable<'_>, schema: &Value) -> Option<(Range<usize>, i64)> {
    let ours = schema.get("properties")?.get("version")?.get("const")?.as_i64()?;
    let value = document.get("version")?;
    let DeValue::Integer(integer) = value.get_ref() else { return None };
    let theirs = i64::from_str_radix(integer.as_str(), integer.radix()).ok()?;
    (theirs > ours).then(|| (value.span(), theirs))
}

struct Shape<'a, 'f, 's> {
    root: &'a Value,
    findings: &'f mut Findings<'s>,
    /// Where we are.
    at: Vec<At>,
    /// What does not fit and can do without.
    left_out: Vec<Vec<At>>,
}

// What looks at a value says whether it can be used, perhaps without some of its parts.
impl<'a> Shape<'a, '_, '_> {
    fn wrong(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<String>) -> bool {
        self.findings.add(span, message, help);
        false
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, schema: &'a Value) -> bool {
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
            let message = match value.get_ref() {
                DeValue::Integer(number) => format!("must be {expected}, not {number}"),
                other => format!("must be {expected}, not {}", name_of(other)),
            };
            return self.wrong(value.span(), message, None);
        }
        if !fits(value.get_ref(), schema) {
            let message = format!("must be {}, not {}", type_words(schema), name_of(value.get_ref()));
            return self.wrong(value.span(), message, None);
        }
        match value.get_ref() {
            DeValue::Table(table) => self.table(table, value.span(), schema),
            DeValue::Array(array) => {
                if let Some(items) = schema.get("items") {
                    for (nth, item) in array.iter().enumerate() {
                        self.part(At::Nth(nth), item, items, false);
                    }
                }
                let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
                if (array.len() as u64) < least {
                    let entries = if least == 1 { "entry" } else { "entries" };
                    return self.wrong(value.span(), format!("must have at least {least} {entries}"), None);
                }
                true
            }
            _ => self.bounds(value, schema),
        }
    }

    /// A value of a table or list: true if the rest can be used.
    fn part(&mut self, at: At, value: &Spanned<DeValue<'_>>, schema: &'a Value, required: bool) -> bool {
        self.at.push(at);
        let usable = self.value(value, schema);
        if !usable && !required {
            self.left_out.push(self.at.clone());
        }
        self.at.pop();
        usable || !required
    }

    fn table(&mut self, table: &DeTable<'_>, span: Range<usize>, schema: &'a Value) -> bool {
        let schema = self.resolve(schema);
        let nothing = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object);
        let rest = schema.get("additionalProperties");
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut usable = true;
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let at = At::Key(name.to_owned());
            match (properties.and_then(|known| known.get(name)), rest) {
                (Some(known), _) => usable &= self.part(at, value, known, required.contains(&name)),
                (None, Some(Value::Bool(false))) => {
                    let names: Vec<&str> =
                        properties.unwrap_or(&nothing).keys().map(String::as_str).collect();
                    let ours = properties.and_then(|known| key_for(known, name));
                    let help = ours.or_else(|| suggestion(name, &names));
                    self.findings.add(key.span(), format!("unknown key `{name}`"), help);
                    self.left_out.push(self.at.iter().cloned().chain([at]).collect());
                }
                (None, Some(other)) if other.is_object() => _ = self.part(at, value, other, false),
                (None, _) => {}
            }
        }
        for key in required.into_iter().filter(|key| !table.contains_key(*key)) {
            let known = properties.and_then(|known| known.get(key));
            let help = known.and_then(|known| example(self.resolve(known), key));
            let help = help.map(|example| format!("for example `{example}`"));
            usable = self.wrong(span.clone(), format!("missing key `{key}`"), help);
        }
        usable
    }

    /// A value of one of several shapes: told apart by a tag if they have one, else by type.
    fn one_of(&mut self, value: &Spanned<DeValue<'_>>, branches: &[&'a Value]) -> bool {
        let branches: Vec<&Value> = branches.iter().map(|branch| self.resolve(branch)).collect();
        if let (DeValue::Table(table), Some(tag)) = (value.get_ref(), tag_of(&branches)) {
            let known: Vec<&str> = branches.iter().filter_map(|branch| tag_value(branch, tag)).collect();
            let Some((key, typed)) = table.get_key_value(tag) else {
                let message = format!("missing key `{tag}`, one of {}", list_of(known));
                return self.wrong(value.span(), message, None);
            };
            let typed_text = text_of(typed.get_ref());
            let chosen = branches.iter().find(|branch| tag_value(branch, tag) == typed_text);
            return match (chosen, typed_text) {
                (Some(branch), _) => self.table(table, key.span(), branch),
                (None, Some(text)) => {
                    let message = format!("unknown `{tag}` value `{text}`");
                    self.wrong(typed.span(), message, suggestion(text, &known))
                }
                (None, None) => self.wrong(typed.span(), format!("must be one of {}", list_of(known)), None),
            };
        }
        let fitting: Vec<&&Value> =
            branches.iter().filter(|branch| fits(value.get_ref(), self.resolve(branch))).collect();
        match fitting.as_slice() {
            [] => {
                let wanted: Vec<String> = branches.iter().map(|branch| wanted(branch)).collect();
                let found = name_of(value.get_ref());
                self.wrong(value.span(), format!("must be {}, not {found}", wanted.join(" or ")), None)
            }
            [only, ..] => self.value(value, only),
        }
    }

    fn word(&mut self, value: &Spanned<DeValue<'_>>, words: &[&str]) -> bool {
        match text_of(value.get_ref()) {
            Some(text) if words.contains(&text) => true,
            Some(text) => {
                self.wrong(value.span(), format!("unknown value `{text}`"), suggestion(text, words))
            }
            None => {
                let message = format!("must be {}, not {}", one_of_words(words), name_of(value.get_ref()));
                self.wrong(value.span(), message, None)
            }
        }
    }

    fn bounds(&mut self, value: &Spanned<DeValue<'_>>, schema: &Value) -> bool {
        let DeValue::Integer(integer) = value.get_ref() else { return true };
        let Ok(number) = i64::from_str_radix(integer.as_str(), integer.radix()) else {
            return self.wrong(value.span(), "the number is too large", None);
        };
        let bound = |key: &str| schema.get(key).and_then(Value::as_i64);
        if let Some(least) = bound("minimum").filter(|least| number < *least) {
            return self.wrong(value.span(), format!("must be at least {least}"), None);
        }
        if let Some(most) = bound("maximum").filter(|most| number > *most) {
            return self.wrong(value.span(), format!("must be at most {most}"), None);
        }
        true
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

/// What a branch asks for: its words if it has some, else its type.
fn wanted(branch: &Value) -> String {
    words(branch).map_or_else(|| type_words(branch), |words| one_of_words(&words))
}

fn one_of_words(words: &[&str]) -> String {
    match words {
        [only] => format!("`\"{only}\"`"),
        words => format!("one of {}", list_of(words.iter().copied())),
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
