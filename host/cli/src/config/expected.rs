//! `[expected.NAME]`: a list of devices that are expected.

use std::path::Path;

use domain::document::Findings;
use domain::id::{ChannelName, TableName, TokenName};
use engine::expected::ExpectedList;
use engine::table::Source;

use super::file::{ExpectedTable, TableTable};
use super::{Meant, known, tables};

/// Adds a list, and the table it stands in under the same name.
pub(super) fn add(
    name: &str,
    table: ExpectedTable,
    folder: &Path,
    meant: &mut Meant,
    findings: &mut Findings<'_>,
) {
    let Some((full, list, source)) = read(name, table, folder, findings) else { return };
    let at = format!("/expected/{name}");
    let is_taken = meant.tables.contains_key(&full)
        || meant.plugins.keys().any(|plugin| plugin.as_str() == full.as_str());
    if is_taken {
        let what = format!("a table or a plugin is called `{full}` already");
        findings.at(&at, what, Some("give one of them another name".to_owned()));
    }
    if let Some(token) = &list.token {
        let names = meant.tokens.keys().map(TokenName::as_str);
        known(&format!("{at}/token"), "token", token.as_str(), names, findings);
    }
    for (index, channel) in list.channels.iter().flatten().enumerate() {
        let names = meant.channels.keys().map(ChannelName::as_str);
        known(&format!("{at}/channels/{index}"), "channel", channel.as_str(), names, findings);
    }
    meant.tables.insert(full.clone(), source);
    meant.expected.insert(full, list);
}

fn read(
    name: &str,
    table: ExpectedTable,
    folder: &Path,
    findings: &mut Findings<'_>,
) -> Option<(TableName, ExpectedList, Source)> {
    let at = format!("/expected/{name}");
    let ExpectedTable { csv, delimiter, encoding, token, channels } = table;
    let full: Option<TableName> = findings.parse(&at, &format!("expected.{name}"));
    let token = match token {
        Some(token) => Some(findings.parse(&format!("{at}/token"), &token)?),
        None => None,
    };
    let channels = channels.map(|channels| findings.parse_all(&format!("{at}/channels"), &channels));
    let typed = TableTable { csv, key: "serial_number".to_owned(), delimiter, encoding };
    let source = tables::meant(&at, typed, folder, findings)?;
    Some((full?, ExpectedList { token, channels }, source))
}
