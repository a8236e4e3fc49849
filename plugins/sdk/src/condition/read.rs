//! From settings to conditions, with every mistake found and said where it stands.

use super::field::{Field, Kind};
use super::wanted::{Date, Wanted};
use super::{Condition, Conditions, Lookup, Lookups, Source};
use crate::Setup;
use crate::glob::{Glob, is_pattern};
use crate::settings::{At, Table, Value, listed, nearest};

const STATUS: [&str; 4] = ["assigned", "empty", "pushed", "removed"];
const DATES: [&str; 7] = ["after", "before", "known", "newer_than", "not", "older_than", "within"];
const TEXTS: [&str; 9] =
    ["after", "before", "known", "max", "min", "newer_than", "not", "older_than", "within"];

/// Reads conditions, and notes which tables they look into.
#[derive(Debug)]
pub struct Reader<'a> {
    setup: &'a Setup,
    /// By which field the operator wants rows of a table looked up.
    keys: Vec<(&'static str, Field, At<'a>)>,
    lookups: Lookups,
}

impl<'a> Reader<'a> {
    /// `lookup` is the setting of that name: a table of the tables' names and fields, such as
    /// `{ assets = "asset_tag" }`. Tables it does not name are looked up by the serial number.
    pub fn new(setup: &'a Setup, lookup: Option<At<'a>>) -> Self {
        let mut keys = Vec::new();
        if let Some(lookup) = lookup {
            if !matches!(lookup.value(), Value::Table(_)) {
                lookup.problem_with_hint(
                    "`lookup` is a table of tables' names and fields",
                    "such as `lookup = { assets = \"asset_tag\" }`",
                );
            }
            for (table, at) in lookup.entries().iter() {
                let Some(name) = at.text() else { continue };
                match Field::named(name).filter(|field| field.kind() == Kind::Text) {
                    Some(field) => keys.push((table, field, at)),
                    None => at.unknown(name, format!("rows cannot be looked up by `{name}`"), texts()),
                }
            }
        }
        Self { setup, keys, lookups: Lookups::default() }
    }

    /// The conditions under `when` and `unless`.
    pub fn conditions(&mut self, table: &Table<'a>) -> Conditions {
        Conditions { when: self.all(table, "when"), unless: self.all(table, "unless") }
    }

    /// The tables that conditions look into, when all of them have been read.
    pub fn finish(self) -> Lookups {
        let used: Vec<&str> = self.lookups.0.iter().map(|lookup| lookup.table.as_str()).collect();
        for (table, _, at) in self.keys.iter().filter(|(table, ..)| !used.contains(table)) {
            at.unknown(table, format!("no condition looks into the table `{table}`"), used.iter().copied());
        }
        self.lookups
    }

    fn all(&mut self, table: &Table<'a>, key: &str) -> Vec<Condition> {
        let Some(at) = table.get(key) else { return Vec::new() };
        if !matches!(at.value(), Value::Table(_)) {
            at.problem_with_hint(
                format!("`{key}` is a table of fields"),
                format!("such as `{key} = {{ device_family = \"iPad\" }}`"),
            );
        }
        let conditions = flattened(&at);
        conditions.into_iter().filter_map(|(name, at)| self.condition(&name, &at)).collect()
    }

    fn condition(&mut self, name: &str, at: &At<'a>) -> Option<Condition> {
        if name == "in_table" {
            return self.in_table(at);
        }
        if let Some(column) = name.strip_prefix("table.") {
            let Some((table, column)) =
                column.split_once('.').filter(|(t, c)| !t.is_empty() && !c.is_empty())
            else {
                at.problem_with_hint(
                    format!("`{name}` names no column of a table"),
                    "write `\"table.TABLE.COLUMN\" = …`, or `in_table = \"TABLE\"`",
                );
                return None;
            };
            let table = self.table(table);
            let columns = &mut self.lookups.0[table].columns;
            let column = columns.iter().position(|known| known == column).unwrap_or_else(|| {
                columns.push(column.to_owned());
                columns.len() - 1
            });
            let (wanted, negated) = self.wanted(at, None)?;
            return Some(Condition { source: Source::Column(table, column), wanted, negated });
        }
        let Some(field) = Field::named(name) else {
            at.problem_in_words(|| {
                let names: Vec<&str> = Field::names().chain(["in_table"]).collect();
                let hint = nearest(name, &names)
                    .unwrap_or_else(|| format!("a field younger than Deputy is `extra.{name}`"));
                (format!("devices have no field `{name}`"), hint)
            });
            return None;
        };
        let (wanted, negated) = self.wanted(at, Some(&field))?;
        Some(Condition { source: Source::Field(field), wanted, negated })
    }

    /// `in_table = "assets"`, or `{ not = "assets" }`.
    fn in_table(&mut self, at: &At<'a>) -> Option<Condition> {
        let negation = at.entries().get("not");
        if negation.is_some() {
            at.table(&["not"]);
        }
        let name = negation.as_ref().unwrap_or(at).text()?;
        let source = Source::Row(self.table(name));
        Some(Condition { source, wanted: Wanted::Known, negated: negation.is_some() })
    }

    fn table(&mut self, name: &str) -> usize {
        let known = self.lookups.0.iter().position(|lookup| lookup.table == name);
        known.unwrap_or_else(|| {
            let key = self.keys.iter().find(|(table, ..)| *table == name);
            let key = key.map_or(Field::SerialNumber, |(_, field, _)| field.clone());
            self.lookups.0.push(Lookup { table: name.to_owned(), columns: Vec::new(), key });
            self.lookups.0.len() - 1
        })
    }

    /// What the value of a field, or of a column, has to be, and whether it is the opposite.
    fn wanted(&self, at: &At<'a>, field: Option<&Field>) -> Option<(Wanted, bool)> {
        let kind = field.map_or(Kind::Text, Field::kind);
        let plain = |wanted: Wanted| (wanted, false);
        match (kind, at.value()) {
            (_, Value::Table(_)) => self.compared(at, field, kind),
            (Kind::Flag, _) => {
                // What Apple does not say is not so.
                let texts: &[&str] = if at.flag()? { &["true"] } else { &["false", ""] };
                Some(plain(Wanted::any_of(texts.iter().copied())))
            }
            (Kind::Date, _) => {
                at.problem_with_hint(
                    "a date is compared with a range",
                    "such as `{ after = \"2026-01-01\", before = \"2026-02-01\" }` or `{ older_than = \"30d\" }`",
                );
                None
            }
            (Kind::Text, _) => {
                let texts = at.texts("such as `\"LIB-*\"` or `[\"A\", \"B\"]`; numbers are compared with `{ min = 1, max = 9 }`");
                match field {
                    Some(Field::ProfileStatus) => check(at, &texts, &STATUS, "no device is ever"),
                    Some(Field::CurrentProfile) => {
                        let profiles: Vec<&str> = self.setup.profiles.iter().map(String::as_str).collect();
                        // Nothing is no profile, or somebody else's.
                        let texts: Vec<_> = texts.iter().copied().filter(|(it, _)| !it.is_empty()).collect();
                        check(at, &texts, &profiles, "there is no profile");
                    }
                    Some(Field::Token) => {
                        let tokens: Vec<&str> = self.setup.tokens.iter().map(String::as_str).collect();
                        check(at, &texts, &tokens, "there is no token");
                    }
                    _ => {}
                }
                let texts: Vec<&'static str> = texts.into_iter().map(|(text, _)| text).collect();
                Some(plain(Wanted::any_of(texts.into_iter())))
            }
        }
    }

    /// A comparison that is a table: `{ not = … }`, or a range.
    fn compared(&self, at: &At<'a>, field: Option<&Field>, kind: Kind) -> Option<(Wanted, bool)> {
        let table = match kind {
            Kind::Flag => at.table(&["known", "not"]),
            Kind::Date => at.table(&DATES),
            Kind::Text => at.table(&TEXTS),
        };
        let names: Vec<&str> = table.iter().map(|(name, _)| name).collect();
        if names.is_empty() {
            at.problem_with_hint("nothing is said of this field", "leave it out, or compare it");
            return None;
        }
        if let Some(inner) = table.get("not") {
            if names.len() > 1 {
                at.problem("`not` stands alone: what it turns round goes inside it");
            }
            let (wanted, negated) = self.wanted(&inner, field)?;
            return Some((wanted, !negated));
        }
        if let Some(known) = table.get("known") {
            if names.len() > 1 {
                at.problem("`known` stands alone: a range is only of what is known");
            }
            return Some((Wanted::Known, !known.flag()?));
        }
        let (min, max) = (table.get("min"), table.get("max"));
        if min.is_none() && max.is_none() {
            return self.dates(at, &table).map(|wanted| (wanted, false));
        }
        if names.iter().any(|name| !["min", "max"].contains(name)) {
            at.problem("a range is of numbers or of dates, not of both");
        }
        let limit = |limit: Option<At>, otherwise: f64| match limit {
            Some(limit) => limit.number(f64::NEG_INFINITY..=f64::INFINITY).unwrap_or(otherwise),
            None => otherwise,
        };
        let (min, max) = (limit(min, f64::NEG_INFINITY), limit(max, f64::INFINITY));
        if min > max {
            at.problem("`min` is above `max`, so no number fits");
        }
        Some((Wanted::Numbers { min, max }, false))
    }

    fn dates(&self, at: &At<'a>, table: &Table<'a>) -> Option<Wanted> {
        let date = |key, meaning: fn(u64) -> Date| Some(meaning(table.get(key)?.date()?));
        let span = |key, meaning: fn(u64) -> Date| Some(meaning(table.get(key)?.span()?));
        let wanted = [
            date("after", Date::After),
            date("before", Date::Before),
            span("older_than", Date::OlderThan),
            span("newer_than", Date::NewerThan),
            span("within", Date::Within),
        ];
        if let [Some(Date::After(after)), Some(Date::Before(before)), ..] = wanted
            && after >= before
        {
            at.problem("`after` is not before `before`, so no date fits");
        }
        Some(Wanted::Dates(wanted.into_iter().flatten().collect()))
    }
}

/// Texts of a field that can only be one of `known`: each has to be one, or to fit one.
fn check(at: &At, texts: &[(&'static str, usize)], known: &[&str], message: &str) {
    for (text, index) in texts {
        let glob = is_pattern(text).then(|| Glob::new(text));
        let is_one = |known: &&str| match &glob {
            Some(glob) => glob.matches(known),
            None => known.eq_ignore_ascii_case(text),
        };
        if !known.iter().any(is_one) {
            at.item(*index).problem_in_words(|| {
                let hint = nearest(text, known).unwrap_or_else(|| format!("known are {}", listed(known)));
                (format!("{message} `{text}`"), hint)
            });
        }
    }
}

/// The fields that are texts.
fn texts() -> impl Iterator<Item = &'static str> {
    Field::names().filter(|name| Field::named(name).is_some_and(|field| field.kind() == Kind::Text))
}

/// Fields by name, each with its place. `extra.NAME` and `table.TABLE.COLUMN` may be written with quotes
/// around them or without, which TOML takes for tables in tables.
fn flattened<'a>(at: &At<'a>) -> Vec<(String, At<'a>)> {
    let mut fields = Vec::new();
    for (name, at) in at.entries().iter() {
        // How many more names belong to the field's.
        let deeper = match name {
            "extra" => 1,
            "table" => 2,
            name if name.starts_with("table.") && name.matches('.').count() == 1 => 1,
            _ => 0,
        };
        fields.extend(descend(name.to_owned(), at, deeper));
    }
    fields
}

fn descend<'a>(name: String, at: At<'a>, deeper: usize) -> Vec<(String, At<'a>)> {
    match at.value() {
        Value::Table(_) if deeper > 0 => {
            let inner = at.entries();
            inner.iter().flat_map(|(key, at)| descend(format!("{name}.{key}"), at, deeper - 1)).collect()
        }
        _ => vec![(name, at)],
    }
}
