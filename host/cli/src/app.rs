//! From the operator's files to an engine that can work.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::document::{Findings, Source};
use domain::id::{Digest, PluginName, TokenName, WorkflowName};
use domain::policy::{Policy, Setup};
use domain::workflow::Workflow;
use engine::clock::SystemClock;
use engine::engine::Engine;
use engine::secrets::Key;
use engine::settings::{Settings, Unusable};
use engine::store::Store;
use sandbox::{PluginSpec, Sandbox};

use crate::config::{Config, KeySource, PluginConfig};
use crate::exit::{Exit, Outcome, Problem};

/// Whether a command asks policies. Loading one compiles it, the first time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policies {
    /// It does.
    Loaded,
    /// It does not.
    Unused,
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
    pub(crate) async fn open(path: &Path, policies: Policies) -> Outcome<Self> {
        let config = Config::read(path)?;
        let key = key(&config.key)?;
        if let Some(folder) = config.store.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Problem::file("make", folder, &error))?;
        }
        let store = Store::open(&config.store, key).await?;
        let engine = Engine::new(store, settings(&config, policies), Arc::new(SystemClock))?;
        Ok(Self { config, engine })
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

/// Nothing has that name; what has a similar one.
pub(crate) fn unknown(what: &str, name: &str, names: &[&str]) -> Problem {
    let problem = Problem::usage(format!("there is no {what} `{name}`"));
    match domain::document::suggestion(name, names) {
        Some(help) => problem.hint(help),
        None => problem,
    }
}

/// What the files mean, ready to be worked with.
pub(crate) fn settings(config: &Config, policies: Policies) -> Settings {
    Settings {
        tokens: config.tokens.clone(),
        profiles: config
            .profiles
            .iter()
            .map(|(name, (_, definition))| (name.clone(), definition.clone()))
            .collect(),
        policies: match policies {
            Policies::Loaded => load_policies(config),
            Policies::Unused => Default::default(),
        },
        channels: config.channels.clone(),
        workflows: config
            .workflows
            .iter()
            .map(|(name, workflow)| (name.clone(), Arc::new(workflow.clone())))
            .collect(),
    }
}

type Loaded = Result<Arc<dyn Policy>, Unusable>;

fn load_policies(config: &Config) -> BTreeMap<PluginName, Loaded> {
    let sandbox = Sandbox::new(Some(cache_folder(config)));
    let load = |name: &PluginName, plugin: &PluginConfig| match &sandbox {
        Ok(sandbox) => load_policy(config, sandbox, name, plugin),
        Err(error) => Err(Unusable { error: error.to_string(), hint: None }),
    };
    config.plugins.iter().map(|(name, plugin)| (name.clone(), load(name, plugin))).collect()
}

fn load_policy(config: &Config, sandbox: &Sandbox, name: &PluginName, plugin: &PluginConfig) -> Loaded {
    let unusable =
        |error: String| Unusable { error: format!("plugin `{name}` cannot be used: {error}"), hint: None };
    let bytes = std::fs::read(&plugin.path)
        .map_err(|error| unusable(format!("cannot read {}: {error}", plugin.path.display())))?;
    let found = Digest::of(&bytes);
    let pin = format!("sha256 = \"{found}\"");
    match &plugin.sha256 {
        None => {
            let hint = format!("if the file is the one you mean, write under [plugins.{name}]: {pin}");
            return Err(Unusable { hint: Some(hint), ..unusable("it is not pinned to a digest".to_owned()) });
        }
        Some(pinned) if *pinned != found => {
            let hint = format!("if the change is meant, write under [plugins.{name}]: {pin}");
            let error = format!("{} is not the file it was pinned to", plugin.path.display());
            return Err(Unusable { hint: Some(hint), ..unusable(error) });
        }
        Some(_) => {}
    }
    let spec = PluginSpec {
        name: name.clone(),
        bytes,
        expected_digest: plugin.sha256.clone(),
        limits: plugin.limits.clone(),
        settings: plugin.settings.clone(),
        setup: Setup {
            profiles: config.profiles.keys().cloned().collect(),
            channels: config.channels.keys().cloned().collect(),
            tokens: config.tokens.keys().cloned().collect(),
        },
        tables: BTreeMap::new(),
    };
    match sandbox.load(spec) {
        Ok(policy) => Ok(Arc::new(policy)),
        Err(sandbox::Error::Settings { problems, .. }) => {
            let mut findings = Findings::new(Source { path: &config.path, text: &config.text });
            for problem in problems {
                let at = format!("/plugins/{name}/settings{}", problem.pointer);
                findings.at(&at, problem.message, problem.hint);
            }
            let error = format!("it does not accept its settings\n{}", findings.into_mistakes());
            Err(unusable(error))
        }
        Err(error) => Err(unusable(error.to_string())),
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
