//! `deputy.toml` and the folders beside it: what was typed, turned into what is meant.
//!
//! All mistakes of all files are told together. Secrets never stand in these files; they say where
//! the key is.

mod apple;
pub(crate) mod certificates;
mod channels;
mod expected;
mod file;
mod folders;
mod freezes;
mod hidden;
mod keep;
pub(crate) mod limits;
pub(crate) mod mentions;
mod profiles;
mod tables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use domain::document::{Findings, Mistakes, Source};
use domain::freeze::Freeze;
use domain::id::{ChannelName, Digest, PluginName, ProfileName, TableName, TokenName, WorkflowName};
use domain::profile::{Definition, Profile};
use domain::rails::Rails;
use domain::workflow::{Defaults, OnFault, Ping, SecretPlace, Uses, Workflow};
use engine::apple::Network;
use engine::channel::Channel;
use engine::expected::ExpectedList;
use engine::keep::Keep;
use engine::room::MIN_FREE;
use engine::settings::TokenSettings;
use engine::table;
use jiff::tz::TimeZone;
use sandbox::Limits;
use url::Url;

use file::{ConfigFile, PluginTable, SecretsTable, TokenTable};
use folders::read_workflows;

pub(crate) use profiles::{Read, read_profiles};

use crate::exit::{Exit, Outcome, Problem};

const APPLE: &str = "https://mdmenrollment.apple.com";

/// Everything the operator wrote, checked.
pub(crate) struct Config {
    /// The text of `deputy.toml` without passwords, to point into when a plugin finds a mistake in its settings.
    pub text: String,
    /// How to name that file to the operator.
    pub path: String,
    /// The database.
    pub store: PathBuf,
    /// How much its disk must have free, in bytes.
    pub min_free: u64,
    /// How long, and how much, is kept.
    pub keep: Keep,
    /// When nothing is changed at Apple.
    pub freezes: Vec<Freeze>,
    /// Where the key is that seals secrets.
    pub key: KeySource,
    /// The tokens.
    pub tokens: BTreeMap<TokenName, TokenSettings>,
    /// The plugins.
    pub plugins: BTreeMap<PluginName, PluginConfig>,
    /// The tables.
    pub tables: BTreeMap<TableName, table::Source>,
    /// Lists of devices that are expected; each is a table of the same name.
    pub expected: BTreeMap<TableName, ExpectedList>,
    /// The channels.
    pub channels: BTreeMap<ChannelName, Channel>,
    /// The enrolment profiles.
    pub profiles: BTreeMap<ProfileName, (Profile, Definition)>,
    /// What is doubtful with them, and what was not so once.
    pub doubts: BTreeMap<ProfileName, Mistakes>,
    /// The workflows, by name, with their file.
    pub workflows: BTreeMap<WorkflowName, Workflow>,
    /// What holds for all of them, and the rails of what people do without one.
    pub defaults: Defaults,
}

/// Where the key is that seals secrets.
#[derive(Clone, Debug)]
pub(crate) enum KeySource {
    /// A file that only its owner may read.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A systemd credential.
    Credential(String),
}

/// A plugin as the operator described it.
#[derive(Clone, Debug)]
pub(crate) struct PluginConfig {
    /// The component.
    pub path: PathBuf,
    /// Its digest, if the operator has pinned it.
    pub sha256: Option<Digest>,
    /// What it may use.
    pub limits: Limits,
    /// The tables it may look into.
    pub tables: Vec<TableName>,
    /// What it is told.
    pub settings: serde_json::Value,
}

impl Config {
    /// Reads `deputy.toml` and the folders `profiles` and `workflows` beside it.
    pub(crate) fn read(path: &Path) -> Outcome<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Problem::usage(format!("there is no {}", path.display())).hint(
                "`deputy init` writes one; with `--config FILE` or in another folder, Deputy finds yours",
            ),
            _ => Problem::file("read", path, &error),
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut wrong = Vec::new();
        let name = path.display().to_string();
        let shown = hidden::without_secrets(&text);
        let source = Source { path: &name, text: &shown };
        let profiles = read_profiles(folder, None, &mut wrong)?;
        let (profiles, doubts) = profiles::usable(profiles, &mut wrong);
        let read = Source { path: &name, text: &text }.read::<ConfigFile>();
        let read = read.or_else(|mistakes| {
            source.read::<ConfigFile>().and_then(|_| Err(in_what_is_hidden(&mistakes, source)))
        });
        let meant = read.and_then(|file| mean(file, source, folder));
        let ours = || Defaults::of_machine(machine_zone());
        let defaults = meant.as_ref().map_or_else(|_| ours(), |meant| meant.defaults.clone());
        let workflows = read_workflows(folder, &defaults, &mut wrong)?;
        match meant {
            Err(mistakes) => wrong.insert(0, mistakes.to_string()),
            Ok(meant) => {
                wrong.extend(check_names(&meant, &profiles, &workflows));
                if !wrong.is_empty() {
                    return Err(Problem::new(Exit::Usage, wrong.join("\n\n")));
                }
                let mut defaults = meant.defaults;
                protected_from_here(&mut defaults.rails, folder);
                return Ok(Self {
                    path: name.clone(),
                    store: meant.store,
                    min_free: meant.min_free,
                    keep: meant.keep,
                    freezes: meant.freezes,
                    key: meant.key,
                    tokens: meant.tokens,
                    plugins: meant.plugins,
                    tables: meant.tables,
                    expected: meant.expected,
                    channels: meant.channels,
                    profiles,
                    doubts,
                    workflows: workflows
                        .into_iter()
                        .map(|(name, (workflow, _))| (name, from_here(workflow, folder)))
                        .collect(),
                    defaults,
                    text: shown.clone(),
                });
            }
        }
        Err(Problem::new(Exit::Usage, wrong.join("\n\n")))
    }
}

impl Config {
    /// The rails of all workflows and of what people do by hand; those that protect by the same file once.
    pub(crate) fn all_rails(&self) -> impl Iterator<Item = &Rails> {
        let steps = self.workflows.values().flat_map(|workflow| &workflow.steps);
        let of_plans = steps.filter_map(|step| match &step.uses {
            Uses::Plan { rails, .. } => Some(rails),
            _ => None,
        });
        let mut files = std::collections::BTreeSet::new();
        std::iter::once(&self.defaults.rails)
            .chain(of_plans)
            .filter(move |rails| files.insert(&rails.protect_file))
    }
}

/// Paths in a workflow are meant from the folder of `deputy.toml`, wherever the program is started.
fn from_here(mut workflow: Workflow, folder: &Path) -> Workflow {
    if let Some(Ping { url_from: SecretPlace::File(file), .. }) = &mut workflow.promises.ping {
        *file = folder.join(&*file);
    }
    for step in &mut workflow.steps {
        if let Uses::Plan { rails, .. } = &mut step.uses {
            protected_from_here(rails, folder);
        }
    }
    workflow
}

/// The same for the file of protected devices.
fn protected_from_here(rails: &mut Rails, folder: &Path) {
    rails.protect_file = rails.protect_file.take().map(|path| folder.join(path));
}

/// Where the store is and where its key, if `deputy.toml` is right so far.
pub(crate) fn store(path: &Path) -> Option<(PathBuf, KeySource)> {
    let text = std::fs::read_to_string(path).ok()?;
    let source = Source { path: "", text: &text };
    let folder = path.parent().unwrap_or(Path::new(""));
    let meant = mean(source.read::<ConfigFile>().ok()?, source, folder).ok()?;
    Some((meant.store, meant.key))
}

/// The file is right with stars in place of what is secret in it, so that is where it is wrong.
fn in_what_is_hidden(mistakes: &Mistakes, source: Source<'_>) -> Mistakes {
    let at = mistakes.list().first().map_or(0, |mistake| mistake.span.start);
    let file: toml::Table = toml::from_str(source.text).unwrap_or_default();
    let channels = file.get("channels").and_then(toml::Value::as_table);
    let mut addresses =
        channels.into_iter().flat_map(toml::Table::keys).map(|name| format!("/channels/{name}/url"));
    let address = addresses.find(|pointer| source.locate(pointer).contains(&at));
    let mut findings = Findings::new(source);
    let help = "in `\"…\"` a backslash begins an escape; `%5C` stands for one in an address";
    match address {
        Some(pointer) => findings.at(&pointer, "not TOML: the address", Some(help.to_owned())),
        None => findings.at("/apple/proxy", "not TOML: the user name or the password", Some(help.to_owned())),
    }
    findings.into_mistakes()
}

/// What `deputy.toml` alone means.
struct Meant {
    store: PathBuf,
    min_free: u64,
    keep: Keep,
    freezes: Vec<Freeze>,
    key: KeySource,
    tokens: BTreeMap<TokenName, TokenSettings>,
    plugins: BTreeMap<PluginName, PluginConfig>,
    tables: BTreeMap<TableName, table::Source>,
    expected: BTreeMap<TableName, ExpectedList>,
    channels: BTreeMap<ChannelName, Channel>,
    defaults: Defaults,
}

/// The clocks of this machine.
fn machine_zone() -> TimeZone {
    TimeZone::try_system().unwrap_or(TimeZone::UTC)
}

impl Meant {
    /// What can be asked: the plugins, and the lists of expected devices.
    fn policies(&self) -> impl Iterator<Item = &str> {
        let plugins = self.plugins.keys().map(PluginName::as_str);
        plugins.chain(self.expected.keys().map(TableName::as_str))
    }
}

type Files<K, V> = BTreeMap<K, (V, String)>;

fn mean(file: ConfigFile, source: Source<'_>, folder: &Path) -> Result<Meant, Mistakes> {
    let mut findings = Findings::new(source);
    let network = apple::network(&file.apple, folder, &mut findings);
    let names: Vec<String> = file.tokens.keys().cloned().collect();
    let mut meant = Meant {
        store: folder.join(file.store.path.as_deref().unwrap_or("state/deputy.db")),
        min_free: min_free(file.store.min_free.as_deref(), &mut findings),
        keep: keep::keep(&file.keep),
        freezes: freezes::freezes(&file.freezes, &names, &mut findings),
        key: key_source(&file.secrets, folder, &mut findings),
        tokens: named("tokens", file.tokens, &mut findings, |at, table, findings| {
            token(at, table, &network, findings)
        }),
        plugins: named("plugins", file.plugins, &mut findings, |at, table, findings| {
            plugin(at, table, folder, findings)
        }),
        tables: named("tables", file.tables, &mut findings, |at, table, findings| {
            tables::meant(at, table, folder, findings)
        }),
        expected: BTreeMap::new(),
        channels: named("channels", file.channels, &mut findings, |at, table, findings| {
            channels::channel(at, table, folder, findings)
        }),
        defaults: file.defaults.meant(machine_zone(), &mut findings),
    };
    for (name, table) in file.expected {
        expected::add(&name, table, folder, &mut meant, &mut findings);
    }
    for (index, channel) in meant.defaults.channels.iter().flatten().enumerate() {
        let names = meant.channels.keys().map(ChannelName::as_str);
        known(&format!("/defaults/channels/{index}"), "channel", channel.as_str(), names, &mut findings);
    }
    channels::check_contacts(&meant.tokens, &meant.channels, &mut findings);
    for (name, plugin) in &meant.plugins {
        for (index, table) in plugin.tables.iter().enumerate() {
            let at = format!("/plugins/{name}/grants/tables/{index}");
            known(&at, "table", table.as_str(), meant.tables.keys().map(TableName::as_str), &mut findings);
        }
    }
    findings.finish()?;
    Ok(meant)
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

/// The names workflows use are names `deputy.toml` has; what is wrong, file by file.
fn check_names(
    meant: &Meant,
    profiles: &BTreeMap<ProfileName, (Profile, Definition)>,
    workflows: &Files<WorkflowName, Workflow>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (workflow, file) in workflows.values() {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let mut findings = Findings::new(Source { path: file, text: &text });
        for (index, token) in workflow.tokens.iter().flatten().enumerate() {
            let at = format!("/tokens/{index}");
            known(&at, "token", token.as_str(), meant.tokens.keys().map(TokenName::as_str), &mut findings);
        }
        for (index, step) in workflow.steps.iter().enumerate() {
            let at = format!("/steps/{index}");
            match &step.uses {
                Uses::Decide { policy, on_fault } => {
                    let names = meant.policies();
                    known(&format!("{at}/policy"), "plugin", policy.as_str(), names, &mut findings);
                    if let OnFault::Assign(profile) = on_fault
                        && !profiles.contains_key(profile)
                    {
                        let names: Vec<&str> = profiles.keys().map(ProfileName::as_str).collect();
                        let help = domain::document::suggestion(profile.as_str(), &names);
                        let message = format!("no profile is called `{profile}`");
                        findings.at(&format!("{at}/on_fault/assign"), message, help);
                    }
                }
                Uses::Plan { review: Some(review), .. } => {
                    let names = meant.policies();
                    known(&format!("{at}/review"), "plugin", review.as_str(), names, &mut findings);
                }
                Uses::Remind { policy: Some(policy), .. } if !meant.plugins.contains_key(policy) => {
                    let names = meant.policies();
                    known(&format!("{at}/policy"), "plugin", policy.as_str(), names, &mut findings);
                }
                Uses::Remind { channels: None, .. } if meant.channels.is_empty() => {
                    let help = "add `[channels.log]` with `kind = \"log\"`, or another kind".to_owned();
                    findings.at(
                        &format!("{at}/uses"),
                        "deputy.toml has no channel to remind anybody by",
                        Some(help),
                    );
                }
                Uses::Remind { channels, .. } | Uses::Notify { channels, .. } => {
                    for (index, channel) in channels.iter().flatten().enumerate() {
                        let names = meant.channels.keys().map(ChannelName::as_str);
                        let at = format!("{at}/channels/{index}");
                        known(&at, "channel", channel.as_str(), names, &mut findings);
                    }
                }
                _ => {}
            }
        }
        wrong.extend(findings.finish().err().map(|mistakes| mistakes.to_string()));
    }
    wrong
}

fn known<'a>(
    at: &str,
    what: &str,
    name: &str,
    names: impl Iterator<Item = &'a str>,
    findings: &mut Findings<'_>,
) {
    let names: Vec<&str> = names.collect();
    if !names.contains(&name) {
        let help = domain::document::suggestion(name, &names)
            .unwrap_or_else(|| format!("add a table `[{what}s.{name}]` to deputy.toml"));
        findings.at(at, format!("deputy.toml has no {what} `{name}`"), Some(help));
    }
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
