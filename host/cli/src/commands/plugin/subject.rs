//! The component that a command is about, and everything that it is told when it is loaded.
//!
//! Named by its file, or by its name in `deputy.toml`, which brings its settings and limits along.
//! Nobody has to trust a component to try it here, so its digest is not compared; what it can do is the
//! same as in a run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::document::{Findings, Source};
use domain::id::{PluginName, ProfileName, TableName};
use domain::policy::Setup;
use domain::table::Tables;
use jiff::tz::TimeZone;
use sandbox::{Plugin, PluginSpec, Sandbox, SettingsProblem};
use serde_json::{Value, json};

use super::bounds::{Bounds, Preset};
use super::surroundings::{self, Surroundings, TableFlag};
use crate::Common;
use crate::app::unknown;
use crate::config::{Config, PluginConfig};
use crate::exit::{Exit, Outcome, Problem};

/// What a component is told, where the command line says so.
#[derive(clap::Args, Clone, Default)]
pub(super) struct Told {
    /// Its settings: a TOML or JSON file [default: those in deputy.toml, or none]
    #[arg(long, value_name = "FILE")]
    pub(super) settings: Option<PathBuf>,
    /// A profile that it may assign; once for each [default: those in the folder profiles]
    #[arg(long = "profile", value_name = "NAME", value_delimiter = ',')]
    pub(super) profiles: Vec<ProfileName>,
    /// A table that it may look into, as NAME=FILE.csv with the key in the first column; once for each [default: those
    /// it is granted; for a file, all in deputy.toml]
    #[arg(long = "table", value_name = "NAME=FILE")]
    pub(super) tables: Vec<TableFlag>,
    /// The time zone whose wall clock it is told, such as Europe/Paris [default: that of the first workflow that
    /// names it, or UTC]
    #[arg(long, value_name = "ZONE", value_parser = surroundings::timezone)]
    pub(super) timezone: Option<TimeZone>,
    /// What it may use [default: what deputy.toml says; for a file, what goes with its size]
    #[arg(long)]
    pub(super) preset: Option<Preset>,
}

/// A component, and what it is told.
#[derive(Clone)]
pub(super) struct Subject {
    /// What to call it to the author: its file, or its name in deputy.toml.
    pub(super) shown: String,
    /// What the sandbox calls it.
    pub(super) name: PluginName,
    /// Where it is.
    pub(super) file: PathBuf,
    /// What is there.
    pub(super) bytes: Vec<u8>,
    /// What it may use.
    pub(super) bounds: Bounds,
    /// What it is set to.
    pub(super) settings: Settings,
    /// What its settings may refer to.
    pub(super) setup: Setup,
    /// Where it may look things up.
    pub(super) tables: Arc<Tables>,
    /// Whose wall clock it is told.
    pub(super) timezone: TimeZone,
    /// Whether it was named as deputy.toml names it.
    pub(super) is_configured: bool,
}

/// Settings, and where they stand, for pointing at mistakes.
#[derive(Clone)]
pub(in crate::commands) struct Settings {
    /// The table, as the component gets it.
    pub(in crate::commands) value: Value,
    /// The file; none if there are no settings.
    path: Option<String>,
    /// Its text, if it is TOML.
    text: Option<String>,
    /// The JSON pointer of the settings in that file.
    at: String,
}

impl Subject {
    /// What `which` means: a file, or a name in deputy.toml.
    pub(super) fn find(
        common: &Common,
        config: Option<&Config>,
        which: &Path,
        told: &Told,
    ) -> Outcome<Subject> {
        let built = if which.is_dir() { Some(built(which)?) } else { None };
        let which = built.as_deref().unwrap_or(which);
        let name: Option<PluginName> = which.to_str().and_then(|name| name.parse().ok());
        let configured = match (name, which.exists()) {
            (Some(name), false) => Some(configured(common, config, name)?),
            _ => None,
        };
        let (name, plugin) = match configured {
            Some((name, plugin)) => (name, Some(plugin)),
            None => (name_of(which), None),
        };
        let file = plugin.map_or(which, |plugin| &plugin.path).to_owned();
        let bytes = std::fs::read(&file).map_err(|error| Problem::file("read", &file, &error))?;
        let settings = match (&told.settings, plugin, config) {
            (Some(file), ..) => Settings::read(file)?,
            (None, Some(plugin), Some(config)) => Settings {
                value: plugin.settings.clone(),
                path: Some(config.path.clone()),
                text: Some(config.text.clone()),
                at: format!("/plugins/{name}/settings"),
            },
            _ => Settings::none(),
        };
        let mut setup = config.map_or_else(Setup::default, crate::app::setup);
        if !told.profiles.is_empty() {
            setup.profiles = told.profiles.clone();
        }
        let bounds = Bounds::of(told.preset, plugin.map(|plugin| (&name, plugin)), bytes.len());
        let tables = surroundings::tables(config, plugin, &told.tables)?;
        let configured = config.filter(|_| plugin.is_some());
        let of_workflow = || configured.map(|config| surroundings::of_workflow(config, &name));
        let timezone = told.timezone.clone().or_else(of_workflow).unwrap_or(TimeZone::UTC);
        let (shown, is_configured) = (which.display().to_string(), plugin.is_some());
        Ok(Self { shown, name, file, bytes, bounds, settings, setup, tables, timezone, is_configured })
    }

    /// The component, loaded; or everything that is wrong with its settings, each where it stands.
    pub(super) fn load(&self, sandbox: &Sandbox) -> Outcome<Plugin> {
        sandbox.load(self.spec()).map_err(|error| self.refused(error))
    }

    /// What it is told besides what it is asked about.
    pub(super) fn surroundings(&self) -> Surroundings {
        Surroundings {
            profiles: self.setup.profiles.clone(),
            tables: self.tables.clone(),
            timezone: self.timezone.clone(),
        }
    }

    /// What the sandbox loads.
    pub(super) fn spec(&self) -> PluginSpec {
        PluginSpec {
            name: self.name.clone(),
            bytes: self.bytes.clone(),
            expected_digest: None,
            limits: self.bounds.limits.clone(),
            settings: self.settings.value.clone(),
            setup: self.setup.clone(),
            tables: columns(&self.tables),
        }
    }

    /// Why the component cannot be loaded, for its author.
    pub(super) fn refused(&self, error: sandbox::Error) -> Problem {
        let Self { shown, .. } = self;
        match error {
            sandbox::Error::Settings { problems, .. } => {
                let problem = Problem::usage(format!(
                    "{shown} does not accept its settings\n{}",
                    self.settings.mistakes(problems)
                ));
                match (&self.settings.path, self.setup.profiles.is_empty()) {
                    (None, _) => problem.hint("`--settings FILE` gives it some, as TOML or JSON"),
                    (_, true) => problem.hint("`--profile NAME` names a profile that it may assign"),
                    _ => problem,
                }
            }
            sandbox::Error::UngrantedTables { missing, .. } if !self.is_configured => {
                let (looks, hint) = self.without_tables(&missing);
                Problem::usage(looks).hint(hint)
            }
            error => {
                // Another preset mends what is too much for this one, and nothing else.
                let hint = self.bounds.hint().filter(|_| is_too_much(&error));
                let problem = Problem::usage(format!("{shown} cannot be used: {error}"));
                hint.into_iter().fold(problem, Problem::hint)
            }
        }
    }
}

impl Subject {
    /// That a file, which nobody can grant anything, looks into tables that are not there; and how to give it some.
    pub(super) fn without_tables(&self, missing: &[TableName]) -> (String, String) {
        let names = domain::document::list_of(missing.iter().map(TableName::as_str));
        let flags: Vec<String> = missing.iter().map(|name| format!("--table {name}={name}.csv")).collect();
        let flags = flags.join(" ");
        (
            format!("{} looks things up in {names}, and there is no such table here", self.shown),
            format!("`{flags}` takes a CSV file that has the key in its first column"),
        )
    }
}

/// Whether a component wants more than it may have.
pub(super) fn is_too_much(error: &sandbox::Error) -> bool {
    use sandbox::Error::{CompileMemory, CompileTime, Fault, TooLarge};
    matches!(error, TooLarge { .. } | CompileTime { .. } | CompileMemory { .. } | Fault { .. })
}

/// The one component in a folder.
fn built(folder: &Path) -> Outcome<PathBuf> {
    let files = std::fs::read_dir(folder).map_err(|error| Problem::file("read", folder, &error))?;
    let files = files.filter_map(|entry| Some(entry.ok()?.path()));
    let mut found: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|extension| extension == "wasm")).collect();
    match (found.pop(), found.is_empty()) {
        (Some(file), true) => Ok(file),
        (None, _) => Err(Problem::usage(format!("there is no component in {}", folder.display()))
            .hint("`deputy plugin build` makes one in the folder of a project; or name the `.wasm` file")),
        (Some(_), false) => {
            let several = format!("there are several components in {}", folder.display());
            Err(Problem::usage(several).hint("name the one that is meant"))
        }
    }
}

/// The configuration, if there is one.
pub(super) fn config(common: &Common) -> Outcome<Option<Config>> {
    common.config.exists().then(|| Config::read(&common.config)).transpose()
}

fn configured<'a>(
    common: &Common,
    config: Option<&'a Config>,
    name: PluginName,
) -> Outcome<(PluginName, &'a PluginConfig)> {
    let Some(config) = config else {
        return Err(Problem::usage(format!("there is no file `{name}`, and no {}", common.config.display()))
            .hint("name the component that the build made, such as `policy.wasm`"));
    };
    match config.plugins.get_key_value(&name) {
        Some((name, plugin)) => Ok((name.clone(), plugin)),
        None => {
            let names: Vec<&str> = config.plugins.keys().map(PluginName::as_str).collect();
            Err(unknown("file or plugin", name.as_str(), &names))
        }
    }
}

/// The columns of each table.
pub(super) fn columns(tables: &Tables) -> BTreeMap<TableName, Vec<String>> {
    tables.0.iter().map(|(name, table)| (name.clone(), table.columns().to_vec())).collect()
}

/// A name made of that of the file.
fn name_of(file: &Path) -> PluginName {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let fitting = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = stem.chars().map(fitting).take(64).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    name.parse().unwrap_or_else(|_| "plugin".parse().expect("that is a name"))
}

impl Settings {
    /// No settings.
    pub(super) fn none() -> Self {
        Self { value: json!({}), path: None, text: None, at: String::new() }
    }

    /// The settings in a file: TOML, or JSON if it is called so.
    pub(in crate::commands) fn read(file: &Path) -> Outcome<Self> {
        let text = std::fs::read_to_string(file).map_err(|error| Problem::file("read", file, &error))?;
        let path = file.display().to_string();
        if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
            let value: Value = serde_json::from_str(&text)
                .map_err(|error| Problem::usage(format!("{path} is not JSON: {error}")))?;
            if !value.is_object() {
                return Err(Problem::usage(format!("{path} holds no JSON object, which settings are")));
            }
            return Ok(Self { value, path: Some(path), text: None, at: String::new() });
        }
        Source { path: &path, text: &text }.shape(&json!({})).finish()?;
        let table: toml::Table = toml::from_str(&text)
            .map_err(|error| Problem::usage(format!("{path} is not TOML: {}", error.message())))?;
        let value = crate::config::json(toml::Value::Table(table));
        Ok(Self { value, path: Some(path), text: Some(text), at: String::new() })
    }

    /// What the component finds wrong, each where it stands.
    pub(super) fn mistakes(&self, problems: Vec<SettingsProblem>) -> String {
        let Some((path, text)) = self.path.as_ref().zip(self.text.as_ref()) else {
            let within = self.path.as_ref().map_or(String::new(), |path| format!(" in {path}"));
            let line = |problem: SettingsProblem| {
                let SettingsProblem { pointer, message, hint } = problem;
                let at = if pointer.is_empty() { String::new() } else { format!(" at {pointer}") };
                let hint = hint.map_or(String::new(), |hint| format!(" ({hint})"));
                format!("error: {message}{at}{within}{hint}")
            };
            return problems.into_iter().map(line).collect::<Vec<_>>().join("\n");
        };
        let mut findings = Findings::new(Source { path, text });
        for SettingsProblem { pointer, message, hint } in problems {
            findings.at(&format!("{}{pointer}", self.at), message, hint);
        }
        findings.into_mistakes().to_string()
    }
}

/// A sandbox. What is compiled is kept: beside the store, or without a configuration where the author's tools keep
/// theirs. A component with an interpreter takes many seconds, and its author types several commands.
pub(super) fn sandbox(config: Option<&Config>) -> Outcome<Sandbox> {
    let authors = || plugin_build::cache().map(|folder| folder.join("plugin-cache"));
    let cache = config.map(crate::app::cache_folder).or_else(authors);
    crate::app::sandbox(cache).map_err(|error| Problem::new(Exit::Failure, error))
}
