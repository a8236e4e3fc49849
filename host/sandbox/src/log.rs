//! What a plugin logs: kept up to a limit, cleaned, and told apart from our own words.

use domain::id::PluginName;

use crate::convert::clean;

/// One line of a plugin's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How much it matters, by the plugin's word.
    pub level: Level,
    /// The line, without control characters.
    pub text: String,
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Of use to the policy's author only.
    Debug,
    /// Worth knowing.
    Info,
    /// Somebody should look.
    Warn,
    /// Somebody has to act.
    Error,
}

/// The lines of one call.
#[derive(Debug)]
pub(crate) struct Log {
    lines: Vec<Line>,
    left: usize,
    full: bool,
}

impl Log {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { lines: Vec::new(), left: bytes, full: false }
    }

    /// Whether the next line would be dropped: then it need not even be read.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    pub(crate) fn push(&mut self, level: Level, text: &str) {
        if self.full {
            return;
        }
        // Even an empty line costs us something.
        let cost = text.len() + size_of::<Line>();
        match self.left.checked_sub(cost) {
            Some(left) => {
                self.left = left;
                self.lines.push(Line { level, text: clean(text, text.len()) });
            }
            None => {
                self.full = true;
                let text = "the plugin logged more than it may; the rest was dropped".to_owned();
                self.lines.push(Line { level: Level::Warn, text });
            }
        }
    }

    pub(crate) fn into_lines(self) -> Vec<Line> {
        self.lines
    }
}

/// Puts a plugin's lines into our log, marked as its own.
pub(crate) fn emit(plugin: &PluginName, lines: &[Line]) {
    for Line { level, text } in lines {
        match level {
            Level::Debug => tracing::debug!(%plugin, "plugin `{plugin}`: {text}"),
            Level::Info => tracing::info!(%plugin, "plugin `{plugin}`: {text}"),
            Level::Warn => tracing::warn!(%plugin, "plugin `{plugin}`: {text}"),
            Level::Error => tracing::error!(%plugin, "plugin `{plugin}`: {text}"),
        }
    }
}
