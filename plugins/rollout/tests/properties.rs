//! Who is in a rollout depends on the device and the share alone, and only ever grows with it.

use deputy_policy::assignment::{Context, Decision, Device};
use deputy_policy::{Assignment as _, NoTables, Setup, configure};
use proptest::prelude::*;
use rollout::Rollouts;
use trial::any_device;

fn settings(percent: u32) -> String {
    format!(r#"{{ "rollouts": [{{ "to": "kiosk", "from": "standard", "percent": {percent} }}] }}"#)
}

fn setup() -> Setup {
    Setup { profiles: vec!["kiosk".into(), "standard".into()], channels: vec![], tokens: vec![] }
}

fn decide(percent: u32, devices: &[Device]) -> Vec<Decision> {
    let policy: Rollouts = configure(settings(percent), &setup()).unwrap();
    let context =
        Context { now: 1_767_949_200, utc_offset: 0, token: "emea".into(), profiles: setup().profiles };
    let answer = policy.decide(&context, devices, &NoTables);
    answer.verdicts.iter().map(|verdict| verdict.decision).collect()
}

proptest! {
    #[test]
    fn the_same_at_any_batch_size_and_in_any_order(
        devices in prop::collection::vec(any_device(), 0..60),
        size in 1..60_usize,
        percent in 0..=100_u32,
    ) {
        let together = decide(percent, &devices);
        let in_batches: Vec<_> = devices.chunks(size).flat_map(|batch| decide(percent, batch)).collect();
        prop_assert_eq!(&together, &in_batches);
        let mut backwards = decide(percent, &devices.iter().rev().cloned().collect::<Vec<_>>());
        backwards.reverse();
        prop_assert_eq!(&together, &backwards);
    }

    #[test]
    fn a_device_that_is_in_stays_in_as_the_share_grows(
        devices in prop::collection::vec(any_device(), 0..60),
        (small, large) in (0..=100_u32).prop_flat_map(|large| (0..=large, Just(large))),
    ) {
        for (before, after) in decide(small, &devices).iter().zip(decide(large, &devices)) {
            prop_assert!(*before != Decision::Assign(0) || after == Decision::Assign(0));
        }
        prop_assert!(decide(0, &devices).iter().all(|decision| *decision == Decision::Assign(1)));
        prop_assert!(decide(100, &devices).iter().all(|decision| *decision == Decision::Assign(0)));
    }
}
