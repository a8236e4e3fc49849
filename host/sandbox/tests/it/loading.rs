//! What is refused when a plugin is loaded or inspected, and in which words.

use domain::id::Digest;
use domain::policy::Question;
use expect_test::{Expect, expect};
use sandbox::{Import, Limits};

use crate::help::{SANDBOX, spec};

#[track_caller]
fn refused(bytes: &[u8], settings: serde_json::Value, expected: Expect) {
    let error = SANDBOX.load(spec(bytes, settings)).expect_err("this must not load");
    // A line break at the end keeps long messages in the form that `UPDATE_EXPECT` can rewrite.
    expected.assert_eq(&format!("{error}\n"));
}

fn nothing() -> serde_json::Value {
    serde_json::json!({})
}

#[test]
fn imports_that_nobody_grants_are_refused_by_name() {
    refused(
        artifacts::UNGRANTED_IMPORTS,
        nothing(),
        expect![[r#"
            the component imports what no plugin is granted: `acme:directory/people@1.0.0`; a policy gets everything it needs as arguments, so build it without them
        "#]],
    );
}

#[test]
fn what_is_no_component_is_refused_with_what_it_is() {
    refused(
        artifacts::CORE_MODULE,
        nothing(),
        expect![[r#"
            this is a core module, not a WebAssembly component; wrap it as a component, as `wasm-tools component new` does
        "#]],
    );
    refused(
        artifacts::TEXT,
        nothing(),
        expect![[r#"
            this is some other kind of file, not a WebAssembly component; give the path of the component that the build made
        "#]],
    );
    refused(
        b"",
        nothing(),
        expect![[r#"
        this is an empty file, not a WebAssembly component; build it again
    "#]],
    );
}

#[test]
fn a_broken_component_is_refused() {
    let broken = [&shipped::RULES[..8], b"\xff\xff"].concat();
    refused(
        &broken,
        nothing(),
        expect![[r#"
        the component cannot be compiled: failed to parse WebAssembly module: malformed section id (at offset 0x8)
    "#]],
    );
}

#[test]
fn a_component_that_answers_no_known_question_is_refused() {
    refused(
        artifacts::NO_QUESTION,
        nothing(),
        expect![[r#"
            the component answers none of the questions Deputy asks; it exports `acme:weather/forecast@1.0.0`, and a policy exports `plugin` of `deputy:policy@1.1.0` and one of `assignment`, `reminder` and `review`
        "#]],
    );
    refused(
        artifacts::FUTURE_CONTRACT,
        nothing(),
        expect![[r#"
            the component keeps to version 9.0.0 of the contract, and this Deputy knows 0.1, 1.0 and 1.1; if that is a later one, a later Deputy knows it
        "#]],
    );
}

#[test]
fn a_component_that_only_claims_to_answer_is_refused() {
    refused(
        artifacts::WRONG_SHAPE,
        nothing(),
        expect![[r#"
            the component does not keep to the contract it names: instance export `deputy:policy/assignment@0.1.0` does not have export `configure`
        "#]],
    );
}

#[test]
fn a_component_that_is_not_the_trusted_one_is_refused() {
    let mut spec = spec(shipped::RULES, nothing());
    spec.expected_digest = Some(Digest::of(b"what was trusted"));
    let found = Digest::of(shipped::RULES);
    let error =
        SANDBOX.load(spec).expect_err("the digest differs").to_string().replace(found.as_str(), "FOUND");
    expect![[r#"
        plugin `site-policy` has changed: its SHA-256 is FOUND, trusted is f0d6ebc3416896298d13549563803b701be06b09eb926ebd0fe74b79ab275679; if the change is meant, trust the new digest
    "#]].assert_eq(&format!("{error}\n"));
}

#[test]
fn a_component_that_is_the_trusted_one_is_loaded() {
    let mut spec = spec(shipped::RULES, nothing());
    spec.expected_digest = Some(Digest::of(shipped::RULES));
    SANDBOX.load(spec).unwrap();
}

#[test]
fn a_component_that_is_too_large_is_refused_before_anything_looks_at_it() {
    let mut spec = spec(artifacts::TEXT, nothing());
    spec.limits.component_bytes = 10;
    let error = SANDBOX.load(spec).expect_err("it is larger");
    expect![[r#"
        the component has 15 bytes, more than the 10 allowed; one that carries an interpreter, as those of JavaScript and Python do, needs `limits = { preset = "interpreter" }`
    "#]]
    .assert_eq(&format!("{error}\n"));
}

#[test]
fn settings_that_the_plugin_refuses_are_refused_in_its_own_words() {
    refused(
        artifacts::MISBEHAVE,
        serde_json::json!({ "behaviour": "refuse-settings" }),
        expect![[r#"
            plugin `site-policy` does not accept its settings:
              /behaviour: never good enough
              nor is[31m the rest (did you mean `none`?)
        "#]],
    );
}

#[test]
fn a_plugin_that_fails_on_its_settings_is_refused() {
    refused(
        artifacts::MISBEHAVE,
        serde_json::json!({ "behaviour": "loop-in-configure" }),
        expect![[r#"
            plugin `site-policy` failed while it was configured: it ran out of fuel (5,016,500)
        "#]],
    );
    refused(
        artifacts::MISBEHAVE,
        serde_json::json!({ "behaviour": "trap-in-reads" }),
        expect![[r#"
            plugin `site-policy` failed while it was configured: it trapped: wasm `unreachable` instruction executed
        "#]],
    );
}

#[test]
fn an_inspection_says_what_a_policy_is_and_wants() {
    let inspection = SANDBOX.inspect(artifacts::MISBEHAVE, &Limits::default()).unwrap();
    assert_eq!(inspection.digest, Digest::of(artifacts::MISBEHAVE));
    assert_eq!(inspection.size, artifacts::MISBEHAVE.len());
    assert_eq!(inspection.contract.as_deref(), Some("0.1.0"));
    assert_eq!(inspection.questions, [Question::Assignment]);
    assert_eq!(inspection.imports, [Import { name: "deputy:policy/log@0.1.0".to_owned(), granted: true }]);
    assert_eq!(inspection.exports, ["deputy:policy/assignment@0.1.0"]);
}

#[test]
fn the_shipped_policies_want_tables_at_most() {
    for (file, bytes) in shipped::ALL {
        let imports = SANDBOX.inspect(bytes, &Limits::default()).unwrap().imports;
        assert!(
            imports.iter().all(|import| import.name == "deputy:policy/tables@1.1.0"),
            "{file}: {imports:?}"
        );
    }
}

#[test]
fn an_inspection_shows_what_would_be_refused() {
    let inspection = SANDBOX.inspect(artifacts::UNGRANTED_IMPORTS, &Limits::default()).unwrap();
    let granted: Vec<_> =
        inspection.imports.iter().map(|import| (import.name.as_str(), import.granted)).collect();
    assert_eq!(granted, [("wasi:cli/environment@0.2.0", true), ("acme:directory/people@1.0.0", false)]);
    assert_eq!(inspection.questions, []);
    assert_eq!(
        SANDBOX.inspect(artifacts::FUTURE_CONTRACT, &Limits::default()).unwrap().contract.as_deref(),
        Some("9.0.0")
    );
}
