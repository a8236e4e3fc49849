//! Many tokens in one configuration, some of them sick: the healthy ones do not notice.
//!
//! `DEPUTY_TENANTS` says how many tokens there are. In earnest:
//!
//! ```text
//! DEPUTY_TENANTS=150 cargo test --workspace --test it -- tenants --nocapture
//! ```

use std::collections::{BTreeMap, BTreeSet};

use expect_test::expect;
use serde_json::Value;
use sim::{Endpoint, Fault, TokenOptions, TokenState};

use crate::env::TestEnv;

/// Enough for more hanging tokens than the runner has places.
const FEW: usize = 30;
const DEVICES: usize = 5;

/// What can be wrong with a token, and in how many of a hundred tokens it is; at least in so many.
const SICK: [(&str, usize, usize); 5] =
    [("expired", 6, 2), ("hanging", 10, 10), ("revoked", 6, 2), ("slow", 6, 2), ("unsigned", 6, 2)];

#[test]
fn healthy_tokens_are_served_while_others_hang_and_each_sick_one_is_told_with_its_reason() {
    let names = names();
    let env = TestEnv::with_tokens(&names);
    for name in &names {
        env.apple().generate_devices(name, DEVICES, 1).unwrap();
        make_sick(&env, name);
    }

    let of = |wanted: &[&str]| -> Vec<&String> {
        names.iter().filter(|name| wanted.contains(&sort(name))).collect()
    };
    let run = env.start(&["run", "auto-assign"], "run.log");
    env.until("every healthy token has all its devices assigned", || {
        of(&["healthy", "slow"]).iter().all(|name| env.with_profile(name) == DEVICES)
    });
    env.until("the run has on record what became of all that do not hang", || {
        let last = last_steps(&env);
        let is =
            |name: &String, outcome| last.get(name).is_some_and(|step| step["outcome"]["outcome"] == outcome);
        of(&["healthy", "slow"]).iter().all(|name| is(name, "applied"))
            && of(&["expired", "revoked", "unsigned"]).iter().all(|name| is(name, "failed"))
    });
    env.until("every other has had its turn", || {
        let asked: BTreeSet<_> =
            env.calls(Endpoint::Session).into_iter().filter_map(|it| it.server).collect();
        asked.len() == names.len()
    });
    assert!(!env.has_ended(run), "the hanging ones do not hang: {}", env.read("run.log"));
    if let Some(memory) = env.memory(run) {
        println!("{} tokens: {memory} KiB", names.len());
    }
    // Needs a person: the worst that befell it.
    assert_eq!(env.end(run, "-INT"), Some(4), "{}", env.read("run.log"));

    for name in of(&["expired", "hanging", "revoked", "unsigned"]) {
        assert_eq!(env.with_profile(name), 0, "{name}");
    }
    assert_eq!(env.apple().most_assignments_of_one_device(), 1);
    let expected = (of(&["healthy", "slow"]).len() * DEVICES) as u64;
    assert_eq!(env.apple().counters().assignments, expected);
    expect![[r#"
        expired: needs-person: could not open a session for `NAME`: the server token has expired
          hint: download a new token from Apple's portal, then run `deputy token import NAME FILE`
        hanging: stopped: stopped while waiting for Apple's answer to `NAME`
          hint: if that happens again, look for what swallows packets on the way to Apple: a proxy, a firewall
        healthy: well
        revoked: needs-person: could not open a session for `NAME`: Apple does not accept the server token (403 token_rejected)
          hint: download a new token from Apple's portal, then run `deputy token import NAME FILE`
        slow: well
        unsigned: needs-person: could not open a session for `NAME`: the organisation has not accepted Apple's new terms
          hint: sign in to business.apple.com or school.apple.com as an administrator and accept the new terms; the next call that succeeds shows that it worked
    "#]].assert_eq(&reasons(&env));
}

/// Names that say what is wrong with the token. Who hangs comes before who is healthy.
fn names() -> Vec<String> {
    let all = std::env::var("DEPUTY_TENANTS").map_or(FEW, |number| number.parse().expect("a number"));
    let sick = SICK.map(|(sort, of_hundred, least)| (sort, (all * of_hundred / 100).max(least)));
    let healthy = all.saturating_sub(sick.iter().map(|(_, number)| number).sum());
    let sorts = sick.into_iter().chain([("healthy", healthy)]);
    sorts.flat_map(|(sort, number)| (1..=number).map(move |nth| format!("{sort}-{nth:03}"))).collect()
}

fn sort(name: &str) -> &str {
    name.split('-').next().unwrap_or_default()
}

fn make_sick(env: &TestEnv, name: &str) {
    let apple = env.apple();
    match sort(name) {
        "hanging" => apple.fault(Fault::hang().of_server(name).always()),
        // Whoever downloads a token ends the one before it.
        "revoked" => drop(env.download_token(name, &TokenOptions::default())),
        "slow" => apple.fault(Fault::slow(300).of_server(name).always()),
        "unsigned" => apple.sign_terms(name, false).unwrap(),
        "expired" => apple.set_token_state(name, TokenState::Expired).unwrap(),
        "healthy" => {}
        other => unreachable!("nobody knows how to make a token {other}"),
    }
}

/// For each sort of token, how the last run ended for it, and what it says to do.
fn reasons(env: &TestEnv) -> String {
    let mut reasons = BTreeSet::new();
    for (token, step) in last_steps(env) {
        let failure = &step["outcome"];
        let text = match failure["error"].as_str() {
            Some(error) => {
                let hint = failure["hint"].as_str().unwrap_or("none");
                format!("{}: {error}\n  hint: {hint}", failure["state"].as_str().unwrap_or_default())
            }
            None => "well".to_owned(),
        };
        reasons.insert(format!("{}: {}\n", sort(&token), text.replace(&token, "NAME")));
    }
    env.normal(&reasons.into_iter().collect::<String>())
}

/// The step at which each token is, or ended, in the last run.
fn last_steps(env: &TestEnv) -> BTreeMap<String, Value> {
    let run = env.json(&["runs", "show", "last", "--actions", "0"]);
    let steps = run["run"]["steps"].as_array().cloned().unwrap_or_default();
    let of_token = |step: Value| Some((step["token"].as_str()?.to_owned(), step));
    steps.into_iter().filter_map(of_token).collect()
}
