//! Where the operator's files name a token: the places to change when it gets another name.

use std::path::Path;

use domain::id::TokenName;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::folders::toml_files;
use super::hidden::without_secrets;
use crate::exit::Outcome;

/// A place that names a token.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Mention {
    /// The file.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// What stands there.
    pub text: String,
}

/// Every table of the token, and every value that is its name, in `deputy.toml` and in `workflows/`.
pub(crate) fn mentions(config: &Path, token: &TokenName) -> Outcome<Vec<Mention>> {
    let folder = config.parent().unwrap_or(Path::new(""));
    let mut found = Vec::new();
    for file in [config.to_owned()].into_iter().chain(toml_files(&folder.join("workflows"))?) {
        let text = without_secrets(&std::fs::read_to_string(&file).unwrap_or_default());
        // A file that is no TOML has been told about: the configuration was read before.
        let Ok(table) = DeTable::parse(&text) else { continue };
        let mut places = Vec::new();
        in_table(table.get_ref(), &[], token.as_str(), &mut places);
        places.sort_unstable();
        let mut lines: Vec<usize> =
            places.into_iter().map(|at| text[..at].matches('\n').count() + 1).collect();
        lines.dedup();
        let mention = |line: usize| Mention {
            file: file.display().to_string(),
            line,
            text: text.lines().nth(line - 1).unwrap_or_default().trim().to_owned(),
        };
        found.extend(lines.into_iter().map(mention));
    }
    Ok(found)
}

fn in_table(table: &DeTable<'_>, path: &[&str], token: &str, places: &mut Vec<usize>) {
    for (key, value) in table {
        let name: &str = key.get_ref();
        if path == ["tokens"] && name == token {
            places.push(key.span().start);
        }
        in_value(value, &[path, &[name]].concat(), token, places);
    }
}

fn in_value(value: &Spanned<DeValue<'_>>, path: &[&str], token: &str, places: &mut Vec<usize>) {
    match value.get_ref() {
        DeValue::String(text) if text == token => places.push(value.span().start),
        DeValue::Array(items) => items.iter().for_each(|item| in_value(item, path, token, places)),
        DeValue::Table(table) => in_table(table, path, token, places),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_token_is_found_where_it_is_named_and_not_where_something_else_is_called_so() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::create_dir(folder.path().join("workflows")).unwrap();
        write(
            "deputy.toml",
            "version = 1\n[apple]\nproxy = \"http://user:emea@proxy\"\n[tokens.emea]\ncontacts = []\n\
             [tokens.\"emea-2\"]\n[plugins.emea.settings]\nrules = [\n { when = { token = \"emea\" } },\n]\n",
        );
        write("workflows/a.toml", "name = \"a\"\ntokens = [\n  \"amer\",\n  \"emea\",\n]\n");
        write("workflows/b.toml", "name = \"b\"\n");
        let found = mentions(&folder.path().join("deputy.toml"), &"emea".parse().unwrap()).unwrap();
        let root = folder.path().display().to_string();
        let lines =
            found.iter().map(|it| format!("{}:{}: {}\n", it.file.replace(&root, ""), it.line, it.text));
        expect![[r#"
            /deputy.toml:4: [tokens.emea]
            /deputy.toml:9: { when = { token = "emea" } },
            /workflows/a.toml:4: "emea",
        "#]]
        .assert_eq(&lines.collect::<String>());
    }
}
