//! What a workflow promises, and who is told whether it keeps it: `fresh_within` and `[ping]` of its file.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::document::Findings;
use crate::duration::Span;

/// What a workflow promises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Promises {
    /// No device is without its profile for longer.
    pub fresh_within: Option<Duration>,
    /// Called after each good run; whoever is called raises the alarm when that does not come.
    pub ping: Option<Ping>,
}

/// A call after each good run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Where the address is.
    pub url_from: SecretPlace,
    /// Bad runs are called out as well: with `/fail` behind the address.
    pub failures: bool,
    /// How long it may take.
    pub timeout: Duration,
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPlace {
    /// A file; a path that is not absolute is meant from the folder of `deputy.toml`.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A systemd credential.
    Credential(String),
}

/// A call to an address that expects one after each good run, and raises the alarm when none comes: a dead man's switch.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PingTable {
    /// Where the address is. Whoever has it can say that all is well, so it does not stand here.
    #[schemars(example = serde_json::json!({ "file": "state/ping-url" }))]
    url_from: SecretPlaceTable,
    /// Call the address with `/fail` behind it after a run that ended badly. Default: `false`.
    #[serde(default)]
    failures: bool,
    /// How long a call may take. Default: `10s`.
    #[serde(default)]
    timeout: Option<String>,
}

/// Where a secret is. One of the keys.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SecretPlaceTable {
    /// A file that not everybody can read.
    #[serde(default)]
    file: Option<String>,
    /// An environment variable.
    #[serde(default)]
    env: Option<String>,
    /// A systemd credential.
    #[serde(default)]
    credential: Option<String>,
}

/// A promise that is shorter would be broken between two runs of most workflows.
const SHORTEST: Duration = Duration::from_secs(60);
/// No run is to wait for longer.
const LONGEST: Duration = Duration::from_secs(60);

/// What is meant by the keys.
pub(super) fn meant(
    fresh_within: Option<&str>,
    ping: Option<&PingTable>,
    findings: &mut Findings<'_>,
) -> Promises {
    let fresh_within = fresh_within.and_then(|typed| {
        let Span(within) = findings.parse("/fresh_within", typed)?;
        if within < SHORTEST {
            let help = "write how old a device may be before it has its profile, such as `4h`".to_owned();
            findings.at("/fresh_within", "no promise can be kept that fast", Some(help));
        }
        Some(within)
    });
    Promises { fresh_within, ping: ping.and_then(|table| self::ping(table, findings)) }
}

fn ping(table: &PingTable, findings: &mut Findings<'_>) -> Option<Ping> {
    let SecretPlaceTable { file, env, credential } = &table.url_from;
    let url_from = match (file, env, credential) {
        (Some(file), None, None) => SecretPlace::File(file.into()),
        (None, Some(variable), None) => SecretPlace::Environment(variable.clone()),
        (None, None, Some(name)) => SecretPlace::Credential(name.clone()),
        _ => {
            let help = "write one of `file`, `env` and `credential`".to_owned();
            findings.at("/ping/url_from", "a secret comes from one place", Some(help));
            return None;
        }
    };
    let Span(timeout) = match &table.timeout {
        Some(typed) => findings.parse("/ping/timeout", typed)?,
        None => Span(Duration::from_secs(10)),
    };
    if timeout.is_zero() || timeout > LONGEST {
        let help = format!("write `10s`, at most `{}`: a run waits for it", Span(LONGEST));
        findings.at("/ping/timeout", "not as long as a call may take", Some(help));
    }
    Some(Ping { url_from, failures: table.failures, timeout })
}
