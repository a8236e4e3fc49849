//! Versions of the contract: those that were released do not change, and components of each go on running.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use domain::id::Digest;
use domain::policy::Policy as _;
use expect_test::{Expect, expect};
use sandbox::Limits;

use crate::help::{SANDBOX, context, devices, shown, spec};

/// Every file below a folder with the digest of what is in it, by its path.
fn digests(folder: &Path) -> BTreeMap<PathBuf, Digest> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                // A checkout may have made other line ends of them.
                let text = std::fs::read_to_string(&path).unwrap().replace('\r', "");
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), Digest::of(text.as_bytes()));
            }
        }
    }
    found
}

/// To change what was released is to break what somebody built. Make a new folder instead; see `wit/README.md`.
#[test]
fn released_versions_of_the_contract_never_change() {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let lines = digests(&wit).into_iter().filter(|(path, _)| path.as_os_str() != "README.md");
    let lines: String = lines.map(|(path, digest)| format!("{digest} {}\n", path.display())).collect();
    expect![[r#"
        de2f611fcc126272bdd17083cc5f80f1f9d4048abfeee2cb2345fd63fc61b3a2 v0.1/policy.wit
        39e8da3f7a61ca4d2f07cd592b57206702d25955b69defe63932457ac8d08494 v1.0/policy.wit
        b8fd5697122571f5da3102b5fdce91161a1e35aa42b8bd2f1cedbb3dcaadf50c v1.1/policy.wit
    "#]]
    .assert_eq(&lines.replace('\\', "/"));
}

#[test]
fn a_component_of_version_0_1_runs_as_it_did() {
    let inspection = SANDBOX.inspect(artifacts::MISBEHAVE, &Limits::default()).unwrap();
    assert_eq!((inspection.contract.as_deref(), inspection.description), (Some("0.1.0"), None));
    let plugin =
        SANDBOX.load(spec(artifacts::MISBEHAVE, serde_json::json!({ "behaviour": "none" }))).unwrap();
    let devices = devices("C1 C2");
    expect![[r#"
        C1 hold: fine
        C2 hold: fine
    "#]]
    .assert_eq(&shown(&devices, &plugin.decide(&context(), &devices).answer));
    assert_eq!(plugin.tables(), []);
    expect!["serial_number model description color asset_tag os device_family profile_uuid profile_assign_time profile_push_time device_assigned_by device_assigned_date extra"].assert_eq(&plugin.reads().join(" "));
}

const PLUGIN: &str = "deputy:policy/plugin@1.0.0";
const REVIEW: &str = "deputy:policy/review@1.0.0";
const PLUGIN_1_1: &str = "deputy:policy/plugin@1.1.0";
const ASSIGNMENT_1_1: &str = "deputy:policy/assignment@1.1.0";
const LASTING: &str = "deputy:policy/lasting@1.1.0";

/// What an inspection finds, and whether a policy that exports these interfaces can be loaded.
#[track_caller]
fn check(interfaces: &[&str], describe: Option<&str>, expected: Expect) {
    let component = artifacts::versions::policy(interfaces, describe);
    let inspection = SANDBOX.inspect(&component, &Limits::default()).unwrap();
    let questions: Vec<&str> = inspection.questions.iter().map(|question| question.as_str()).collect();
    let usable = inspection.check().map_or_else(|error| error.to_string(), |()| "usable".to_owned());
    let loaded = SANDBOX
        .load(spec(&component, serde_json::json!({})))
        .map_or_else(|error| error.to_string(), |plugin| format!("reads {:?}", plugin.reads()));
    let contract = inspection.contract.as_deref().unwrap_or("none");
    let lasting = if inspection.lasting { " and for how long" } else { "" };
    expected.assert_eq(&format!("{contract} answers {}{lasting}\n{usable}\n{loaded}\n", questions.join(" ")));
}

#[test]
fn a_policy_of_a_newer_minor_need_not_have_what_is_new_in_it() {
    check(
        &[PLUGIN_1_1, ASSIGNMENT_1_1],
        None,
        expect![[r#"
        1.1.0 answers assignment
        usable
        reads []
    "#]],
    );
    check(
        &[PLUGIN_1_1, ASSIGNMENT_1_1, LASTING],
        None,
        expect![[r#"
        1.1.0 answers assignment and for how long
        usable
        reads []
    "#]],
    );
    check(
        &[PLUGIN_1_1, "deputy:policy/review@1.1.0"],
        None,
        expect![[r#"
        1.1.0 answers review
        usable
        reads []
    "#]],
    );
}

#[test]
fn a_policy_that_says_how_long_its_verdicts_last_and_gives_none_is_used_for_the_rest() {
    check(
        &[PLUGIN_1_1, "deputy:policy/review@1.1.0", LASTING],
        None,
        expect![[r#"
        1.1.0 answers review and for how long
        usable
        reads []
    "#]],
    );
    check(
        &[PLUGIN_1_1, LASTING],
        None,
        expect![[r#"
        none answers 
        the component answers none of the questions Deputy asks; it exports `deputy:policy/plugin@1.1.0`, `deputy:policy/lasting@1.1.0`, and a policy exports `plugin` of `deputy:policy@1.1.0` and one of `assignment`, `reminder` and `review`
        the component answers none of the questions Deputy asks; it exports `deputy:policy/plugin@1.1.0`, `deputy:policy/lasting@1.1.0`, and a policy exports `plugin` of `deputy:policy@1.1.0` and one of `assignment`, `reminder` and `review`
    "#]],
    );
}

#[test]
fn minors_of_one_major_may_be_mixed() {
    check(
        &[PLUGIN, "deputy:policy/assignment@1.0.0", LASTING],
        None,
        expect![[r#"
        1.0.0 answers assignment and for how long
        usable
        reads []
    "#]],
    );
    check(
        &[PLUGIN, "deputy:policy/assignment@1.0.0", PLUGIN_1_1, ASSIGNMENT_1_1],
        None,
        expect![[r#"
        1.1.0 answers assignment
        usable
        reads []
    "#]],
    );
    check(
        &["deputy:policy/assignment@0.1.0", LASTING],
        None,
        expect![[r#"
        0.1.0 answers assignment
        usable
        reads ["serial_number"]
    "#]],
    );
}

/// A contract without its comments and its version, in blocks: its interfaces and worlds.
fn blocks(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let lines = lines.filter(|line| !line.starts_with("package "));
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    text.split_inclusive("\n}\n").map(|block| block.trim().to_owned()).collect()
}

#[test]
fn a_newer_minor_has_all_of_the_one_before_it() {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let contract = |version: &str| {
        let text = std::fs::read_to_string(wit.join(version).join("policy.wit")).unwrap().replace('\r', "");
        blocks(&text)
    };
    let (older, newer) = (contract("v1.0"), contract("v1.1"));
    assert!(older.len() > 10, "{older:?}");
    for block in &older {
        assert!(newer.contains(block), "this is not in 1.1 as it was in 1.0:\n{block}");
    }
    let added: Vec<&str> = newer
        .iter()
        .filter(|block| !older.contains(block))
        .filter_map(|block| block.lines().next())
        .collect();
    assert_eq!(added, ["interface lasting {", "world lasting-assignment-policy {"]);
}

#[test]
fn a_policy_may_answer_one_question_only() {
    check(
        &[PLUGIN, REVIEW],
        None,
        expect![[r#"
        1.0.0 answers review
        usable
        reads []
    "#]],
    );
}

#[test]
fn a_policy_of_several_versions_is_asked_in_the_newest() {
    let both = ["deputy:policy/assignment@0.1.0", "deputy:policy/assignment@1.0.0"];
    check(
        &[both[0], PLUGIN, both[1]],
        None,
        expect![[r#"
        1.0.0 answers assignment
        usable
        reads []
    "#]],
    );
    check(
        &both[..1],
        None,
        expect![[r#"
        0.1.0 answers assignment
        usable
        reads ["serial_number"]
    "#]],
    );
}

#[test]
fn a_policy_that_says_nothing_of_itself_is_not_used() {
    check(
        &[REVIEW],
        None,
        expect![[r#"
            1.0.0 answers review
            the component failed while it described itself: it broke the contract: no exported instance named `deputy:policy/plugin@1.0.0`
            the component does not keep to the contract it names: no exported instance named `deputy:policy/plugin@1.0.0`
        "#]],
    );
}

#[test]
fn a_policy_that_fails_to_describe_itself_is_shown_and_not_used() {
    check(
        &[PLUGIN, REVIEW],
        Some("unreachable"),
        expect![[r#"
        1.0.0 answers review
        the component failed while it described itself: it trapped: wasm `unreachable` instruction executed
        plugin `site-policy` failed while it was configured: it trapped: wasm `unreachable` instruction executed
    "#]],
    );
    check(
        &[PLUGIN, REVIEW],
        Some("(loop $for_ever (br $for_ever)) unreachable"),
        expect![[r#"
        1.0.0 answers review
        the component failed while it described itself: it ran out of fuel (5,000,000)
        plugin `site-policy` failed while it was configured: it ran out of fuel (5,001,000)
    "#]],
    );
    let schema = r#"(i32.store8 (i32.const 1040) (i32.const 1))
        (i32.store (i32.const 1044) (i32.const 1024)) (i32.store (i32.const 1048) (i32.const 3)) (i32.const 1024)"#;
    check(
        &[PLUGIN, REVIEW],
        Some(schema),
        expect![[r#"
        1.0.0 answers review
        the component failed while it described itself: it broke the contract: its settings schema is not JSON: expected value at line 1 column 1
        plugin `site-policy` failed while it was configured: it broke the contract: its settings schema is not JSON: expected value at line 1 column 1
    "#]],
    );
}
