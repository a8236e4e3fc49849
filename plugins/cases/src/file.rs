//! A case file, read and checked.

use std::collections::{BTreeMap, BTreeSet};

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use toml::Table as Toml;

use crate::input::{self, Device, Plan, Token};

/// What is wrong with a case file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not TOML, or has keys or values that cannot be there.
    #[error("{0}")]
    Format(toml::de::Error),
    /// It was written for a later Deputy.
    #[error("this is version {0} of the format; this Deputy knows version 1")]
    Version(i64),
    /// A case contradicts itself.
    #[error("case \"{case}\": {message}")]
    Case {
        /// Its name.
        case: String,
        /// What is wrong with it.
        message: String,
    },
}

/// A case file: its cases, each complete.
#[derive(Clone, Debug)]
pub struct File {
    /// In the order of the file.
    pub cases: Vec<Case>,
}

/// One question, and what the answer must be.
#[derive(Clone, Debug)]
pub struct Case {
    /// A sentence that says what holds.
    pub name: String,
    /// What the policy is configured with, as it reaches it.
    pub settings: Json,
    /// The names that settings may use.
    pub setup: Setup,
    /// When the run began, in seconds since 1970.
    pub now: u64,
    /// How far the wall clock is ahead of UTC, in seconds.
    pub utc_offset: i32,
    /// Whose devices or plan these are.
    pub token: String,
    /// The workflow that made the plan.
    pub workflow: String,
    /// The operator's tables.
    pub tables: BTreeMap<String, Table>,
    /// What is asked.
    pub question: Question,
    /// Whether the texts of reminders are compared, not just their subjects.
    pub texts: bool,
    /// The answer it must give, in the words of [`crate::Answer::in_words`].
    pub expect: String,
}

/// What a case asks.
#[derive(Clone, Debug)]
pub enum Question {
    /// Whether the settings are right, and what the policy asks for with them.
    Settings,
    /// Which profile these devices get.
    Assignment(Vec<Device>),
    /// Who hears about these tokens.
    Reminder(Vec<Token>),
    /// Whether this plan may go ahead.
    Review(Plan),
}

/// The names that settings may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Setup {
    /// The profiles that may be assigned.
    pub profiles: Vec<String>,
    /// The channels through which people can be told something.
    pub channels: Vec<String>,
    /// The operator's names for the server tokens.
    pub tokens: Vec<String>,
}

/// A table of the operator's, written out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The column that rows are looked up by.
    pub key: String,
    /// The rows. A column that a row leaves out is empty there.
    pub rows: Vec<BTreeMap<String, String>>,
}

impl Table {
    /// The columns that some row has.
    pub fn columns(&self) -> BTreeSet<&str> {
        self.rows.iter().flat_map(|row| row.keys().map(String::as_str)).collect()
    }

    /// These columns of the row with this key, as the contract looks it up.
    pub fn lookup(&self, key: &str, columns: &[String]) -> Option<Vec<String>> {
        let has_key = |row: &&BTreeMap<String, String>| {
            row.get(&self.key).is_some_and(|value| value.trim().eq_ignore_ascii_case(key.trim()))
        };
        let row = self.rows.iter().find(has_key)?;
        Some(columns.iter().map(|column| row.get(column).cloned().unwrap_or_default()).collect())
    }
}

/// The JSON Schema of a case file.
pub fn schema() -> Schema {
    schemars::schema_for!(Typed)
}

impl File {
    /// Reads a case file.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let typed: Typed = toml::from_str(text).map_err(Error::Format)?;
        if typed.version != 1 {
            return Err(Error::Version(typed.version));
        }
        let Typed { common, cases, .. } = typed;
        let cases = cases.into_iter().map(|case| case.complete(&common));
        Ok(Self { cases: cases.collect::<Result<_, _>>()? })
    }
}

/// Cases of a Deputy policy: what it is asked, and what it must answer.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Deputy policy cases")]
struct Typed {
    /// The version of this format.
    #[schemars(extend("const" = 1))]
    version: i64,
    #[serde(default)]
    common: Common,
    #[serde(default)]
    cases: Vec<TypedCase>,
}

/// What cases have in common, unless they say otherwise.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Common {
    #[schemars(with = "Option<serde_json::Map<String, Json>>")]
    settings: Option<Toml>,
    setup: Option<Setup>,
    #[serde(deserialize_with = "input::moment")]
    #[schemars(with = "Option<input::Moment>")]
    now: Option<u64>,
    #[serde(deserialize_with = "utc_offset")]
    #[schemars(with = "Option<String>")]
    utc_offset: Option<i32>,
    token: Option<String>,
    workflow: Option<String>,
    tables: Option<BTreeMap<String, Table>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TypedCase {
    name: String,
    #[schemars(with = "Option<serde_json::Map<String, Json>>")]
    settings: Option<Toml>,
    setup: Option<Setup>,
    #[serde(default, deserialize_with = "input::moment")]
    #[schemars(with = "Option<input::Moment>")]
    now: Option<u64>,
    #[serde(default, deserialize_with = "utc_offset")]
    #[schemars(with = "Option<String>")]
    utc_offset: Option<i32>,
    token: Option<String>,
    workflow: Option<String>,
    tables: Option<BTreeMap<String, Table>>,
    devices: Option<Vec<Device>>,
    tokens: Option<Vec<Token>>,
    plan: Option<Plan>,
    #[serde(default)]
    texts: bool,
    #[serde(default)]
    expect: String,
}

/// 9 January 2026, nine o'clock in London: a Friday.
const NOW: u64 = 1_767_949_200;

impl TypedCase {
    fn complete(self, common: &Common) -> Result<Case, Error> {
        let setup = self.setup.or_else(|| common.setup.clone()).unwrap_or_default();
        let question = match (self.devices, self.tokens, self.plan) {
            (None, None, None) => Question::Settings,
            (Some(devices), None, None) => {
                let mut named = devices.iter().filter_map(|device| device.current_profile.as_ref());
                if let Some(profile) = named.find(|profile| !setup.profiles.contains(profile)) {
                    let message = format!("`current_profile` is `{profile}`, which `setup.profiles` lacks");
                    return Err(Error::Case { case: self.name, message });
                }
                Question::Assignment(devices)
            }
            (None, Some(tokens), None) => Question::Reminder(tokens),
            (None, None, Some(plan)) => Question::Review(plan),
            _ => {
                let message = "it asks about one of `devices`, `tokens` and `plan`".to_owned();
                return Err(Error::Case { case: self.name, message });
            }
        };
        let settings = self.settings.or_else(|| common.settings.clone()).unwrap_or_default();
        Ok(Case {
            name: self.name,
            settings: json(toml::Value::Table(settings)),
            token: self
                .token
                .or_else(|| common.token.clone())
                .unwrap_or_else(|| setup.tokens.first().cloned().unwrap_or_else(|| "main".to_owned())),
            setup,
            now: self.now.or(common.now).unwrap_or(NOW),
            utc_offset: self.utc_offset.or(common.utc_offset).unwrap_or(0),
            workflow: self
                .workflow
                .or_else(|| common.workflow.clone())
                .unwrap_or_else(|| "auto-assign".into()),
            tables: self.tables.or_else(|| common.tables.clone()).unwrap_or_default(),
            question,
            texts: self.texts,
            expect: self.expect,
        })
    }
}

/// As Deputy hands settings on: dates and times become text.
fn json(value: toml::Value) -> Json {
    match value {
        toml::Value::String(text) => Json::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => Json::Bool(flag),
        toml::Value::Datetime(moment) => Json::String(moment.to_string()),
        toml::Value::Array(values) => values.into_iter().map(json).collect(),
        toml::Value::Table(table) => table.into_iter().map(|(key, value)| (key, json(value))).collect(),
    }
}

fn utc_offset<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i32>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let offset = Some(&text).filter(|text| text.contains(':')).and_then(|text| input::seconds(text));
    match offset.and_then(|seconds| i32::try_from(seconds).ok()) {
        Some(offset) if offset.abs() < 86_400 => Ok(Some(offset)),
        _ => Err(serde::de::Error::custom(format!("`{text}` is not an offset such as `+01:00`"))),
    }
}
