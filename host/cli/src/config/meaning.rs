//! What `deputy.toml` alone means, from what was typed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use domain::document::Findings;
use domain::freeze::Freeze;
use domain::id::{ChannelName, PluginName, TableName, TokenName};
use domain::workflow::{Defaults, in_deputy_toml};
use engine::apple::Network;
use engine::channel::Channel;
use engine::expected::ExpectedList;
use engine::keep::Keep;
use engine::room::MIN_FREE;
use engine::settings::TokenSettings;
use engine::table;
use jiff::tz::TimeZone;
use url::Url;

use super::file::{ConfigFile, PluginTable, SecretsTable, TokenTable};
use super::{KeySource, PluginConfig, apple, channels, expected, freezes, keep, limits, tables};

const APPLE: &str = "https://mdmenrollment.apple.com";

/// What `deputy.toml` alone means.
pub(super) struct Meant {
    pub(super) store: PathBuf,
    pub(super) min_free: u64,
    pub(super) keep: Keep,
    pub(super) freezes: Vec<Freeze>,
    pub(super) key: KeySource,
    pub(super) tokens: BTreeMap<TokenName, TokenSettings>,
    pub(super) plugins: BTreeMap<PluginName, PluginConfig>,
    pub(super) tables: BTreeMap<TableName, table::Source>,
    pub(super) expected: BTreeMap<TableName, ExpectedList>,
    pub(super) channels: BTreeMap<ChannelName, Channel>,
    pub(super) defaults: Defaults,
}

/// The clocks of this machine.
pub(super) fn machine_zone() -> TimeZone {
    TimeZone::try_system().unwrap_or(TimeZone::UTC)
}

pub(super) fn mean(file: ConfigFile, folder: &Path, findings: &mut Findings<'_>) -> Meant {
    let (tables_given, channels_given) = (given_in(&file.tables), given_in(&file.channels));
    let network = apple::network(&file.apple, folder, findings);
    let names = given_in(&file.tokens);
    let mut meant = Meant {
        store: folder.join(file.store.path.as_deref().unwrap_or("state/deputy.db")),
        min_free: min_free(file.store.min_free.as_deref(), findings),
        keep: keep::keep(&file.keep),
        freezes: freezes::freezes(&file.freezes, &names, findings),
        key: key_source(&file.secrets, folder, findings),
        tokens: named("tokens", file.tokens, findings, |at, table, findings| {
            token(at, table, &network, findings)
        }),
        plugins: named("plugins", file.plugins, findings, |at, table, findings| {
            plugin(at, table, folder, findings)
        }),
        tables: named("tables", file.tables, findings, |at, table, findings| {
            tables::meant(at, table, folder, findings)
        }),
        expected: BTreeMap::new(),
        channels: named("channels", file.channels, findings, |at, table, findings| {
            channels::channel(at, table, folder, findings)
        }),
        defaults: file.defaults.meant(machine_zone(), findings),
    };
    for (name, table) in file.expected {
        expected::add(&name, table, folder, &mut meant, findings);
    }
    for (index, channel) in meant.defaults.channels.iter().flatten().enumerate() {
        let at = format!("/defaults/channels/{index}");
        in_deputy_toml(&at, "channel", channel.as_str(), &channels_given, findings);
    }
    channels::check_contacts(&meant.tokens, &meant.channels, findings);
    for (name, plugin) in &meant.plugins {
        for (index, table) in plugin.tables.iter().enumerate() {
            let at = format!("/plugins/{name}/grants/tables/{index}");
            in_deputy_toml(&at, "table", table.as_str(), &tables_given, findings);
        }
    }
    meant
}

/// The names in a table of tables.
fn given_in<T>(table: &BTreeMap<String, T>) -> Vec<String> {
    table.keys().cloned().collect()
}

fn min_free(typed: Option<&str>, findings: &mut Findings<'_>) -> u64 {
    let Some(text) = typed else { return MIN_FREE };
    limits::bytes(text).unwrap_or_else(|| {
        let help = "write a number and KiB, MiB or GiB, such as `64MiB`".to_owned();
        findings.at("/store/min_free", format!("`{text}` is not an amount of space"), Some(help));
        MIN_FREE
    })
}

/// A table of tables, each under a name of the operator's.
fn named<K, T, V>(
    table: &str,
    entries: BTreeMap<String, T>,
    findings: &mut Findings<'_>,
    mut mean: impl FnMut(&str, T, &mut Findings<'_>) -> Option<V>,
) -> BTreeMap<K, V>
where
    K: std::str::FromStr + Ord,
    K::Err: std::fmt::Display,
{
    let mut meant = BTreeMap::new();
    for (name, entry) in entries {
        let at = format!("/{table}/{name}");
        let key = findings.parse(&at, &name);
        if findings.lacks_some_of(&at) {
            // What it means without the part that does not fit is not what was meant.
            continue;
        }
        if let (Some(key), Some(value)) = (key, mean(&at, entry, findings)) {
            meant.insert(key, value);
        }
    }
    meant
}

fn key_source(table: &SecretsTable, folder: &Path, findings: &mut Findings<'_>) -> KeySource {
    match (&table.key_file, &table.env, &table.credential) {
        (None, None, None) => KeySource::File(folder.join("state/deputy.key")),
        (Some(file), None, None) => KeySource::File(folder.join(file)),
        (None, Some(variable), None) => KeySource::Environment(variable.clone()),
        (None, None, Some(credential)) => KeySource::Credential(credential.clone()),
        _ => {
            let help = "keep one of `key_file`, `env` and `credential`";
            findings.at("/secrets", "the key can come from one place only", Some(help.to_owned()));
            KeySource::File(PathBuf::new())
        }
    }
}

fn token(
    at: &str,
    table: TokenTable,
    network: &Network,
    findings: &mut Findings<'_>,
) -> Option<TokenSettings> {
    let pointer = format!("{at}/apple_url");
    let apple_url: Url = findings.parse(&pointer, table.apple_url.as_deref().unwrap_or(APPLE))?;
    if !matches!(apple_url.scheme(), "http" | "https") || !apple_url.has_host() {
        findings.at(&pointer, "must be an http or https URL", None);
    }
    Some(TokenSettings { apple_url, network: network.clone(), contacts: table.contacts })
}

fn plugin(at: &str, table: PluginTable, folder: &Path, findings: &mut Findings<'_>) -> Option<PluginConfig> {
    let limits = limits::limits(&format!("{at}/limits"), &table.limits, findings);
    let sha256 = match &table.sha256 {
        Some(text) => Some(findings.parse(&format!("{at}/sha256"), text)?),
        None => None,
    };
    let tables = findings.parse_all(&format!("{at}/grants/tables"), &table.grants.tables);
    let settings = json(toml::Value::Table(table.settings));
    Some(PluginConfig { path: folder.join(table.path), sha256, limits, tables, settings })
}

/// Adds a mistake if nothing has this name.
pub(super) fn known<'a>(
    at: &str,
    what: &str,
    name: &str,
    names: impl Iterator<Item = &'a str>,
    findings: &mut Findings<'_>,
) {
    let names: Vec<String> = names.map(str::to_owned).collect();
    in_deputy_toml(at, what, name, &names, findings);
}

/// TOML as JSON; dates become text.
pub(crate) fn json(value: toml::Value) -> serde_json::Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Table(table) => {
            serde_json::Value::Object(table.into_iter().map(|(key, value)| (key, json(value))).collect())
        }
    }
}
