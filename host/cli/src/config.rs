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
mod meaning;
pub(crate) mod mentions;
mod profiles;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use domain::document::{Findings, Mistakes, Source};
use domain::freeze::Freeze;
use domain::id::{ChannelName, Digest, PluginName, ProfileName, TableName, TokenName, WorkflowName};
use domain::profile::{Definition, Profile};
use domain::rails::Rails;
use domain::workflow::{Defaults, Names, Ping, SecretPlace, Uses, Workflow};
use engine::channel::Channel;
use engine::expected::ExpectedList;
use engine::keep::Keep;
use engine::settings::TokenSettings;
use engine::table;
use sandbox::Limits;

pub(crate) use file::ConfigFile;
use folders::read_workflows;
pub(crate) use meaning::json;
use meaning::{Meant, known, machine_zone, mean};

pub(crate) use profiles::{Read, read_profiles};

use crate::exit::{Exit, Outcome, Problem};

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
    /// The names of all profiles, also of those whose files are wrong.
    pub profile_names: BTreeSet<ProfileName>,
    /// What is doubtful with them, and what was not so once.
    pub doubts: BTreeMap<ProfileName, Mistakes>,
    /// The workflows, by name, with their file.
    pub workflows: BTreeMap<WorkflowName, Workflow>,
    /// Their files and the texts of those, to point into.
    pub sources: BTreeMap<WorkflowName, (String, String)>,
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
        let (config, wrong) = Self::examine(path)?;
        config.filter(|_| wrong.is_empty()).ok_or_else(|| {
            let told: Vec<String> = wrong.iter().map(ToString::to_string).collect();
            Problem::new(Exit::Usage, told.join("\n\n"))
        })
    }

    /// The same, with all that is wrong, file by file. If anything is, what is left of the configuration is for
    /// looking further only.
    pub(crate) fn examine(path: &Path) -> Outcome<(Option<Self>, Vec<Mistakes>)> {
        let bytes = std::fs::read(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Problem::usage(format!("there is no {}", path.display())).hint(
                "`deputy init` writes one; with `--config FILE` or in another folder, Deputy finds yours",
            ),
            _ => Problem::file("read", path, &error),
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let name = path.display().to_string();
        let mut wrong = Vec::new();
        let text = domain::document::text(&name, bytes).unwrap_or_else(|mistakes| {
            wrong.push(mistakes);
            String::new()
        });
        let shown = hidden::without_secrets(&text);
        let meant = if wrong.is_empty() { mean_all(&name, &text, &shown, folder, &mut wrong) } else { None };

        let is_right = wrong.is_empty();
        let profiles = read_profiles(folder, None, &mut wrong)?;
        let mut names = names(&text);
        if let Some(names) = &mut names {
            names.profiles = profiles.iter().map(|read| read.name.to_string()).collect();
        }
        let profile_names = profiles.iter().filter(|read| read.is_profile()).map(|read| read.name.clone());
        let profile_names = profile_names.collect();
        let (profiles, doubts) = profiles::usable(profiles, &mut wrong);
        let ours = || Defaults::of_machine(machine_zone());
        // Of a file with mistakes they would be told again in every workflow.
        let defaults = meant.as_ref().filter(|_| is_right).map_or_else(ours, |meant| meant.defaults.clone());
        let (workflows, sources) = read_workflows(folder, &defaults, names.as_ref(), &mut wrong)?;
        let config = meant.map(|meant| Self {
            path: name,
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
            profile_names,
            doubts,
            sources,
            workflows: workflows
                .into_iter()
                .map(|(name, workflow)| (name, from_here(workflow, folder)))
                .collect(),
            defaults: {
                let mut defaults = meant.defaults;
                protected_from_here(&mut defaults.rails, folder);
                defaults
            },
            text: shown,
        });
        Ok((config, wrong))
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
        let mut files = BTreeSet::new();
        std::iter::once(&self.defaults.rails)
            .chain(of_plans)
            .filter(move |rails| files.insert(&rails.protect_file))
    }
}

/// What `deputy.toml` means, as far as it is right; what is wrong with it goes to `wrong`. Shown are its
/// lines without what is secret in them.
fn mean_all(name: &str, text: &str, shown: &str, folder: &Path, wrong: &mut Vec<Mistakes>) -> Option<Meant> {
    let source = Source { path: name, text: shown };
    let (file, found) = Source { path: name, text }.salvage::<ConfigFile>();
    let mut findings = Findings::new(source);
    if let Err(mistakes) = found.finish() {
        findings = source.salvage::<ConfigFile>().1;
        if findings.is_empty() {
            wrong.push(in_what_is_hidden(&mistakes, source));
            return None;
        }
    }
    let meant = file.map(|file| mean(file, folder, &mut findings));
    match findings.finish() {
        Ok(()) => meant,
        Err(mistakes) => {
            wrong.push(mistakes);
            meant
        }
    }
}

/// The names that are given in `deputy.toml`; none if it is no TOML.
fn names(text: &str) -> Option<Names> {
    let file: toml::Table = text.parse().ok()?;
    let of = |table: &str| match file.get(table) {
        Some(toml::Value::Table(table)) => table.keys().cloned().collect(),
        _ => Vec::new(),
    };
    let (tokens, mut plugins, channels) = (of("tokens"), of("plugins"), of("channels"));
    // A list of expected devices can be asked like a plugin.
    plugins.extend(of("expected").into_iter().map(|name| format!("expected.{name}")));
    Some(Names { tokens, plugins, channels, profiles: Vec::new() })
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
    let mut findings = Findings::new(source);
    let meant = mean(source.read::<ConfigFile>().ok()?, folder, &mut findings);
    findings.finish().ok()?;
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
