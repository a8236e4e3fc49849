//! Reading the files an operator writes, and telling what is wrong with them.
//!
//! Each format is a serde type. Its JSON Schema, made from the same type, is what the file is held
//! against first: so every mistake is found at once and with its place, the words that would be
//! right are known, and editors complete from the very schema we check with. What fits is then turned
//! into the type, without what does not fit, so that one slip hides no other mistake; what the type
//! cannot express is checked by whoever owns the format, who adds to the same list.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub mod reference;
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
    /// JSON pointers of what was left out of the value that these are about, in order.
    left_out: Vec<String>,
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

impl<'a> Findings<'a> {
    /// None yet.
    pub fn new(source: Source<'a>) -> Self {
        Self::of_all(vec![source])
    }

    /// None yet, in a file and those that it continues. A value stands in the first that has it.
    pub fn of_all(sources: Vec<Source<'a>>) -> Self {
        Self { sources, list: Vec::new(), left_out: Vec::new() }
    }

    /// Adds a mistake at the value a JSON pointer names, and what would be right.
    pub fn at(&mut self, pointer: &str, message: impl Into<String>, help: Option<String>) {
        self.put(Severity::Error, None, pointer, message.into(), help);
    }

    /// The same at the key in front of that value.
    pub fn at_key(&mut self, pointer: &str, message: impl Into<String>, help: Option<String>) {
        let before = self.list.len();
        self.at(pointer, message, help);
        for mistake in &mut self.list[before..] {
            if let Some(span) = self.sources.get(mistake.file).and_then(|source| source.key(&mistake.pointer))
            {
                mistake.span = span;
            }
        }
    }

    /// The same at a part of that value, a text: these bytes of what was typed.
    pub fn at_part(
        &mut self,
        pointer: &str,
        typed: &str,
        part: Range<usize>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let before = self.list.len();
        self.at(pointer, message, help);
        for mistake in &mut self.list[before..] {
            let text = self.sources.get(mistake.file).map_or("", |source| source.text);
            // Where it is written with escapes, all of it is shown.
            let written = text.get(mistake.span.clone()).and_then(|value| value.find(typed));
            if let Some(quotes) = written.filter(|_| !part.is_empty() && part.len() < typed.len()) {
                let start = mistake.span.start + quotes;
                mistake.span = start + part.start..start + part.end;
            }
        }
    }

    /// Whether something of the table or list at this JSON pointer did not fit and was left out.
    pub fn lacks_some_of(&self, pointer: &str) -> bool {
        self.left_out.iter().any(|path| path.strip_prefix(pointer).is_some_and(|rest| rest.starts_with('/')))
    }

    /// Whether entries of the list at this JSON pointer did not fit and were left out.
    pub fn lacks_entries_of(&self, pointer: &str) -> bool {
        let entry = |path: &String| path.rsplit_once('/').is_some_and(|(list, _)| list == pointer);
        self.left_out.iter().any(entry)
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

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
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

    /// Where what is at this JSON pointer of the value stands in the file, which has entries of lists that
    /// the value has not.
    fn in_file(&self, pointer: &str) -> String {
        let mut path = String::new();
        for step in pointer.split('/').skip(1) {
            let number = step.parse::<usize>().ok().map(|nth| {
                let gone = self.left_out.iter().filter_map(|left| {
                    left.strip_prefix(path.as_str())?.strip_prefix('/')?.parse::<usize>().ok()
                });
                gone.fold(nth, |nth, gone| if gone <= nth { nth + 1 } else { nth })
            });
            path.push('/');
            path.push_str(&number.map_or_else(|| step.to_owned(), |nth| nth.to_string()));
        }
        path
    }

    fn put(
        &mut self,
        severity: Severity,
        rule: Option<&'static str>,
        pointer: &str,
        message: String,
        help: Option<String>,
    ) {
        let pointer = &self.in_file(pointer);
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

    /// Whether they are about this file.
    pub fn is_of(&self, path: &str) -> bool {
        self.files.first().is_some_and(|(own, _)| own == path)
    }

    /// Only those that fit.
    #[must_use]
    pub fn only(mut self, fits: impl FnMut(&Mistake) -> bool) -> Self {
        self.list.retain(fits);
        self
    }

    /// The same, with excerpts of the files as this shows them: in as many bytes, line by line.
    #[must_use]
    pub fn shown_as(mut self, shown: impl Fn(&str) -> String) -> Self {
        for (_, text) in &mut self.files {
            *text = shown(text);
        }
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
