//! Reading the files an operator writes, and telling what is wrong with them.
//!
//! Each format is a serde type. Its JSON Schema, made from the same type, is what the file is held
//! against first: so every mistake is found at once and with its place, the words that would be
//! right are known, and editors complete from the very schema we check with. Only a file without
//! such mistakes is turned into the type; what the type cannot express is checked by whoever owns
//! the format, who adds to the same list.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

mod shape;

/// A file's text and the path to name in messages.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// As the operator would write it.
    pub path: &'a str,
    /// All of the file.
    pub text: &'a str,
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// What is wrong: lower case, no final period.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

/// All that is wrong with one file. Its `Display` shows each mistake with its line.
#[derive(Clone, Debug)]
pub struct Mistakes {
    path: String,
    text: String,
    list: Vec<Mistake>,
}

/// The mistakes found so far in one file, by those who look for them.
#[derive(Debug)]
pub struct Findings<'a> {
    source: Source<'a>,
    list: Vec<Mistake>,
}

impl<'a> Source<'a> {
    /// The file as a `T`, if it is one: TOML, of the right shape.
    pub fn read<T: DeserializeOwned + JsonSchema>(self) -> Result<T, Mistakes> {
        let mut findings = Findings::new(self);
        let (document, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            findings.add(error.span().unwrap_or(0..0), format!("not TOML: {}", error.message()), None);
        }
        if errors.is_empty() {
            let schema = schemars::schema_for!(T);
            shape::check(&document, schema.as_value(), &mut findings);
        }
        findings.finish()?;
        toml::from_str(self.text).map_err(|error| {
            let mut findings = Findings::new(self);
            // Later lines of the message say where, which we show ourselves.
            let message = error.message().lines().next().unwrap_or_default();
            findings.add(error.span().unwrap_or(0..0), message, None);
            findings.into_mistakes()
        })
    }

    /// Where the value at this JSON pointer stands, or the nearest thing around it that is there.
    pub fn locate(self, pointer: &str) -> Range<usize> {
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
            let Some((shown, value)) = found else { break };
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
        span
    }
}

impl<'a> Findings<'a> {
    /// None yet.
    pub fn new(source: Source<'a>) -> Self {
        Self { source, list: Vec::new() }
    }

    /// Adds a mistake at the value a JSON pointer names, and what would be right.
    pub fn at(&mut self, pointer: &str, message: impl Into<String>, help: Option<String>) {
        self.add(self.source.locate(pointer), message, help);
    }

    /// What was typed at `pointer`, as what is meant; a text that is not one becomes a mistake.
    pub fn parse<T>(&mut self, pointer: &str, typed: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        typed.parse().map_err(|error: T::Err| self.at(pointer, error.to_string(), None)).ok()
    }

    /// [`Self::parse`] for a list, or for a key that may be absent: every entry in turn.
    pub fn parse_all<T>(&mut self, pointer: &str, typed: &[String]) -> Vec<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let entries = typed.iter().enumerate();
        entries.filter_map(|(index, text)| self.parse(&format!("{pointer}/{index}"), text)).collect()
    }

    /// Refuses the file if anything was found.
    pub fn finish(self) -> Result<(), Mistakes> {
        if self.list.is_empty() { Ok(()) } else { Err(self.into_mistakes()) }
    }

    /// What was found, in the order of the file.
    pub fn into_mistakes(mut self) -> Mistakes {
        self.list.sort_by_key(|mistake| mistake.span.start);
        Mistakes { path: self.source.path.to_owned(), text: self.source.text.to_owned(), list: self.list }
    }

    fn add(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        self.list.push(Mistake { span, message: message.into(), help });
    }
}

impl Mistakes {
    /// What is wrong, in the order of the file.
    pub fn list(&self) -> &[Mistake] {
        &self.list
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            let end = mistake.span.end.min(self.text.len());
            let span = mistake.span.start.min(end)..end;
            let mut group = Level::ERROR.primary_title(mistake.message.as_str()).element(
                Snippet::source(self.text.as_str())
                    .path(self.path.as_str())
                    .annotation(AnnotationKind::Primary.span(span)),
            );
            if let Some(help) = &mistake.help {
                group = group.element(Level::HELP.message(help.as_str()));
            }
            f.write_str(&Renderer::plain().render(&[group]))?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

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

impl<'de> serde::Deserialize<'de> for Version1 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            1 => Ok(Self),
            other => Err(serde::de::Error::custom(format!("version {other} is newer than this Deputy"))),
        }
    }
}

impl JsonSchema for Version1 {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Version".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "const": 1, "description": "The version of this format." })
    }

    fn inline_schema() -> bool {
        true
    }
}
