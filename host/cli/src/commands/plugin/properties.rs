//! What every policy must hold, whatever it decides: found out by asking it in many ways.
//!
//! A policy is a pure function of one device. So it answers the same twice, in batches of any size and in
//! any order, and it fails on no device, however odd. A verdict lasts for as long as the policy says. That it gives one verdict for each device and only
//! profiles there are, is checked by the sandbox at every call and shows here as a fault.

use std::collections::BTreeSet;
use std::fmt;

use domain::device::Device;
use domain::difference::Said;
use domain::id::SerialNumber;
use domain::policy::Policy;
use domain::verdict::{Context, Lasting, Verdict};
use jiff::{SignedDuration, Timestamp};

/// How many devices a failure names.
const EXAMPLES: usize = 3;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// So many seconds later a policy is asked again whose verdicts should be the same then: whether it looks at the hour, the
/// day of the week, the month or the year, one of these moments is another in that respect.
const LATER: [i64; 5] = [HOUR, DAY, 30 * DAY, 366 * DAY, 3_653 * DAY];

/// One property, and what was found.
#[derive(Debug)]
pub(super) struct Property {
    /// What holds, as a sentence.
    pub(super) name: &'static str,
    /// The devices for which it does not; none if it holds.
    pub(super) broken: Option<Broken>,
}

/// Devices for which a property does not hold.
#[derive(Debug, Default)]
pub(super) struct Broken {
    /// How many.
    pub(super) devices: usize,
    /// The first of them, and what is wrong with each.
    pub(super) examples: Vec<(SerialNumber, String)>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let things = if self.devices == 1 { "device" } else { "devices" };
        write!(f, "broken for {} {things}", self.devices)?;
        self.examples.iter().try_for_each(|(serial, what)| write!(f, "\n{serial}: {what}"))
    }
}

/// Asks a policy about ordinary and odd devices in many ways.
pub(super) fn check(
    policy: &dyn Policy,
    context: &Context,
    ordinary: Vec<Device>,
    odd: Vec<Device>,
) -> Vec<Property> {
    let ask = |devices: &[Device], size: usize| -> Vec<Verdict> {
        devices.chunks(size).flat_map(|batch| policy.decide(context, batch).answer).collect()
    };
    let devices: Vec<Device> = ordinary.into_iter().chain(odd).collect();
    let first = ask(&devices, 1_000);
    let faults = devices.iter().zip(&first).filter(|(_, verdict)| verdict.fault);
    let mut found = vec![Property {
        name: "it fails on no device, however odd",
        broken: collect(faults.map(|(device, verdict)| (device, verdict.reason.to_string()))),
    }];
    let same = |name, again: Vec<Verdict>| {
        let others = devices.iter().zip(&first).zip(&again).filter(|((_, first), again)| first != again);
        Property {
            name,
            broken: collect(others.map(|((device, first), again)| (device, differ(first, again)))),
        }
    };
    found.push(same("it answers the same when it is asked twice", ask(&devices, 1_000)));
    found.push(same("it answers the same about each device alone", ask(&devices, 1)));
    found.push(same("it answers the same in batches of 7", ask(&devices, 7)));
    let mut order: Vec<usize> = (0..devices.len()).collect();
    super::odd::shuffle(&mut order);
    let shuffled: Vec<Device> = order.iter().map(|place| devices[*place].clone()).collect();
    let mut again: Vec<(usize, Verdict)> = order.into_iter().zip(ask(&shuffled, 1_000)).collect();
    again.sort_by_key(|(place, _)| *place);
    let again = again.into_iter().map(|(_, verdict)| verdict).collect();
    found.push(same("it answers the same in another order", again));
    found.extend(lasting(policy, context, &devices, &first));
    found
}

/// Asks again at moments before which verdicts last, by the policy's own word. One that does not say has nothing to hold.
fn lasting(
    policy: &dyn Policy,
    context: &Context,
    devices: &[Device],
    first: &[Verdict],
) -> Option<Property> {
    let now = context.now;
    let lasting = policy.lasting(context).answer;
    let after = |seconds| now.checked_add(SignedDuration::from_secs(seconds)).ok();
    let mut moments: Vec<Timestamp> = LATER.into_iter().filter_map(after).collect();
    match lasting {
        Lasting::NotSaid => return None,
        Lasting::Always => {}
        Lasting::Until(end) => {
            moments.retain(|moment| *moment < end);
            let last = end.checked_sub(SignedDuration::from_secs(1)).ok();
            moments.extend(last.filter(|last| *last > now));
        }
    }
    let changed = moments.into_iter().flat_map(|then| {
        let later = Context { now: then, ..context.clone() };
        let again: Vec<Verdict> =
            devices.chunks(1_000).flat_map(|batch| policy.decide(&later, batch).answer).collect();
        let all = devices.iter().zip(first).zip(again);
        let changed =
            all.filter(move |((_, first), again)| first.stands(lasting, now, then) && **first != *again);
        let when = then.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        changed.map(move |((device, first), again)| (device, format!("at {when}: {}", differ(first, &again))))
    });
    // The first moment at which a device's verdict is another says all about it.
    let mut seen = BTreeSet::new();
    let changed = changed.filter(|(device, _)| seen.insert(&device.serial_number));
    Some(Property { name: "its verdicts last for as long as it says", broken: collect(changed) })
}

fn collect<'a>(broken: impl Iterator<Item = (&'a Device, String)>) -> Option<Broken> {
    let mut all = Broken::default();
    for (device, what) in broken {
        all.devices += 1;
        if all.examples.len() < EXAMPLES {
            all.examples.push((device.serial_number.clone(), what));
        }
    }
    (all.devices > 0).then_some(all)
}

fn differ(first: &Verdict, again: &Verdict) -> String {
    let words = |verdict: &Verdict| format!("{} ({})", Said::of(verdict), verdict.reason);
    format!("first {}, then {}", words(first), words(again))
}
