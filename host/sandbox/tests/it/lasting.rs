//! For how long verdicts last: what a policy is told, and what becomes of what it answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::id::Digest;
use domain::policy::{Policy as _, Question};
use domain::table::{Table, Tables, Unreadable};
use domain::verdict::{Context, Lasting};
use expect_test::{Expect, expect};
use sandbox::{Limits, PluginSpec};

use crate::help::{SANDBOX, context, spec};

/// 1 February 2026.
const END: i64 = 1_769_904_000;

fn spec_of(behaviour: &str) -> PluginSpec {
    spec(artifacts::LASTING, serde_json::json!({ "behaviour": behaviour, "end": END }))
}

/// What a policy that behaves like this says, in so many calls.
#[track_caller]
fn check(behaviour: &str, expected: Expect) {
    let plugin = SANDBOX.load(spec_of(behaviour)).unwrap();
    let answer = plugin.answer_lasting(&context());
    let log: String = answer.log.iter().map(|line| format!("\n{}", line.text)).collect();
    let said = match &answer.answer {
        Ok(lasting) => format!("{lasting:?}"),
        Err(why) => format!("fault: {why}"),
    };
    expected.assert_eq(&format!("{said}{log}"));
    assert_eq!(answer.usage.calls, 1);
    assert!(answer.usage.fuel > 0);
    // To those who only want to know whether to ask again, a fault is no answer.
    assert_eq!(plugin.lasting(&context()).answer, answer.answer.unwrap_or(Lasting::NotSaid));
}

#[test]
fn a_policy_says_for_how_long_its_verdicts_last() {
    check("always", expect!["Always"]);
    check("until", expect!["Until(2026-02-01T00:00:00Z)"]);
    check("not-said", expect!["NotSaid"]);
}

#[test]
fn it_is_told_what_it_is_told_with_devices() {
    check(
        "show",
        expect![[r#"
        Always
        Context { now: 1767950000, utc-offset: 0, token: "emea", profiles: ["kiosk", "standard"] }"#]],
    );
}

#[test]
fn one_that_fails_to_say_has_not_said() {
    check("trap", expect!["fault: plugin `site-policy` trapped: wasm `unreachable` instruction executed"]);
    check("loop", expect!["fault: plugin `site-policy` ran out of fuel (5,018,500)"]);
    check(
        "no-calendar",
        expect![
            "fault: plugin `site-policy` broke the contract: its verdicts last until second 18446744073709551615, which no calendar has"
        ],
    );
}

#[derive(Debug)]
struct Terms(Vec<String>, Digest);

impl Table for Terms {
    fn columns(&self) -> &[String] {
        &self.0
    }

    fn digest(&self) -> &Digest {
        &self.1
    }

    fn row(&self, key: &str) -> Result<Option<Vec<String>>, Unreadable> {
        match key {
            "emea" => Ok(Some(vec!["emea".to_owned(), END.to_string()])),
            _ => Err(Unreadable("the file is gone".to_owned())),
        }
    }
}

#[test]
fn it_may_look_into_its_tables() {
    let columns = vec!["token".to_owned(), "end".to_owned()];
    let spec = PluginSpec {
        tables: BTreeMap::from([("terms".parse().unwrap(), columns.clone())]),
        ..spec_of("look")
    };
    let plugin = SANDBOX.load(spec).unwrap();
    let terms: Arc<dyn Table> = Arc::new(Terms(columns, Digest::of(b"")));
    let tables = Arc::new(Tables(BTreeMap::from([("terms".parse().unwrap(), terms)])));
    let told = Context { tables, ..context() };
    let end = jiff::Timestamp::from_second(END).unwrap();
    assert_eq!(plugin.answer_lasting(&told).answer, Ok(Lasting::Until(end)));
    let other = Context { token: "amer".parse().unwrap(), ..told };
    expect!["plugin `site-policy` could not look something up: a row of the table `terms` cannot be read: the file is gone"]
        .assert_eq(&plugin.answer_lasting(&other).answer.unwrap_err().to_string());
    expect!["plugin `site-policy` could not look something up: there is no table `terms`"]
        .assert_eq(&plugin.answer_lasting(&context()).answer.unwrap_err().to_string());
}

#[test]
fn one_of_an_older_version_says_nothing_and_is_not_called() {
    for component in [artifacts::MISBEHAVE, artifacts::THREE_QUESTIONS] {
        let plugin = SANDBOX.load(spec(component, serde_json::json!({ "behaviour": "none" }))).unwrap();
        assert!(!plugin.inspection().lasting);
        let answered = plugin.lasting(&context());
        assert_eq!((answered.answer, answered.usage.calls), (Lasting::NotSaid, 0));
    }
}

#[test]
fn an_inspection_tells_who_can_say_it() {
    let inspection = SANDBOX.inspect(artifacts::LASTING, &Limits::default()).unwrap();
    assert_eq!(inspection.contract.as_deref(), Some("1.1.0"));
    assert_eq!(inspection.questions, [Question::Assignment]);
    assert!(inspection.lasting);
    for (component, says) in [
        (shipped::RULES, true),
        (shipped::ROLLOUT, true),
        (shipped::GUARD, false),
        (shipped::REMINDERS, false),
    ] {
        assert_eq!(SANDBOX.inspect(component, &Limits::default()).unwrap().lasting, says);
    }
}

#[test]
fn a_plugin_that_knows_of_other_channels_is_another() {
    let settings = || serde_json::json!({ "default": { "assign": "kiosk" } });
    let mark = |channels: &[&str]| {
        let mut spec = spec(shipped::RULES, settings());
        spec.setup.channels = channels.iter().map(|name| name.parse().unwrap()).collect();
        SANDBOX.load(spec).unwrap().mark()
    };
    assert_eq!(mark(&["ops"]), mark(&["ops"]));
    assert_ne!(mark(&["ops"]), mark(&["ops", "security"]));
}
