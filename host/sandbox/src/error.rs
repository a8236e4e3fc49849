//! Why a plugin cannot be used.

use std::fmt;
use std::time::Duration;

use domain::id::{Digest, PluginName, TableName};
use jiff::Timestamp;

use crate::contract::Version;
use crate::fault::Fault;

/// Why a component cannot be inspected or loaded. Display says what to do next where that is not obvious.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine cannot run on this machine.
    #[error("plugins cannot run on this machine: {reason}")]
    Engine {
        /// The engine's reason.
        reason: String,
    },
    /// The component is larger than the limit.
    #[error(
        "the component has {size} bytes, more than the {limit} allowed; one that carries an interpreter, as those \
         of JavaScript and Python do, needs `limits = {{ preset = \"interpreter\" }}`"
    )]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// It is not the component that the operator trusts.
    #[error(
        "plugin `{plugin}` has changed: its SHA-256 is {found}, trusted is {trusted}; if the change is meant, \
         trust the new digest"
    )]
    DigestMismatch {
        /// The plugin.
        plugin: PluginName,
        /// What the operator trusts.
        trusted: Digest,
        /// What is there.
        found: Digest,
    },
    /// The bytes are no component.
    #[error("this is {found}, not a WebAssembly component; {hint}")]
    NotAComponent {
        /// What they are.
        found: &'static str,
        /// What may help.
        hint: &'static str,
    },
    /// The component is broken, or made of parts of WebAssembly that are switched off.
    #[error("the component cannot be compiled: {reason}")]
    NotCompiled {
        /// The compiler's reason.
        reason: String,
    },
    /// Compiling it took too long.
    #[error(
        "the component takes longer than {limit:?} to compile; if it is meant to be that large, allow more with \
         `limits = {{ preset = \"interpreter\" }}` or `compile_time`"
    )]
    CompileTime {
        /// How long it had.
        limit: Duration,
    },
    /// Compiling it took too much memory.
    #[error(
        "the component needs more than {} MiB of memory to compile; if it is meant to be that large, allow more \
         with `limits = {{ preset = \"interpreter\" }}` or `compile_memory`",
        limit >> 20
    )]
    CompileMemory {
        /// How much there was, in bytes.
        limit: u64,
    },
    /// The compiler did not survive it.
    #[error("the compiler crashed on the component ({how}): {words}")]
    CompileCrash {
        /// How the process ended.
        how: String,
        /// Its last words.
        words: String,
    },
    /// It could not be compiled a while ago, and that was not tried again.
    #[error(
        "{reason} (found out at {}; it is tried again after an hour, or at once by `deputy workflow check`)",
        at.strftime("%Y-%m-%d %H:%M UTC")
    )]
    NotCompiledLately {
        /// Why it could not be.
        reason: String,
        /// When that was.
        at: Timestamp,
    },
    /// It imports what a policy is not given.
    #[error(
        "the component imports what no plugin is granted: {}; a policy gets everything it needs as arguments, \
         so build it without them",
        quoted(imports)
    )]
    UngrantedImports {
        /// The imports, as the component names them.
        imports: Vec<String>,
    },
    /// It answers none of the questions that this host asks.
    #[error(
        "the component answers none of the questions Deputy asks; it exports {}, and a policy exports `plugin` of \
         `deputy:policy@1.1.0` and one of `assignment`, `reminder` and `review`",
        quoted(exports)
    )]
    NoQuestion {
        /// What it exports instead.
        exports: Vec<String>,
    },
    /// It answers a question in a version of the contract that this host does not know.
    #[error(
        "the component keeps to version {contract} of the contract, and this Deputy knows {}; if that is a later \
         one, a later Deputy knows it",
        known_versions()
    )]
    UnknownContract {
        /// The version.
        contract: String,
    },
    /// It claims to answer a question, but its functions are others than the contract's.
    #[error("the component does not keep to the contract it names: {reason}")]
    WrongShape {
        /// What does not fit.
        reason: String,
    },
    /// It failed to say what it is.
    #[error("the component failed while it described itself: it {fault}")]
    NotDescribed {
        /// How.
        fault: Fault,
    },
    /// The plugin does not accept its settings.
    #[error("plugin `{plugin}` does not accept its settings:{}", listed(problems))]
    Settings {
        /// The plugin.
        plugin: PluginName,
        /// Everything it found wrong.
        problems: Vec<SettingsProblem>,
    },
    /// It looks into tables that it was not granted.
    #[error(
        "plugin `{plugin}` looks into {} and was not granted that; if it may, write under [plugins.{plugin}]: \
         grants = {{ tables = [{grant}] }}",
        tables(missing)
    )]
    UngrantedTables {
        /// The plugin.
        plugin: PluginName,
        /// The tables.
        missing: Vec<TableName>,
        /// All that would then be granted, as one writes it.
        grant: String,
    },
    /// It looks at a column that a table does not have.
    #[error("plugin `{plugin}` looks at the column `{column}` of the table `{table}`, which has {there}")]
    NoColumn {
        /// The plugin.
        plugin: PluginName,
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// The columns there are, in words.
        there: String,
    },
    /// The plugin failed on its settings instead of accepting or refusing them.
    #[error("plugin `{plugin}` failed while it was configured: it {fault}")]
    Fault {
        /// The plugin.
        plugin: PluginName,
        /// How.
        fault: Fault,
    },
}

impl Error {
    /// Compiling failed, and would fail again as long as component, compiler and limits are the same; if it was the
    /// machine's fault, for a while.
    pub(crate) fn is_of_compiling(&self) -> bool {
        matches!(
            self,
            Self::NotCompiled { .. }
                | Self::CompileTime { .. }
                | Self::CompileMemory { .. }
                | Self::CompileCrash { .. }
        )
    }
}

/// One thing a plugin finds wrong with its settings, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsProblem {
    /// Where, as a JSON pointer into the settings.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl fmt::Display for SettingsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

fn quoted(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}

fn tables(names: &[TableName]) -> String {
    let word = if names.len() == 1 { "the table" } else { "the tables" };
    format!("{word} {}", domain::document::list_of(names.iter().map(TableName::as_str)))
}

fn known_versions() -> String {
    let mut known: Vec<&str> = Version::ALL.into_iter().map(Version::as_str).collect();
    known.reverse();
    let (newest, older) = known.split_last().expect("it knows one");
    format!("{} and {newest}", older.join(", "))
}

fn listed(problems: &[SettingsProblem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}
