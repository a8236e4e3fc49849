//! Reading settings so that every mistake is told, where it stands, with the nearest right word.
//!
//! [`At`] is a value and its place. Its methods read on after a mistake, which is noted beside; so
//! code that reads settings says what it wants, and all mistakes come out together.

use std::cell::{Cell, RefCell};
use std::ops::RangeInclusive;
use std::rc::Rc;

pub use crate::plugin::SettingsProblem as Problem;
use crate::time;
pub use crate::value::Value;

/// JSON that ships inside a policy.
pub fn parse(json: &'static str) -> Option<Value> {
    Value::parse(json).ok()
}

/// So many mistakes are told. Words cost fuel, and whoever has this many to mend will check again.
const MOST: usize = 20;

/// Where mistakes are noted: the first of them, and how many more there are.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    told: RefCell<Vec<Problem>>,
    more: Cell<usize>,
}

impl Problems {
    /// Notes one; what it is, is only put into words if it will be told.
    pub(crate) fn add(&self, problem: impl FnOnce() -> Problem) {
        if self.is_full() {
            self.more.set(self.more.get() + 1);
        } else {
            let problem = problem();
            self.told.borrow_mut().push(problem);
        }
    }

    fn is_full(&self) -> bool {
        self.told.borrow().len() >= MOST
    }

    pub(crate) fn into_vec(self) -> Vec<Problem> {
        let mut told = self.told.into_inner();
        let more = self.more.get();
        if more > 0 {
            let mistakes = if more == 1 { "mistake" } else { "mistakes" };
            told.push(Problem {
                pointer: String::new(),
                message: format!("and {more} more {mistakes}"),
                hint: Some("mend those above, then check again".to_owned()),
            });
        }
        told
    }
}

/// A value in the settings, and where it stands.
#[derive(Clone, Debug)]
pub struct At<'a> {
    value: &'a Value,
    pointer: String,
    /// What the operator calls the part of the settings that this is in, such as ``rule `library` ``.
    part: Rc<str>,
    problems: &'a Problems,
}

impl<'a> At<'a> {
    pub(crate) fn root(value: &'a Value, problems: &'a Problems) -> Self {
        Self { value, pointer: String::new(), part: "".into(), problems }
    }

    /// The value itself.
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// The same place, with a name that messages begin with.
    pub fn part_of(&self, part: &str) -> Self {
        Self { part: part.into(), ..self.clone() }
    }

    /// Says what is wrong here.
    pub fn problem(&self, message: impl Into<String>) {
        self.note(message, || None);
    }

    /// Says what is wrong here, and what to write instead.
    pub fn problem_with_hint(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.note(message, || Some(hint.into()));
    }

    /// The same for words that cost something to find: they are only asked for if they will be told.
    pub fn problem_in_words(&self, words: impl FnOnce() -> (String, String)) {
        self.problems.add(|| {
            let (message, hint) = words();
            self.in_part(message, Some(hint))
        });
    }

    /// Says that a word is not one of those that can stand here, with the nearest that can.
    pub fn unknown<'k>(
        &self,
        word: &str,
        message: impl Into<String>,
        known: impl IntoIterator<Item = &'k str>,
    ) {
        self.note(message, || {
            let known: Vec<&str> = known.into_iter().collect();
            let all = || (!known.is_empty()).then(|| format!("known are {}", listed(&known)));
            nearest(word, &known).or_else(all)
        });
    }

    fn note(&self, message: impl Into<String>, hint: impl FnOnce() -> Option<String>) {
        self.problems.add(|| self.in_part(message.into(), hint()));
    }

    fn in_part(&self, message: String, hint: Option<String>) -> Problem {
        let message = match &*self.part {
            "" => message,
            part => format!("{part}: {message}"),
        };
        Problem { pointer: self.pointer.clone(), message, hint }
    }

    /// A value below this one.
    pub fn below(&self, key: &str, value: &'a Value) -> Self {
        let mut pointer = String::with_capacity(self.pointer.len() + 1 + key.len());
        pointer.push_str(&self.pointer);
        pointer.push('/');
        match key.contains(['~', '/']) {
            true => pointer.push_str(&key.replace('~', "~0").replace('/', "~1")),
            false => pointer.push_str(key),
        }
        Self { value, pointer, part: self.part.clone(), problems: self.problems }
    }

    /// A table with no other keys than these. Keys it does not have are mistakes.
    pub fn table(&self, keys: &[&str]) -> Table<'a> {
        let table = match self.value {
            Value::Table(_) => self.entries(),
            _ => {
                self.problem(format!("this is a table with the keys {}", listed(keys)));
                Table { at: self.clone(), entries: &[] }
            }
        };
        // A place costs fuel, so that it is only made of what is looked at.
        for (key, value) in table.entries.iter().filter(|(key, _)| !keys.contains(key)) {
            self.below(key, value).unknown(key, format!("unknown key `{key}`"), keys.iter().copied());
        }
        table
    }

    /// A table with whatever keys; none if it is no table.
    pub fn entries(&self) -> Table<'a> {
        let entries: &'a [(&'static str, Value)] = match self.value {
            Value::Table(entries) => entries,
            _ => &[],
        };
        Table { at: self.clone(), entries }
    }

    /// A list.
    pub fn list(&self, hint: &str) -> Vec<At<'a>> {
        match self.value {
            Value::List(values) => {
                let values = values.iter().enumerate();
                values.map(|(index, value)| self.below(&index.to_string(), value)).collect()
            }
            _ => {
                self.problem_with_hint("this is a list", hint);
                Vec::new()
            }
        }
    }

    /// A text.
    pub fn text(&self) -> Option<&'static str> {
        match self.value {
            Value::Text(text) => Some(text),
            other => {
                self.problem(format!("this is a text in quotation marks, not {other}"));
                None
            }
        }
    }

    /// A text or a list of texts, each with its place as far as it is wanted.
    pub fn texts(&self, hint: &str) -> Vec<(&'static str, usize)> {
        let values = match self.value {
            Value::List(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        let mut texts = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            match value {
                Value::Text(text) => texts.push((*text, index)),
                other => {
                    let message = format!("this is a text or a list of texts, not {other}");
                    self.item(index).problem_with_hint(message, hint);
                }
            }
        }
        texts
    }

    /// The place of an item of a list; of what is no list, the place itself.
    pub fn item(&self, index: usize) -> Self {
        match self.value {
            Value::List(values) => self.below(&index.to_string(), &values[index]),
            _ => self.clone(),
        }
    }

    /// `true` or `false`.
    pub fn flag(&self) -> Option<bool> {
        match self.value {
            Value::Flag(flag) => Some(*flag),
            other => {
                self.problem(format!("this is `true` or `false`, not {other}"));
                None
            }
        }
    }

    /// A number in a range.
    pub fn number(&self, range: RangeInclusive<f64>) -> Option<f64> {
        match self.value {
            Value::Number(number) if range.contains(number) => Some(*number),
            other if range.end().is_finite() => {
                self.problem(format!(
                    "this is a number from {} to {}, not {other}",
                    range.start(),
                    range.end()
                ));
                None
            }
            other => {
                self.problem(format!("this is a number, not {other}"));
                None
            }
        }
    }

    /// A moment, in seconds since 1970.
    pub fn date(&self) -> Option<u64> {
        let Value::Text(text) = self.value else {
            self.problem_with_hint(format!("{} is not a date", self.value), DATE);
            return None;
        };
        let date = time::parse(text);
        if date.is_none() {
            self.problem_with_hint(format!("\"{text}\" is not a date"), DATE);
        }
        date
    }

    /// A span such as `30d`, in seconds.
    pub fn span(&self) -> Option<u64> {
        let span = match self.value {
            Value::Text(text) => time::span(text),
            _ => None,
        };
        if span.is_none() {
            self.problem_with_hint(
                format!("{} is not a span of time", self.value),
                "such as `\"30d\"`; units are `m`, `h`, `d` and `w`",
            );
        }
        span
    }

    /// One of a few words.
    pub fn choice<T: Clone>(&self, words: &[(&str, T)]) -> Option<T> {
        let word = self.text()?;
        let found = words.iter().find(|(known, _)| *known == word).map(|(_, meaning)| meaning.clone());
        if found.is_none() {
            self.unknown(word, format!("`{word}` cannot stand here"), words.iter().map(|(known, _)| *known));
        }
        found
    }

    /// The index of a name among those that the operator's files define, such as a profile.
    pub fn name_of(&self, what: &str, names: &[String]) -> Option<u32> {
        let name = self.text()?;
        let found = names.iter().position(|known| known == name);
        if found.is_none() {
            let names = names.iter().map(String::as_str);
            self.unknown(name, format!("there is no {what} `{name}`"), names);
        }
        found.map(|index| index as u32)
    }
}

const DATE: &str = "such as `2026-02-01` or `2026-02-01T08:00:00+01:00`";

/// A table of the settings.
#[derive(Clone, Debug)]
pub struct Table<'a> {
    at: At<'a>,
    entries: &'a [(&'static str, Value)],
}

impl<'a> Table<'a> {
    /// The table's own place.
    pub fn at(&self) -> &At<'a> {
        &self.at
    }

    /// What stands under a key.
    pub fn get(&self, key: &str) -> Option<At<'a>> {
        let (key, value) = self.entries.iter().find(|(known, _)| *known == key)?;
        Some(self.at.below(key, value))
    }

    /// What stands under a key that must be there.
    pub fn required(&self, key: &str, hint: &str) -> Option<At<'a>> {
        let found = self.get(key);
        // What is no table at all has been complained about.
        if found.is_none() && matches!(self.at.value, Value::Table(_)) {
            self.at.problem_with_hint(format!("`{key}` is missing"), hint);
        }
        found
    }

    /// Every key, with what stands under it.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, At<'a>)> + '_ {
        self.entries.iter().map(|(key, value)| (*key, self.at.below(key, value)))
    }
}

/// The one of these words that was probably meant, as a hint.
pub fn nearest(word: &str, known: &[&str]) -> Option<String> {
    // A third of the letters may be wrong; beyond that it is another word.
    let letters = word.chars().count();
    let near = |distance: usize| distance * 3 <= letters.max(3);
    // Comparing costs fuel, and no word is nearer than its length.
    let candidates = known.iter().filter(|known| near(known.chars().count().abs_diff(letters)));
    let by_distance = candidates.map(|known| (strsim::damerau_levenshtein(word, known), known));
    let (distance, known) = by_distance.min()?;
    near(distance).then(|| format!("did you mean `{known}`?"))
}

/// Words as a message lists them.
pub fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
