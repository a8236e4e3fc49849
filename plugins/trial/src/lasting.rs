//! For how long verdicts last, by the policy's word, and whether they do.

use deputy_policy::assignment::{Context, Verdicts};
use deputy_policy::time::{DAY, civil};
use deputy_policy::{Assignment, Lasting, NoTables};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::any_device;

/// What a policy, asked at `now`, says of how long its verdicts last: `always`, `until` a day, or `not said`. Panics
/// unless it is so for devices of every kind, and unless the verdict on one of them is another at the end.
#[track_caller]
pub fn how_long(policy: &impl Assignment, profiles: &[String], now: u64) -> String {
    let context = |now| Context { now, utc_offset: 0, token: "emea".into(), profiles: profiles.to_vec() };
    let mut runner = TestRunner::deterministic();
    let devices = prop::collection::vec(any_device(), 300).new_tree(&mut runner).unwrap().current();
    let decide = |moment| {
        let Verdicts { verdicts, reasons } = policy.decide(&context(moment), &devices, &NoTables);
        verdicts.iter().map(|it| (it.decision, reasons[it.reason as usize].clone())).collect::<Vec<_>>()
    };
    let lasting = policy.lasting(&context(now), &NoTables);
    let moments = match lasting {
        Lasting::NotSaid => vec![],
        Lasting::Until(end) => vec![now + 1, now + (end - now) / 2, end - 1],
        Lasting::Always => vec![now + 1, now + 400 * DAY, now + 40_000 * DAY],
    };
    for moment in moments {
        assert_eq!(decide(now), decide(moment), "at {moment}");
    }
    match lasting {
        Lasting::NotSaid => "not said".to_owned(),
        Lasting::Until(end) => {
            assert_ne!(decide(now), decide(end), "it could have said that they last longer");
            let day = civil(end, 0);
            format!("until {}-{:02}-{:02}", day.year, day.month, day.day)
        }
        Lasting::Always => "always".to_owned(),
    }
}
