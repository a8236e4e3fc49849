//! `[tables.NAME]`: a file to look things up in.

use std::path::Path;

use domain::document::Findings;
use engine::table::{Encoding, Source};

use super::file::{EncodingWord, TableTable};

pub(super) fn meant(
    at: &str,
    table: TableTable,
    folder: &Path,
    findings: &mut Findings<'_>,
) -> Option<Source> {
    let delimiter = table.delimiter.as_deref().unwrap_or(",");
    let delimiter = match delimiter.as_bytes() {
        [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() && !b"\"\r\n\0".contains(byte) => *byte,
        _ => {
            let help = "one character, such as `;`, `|` or `\\t`".to_owned();
            findings.at(
                &format!("{at}/delimiter"),
                format!("`{delimiter}` cannot separate cells"),
                Some(help),
            );
            b','
        }
    };
    if table.key.trim().is_empty() {
        let help = "the name of a column, such as `serial_number`".to_owned();
        findings.at(&format!("{at}/key"), "rows need a key to be looked up by", Some(help));
    }
    let encoding = match table.encoding {
        EncodingWord::Utf8 => Encoding::Utf8,
        EncodingWord::Windows1252 => Encoding::Windows1252,
    };
    let key = table.key.trim().to_owned();
    Some(Source { path: folder.join(table.csv), key, delimiter, encoding })
}
