//! The table `[apple]`: how Apple's service is reached, the same for every token.

use std::path::Path;
use std::time::Duration;

use domain::document::Findings;
use domain::duration::Span;
use engine::apple::{Authorities, Network};

use super::file::AppleTable;

/// What the table means. The certificates are read now, so that a wrong file is told here and not
/// at the next call.
pub(super) fn network(table: &AppleTable, folder: &Path, findings: &mut Findings<'_>) -> Network {
    let mut network = Network::default();
    if let Some(text) = &table.proxy {
        network.proxy = findings.parse("/apple/proxy", text).unwrap_or_default();
    }
    if let Some(file) = &table.ca_file {
        match authorities(&folder.join(file)) {
            Ok(authorities) => network.authorities = authorities,
            Err(why) => findings.at("/apple/ca_file", format!("cannot use `{file}`: {why}"), None),
        }
    }
    let limits = [
        ("connect_timeout", &table.connect_timeout, &mut network.connect_timeout),
        ("read_timeout", &table.read_timeout, &mut network.read_timeout),
        ("call_timeout", &table.call_timeout, &mut network.call_timeout),
    ];
    for (key, typed, limit) in limits {
        if let Some(text) = typed {
            limit_of(&format!("/apple/{key}"), text, limit, findings);
        }
    }
    network
}

pub(super) fn authorities(path: &Path) -> Result<Authorities, String> {
    Authorities::from_pem(&std::fs::read(path).map_err(|error| error.to_string())?)
}

pub(super) fn limit_of(at: &str, text: &str, limit: &mut Duration, findings: &mut Findings<'_>) {
    match findings.parse::<Span>(at, text) {
        Some(Span(Duration::ZERO)) => {
            findings.at(
                at,
                "nothing is as quick as that",
                Some("leave the key out for the default".to_owned()),
            );
        }
        Some(span) => *limit = span.0,
        None => {}
    }
}
