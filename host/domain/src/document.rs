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

/// Whether a file can be used all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but it may not do what was meant.
    Warning,
}

/// One thing that is wrong or doubtful, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Whether the file can be used all the same.
    pub severity: Severity,
    /// The rule that was broken, if it has a name; else the file's shape is wrong.
    pub rule: Option<&'static str>,
    /// The JSON pointer it was found at; empty for the shape of a file.
    pub pointer: String,
    /// Which of several files.
    file: usize,
    /// Bytes of the text.
    pub span: Range<usize>,
    /// What is wrong: lower case, no final period.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

/// All that is wrong with one file, or with one that continues others. Its `Display` shows each
/// mistake with its line.
#[derive(Clone, Debug)]
pub struct Mistakes {
    /// Paths and texts.
    files: Vec<(String, String)>,
    list: Vec<Mistake>,
}

/// The mistakes found so far in one file, by those who look for them.
#[derive(Debug)]
pub struct Findings<'a> {
    /// The file, and after it those that it continues.
    sources: Vec<Source<'a>>,
    list: Vec<Mistake>,
}

impl<'a> Source<'a> {
    /// The file as a `T`, if it is one: TOML, of the right shape.
    pub fn read<T: DeserializeOwned + JsonSchema>(self) -> Result<T, Mistakes> {
        self.shape(schemars::schema_for!(T).as_value()).finish()?;
        toml::from_str(self.text).map_err(|error| {
            let mut findings = Findings::new(self);
            // Later lines of the message say where, which we show ourselves.
            let message = error.message().lines().next().unwrap_or_default();
            findings.add(error.span().unwrap_or(0..0), message, None);
            findings.into_mistakes()
        })
    }

    /// What keeps the file from being TOML of this shape.
    pub fn shape(self, schema: &serde_json::Value) -> Findings<'a> {
        let mut findings = Findings::new(self);
        let (document, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            findings.add(error.span().unwrap_or(0..0), format!("not TOML: {}", error.message()), None);
        }
        if errors.is_empty() {
            shape::check(&document, schema, &mut findings);
        }
        findings
    }

    /// Where the value at this JSON pointer stands, or the nearest thing around it that is there.
    pub fn locate(self, pointer: &str) -> Range<usize> {
        self.find(pointer).0
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

impl<'a> Findings<'a> {
    /// None yet.
    pub fn new(source: Source<'a>) -> Self {
        Self::of_all(vec![source])
    }

    /// None yet, in a file and those that it continues. A value stands in the first that has it.
    pub fn of_all(sources: Vec<Source<'a>>) -> Self {
        Self { sources, list: Vec::new() }
    }

    /// Adds a mistake at the value a JSON pointer names, and what would be right.
    pub fn at(&mut self, pointer: &str, message: impl Into<String>, help: Option<String>) {
        self.put(Severity::Error, None, pointer, message.into(), help);
    }

    /// The same, with the name of the rule that is broken.
    pub fn error(
        &mut self,
        rule: &'static str,
        pointer: &str,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.put(Severity::Error, Some(rule), pointer, message.into(), help);
    }

    /// The same for what is only doubtful.
    pub fn warn(
        &mut self,
        rule: &'static str,
        pointer: &str,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.put(Severity::Warning, Some(rule), pointer, message.into(), help);
    }

    /// Takes over what was found in the file that is the `nth` of these.
    pub fn absorb(&mut self, nth: usize, other: Findings<'_>) {
        self.list.extend(other.list.into_iter().map(|mistake| Mistake { file: nth, ..mistake }));
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
        self.list.sort_by_key(|mistake| (mistake.file, mistake.span.start));
        let owned = |source: &Source<'_>| (source.path.to_owned(), source.text.to_owned());
        Mistakes { files: self.sources.iter().map(owned).collect(), list: self.list }
    }

    fn put(
        &mut self,
        severity: Severity,
        rule: Option<&'static str>,
        pointer: &str,
        message: String,
        help: Option<String>,
    ) {
        let places = self.sources.iter().map(|source| source.find(pointer));
        let place = places.enumerate().find(|(_, (_, found))| *found);
        let first = self.sources.first().map(|source| source.locate(pointer)).unwrap_or_default();
        let (file, span) = place.map_or((0, first), |(file, (span, _))| (file, span));
        self.list.push(Mistake { severity, rule, pointer: pointer.to_owned(), file, span, message, help });
    }

    fn add(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        let (severity, message) = (Severity::Error, message.into());
        self.list.push(Mistake {
            severity,
            rule: None,
            pointer: String::new(),
            file: 0,
            span,
            message,
            help,
        });
    }
}

impl Mistakes {
    /// What is wrong, in the order of the file.
    pub fn list(&self) -> &[Mistake] {
        &self.list
    }

    /// Whether any of it is more than doubtful.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|mistake| mistake.severity == Severity::Error)
    }

    /// Only those that fit.
    #[must_use]
    pub fn only(mut self, fits: impl FnMut(&Mistake) -> bool) -> Self {
        self.list.retain(fits);
        self
    }

    /// The path, the line and the column of one of them, counted from 1.
    pub fn place(&self, mistake: &Mistake) -> (&str, usize, usize) {
        let Some((path, text)) = self.files.get(mistake.file) else { return ("", 1, 1) };
        let before = text.get(..mistake.span.start).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        (path, before.matches('\n').count() + 1, line.chars().count() + 1)
    }

    /// One of them in words, with an excerpt of its file.
    pub fn show(&self, mistake: &Mistake) -> String {
        let (path, text) =
            self.files.get(mistake.file).map_or(("", ""), |(path, text)| (path.as_str(), text.as_str()));
        let end = mistake.span.end.min(text.len());
        let span = mistake.span.start.min(end)..end;
        let level = match mistake.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut title = level.primary_title(mistake.message.as_str());
        if let Some(rule) = mistake.rule {
            title = title.id(rule);
        }
        let excerpt = Snippet::source(text).path(path).annotation(AnnotationKind::Primary.span(span));
        let mut group = title.element(excerpt);
        if let Some(help) = &mistake.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        Renderer::plain().render(&[group])
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<String> = self.list.iter().map(|mistake| self.show(mistake)).collect();
        f.write_str(&shown.join("\n\n"))
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
