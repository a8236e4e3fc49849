//! The names that a workflow may use: those that `deputy.toml` and the files beside it give to things.

use crate::document::{Findings, suggestion};

/// What there is, by name. Also what is there and wrong: that is told where it stands.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The server tokens.
    pub tokens: Vec<String>,
    /// The plugins.
    pub plugins: Vec<String>,
    /// The channels.
    pub channels: Vec<String>,
    /// The profiles.
    pub profiles: Vec<String>,
}

impl Names {
    pub(super) fn check_token(&self, at: &str, name: &str, findings: &mut Findings<'_>) {
        in_deputy_toml(at, "token", name, &self.tokens, findings);
    }

    pub(super) fn check_plugin(&self, at: &str, name: &str, findings: &mut Findings<'_>) {
        in_deputy_toml(at, "plugin", name, &self.plugins, findings);
    }

    pub(super) fn check_channel(&self, at: &str, name: &str, findings: &mut Findings<'_>) {
        in_deputy_toml(at, "channel", name, &self.channels, findings);
    }

    pub(super) fn check_profile(&self, at: &str, name: &str, findings: &mut Findings<'_>) {
        if self.profiles.iter().any(|known| known == name) {
            return;
        }
        let names: Vec<&str> = self.profiles.iter().map(String::as_str).collect();
        let help = suggestion(name, &names).unwrap_or_else(|| format!("write a file profiles/{name}.toml"));
        findings.at(at, format!("no profile is called `{name}`"), Some(help));
    }
}

/// Adds a mistake if `deputy.toml` has no such thing of this name.
pub fn in_deputy_toml(at: &str, what: &str, name: &str, names: &[String], findings: &mut Findings<'_>) {
    if names.iter().any(|known| known == name) {
        return;
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let help =
        suggestion(name, &names).unwrap_or_else(|| format!("add a table `[{what}s.{name}]` to deputy.toml"));
    findings.at(at, format!("deputy.toml has no {what} `{name}`"), Some(help));
}
