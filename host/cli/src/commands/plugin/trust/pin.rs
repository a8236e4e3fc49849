//! A new pin in `deputy.toml`, and nothing else in it changed.

use std::path::Path;

use domain::id::{Digest, PluginName};
use toml_edit::{DocumentMut, Item, TableLike};

use crate::exit::{Exit, Outcome, Problem};
use crate::out_file::OutFile;

/// Writes the digest in place of the one that is there, or as a new line. The file is whole at any moment.
pub(super) fn write(path: &Path, name: &PluginName, digest: &Digest) -> Outcome<()> {
    let text = std::fs::read_to_string(path).map_err(|error| Problem::file("read", path, &error))?;
    let text = pinned(&text, name, digest).ok_or_else(|| {
        Problem::usage(format!("{} has no table `[plugins.{name}]` any more", path.display()))
    })?;
    // A link is followed: configuration is often one into another folder.
    let target = path.canonicalize().map_err(|error| Problem::file("find", path, &error))?;
    let written = OutFile::open(&target).and_then(|file| file.write(|file| file.write_all(text.as_bytes())));
    written.map_err(|problem| Problem { exit: Exit::Failure, ..problem })
}

/// The text with this pin; none if it has no such plugin.
fn pinned(text: &str, name: &PluginName, digest: &Digest) -> Option<String> {
    let mut document: DocumentMut = text.parse().ok()?;
    let plugin: &mut dyn TableLike =
        document.get_mut("plugins")?.as_table_like_mut()?.get_mut(name.as_str())?.as_table_like_mut()?;
    match plugin.get_mut("sha256").and_then(Item::as_value_mut) {
        Some(value) => {
            let decor = value.decor().clone();
            *value = digest.as_str().into();
            *value.decor_mut() = decor;
        }
        None => drop(plugin.insert("sha256", toml_edit::value(digest.as_str()))),
    }
    Some(document.to_string())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Expect) {
        let digest: Digest = "ab".repeat(32).parse().unwrap();
        let found = pinned(text, &"rules".parse().unwrap(), &digest);
        expected
            .assert_eq(&found.unwrap_or_else(|| "no such plugin".to_owned()).replace(digest.as_str(), "NEW"));
    }

    #[test]
    fn the_pin_changes_and_comments_and_layout_stay() {
        check(
            "# ours\nversion = 1\n\n[plugins.rules]   # policy\npath =   \"a.wasm\"\nsha256 = \"old\"    # pinned by Ann\n\n[plugins.rules.settings]\nx = [ 1,2 ]\n\n[plugins.other]\nsha256 = \"old\"\n",
            expect![[r##"
                # ours
                version = 1

                [plugins.rules]   # policy
                path =   "a.wasm"
                sha256 = "NEW"    # pinned by Ann

                [plugins.rules.settings]
                x = [ 1,2 ]

                [plugins.other]
                sha256 = "old"
            "##]],
        );
    }

    #[test]
    fn a_plugin_without_a_pin_gets_a_line() {
        check(
            "[plugins.rules]\npath = \"a.wasm\"\n\n[plugins.rules.settings]\nx = 1\n",
            expect![[r#"
            [plugins.rules]
            path = "a.wasm"
            sha256 = "NEW"

            [plugins.rules.settings]
            x = 1
        "#]],
        );
        check(
            "[plugins]\nrules = { path = \"a.wasm\" } # short\n",
            expect![[r#"
            [plugins]
            rules = { path = "a.wasm" , sha256 = "NEW" } # short
        "#]],
        );
        check(
            "plugins.rules.path = \"a.wasm\"\n",
            expect![[r#"
            plugins.rules.path = "a.wasm"
            plugins.rules.sha256 = "NEW"
        "#]],
        );
    }

    #[test]
    fn a_plugin_that_is_gone_is_not_made() {
        check("[plugins.other]\npath = \"a.wasm\"\n", expect!["no such plugin"]);
    }
}
