//! Version 1: what every policy says of itself. Its questions have files of their own.

pub(crate) mod assignment;
pub(crate) mod lasting;
pub(crate) mod reminder;
pub(crate) mod review;

use domain::id::ProfileName;
use domain::policy::Setup;

use super::{broken, clean};
use crate::bindings::v1::deputy::policy::log::Level as WitLevel;
use crate::bindings::v1::exports::deputy::policy::plugin as wit;
use crate::error::SettingsProblem;
use crate::fault::Fault;
use crate::inspect::Description;
use crate::log::Level;
use crate::lookup::TableUse;

pub(crate) use assignment::{Fields, field_names};

/// The longest summary and version.
const SUMMARY_BYTES: usize = 256;
const VERSION_BYTES: usize = 64;
/// The longest name of a table or a column, and how many may be asked for.
const NAME_BYTES: usize = 256;
const TABLES: usize = 64;
const COLUMNS: usize = 256;

/// The names in a setup, lent to a guest.
pub(crate) struct Names<'a> {
    profiles: Vec<&'a str>,
    channels: Vec<&'a str>,
    tokens: Vec<&'a str>,
}

impl<'a> Names<'a> {
    /// The names of a setup, and these profiles.
    pub(crate) fn new(setup: &'a Setup, profiles: &'a [ProfileName]) -> Self {
        Self {
            profiles: profiles.iter().map(|name| name.as_str()).collect(),
            channels: setup.channels.iter().map(|name| name.as_str()).collect(),
            tokens: setup.tokens.iter().map(|name| name.as_str()).collect(),
        }
    }

    pub(crate) fn view(&'a self) -> wit::Setup<'a> {
        wit::Setup { profiles: &self.profiles, channels: &self.channels, tokens: &self.tokens }
    }
}

pub(crate) fn description(answer: wit::Description) -> Result<Description, Fault> {
    let settings_schema = match answer.settings_schema.as_deref().map(serde_json::from_str) {
        None => None,
        Some(Ok(schema @ (serde_json::Value::Object(_) | serde_json::Value::Bool(_)))) => Some(schema),
        Some(Ok(_)) => {
            return broken("its settings schema is no JSON Schema: neither object nor boolean".to_owned());
        }
        Some(Err(error)) => return broken(format!("its settings schema is not JSON: {error}")),
    };
    Ok(Description {
        summary: clean(&answer.summary, SUMMARY_BYTES),
        version: clean(&answer.version, VERSION_BYTES),
        settings_schema,
    })
}

pub(crate) fn problems(problems: Vec<wit::SettingsProblem>) -> Vec<SettingsProblem> {
    super::problems(problems.into_iter().map(|it| (it.pointer, it.message, it.hint)))
}

pub(crate) fn tables(answer: Vec<wit::TableUse>) -> Result<Vec<TableUse>, Fault> {
    if answer.len() > TABLES {
        return broken(format!("it looks into {} tables, and {TABLES} are the most", answer.len()));
    }
    answer
        .into_iter()
        .map(|wit::TableUse { table, columns }| {
            let name = clean(&table, NAME_BYTES);
            if columns.len() > COLUMNS {
                let count = columns.len();
                return broken(format!("it wants {count} columns of `{name}`, and {COLUMNS} are the most"));
            }
            match table.parse() {
                Ok(table) => Ok(TableUse { table, columns }),
                Err(_) => broken(format!("it looks into a table `{name}`, and none can be called that")),
            }
        })
        .collect()
}

pub(crate) fn level(level: WitLevel) -> Level {
    match level {
        WitLevel::Debug => Level::Debug,
        WitLevel::Info => Level::Info,
        WitLevel::Warn => Level::Warn,
        WitLevel::Error => Level::Error,
    }
}
