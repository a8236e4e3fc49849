//! Reading the files an operator writes, and telling what is wrong with them.
//!
//! Each format is a serde type. Its JSON Schema, made from the same type, is what the file is held
//! against first: so every mistake is found at once and with its place, the words that would be
//! right are known, and editors complete from the very schema we check with. What fits is then turned
//! into the type, without what does not fit, so that one slip hides no other mistake; what the type
//! cannot express is checked by whoever owns the format, who adds to the same list.

use std::ops::Range;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

mod findings;
pub mod reference;
mod shape;

pub use findings::{Findings, Mistake, Mistakes, Severity};

/// A file's text and the path to name in messages.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// As the operator would write it.
    pub path: &'a str,
    /// All of the file.
    pub text: &'a str,
}

impl<'a> Source<'a> {
    /// The file as a `T`, if it is one: TOML, of the right shape.
    pub fn read<T: DeserializeOwned + JsonSchema>(self) -> Result<T, Mistakes> {
        let (value, findings) = self.salvage();
        match value {
            Some(value) if findings.list.is_empty() => Ok(value),
            _ => Err(findings.into_mistakes()),
        }
    }

    /// All that is wrong with the shape of the file, and the file as a `T` without it, if that is one. What
    /// is said of a list some of whose entries are left out stands where it belongs all the same.
    pub fn salvage<T: DeserializeOwned + JsonSchema>(self) -> (Option<T>, Findings<'a>) {
        let (mut findings, fit) = self.held_against(schemars::schema_for!(T).as_value());
        let Some(left_out) = fit else { return (None, findings) };
        if left_out.is_empty() && findings.list.is_empty() {
            let read = toml::from_str(self.text).map_err(|error| {
                // Later lines of the message say where, which we show ourselves.
                let message = in_plain_words(error.message().lines().next().unwrap_or_default(), "");
                findings.add(error.span().unwrap_or(0..0), message, None);
            });
            return (read.ok(), findings);
        }
        let mut table = toml::Value::Table(toml::from_str(self.text).unwrap_or_default());
        // From the end, so that the places of those before stay right.
        for path in left_out.iter().rev() {
            shape::remove(&mut table, path);
        }
        findings.left_out = left_out;
        (T::deserialize(table).ok(), findings)
    }

    /// What keeps the file from being TOML of this shape.
    pub fn shape(self, schema: &serde_json::Value) -> Findings<'a> {
        self.held_against(schema).0
    }

    /// The same, and what would have to be left out for the rest to fit; none if there is no rest.
    fn held_against(self, schema: &serde_json::Value) -> (Findings<'a>, Option<Vec<String>>) {
        let mut findings = Findings::new(self);
        let (document, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let span = error.span().unwrap_or(0..0);
            let message = in_plain_words(error.message(), self.text.get(span.clone()).unwrap_or_default());
            findings.add(span, format!("not TOML: {message}"), None);
        }
        let fit = if errors.is_empty() { shape::check(&document, schema, &mut findings) } else { None };
        (findings, fit)
    }

    /// Where the value at this JSON pointer stands, or the nearest thing around it that is there.
    pub fn locate(self, pointer: &str) -> Range<usize> {
        self.find(pointer).0
    }

    /// Where the key in front of the value at this JSON pointer stands, if it has one.
    fn key(self, pointer: &str) -> Option<Range<usize>> {
        let (document, _) = DeTable::parse_recoverable(self.text);
        let mut value: Option<&DeValue<'_>> = None;
        let mut span = None;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let table = match value {
                None => Some(document.get_ref()),
                Some(DeValue::Table(table)) => Some(table),
                Some(_) => None,
            };
            let next = match (table, value) {
                (Some(table), _) => {
                    let (key, value) = table.get_key_value(step.as_str())?;
                    span = Some(key.span());
                    value
                }
                (None, Some(DeValue::Array(array))) => {
                    span = None;
                    array.get(step.parse::<usize>().ok()?)?
                }
                _ => return None,
            };
            value = Some(next.get_ref());
        }
        span
    }

    /// The same, and whether that is the value itself.
    fn find(self, pointer: &str) -> (Range<usize>, bool) {
        let (document, _) = DeTable::parse_recoverable(self.text);
        let mut span = 0..0;
        let mut table = Some(document.get_ref());
        let mut array = None;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let found = match (table, array) {
                (Some(table), _) => table.get_key_value(step.as_str()).map(|(key, value)| {
                    // A table's own span is its header or nothing of use; its key is what to show.
                    let shown =
                        if matches!(value.get_ref(), DeValue::Table(_)) { key.span() } else { value.span() };
                    (shown, value)
                }),
                (None, Some(array)) => step
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| <[Spanned<DeValue<'_>>]>::get(array, index))
                    .map(|value| (value.span(), value)),
                (None, None) => None,
            };
            let Some((shown, value)) = found else { return (span, false) };
            span = shown;
            table = match value.get_ref() {
                DeValue::Table(inner) => Some(inner),
                _ => None,
            };
            array = match value.get_ref() {
                DeValue::Array(inner) => Some(inner),
                _ => None,
            };
        }
        (span, true)
    }
}

/// What the parser says, for people who have never written a parser.
fn in_plain_words(message: &str, at: &str) -> String {
    match message {
        "duplicate key" => format!("`{at}` is there already"),
        "string values must be quoted, expected literal string" => {
            "there is no value, or a text without quotes".to_owned()
        }
        "invalid basic string, expected `\"`" => "the text has no closing `\"`".to_owned(),
        "unclosed table, expected `]`" => "the name of the table has no closing `]`".to_owned(),
        deep if deep.contains("recurs") => "there are too many tables or lists within each other".to_owned(),
        other => other.to_owned(),
    }
}

/// The text of a file of the operator's; what keeps it from being one.
pub fn text(path: &str, bytes: Vec<u8>) -> Result<String, Mistakes> {
    if bytes.len() > LARGEST {
        let help = "files of this kind have a few pages; devices belong into a table (CSV)".to_owned();
        let mut findings = Findings::new(Source { path, text: "" });
        findings.add(0..0, format!("the file is larger than {} MiB", LARGEST >> 20), Some(help));
        return Err(findings.into_mistakes());
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let byte = error.as_bytes().get(at).copied().unwrap_or_default();
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        let mut findings = Findings::new(Source { path, text: &text });
        let help = "save the file as UTF-8".to_owned();
        let span = at..at + char::REPLACEMENT_CHARACTER.len_utf8();
        findings.add(span, format!("not UTF-8: the byte {byte:#04x}"), Some(help));
        findings.into_mistakes()
    })
}

/// No file that a person writes is as large: more is a mistake, such as the wrong file.
const LARGEST: usize = 1 << 20;

/// `did you mean …`, if one of the words is near enough to be what was meant.
pub fn nearest<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    words
        .into_iter()
        .map(|word| (strsim::jaro_winkler(&typed.to_lowercase(), &word.to_lowercase()), word))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

/// Help for a word that is not one of `words`: the nearest, else all of them if they are few.
pub fn suggestion(typed: &str, words: &[&str]) -> Option<String> {
    match nearest(typed, words.iter().copied()) {
        Some(word) => Some(format!("did you mean `{word}`?")),
        None if words.is_empty() => None,
        None if words.len() <= 24 => Some(format!("one of {}", list_of(words.iter().copied()))),
        None => None,
    }
}

/// `` `a`, `b`, `c` ``.
pub fn list_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// The `version` every format begins with. Only 1 so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version1;

/// The only version of the formats so far.
const VERSION: i64 = 1;

impl<'de> serde::Deserialize<'de> for Version1 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match i64::deserialize(deserializer)? {
            VERSION => Ok(Self),
            other => Err(serde::de::Error::custom(newer(other))),
        }
    }
}

/// That a file was written for a later Deputy.
fn newer(version: i64) -> String {
    format!(
        "this file is for a newer Deputy: its format has version {version}, and this one knows version {VERSION}"
    )
}

impl JsonSchema for Version1 {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Version".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "const": VERSION, "description": "The version of this format." })
    }

    fn inline_schema() -> bool {
        true
    }
}
