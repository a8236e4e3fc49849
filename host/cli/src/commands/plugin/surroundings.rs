//! What a policy is told besides what it is asked about: the same for every device of a command.
//!
//! As in a run of the workflow that asks the plugin, where there is one: its tables, and the wall clock of its
//! time zone. The command line may say otherwise.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use domain::id::{PluginName, ProfileName, TableName};
use domain::table::Tables;
use engine::copies::Copies;
use engine::table::{Encoding, Source, TableFile};
use jiff::tz::TimeZone;

use crate::app::App;
use crate::config::{Config, PluginConfig};
use crate::exit::{Exit, Outcome, Problem};

/// What a policy is told besides.
#[derive(Clone)]
pub(super) struct Surroundings {
    /// The profiles that may be assigned.
    pub(super) profiles: Vec<ProfileName>,
    /// Where it may look things up.
    pub(super) tables: Arc<Tables>,
    /// Whose wall clock it is told.
    pub(super) timezone: TimeZone,
}

impl Surroundings {
    /// Those of a plugin in deputy.toml, as in a run.
    pub(super) fn of_plugin(app: &App, name: &PluginName) -> Self {
        let settings = &app.engine.settings;
        Self {
            profiles: settings.profiles.keys().cloned().collect(),
            tables: Arc::new(settings.tables_now([name])),
            timezone: of_workflow(&app.config, name),
        }
    }
}

/// The time zone of the first workflow that asks this plugin; UTC if none does.
pub(super) fn of_workflow(config: &Config, plugin: &PluginName) -> TimeZone {
    let asks = config.workflows.values().find(|workflow| workflow.policies().any(|name| name == plugin));
    asks.map_or(TimeZone::UTC, |workflow| workflow.timezone())
}

/// A time zone as it is typed.
pub(super) fn timezone(typed: &str) -> Result<TimeZone, String> {
    TimeZone::get(typed).map_err(|_| "no such time zone; one is called `Europe/Paris` or `UTC`".to_owned())
}

/// A table of the command line: `NAME=FILE`, a CSV file whose first column is the key.
#[derive(Clone, Debug)]
pub(super) struct TableFlag {
    name: TableName,
    path: PathBuf,
}

impl FromStr for TableFlag {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        let (name, path) = typed.split_once('=').ok_or("this is NAME=FILE, such as `assets=assets.csv`")?;
        let name = name.parse().map_err(|error| format!("{error}"))?;
        Ok(Self { name, path: path.into() })
    }
}

/// The tables that a plugin was granted, for a file, which nobody grants anything, all there are; and those of the
/// command line, before others of the same name.
pub(super) fn tables(
    config: Option<&Config>,
    plugin: Option<&PluginConfig>,
    typed: &[TableFlag],
) -> Outcome<Arc<Tables>> {
    // Without a store there is no place for copies that lasts; a table that is open needs none.
    let elsewhere = tempfile::tempdir()
        .map_err(|error| Problem::new(Exit::Failure, format!("no temporary folder: {error}")))?;
    let store = elsewhere.path().join("store");
    let copies = Copies::of_tables(config.map_or(&store, |config| &config.store));
    let granted = |name: &TableName| plugin.is_none_or(|plugin| plugin.tables.contains(name));
    let configured = config.into_iter().flat_map(|config| &config.tables);
    let mut sources: Vec<(TableName, Source)> = configured
        .filter(|(name, _)| granted(name))
        .map(|(name, source)| (name.clone(), source.clone()))
        .collect();
    for TableFlag { name, path } in typed {
        sources.push((name.clone(), first_column(path.clone())?));
    }
    let mut tables = Tables::default();
    for (name, source) in sources {
        let file = TableFile::new(name.clone(), source, copies.clone());
        let Some(now) = file.now() else {
            let wrong = file.wrong().map_or_else(String::new, |wrong| format!("\n{wrong}"));
            return Err(Problem::usage(format!("the table `{name}` cannot be used{wrong}")));
        };
        tables.0.insert(name, now);
    }
    Ok(Arc::new(tables))
}

/// The names of columns are not looked for beyond this.
const LINE: u64 = 1 << 16;

/// A file that is looked into by its first column.
fn first_column(path: PathBuf) -> Outcome<Source> {
    let mut line = Vec::new();
    let file = std::fs::File::open(&path).map_err(|error| Problem::file("read", &path, &error))?;
    let read = BufReader::new(file.take(LINE)).read_until(b'\n', &mut line);
    read.map_err(|error| Problem::file("read", &path, &error))?;
    let line = String::from_utf8_lossy(&line);
    let first = line.trim_start_matches('\u{feff}').split(',').next().unwrap_or_default();
    let key = first.trim().trim_matches('"').to_owned();
    Ok(Source { path, key, delimiter: b',', encoding: Encoding::Utf8 })
}
