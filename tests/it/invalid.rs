//! Every way in which a file can be wrong, and the exact words that somebody reads who wrote it.
//!
//! `tests/data/invalid` has a folder for each kind of file; beside `X` stands `X.err`, what
//! `deputy workflow check` says of it. A new case is a new file: `UPDATE_EXPECT=1` writes the rest.

use std::fs;
use std::path::{Path, PathBuf};

use expect_test::{expect, expect_file};

use crate::env::TestEnv;

/// Puts each file of a folder in its place, checks, and takes it away again.
fn check(kind: &str, mut place: impl FnMut(&TestEnv, &Path) -> Vec<PathBuf>) {
    let env = TestEnv::before_the_exchange(&["main"]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/invalid").join(kind);
    let config = env.read("deputy.toml");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|it| it != "err"));
    files.sort();
    assert!(files.len() > 3, "the files of {kind} are there");
    for file in files {
        let placed = place(&env, &file);
        let ran = env.run(&["workflow", "check"]);
        ran.ends_with(2);
        let expected = file.with_added_extension("err");
        expect_file![expected].assert_eq(&ran.text());
        placed.iter().for_each(|file| fs::remove_file(file).unwrap());
        env.write("deputy.toml", &config);
    }
}

fn copied(env: &TestEnv, file: &Path, to: &str) -> Vec<PathBuf> {
    let to = env.file(to);
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(file, &to).unwrap();
    vec![to]
}

fn name(file: &Path) -> &str {
    file.file_name().and_then(|it| it.to_str()).unwrap()
}

#[test]
fn a_wrong_workflow_is_told_with_its_place_and_what_would_be_right() {
    check("workflows", |env, file| copied(env, file, &format!("workflows/{}", name(file))));
}

#[test]
fn a_wrong_profile_is_told_with_its_place_and_what_would_be_right() {
    check("profiles", |env, file| copied(env, file, &format!("profiles/{}", name(file))));
}

#[test]
fn a_wrong_configuration_is_told_with_its_place_and_what_would_be_right() {
    check("deputy", |env, file| {
        // The workflows that come with it use names that these files do not have.
        for shipped in ["auto-assign", "sync", "token-reminders"] {
            let _ = fs::remove_file(env.file(&format!("workflows/{shipped}.toml")));
        }
        env.write("deputy.toml", fs::read(file).unwrap());
        Vec::new()
    });
}

#[test]
fn a_wrong_table_is_told_with_its_place_and_what_would_be_right() {
    check("tables", |env, file| {
        env.append(
            "deputy.toml",
            "\n[tables.assets]\ncsv = \"tables/assets.csv\"\nkey = \"serial_number\"\n",
        );
        copied(env, file, "tables/assets.csv")
    });
}

#[test]
fn wrong_settings_are_told_with_their_place_and_what_would_be_right() {
    check("settings", |env, file| {
        let config = env.read("deputy.toml");
        let from = config.find("[plugins.rules.settings]").unwrap();
        let to = config.find("# Three more policies").unwrap();
        let settings = fs::read_to_string(file).unwrap();
        let config = format!("{}[plugins.rules.settings]\n{settings}\n{}", &config[..from], &config[to..]);
        env.write("deputy.toml", config);
        Vec::new()
    });
}

#[test]
fn a_mistake_in_one_file_hides_none_in_tables_and_settings() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.append("deputy.toml", "\n[tables.assets]\ncsv = \"tables/assets.csv\"\nkey = \"serial_number\"\n");
    fs::create_dir_all(env.file("tables")).unwrap();
    env.write("tables/assets.csv", "serial_number,room\nMAC1,4,5\n");
    env.edit("deputy.toml", "assign = \"lab-ipad\"", "asign = \"lab-ipad\"");
    env.edit("profiles/lab-ipad.toml", "department = ", "departmnt = ");
    env.write("workflows/w.toml", "version = 1\nname = \"w\"\n[[steps]]\nuses = \"snyc\"\n");
    env.run(&["workflow", "check"]).fails(
        2,
        expect![[r#"
        error: unknown key `departmnt`
         --> profiles/lab-ipad.toml:7:1
          |
        7 | departmnt = "Library"
          | ^^^^^^^^^
          |
          = help: did you mean `department`?

        error: unknown `uses` value `snyc`
         --> workflows/w.toml:4:8
          |
        4 | uses = "snyc"
          |        ^^^^^^
          |
          = help: did you mean `sync`?

        error: 3 cells, and the first line names 2 columns
         --> tables/assets.csv:2
          = help: put a cell that contains the delimiter in quotes
        error: plugin `rules` cannot be used: it does not accept its settings
        error: rule `library`: nothing says what to do
          --> deputy.toml:37:1
           |
        37 | [[plugins.rules.settings.rules]]
           | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
           |
           = help: add one of `assign = "PROFILE"`, `hold = true` and `ignore = true`

        error: rule `library`: unknown key `asign`
          --> deputy.toml:40:9
           |
        40 | asign = "lab-ipad"
           |         ^^^^^^^^^^
           |
           = help: did you mean `assign`?
    "#]],
    );
    assert!(!env.file("state/deputy.db").exists(), "a store was made for wrong files");
    let told = env.run(&["workflow", "check", "--json"]);
    told.ends_with(2);
    let told: serde_json::Value = serde_json::from_str(&told.raw()).unwrap();
    let told = told["mistakes"].as_array().unwrap().iter();
    let told: Vec<String> = told
        .map(|it| {
            format!(
                "{} {}: {}\n",
                it["file"],
                it["line"],
                it["message"].as_str().unwrap().lines().next().unwrap()
            )
        })
        .collect();
    expect![[r#"
        "profiles/lab-ipad.toml" 7: unknown key `departmnt`
        "workflows/w.toml" 4: unknown `uses` value `snyc`
        "tables/assets.csv" 2: 3 cells, and the first line names 2 columns
        null null: plugin `rules` cannot be used: it does not accept its settings
    "#]]
    .assert_eq(&told.concat());
}

#[test]
fn a_file_that_is_far_too_large_is_not_read() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.write("workflows/w.toml", "# and so on\n".repeat(200_000));
    env.run(&["workflow", "check"]).fails(
        2,
        expect![[r#"
        error: the file is larger than 1 MiB
         --> workflows/w.toml:1:1
          |
        1 |
          | ^
          |
          = help: files of this kind have a few pages; devices belong into a table (CSV)
    "#]],
    );
}

#[test]
fn tables_within_tables_without_end_are_a_mistake_and_no_crash() {
    let env = TestEnv::before_the_exchange(&["main"]);
    for text in [
        format!("[{}]\n", vec!["a"; 100_000].join(".")),
        format!("{} = 1\n", vec!["a"; 100_000].join(".")),
        format!("a = {}\n", "[".repeat(100_000)),
        format!("a = {}\n", "{a=".repeat(100_000)),
    ] {
        env.write("workflows/w.toml", text);
        env.run(&["workflow", "check"]).ends_with(2);
    }
}

#[test]
fn what_is_wrong_is_also_told_to_programs() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.write(
        "workflows/w.toml",
        "version = 1\nname = \"w\"\ntokens = [\"mian\"]\n[[steps]]\nuses = \"snyc\"\n",
    );
    env.run(&["workflow", "check", "--json"]).fails(
        2,
        expect![[r#"
        {
          "mistakes": [
            {
              "column": 11,
              "file": "workflows/w.toml",
              "help": "did you mean `main`?",
              "line": 3,
              "message": "deputy.toml has no token `mian`",
              "rule": null,
              "severity": "error"
            },
            {
              "column": 8,
              "file": "workflows/w.toml",
              "help": "did you mean `sync`?",
              "line": 5,
              "message": "unknown `uses` value `snyc`",
              "rule": null,
              "severity": "error"
            }
          ],
          "version": 1
        }
    "#]],
    );
}
