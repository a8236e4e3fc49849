//! What is wrong with a file: collected by all who look for it, and shown with its place.
//!
//! A mistake is found at a JSON pointer, and told where that value stands in the file, or in one of those that
//! the file continues.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::Source;

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
    pub(super) list: Vec<Mistake>,
    /// JSON pointers of what was left out of the value that these are about, in order.
    pub(super) left_out: Vec<String>,
}

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

    /// Adds a mistake at these bytes of the first file.
    pub(super) fn add(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
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
