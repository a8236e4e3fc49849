//! What a component may use here, and where that comes from.
//!
//! A plugin in deputy.toml has its limits there. A file that its author has just built has none, and
//! should just work: what is too large to have been compiled from a policy carries the interpreter of its
//! language, and gets that preset. An operator decides this for each plugin, so it is said each time.

use std::fmt;

use domain::id::PluginName;
use sandbox::Limits;

use crate::config::PluginConfig;
use crate::config::limits::shown;

/// The limits to measure with, by the names they have in deputy.toml.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::commands) enum Preset {
    /// For a policy compiled to WebAssembly, as from Rust and C
    Compiled,
    /// For a policy with the interpreter of its language, as from JavaScript and Python
    Interpreter,
}

/// The largest file that is taken for a compiled policy, in bytes. Those have tens or hundreds of
/// kilobytes; the smallest interpreters have megabytes.
const COMPILED: usize = 4 << 20;

/// Limits, and where they come from.
#[derive(Clone, Debug)]
pub(in crate::commands) struct Bounds {
    /// What the component may use.
    pub(in crate::commands) limits: Limits,
    origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    /// What deputy.toml says of this plugin.
    Configured(PluginName),
    /// The command line.
    Chosen(Preset),
    /// Nobody said; it follows from the size of the file.
    Guessed(Preset),
}

impl Preset {
    fn limits(self) -> Limits {
        match self {
            Self::Compiled => Limits::default(),
            Self::Interpreter => Limits::interpreter(),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Compiled => "compiled",
            Self::Interpreter => "interpreter",
        }
    }
}

impl Bounds {
    /// What holds for a component of this size: what was chosen, or what deputy.toml says, or what fits its size.
    pub(in crate::commands) fn of(
        chosen: Option<Preset>,
        configured: Option<(&PluginName, &PluginConfig)>,
        size: usize,
    ) -> Self {
        match (chosen, configured) {
            (Some(preset), _) => Self { limits: preset.limits(), origin: Origin::Chosen(preset) },
            (None, Some((name, plugin))) => {
                Self { limits: plugin.limits.clone(), origin: Origin::Configured(name.clone()) }
            }
            (None, None) => {
                let preset = if size > COMPILED { Preset::Interpreter } else { Preset::Compiled };
                Self { limits: preset.limits(), origin: Origin::Guessed(preset) }
            }
        }
    }

    /// What may help if it needs more than this.
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self.origin {
            Origin::Guessed(Preset::Compiled) => {
                Some("if it carries the interpreter of its language: `--preset interpreter`")
            }
            _ => None,
        }
    }

    /// The line for deputy.toml, where these are not what holds without one.
    pub(super) fn to_write(&self) -> Option<&'static str> {
        let guessed = self.origin == Origin::Guessed(Preset::Interpreter);
        guessed.then_some("limits = { preset = \"interpreter\" }")
    }

    /// The limits in words, under their headings.
    pub(super) fn rows(&self) -> [(&'static str, String); 6] {
        let Limits { memory_bytes, time, fuel_per_call, fuel_per_device, .. } = &self.limits;
        let Limits { instances, table_elements, compile_bytes, compile_time, .. } = &self.limits;
        let bytes = |bytes: usize| shown(bytes as u64);
        [
            ("limits", self.to_string()),
            ("a call", format!("at most {} of memory and {time:?}", bytes(*memory_bytes))),
            ("fuel", format!("{fuel_per_call} a call and {fuel_per_device} a device")),
            ("made of", format!("{instances} instances, {table_elements} table elements")),
            (
                "says",
                format!(
                    "{} an answer, {} of log",
                    bytes(self.limits.output_bytes),
                    bytes(self.limits.log_bytes)
                ),
            ),
            ("compiles", format!("in {} of memory and {compile_time:?}", shown(*compile_bytes))),
        ]
    }
}

/// Where the limits come from, and what to write for them.
impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Configured(name) => write!(f, "those of [plugins.{name}] in deputy.toml"),
            Origin::Chosen(preset) => write!(f, "the preset `{}`, as you say", preset.as_str()),
            Origin::Guessed(Preset::Compiled) => write!(f, "the preset `compiled`, which is the default"),
            Origin::Guessed(Preset::Interpreter) => write!(
                f,
                "the preset `interpreter`, for its size; in deputy.toml: limits = {{ preset = \"interpreter\" }}"
            ),
        }
    }
}
