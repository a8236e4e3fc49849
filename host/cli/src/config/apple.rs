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

fn authorities(path: &Path) -> Result<Authorities, String> {
    Authorities::from_pem(&std::fs::read(path).map_err(|error| error.to_string())?)
}

fn limit_of(at: &str, text: &str, limit: &mut Duration, findings: &mut Findings<'_>) {
    match findings.parse::<Span>(at, text) {
        Some(Span(Duration::ZERO)) => {
            findings.at(
                at,
                "no call is as quick as that",
                Some("leave the key out for the default".to_owned()),
            );
        }
        Some(span) => *limit = span.0,
        None => {}
    }
}

/// The text with stars for what stands before the `@` of an address, in the same number of bytes:
/// to be shown where a mistake is, without the password of a proxy.
pub(super) fn without_passwords(text: &str) -> String {
    text.split_inclusive('\n').map(line_without_passwords).collect()
}

fn line_without_passwords(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    // A proxy's address may have lost its scheme: that may be the very mistake.
    if line.trim_start().trim_start_matches(['"', '\'']).starts_with("proxy")
        && let (Some(equals), Some(at)) = (line.find('='), line.rfind('@'))
        && equals < at
    {
        let value = equals + 1;
        let begin = line[value..at].find("://").map_or(value, |scheme| value + scheme + 3);
        let quote = line[begin..at].find(['"', '\'']).map_or(begin, |quote| begin + quote + 1);
        shown.push_str(&line[..quote]);
        shown.extend(std::iter::repeat_n('*', at - quote));
        rest = &line[at..];
    }
    while let Some(start) = rest.find("://").map(|at| at + 3) {
        let (before, after) = rest.split_at(start);
        shown.push_str(before);
        let end = after.find(['"', '\'']).unwrap_or(after.len());
        let secret = after[..end].rfind('@').unwrap_or(0);
        shown.extend(std::iter::repeat_n('*', secret));
        rest = &after[secret..];
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn what_stands_before_an_at_sign_is_not_shown() {
        let text =
            "proxy = \"http://me:hush@hush@proxy:1\" # é\ncontacts = [\"a@b\"]\napple_url = 'http://é@x'";
        let shown = without_passwords(text);
        assert_eq!(shown.len(), text.len());
        expect![[r#"
            proxy = "http://************@proxy:1" # é
            contacts = ["a@b"]
            apple_url = 'http://**@x'"#]]
        .assert_eq(&shown);
        assert_eq!(without_passwords("a://b://c@"), "a://*****@");
        for forgotten in
            ["proxy = \"me:hush@127.0.0.1:1\"", "  \"proxy\" = 'me:hush@x' # a@b", "proxy=me:hush@x"]
        {
            let shown = without_passwords(forgotten);
            assert_eq!(shown.len(), forgotten.len());
            assert!(!shown.contains("hush"), "{shown}");
        }
    }
}
