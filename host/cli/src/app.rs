//! From the operator's files to an engine that can work.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::document::{Findings, Source};
use domain::expected::ExpectedPolicy;
use domain::id::{Digest, PluginName, TableName, TokenName, WorkflowName};
use domain::policy::{Policy, Setup};
use domain::table::Table as _;
use domain::workflow::{Uses, Workflow};
use engine::clock::SystemClock;
use engine::copies::Copies;
use engine::engine::Engine;
use engine::expected::ExpectedList;
use engine::secrets::{Key, KeyId, OpenError};
use engine::settings::{PluginSettings, Settings, Unusable};
use engine::store::{self, Store};
use engine::table::{self, TableFile};
use sandbox::{Compiler, Fault, Limits, Plugin, PluginSpec, Sandbox};

use crate::config::{Config, KeySource, PluginConfig};
use crate::exit::{Exit, Outcome, Problem};

/// Which policies a command asks. Loading one compiles it, the first time.
#[derive(Clone, Copy)]
pub(crate) enum Policies<'a> {
    /// All there are.
    All,
    /// All there are, and what could not be compiled lately is tried once more.
    Checked,
    /// Those that this workflow asks.
    Of(&'a Workflow),
    /// None.
    Unused,
}

impl Policies<'_> {
    fn include(self, name: &PluginName) -> bool {
        match self {
            Self::All | Self::Checked => true,
            Self::Of(workflow) => workflow.policies().any(|policy| policy == name),
            Self::Unused => false,
        }
    }

    /// Whether somebody is reminded, for which there is a policy that ships.
    fn remind(self, config: &Config) -> bool {
        let reminds =
            |workflow: &Workflow| workflow.steps.iter().any(|step| matches!(step.uses, Uses::Remind { .. }));
        match self {
            Self::All | Self::Checked => config.workflows.values().any(reminds),
            Self::Of(workflow) => reminds(workflow),
            Self::Unused => false,
        }
    }
}

/// The configuration and an engine over its store.
pub(crate) struct App {
    /// What the operator wrote.
    pub config: Config,
    /// What works with it.
    pub engine: Engine,
}

impl App {
    /// Reads the configuration, opens the store, and loads the policies if they are needed.
    pub(crate) async fn open(path: &Path, policies: Policies<'_>) -> Outcome<Self> {
        Self::of(Config::read(path)?, policies).await
    }

    /// The same for a configuration that was read.
    pub(crate) async fn of(config: Config, policies: Policies<'_>) -> Outcome<Self> {
        let store = open_store(&config).await?.0;
        let engine = Engine::new(store, settings(&config, policies, None), Arc::new(SystemClock))?;
        Ok(Self { config, engine })
    }

    /// The same with the policies that this workflow asks: what a run of it needs.
    pub(crate) fn with_policies_of(self, workflow: &Workflow) -> Self {
        let settings = settings(&self.config, Policies::Of(workflow), Some(&self.engine.settings));
        Self { engine: self.engine.with_settings(settings), ..self }
    }

    /// The workflow of this name.
    pub(crate) fn workflow(&self, name: &WorkflowName) -> Outcome<Arc<Workflow>> {
        self.engine.settings.workflows.get(name).cloned().ok_or_else(|| {
            let names: Vec<&str> = self.engine.settings.workflows.keys().map(WorkflowName::as_str).collect();
            unknown("workflow", name.as_str(), &names)
        })
    }

    /// These tokens, or all that are configured.
    pub(crate) fn tokens(&self, chosen: &[TokenName]) -> Outcome<Vec<TokenName>> {
        let names: Vec<&str> = self.config.tokens.keys().map(TokenName::as_str).collect();
        if let Some(stranger) = chosen.iter().find(|token| !names.contains(&token.as_str())) {
            return Err(unknown("token", stranger.as_str(), &names));
        }
        if chosen.is_empty() { Ok(self.config.tokens.keys().cloned().collect()) } else { Ok(chosen.to_vec()) }
    }
}

/// Opens the store, and says with which key. That is the configured one, or, where `deputy secrets rotate`
/// was interrupted, the new one it had made beside it.
pub(crate) async fn open_store(config: &Config) -> Outcome<(Store, KeyId)> {
    let key = key(&config.key)?;
    if let Some(folder) = config.store.parent() {
        std::fs::create_dir_all(folder).map_err(|error| Problem::file("make", folder, &error))?;
    }
    let id = key.id();
    let wanted = match Store::open(&config.store, key).await {
        Ok(store) => return Ok((store, id)),
        Err(store::Error::Secret(error)) => error,
        Err(error) => return Err(error.into()),
    };
    if let (OpenError::WrongKey { sealed_with, .. }, KeySource::File(path)) = (&wanted, &config.key)
        && let Ok(next) = Key::from_file(&next_key_file(path))
        && next.id() == *sealed_with
    {
        eprintln!(
            "note: `deputy secrets rotate` was interrupted; going on with the new key in {}: type it again to end it",
            next_key_file(path).display()
        );
        return Ok((Store::open(&config.store, next).await?, *sealed_with));
    }
    Err(store::Error::Secret(wanted).into())
}

/// Where `deputy secrets rotate` keeps the new key until everything is sealed with it.
pub(crate) fn next_key_file(path: &Path) -> PathBuf {
    path.with_added_extension("new")
}

/// Nothing has that name; what has a similar one.
pub(crate) fn unknown(what: &str, name: &str, names: &[&str]) -> Problem {
    let problem = Problem::usage(format!("there is no {what} `{name}`"));
    match domain::document::suggestion(name, names) {
        Some(help) => problem.hint(help),
        None => problem,
    }
}

/// What the files mean, ready to be worked with. Tables keep what was read of them `before`, and so does
/// a plugin that was good and is the one that is pinned, if its file is broken now.
pub(crate) fn settings(config: &Config, policies: Policies<'_>, before: Option<&Settings>) -> Settings {
    let mut settings = Settings {
        tokens: config.tokens.clone(),
        profiles: config
            .profiles
            .iter()
            .map(|(name, (_, definition))| (name.clone(), definition.clone()))
            .collect(),
        policies: BTreeMap::new(),
        reminders: None,
        tables: tables(config, before),
        plugins: config
            .plugins
            .iter()
            .map(|(name, plugin)| (name.clone(), plugin_settings(plugin)))
            .collect(),
        channels: config.channels.clone(),
        expected: config.expected.clone(),
        keep: config.keep,
        freezes: config.freezes.clone(),
        min_free: config.min_free,
        workflows: config
            .workflows
            .iter()
            .map(|(name, workflow)| (name.clone(), Arc::new(workflow.clone())))
            .collect(),
    };
    for name in config.expected.keys() {
        let plugin = plugin_of(name);
        let mark = Digest::of(plugin.as_str().as_bytes());
        let known = PluginSettings { tables: vec![name.clone()], settings: "{}".to_owned(), mark };
        settings.plugins.insert(plugin, known);
    }
    if matches!(policies, Policies::Unused) {
        return settings;
    }
    let sandbox = sandbox_that(matches!(policies, Policies::Checked), Some(cache_folder(config)));
    settings.policies = load_all(config, policies, &settings, &sandbox, before);
    for (name, list) in &config.expected {
        if policies.include(&plugin_of(name)) {
            let loaded = load_list(&settings, name, list);
            settings.policies.insert(plugin_of(name), loaded);
        }
    }
    if policies.remind(config) {
        let kept = before.and_then(|before| before.reminders.clone()).filter(Result::is_ok);
        settings.reminders = Some(kept.unwrap_or_else(|| load_shipped_reminders(config, &sandbox)));
    }
    settings
}

fn tables(config: &Config, before: Option<&Settings>) -> BTreeMap<TableName, Arc<TableFile>> {
    let table = |name: &TableName, source: &table::Source| {
        let known = before.and_then(|before| before.tables.get(name)).filter(|it| it.source() == source);
        known.inspect(|it| it.reloaded()).cloned().unwrap_or_else(|| {
            let copies = Copies::of_tables(&config.store);
            Arc::new(TableFile::new(name.clone(), source.clone(), copies))
        })
    };
    config.tables.iter().map(|(name, source)| (name.clone(), table(name, source))).collect()
}

fn plugin_settings(plugin: &PluginConfig) -> PluginSettings {
    let PluginConfig { sha256, settings, limits, tables, .. } = plugin;
    let digest = sha256.as_ref().map_or("", Digest::as_str);
    let mark = Digest::of(format!("{digest}\n{settings}\n{limits:?}\n{tables:?}").as_bytes());
    PluginSettings { tables: tables.clone(), settings: settings.to_string(), mark }
}

type Loaded = Result<Arc<dyn Policy>, Unusable>;

fn load_all(
    config: &Config,
    policies: Policies<'_>,
    settings: &Settings,
    sandbox: &Result<Sandbox, sandbox::Error>,
    before: Option<&Settings>,
) -> BTreeMap<PluginName, Loaded> {
    let one = |name: &PluginName, plugin: &PluginConfig| -> Loaded {
        let loaded = match sandbox {
            Ok(sandbox) => load_pinned(config, settings, sandbox, name, plugin),
            Err(error) => Err(Unusable { error: error.to_string(), hint: None }),
        };
        let same = before.filter(|before| before.mark_of(name) == settings.mark_of(name));
        match (loaded, same.and_then(|before| before.policies.get(name))) {
            (Err(unusable), Some(Ok(good))) => {
                // It goes on with all it was loaded with: a table without a column that it looks at is no use to it.
                let kept = plugin.tables.iter().filter(|table| settings.tables[*table].take_back());
                let tables = domain::document::list_of(kept.map(TableName::as_str));
                let tables = match tables.is_empty() {
                    true => String::new(),
                    false => format!(", with {tables} as it was then"),
                };
                tracing::error!(plugin = %name, "{}; what was loaded before is used on{tables}", unusable.error);
                Ok(good.clone())
            }
            (loaded, _) => loaded,
        }
    };
    let wanted = config.plugins.iter().filter(|(name, _)| policies.include(name));
    let loaded = wanted.map(|(name, plugin)| (name.clone(), one(name, plugin))).collect();
    let pinned = config.plugins.values().filter_map(|plugin| plugin.sha256.as_ref());
    if let Err(error) = Copies::of_plugins(&config.store).tidy(pinned) {
        tracing::warn!("old copies of plugins are not deleted: {error}");
    }
    loaded
}

/// The policy that a list of expected devices is has the name of its table.
fn plugin_of(list: &TableName) -> PluginName {
    list.as_str().parse().expect("the names of tables and plugins keep to the same rule")
}

fn load_list(settings: &Settings, name: &TableName, list: &ExpectedList) -> Loaded {
    let file = &settings.tables[name];
    if file.now().is_none() {
        let wrong = file.wrong().map_or_else(String::new, |wrong| format!("\n{wrong}"));
        return Err(Unusable {
            error: format!("the list `{name}` cannot be read{wrong}"),
            hint: Some("mend the file; a daemon looks again when it reloads, on SIGHUP".to_owned()),
        });
    }
    Ok(Arc::new(ExpectedPolicy::new(plugin_of(name), name.clone(), list.token.clone())))
}

/// The reminder policy that is part of this program, with its default settings.
fn load_shipped_reminders(config: &Config, sandbox: &Result<Sandbox, sandbox::Error>) -> Loaded {
    let name: PluginName = "reminders".parse().expect("a good name");
    let unusable = |error: &sandbox::Error| Unusable {
        error: format!("the reminder policy that comes with Deputy cannot be used: {error}"),
        hint: None,
    };
    let spec = PluginSpec {
        name,
        bytes: shipped::REMINDERS.to_vec(),
        expected_digest: None,
        limits: Limits::default(),
        settings: serde_json::Value::Object(serde_json::Map::new()),
        setup: setup(config),
        tables: BTreeMap::new(),
    };
    let sandbox = sandbox.as_ref().map_err(unusable)?;
    Ok(Arc::new(sandbox.load(spec).map_err(|error| unusable(&error))?))
}

fn unusable(name: &PluginName, error: impl std::fmt::Display) -> Unusable {
    Unusable { error: format!("plugin `{name}` cannot be used: {error}"), hint: None }
}

fn load_pinned(
    config: &Config,
    settings: &Settings,
    sandbox: &Sandbox,
    name: &PluginName,
    plugin: &PluginConfig,
) -> Loaded {
    let bytes = std::fs::read(&plugin.path)
        .map_err(|error| unusable(name, format!("cannot read {}: {error}", plugin.path.display())))?;
    let found = Digest::of(&bytes);
    let hint =
        Some(format!("`deputy plugin trust {name}` shows what it is, and pins it if it is the one you mean"));
    match &plugin.sha256 {
        None => return Err(Unusable { hint, ..unusable(name, "it is not pinned to a digest") }),
        Some(pinned) if *pinned != found => {
            let hint = Some(format!(
                "`deputy plugin trust {name}` shows what changed, and pins it if that is meant"
            ));
            let error = format!("{} is not the file it was pinned to", plugin.path.display());
            return Err(Unusable { hint, ..unusable(name, error) });
        }
        Some(_) => {}
    }
    let policy = load(config, settings, sandbox, name, bytes.clone())?;
    crate::commands::plugin::list::keep(&Copies::of_plugins(&config.store), &bytes);
    Ok(Arc::new(policy))
}

/// A component as the plugin of this name: content with its settings and with what it is granted.
pub(crate) fn load(
    config: &Config,
    settings: &Settings,
    sandbox: &Sandbox,
    name: &PluginName,
    bytes: Vec<u8>,
) -> Result<Plugin, Unusable> {
    let plugin = &config.plugins[name];
    let mut tables = BTreeMap::new();
    for table in &plugin.tables {
        let file = &settings.tables[table];
        let Some(now) = file.now() else {
            let wrong = file.wrong().map_or_else(String::new, |wrong| format!("\n{wrong}"));
            return Err(Unusable {
                hint: Some("mend the file; a daemon looks again when it reloads, on SIGHUP".to_owned()),
                ..unusable(name, format!("the table `{table}`, which it is granted, is wrong{wrong}"))
            });
        };
        tables.insert(table.clone(), now.columns().to_vec());
    }
    let spec = PluginSpec {
        name: name.clone(),
        bytes,
        expected_digest: None,
        limits: plugin.limits.clone(),
        settings: plugin.settings.clone(),
        setup: setup(config),
        tables,
    };
    match sandbox.load(spec) {
        Ok(policy) => Ok(policy),
        Err(sandbox::Error::Settings { problems, .. }) => {
            let mut findings = Findings::new(Source { path: &config.path, text: &config.text });
            for problem in problems {
                let at = format!("/plugins/{name}/settings{}", problem.pointer);
                // What is wrong with a key is shown at the key.
                if problem.message.starts_with("unknown key") {
                    findings.at_key(&at, problem.message, problem.hint);
                } else {
                    findings.at(&at, problem.message, problem.hint);
                }
            }
            let error = format!("it does not accept its settings\n{}", findings.into_mistakes());
            Err(unusable(name, error))
        }
        Err(sandbox::Error::Fault { fault: fault @ Fault::Fuel { .. }, .. }) => Err(Unusable {
            hint: Some(format!(
                "they are very large, or very much is wrong with them: try a part of them, or write a larger \
                 `fuel_per_call` under [plugins.{name}.limits]"
            )),
            ..unusable(name, format!("checking its settings takes more than it may use: it {fault}"))
        }),
        Err(error) => Err(unusable(name, error)),
    }
}

/// Where plugins run, for somebody who tries one. This very program compiles them, in a process of its own.
pub(crate) fn sandbox(cache: Option<PathBuf>) -> Result<Sandbox, sandbox::Error> {
    sandbox_that(true, cache)
}

fn sandbox_that(retry: bool, cache: Option<PathBuf>) -> Result<Sandbox, sandbox::Error> {
    // On Linux by a name that stays right when the file is replaced under a daemon.
    let itself = Path::new("/proc/self/exe");
    let program = if itself.exists() { Ok(itself.to_owned()) } else { std::env::current_exe() };
    let program = program.map_err(|error| sandbox::Error::Engine {
        reason: format!("this program does not know its own file: {error}"),
    })?;
    let notice = |what: &str| {
        // Whether it comes to this depends on the machine, so that only a person who waits is told.
        if std::io::stderr().is_terminal() {
            eprintln!("compiling {what}; one that carries an interpreter takes up to a minute");
        }
    };
    Sandbox::new(Compiler { program, arguments: vec![COMPILE.to_owned()], notice, retry }, cache)
}

/// The command of the process that compiles.
pub(crate) const COMPILE: &str = "__compile";

/// What the settings of plugins may refer to.
pub(crate) fn setup(config: &Config) -> Setup {
    Setup {
        profiles: config.profile_names.iter().cloned().collect(),
        channels: config.channels.keys().cloned().collect(),
        tokens: config.tokens.keys().cloned().collect(),
    }
}

/// Compiled plugins; can be deleted at any time.
pub(crate) fn cache_folder(config: &Config) -> PathBuf {
    config.store.with_file_name("plugin-cache")
}

/// The key that opens the secrets in the store.
pub(crate) fn key(source: &KeySource) -> Outcome<Key> {
    let missing = |what: String| {
        Problem::new(Exit::NeedsPerson, format!("the key that opens Deputy's secrets is not there: {what}"))
            .hint(
                "put the key back; `deputy init` makes one for a new folder, and a new key opens nothing old",
            )
    };
    let wrong =
        |error: engine::secrets::KeyError| Problem::new(Exit::NeedsPerson, &error).hint(error.advice());
    let from_file = |path: &Path| {
        if !path.exists() {
            return Err(missing(format!("no file {}", path.display())));
        }
        Key::from_file(path).map_err(wrong)
    };
    match source {
        KeySource::File(path) => from_file(path),
        KeySource::Environment(variable) => {
            let text = std::env::var(variable).map_err(|_| missing(format!("${variable} is not set")))?;
            Key::from_text(&text, &format!("${variable}")).map_err(wrong)
        }
        KeySource::Credential(name) => {
            let folder = std::env::var_os("CREDENTIALS_DIRECTORY")
                .ok_or_else(|| missing("$CREDENTIALS_DIRECTORY is not set; systemd sets it".to_owned()))?;
            let path = Path::new(&folder).join(name);
            let text =
                std::fs::read_to_string(&path).map_err(|_| missing(format!("no credential `{name}`")))?;
            Key::from_text(&text, &format!("the credential `{name}`")).map_err(wrong)
        }
    }
}
