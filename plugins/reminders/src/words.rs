//! What is due, in words: templates of a language, some of them perhaps the operator's own.
//!
//! A language is a table of texts (`texts/en.toml`); settings may replace any of them. The gaps that a
//! text may have are checked when it is read.

use std::cell::Cell;
use std::collections::BTreeMap;

use deputy_policy::reminder::{Context, Fact, Token};
use deputy_policy::settings::{At, Value, listed, nearest};
use deputy_policy::template::{Mistake, Template};
use deputy_policy::time::{Civil, civil};

use crate::due::{Due, Situation};

/// The languages that ship, by name.
pub(crate) const LANGUAGES: [(&str, &str); 2] = [
    ("en", include_str!(concat!(env!("OUT_DIR"), "/en.json"))),
    ("fr", include_str!(concat!(env!("OUT_DIR"), "/fr.json"))),
];

const GAPS: [&str; 15] = [
    "account", "advice", "code", "contacts", "devices", "ends", "kind", "lasted", "left", "message", "name",
    "org", "server", "since", "token",
];
/// Gaps of whole messages, for what facts and troubles say.
const PARTS: [&str; 4] = ["consequence", "problem", "steps", "what"];
const DATE: [&str; 6] = ["day", "hour", "minute", "month", "weekday", "year"];

/// Every text, by its place, such as `facts.token.name`.
#[derive(Clone, Debug)]
pub(crate) struct Words(BTreeMap<String, Text>);

#[derive(Clone, Debug)]
enum Text {
    /// Lines, each a template.
    Lines(Vec<Template>),
    /// Words to choose from by number.
    List(Vec<Template>),
}

impl Words {
    /// A language that ships.
    pub(crate) fn shipped(json: &'static str) -> Self {
        let value: Value = deputy_policy::settings::parse(json).expect("the languages that ship are JSON");
        let mut words = Self(BTreeMap::new());
        words.take(&value, String::new(), &mut |_, mistake| panic!("in a language that ships: {mistake:?}"));
        words
    }

    /// Takes the operator's texts instead of those that ship.
    pub(crate) fn replace(&mut self, texts: &At) {
        self.replace_below(texts, String::new());
    }

    fn replace_below(&mut self, at: &At, path: String) {
        if !matches!(at.value(), Value::Table(_)) {
            return at.problem("this is a table of texts, as in texts/en.toml");
        }
        for (key, at) in at.entries().iter() {
            let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            let Some(like) = self.like(&path) else {
                if self.0.keys().any(|known| known.starts_with(&format!("{path}."))) || is_new(&path) {
                    self.replace_below(&at, path);
                } else {
                    let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
                    let problem = format!("there is no text `{path}`");
                    match nearest(&path, &known) {
                        Some(hint) => at.problem_with_hint(problem, hint),
                        None => at.problem_with_hint(problem, "texts/en.toml has all of them"),
                    }
                }
                continue;
            };
            let wanted = match &like {
                Text::Lines(_) => 1,
                Text::List(words) => words.len(),
            };
            let texts = at.texts("as in texts/en.toml");
            if texts.len() != wanted || matches!((at.value(), &like), (Value::List(_), Text::Lines(_))) {
                at.problem(match wanted {
                    1 => "this is one text".to_owned(),
                    _ => format!("this is a list of {wanted} texts"),
                });
                continue;
            }
            self.take(at.value(), path.clone(), &mut |index, mistake| match mistake {
                Mistake::Unknown(gap) => {
                    let known = gaps(&path);
                    let hint =
                        nearest(gap, &known).unwrap_or_else(|| format!("known are {}", listed(&known)));
                    at.item(index).problem_with_hint(format!("nothing fills the gap `{{{gap}}}`"), hint);
                }
                Mistake::Unpaired => {
                    let message = "a brace without its other half";
                    at.item(index).problem_with_hint(message, "a brace itself is written twice: `{{`");
                }
            });
        }
    }

    /// A text of the same shape as the one at this place, if there can be one.
    fn like(&self, path: &str) -> Option<Text> {
        let known = || {
            let (part, rest) = path.split_once('.')?;
            let (_, leaf) = rest.rsplit_once('.')?;
            self.0.get(&format!("{part}.other.{leaf}"))
        };
        self.0.get(path).or_else(known).cloned()
    }

    /// Puts a value, and all below it, in its place.
    fn take(&mut self, value: &Value, path: String, mistake: &mut dyn FnMut(usize, Mistake)) {
        let gaps = gaps(&path);
        let mut lines = |text: &'static str, index: usize| -> Vec<Template> {
            let lines = text.trim_matches('\n').split('\n').map(|line| Template::parse(line, &gaps));
            lines.filter_map(|line| line.map_err(|found| mistake(index, found)).ok()).collect()
        };
        match value {
            Value::Text(text) => _ = self.0.insert(path, Text::Lines(lines(text, 0))),
            Value::List(values) => {
                let texts = values.iter().enumerate().filter_map(|(index, value)| match value {
                    Value::Text(text) => lines(text, index).into_iter().next(),
                    _ => None,
                });
                let texts = texts.collect();
                self.0.insert(path, Text::List(texts));
            }
            Value::Table(entries) => {
                for (key, value) in entries {
                    let path = if path.is_empty() { (*key).to_owned() } else { format!("{path}.{key}") };
                    self.take(value, path, mistake);
                }
            }
            Value::Null | Value::Flag(_) | Value::Number(_) => {}
        }
    }

    /// Subject and text of what is due.
    pub(crate) fn say(&self, due: &Due, token: &Token, fact: &Fact, context: &Context) -> (String, String) {
        let told = Told { words: self, token, fact, context };
        let message = match due.situation {
            Situation::Ending => "ending",
            Situation::Ended => "ended",
            Situation::Trouble => "trouble",
            Situation::Recovered => "recovered",
        };
        let say = |leaf| {
            let said = self.lines(&format!("messages.{message}.{leaf}"), &|gap| match gap {
                "what" => told.part("facts", &fact.kind, "name"),
                "problem" => told.trouble("problem"),
                "consequence" | "steps" => match &fact.trouble {
                    Some(_) => told.trouble(gap),
                    None => told.part("facts", &fact.kind, gap),
                },
                gap => told.gap(gap),
            });
            said.trim().to_owned()
        };
        (say("subject"), capital(&say("text")))
    }

    /// A text with its gaps filled, without the lines whose gaps are all empty.
    fn lines(&self, path: &str, fill: &dyn Fn(&str) -> String) -> String {
        let Some(Text::Lines(lines)) = self.0.get(path) else { return String::new() };
        let lines = lines.iter().filter_map(|line| {
            let (gaps, filled) = (Cell::new(0), Cell::new(0));
            let text = line.fill(&|name| {
                let text = fill(name);
                gaps.set(gaps.get() + 1);
                filled.set(filled.get() + usize::from(!text.is_empty()));
                text
            });
            (gaps.get() == 0 || filled.get() > 0).then_some(text)
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The word for a number: the first for one, the second for others.
    fn number(&self, path: &str, number: u64) -> String {
        self.choose(path, usize::from(number != 1), &|_| number.to_string())
    }

    fn choose(&self, path: &str, index: usize, fill: &dyn Fn(&str) -> String) -> String {
        match self.0.get(path) {
            Some(Text::List(words)) => words.get(index).map(|word| word.fill(fill)).unwrap_or_default(),
            _ => String::new(),
        }
    }

    /// A span of time in the one unit that matters.
    fn span(&self, seconds: u64) -> String {
        match seconds {
            0..3_600 => self.number("words.minutes", seconds / 60),
            3_600..172_800 => self.number("words.hours", seconds / 3_600),
            _ => self.number("words.days", seconds / 86_400),
        }
    }

    /// A moment on the clocks of the workflow's time zone.
    fn date(&self, moment: u64, utc_offset: i32) -> String {
        let Civil { year, month, day, weekday, hour, minute } = civil(moment, utc_offset);
        self.lines("words.date", &|gap| match gap {
            "year" => year.to_string(),
            "month" => self.choose("words.months", month as usize - 1, &|_| String::new()),
            "day" => day.to_string(),
            "weekday" => self.choose("words.weekdays", weekday as usize, &|_| String::new()),
            "hour" => format!("{hour:02}"),
            _ => format!("{minute:02}"),
        })
    }
}

/// What is being told of.
struct Told<'a> {
    words: &'a Words,
    token: &'a Token,
    fact: &'a Fact,
    context: &'a Context,
}

impl Told<'_> {
    fn trouble(&self, leaf: &str) -> String {
        let code = self.fact.trouble.as_ref().map_or("", |trouble| &trouble.code);
        self.part("troubles", code, leaf)
    }

    /// What is said of this kind or code; of one that nobody knew of, something general.
    fn part(&self, part: &str, name: &str, leaf: &str) -> String {
        let path = format!("{part}.{name}.{leaf}");
        let path = if self.words.0.contains_key(&path) { path } else { format!("{part}.other.{leaf}") };
        self.words.lines(&path, &|gap| self.gap(gap))
    }

    fn gap(&self, gap: &str) -> String {
        let Self { words, token, fact, context } = self;
        let Context { now, utc_offset, .. } = context;
        let trouble = fact.trouble.as_ref();
        let or = |text: &str, word: &str| match text {
            "" => words.lines(word, &|_| String::new()),
            text => text.to_owned(),
        };
        let since = trouble.map(|trouble| trouble.since).or(fact.ends);
        match gap {
            "account" => or(&token.admin_id, "words.unknown_account"),
            "server" => or(&token.server_name, "words.unknown_server"),
            "org" => or(&token.org_name, "words.unknown_org"),
            "token" => token.name.clone(),
            "devices" => words.number("words.devices", token.devices),
            "contacts" => token.contacts.join(", "),
            "kind" => fact.kind.clone(),
            "name" => fact.name.clone(),
            "ends" => fact.ends.map(|ends| words.date(ends, *utc_offset)).unwrap_or_default(),
            "left" => {
                let left = fact.ends.filter(|ends| ends > now).map(|ends| words.span(ends - now));
                left.unwrap_or_default()
            }
            "since" => since.map(|since| words.date(since, *utc_offset)).unwrap_or_default(),
            "lasted" => since.map(|since| words.span(now.saturating_sub(since))).unwrap_or_default(),
            "code" => trouble.map(|trouble| trouble.code.clone()).unwrap_or_default(),
            "message" => trouble.map(|trouble| trouble.message.clone()).unwrap_or_default(),
            _ => trouble.map(|trouble| trouble.advice.clone()).unwrap_or_default(),
        }
    }
}

/// The gaps that a text may have.
fn gaps(path: &str) -> Vec<&'static str> {
    match path {
        "words.date" => DATE.to_vec(),
        path if path.starts_with("words.") => vec!["n"],
        path if path.starts_with("messages.") => [&GAPS[..], &PARTS].concat(),
        _ => GAPS.to_vec(),
    }
}

/// Whether texts can be put there that no language has: a kind or a code that is younger than this.
fn is_new(path: &str) -> bool {
    let kind = path.strip_prefix("facts.").or_else(|| path.strip_prefix("troubles."));
    kind.is_some_and(|kind| !kind.contains('.'))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_the_same_texts() {
        let places = |(_, json)| {
            let Words(texts) = Words::shipped(json);
            texts.into_keys().collect::<Vec<_>>()
        };
        let [english, french] = LANGUAGES.map(places);
        assert_eq!(english, french);
    }

    #[test]
    fn every_kind_and_trouble_of_the_contract_has_its_own_text() {
        let Words(texts) = Words::shipped(LANGUAGES[0].1);
        for kind in [
            "token",
            "certificate",
            "terms",
            "account",
            "server",
            "session",
            "profile-certificate",
            "mdm-certificate",
            "other",
        ] {
            assert!(texts.contains_key(&format!("facts.{kind}.steps")), "{kind}");
        }
        for code in [
            "terms-not-signed",
            "token-rejected",
            "token-expired",
            "server-inactive",
            "creator-gone",
            "session-refused",
            "other-server",
            "policy-failed",
            "other",
        ] {
            assert!(texts.contains_key(&format!("troubles.{code}.steps")), "{code}");
        }
    }
}
