//! A new profile for a stable share of a group of devices, which grows with time.
//!
//! The settings are described in the README beside this crate, for people who write them.

use deputy_policy::assignment::{Context, Decision, Device, DeviceFields, Verdicts};
use deputy_policy::condition::{Conditions, Field, Lookups, Reader, Subject};
use deputy_policy::outcome::Outcome;
use deputy_policy::settings::{At, Table, Value};
use deputy_policy::{Assignment, Lasting, Policy, Reasons, Setup, TableUse, Tables};

deputy_policy::export!(Rollouts: assignment);

/// Rollouts in the order they are tried: a device belongs to the first whose conditions hold.
#[derive(Clone, Debug)]
pub struct Rollouts {
    rollouts: Vec<Rollout>,
    otherwise: Outcome,
    lookups: Lookups,
}

/// One profile on its way to a group of devices.
#[derive(Clone, Debug)]
struct Rollout {
    name: String,
    group: Conditions,
    to: u32,
    from: Option<u32>,
    stages: Vec<Stage>,
    salt: String,
    paused: bool,
}

/// From a moment on, a share of the group.
#[derive(Clone, Copy, Debug)]
struct Stage {
    date: u64,
    /// In hundredths of a percent, of which there are 10,000.
    share: u64,
}

const KEYS: [&str; 9] = ["from", "name", "paused", "percent", "salt", "stages", "to", "unless", "when"];

impl Policy for Rollouts {
    const SUMMARY: &'static str = "a new profile for a stable share of a group, which grows with time";
    const VERSION: &'static str = "1.0.0";
    const SCHEMA: Option<&'static str> = Some(include_str!("settings.schema.json"));

    fn read(settings: At, setup: &Setup) -> Self {
        let settings = settings.table(&["default", "lookup", "rollouts"]);
        let mut reader = Reader::new(setup, settings.get("lookup"));
        let list = settings.required("rollouts", "start each rollout with `[[rollouts]]`");
        let list = list.map(|at| at.list("start each rollout with `[[rollouts]]`")).unwrap_or_default();
        let rollouts = list.iter().enumerate().map(|(index, at)| {
            let name = at.entries().get("name").and_then(|name| name.text());
            let name =
                name.map_or_else(|| format!("rollout {}", index + 1), |name| format!("rollout `{name}`"));
            Rollout::read(&at.part_of(&name).table(&KEYS), name, setup, &mut reader)
        });
        let rollouts = rollouts.collect();
        let unmatched = Outcome { decision: Decision::Ignore, reason: "in no rollout".to_owned() };
        let otherwise = Outcome::default(&settings, setup, unmatched);
        Self { rollouts, otherwise, lookups: reader.finish() }
    }

    fn tables(&self) -> Vec<TableUse> {
        self.lookups.uses()
    }
}

impl Rollout {
    fn read<'a>(table: &Table<'a>, name: String, setup: &Setup, reader: &mut Reader<'a>) -> Self {
        let profile = |at: At| at.name_of("profile", &setup.profiles);
        let to = table.required("to", "name the new profile: `to = \"PROFILE\"`").and_then(profile);
        let from = table.get("from").and_then(profile);
        if to.is_some() && to == from {
            table.at().problem("`to` and `from` are the same profile");
        }
        let stages = match (table.get("percent"), table.get("stages")) {
            (Some(percent), None) => vec![Stage { date: 0, share: share(&percent).unwrap_or_default() }],
            (None, Some(stages)) => {
                const HINT: &str = "such as `[{ date = \"2026-02-02\", percent = 10 }]`";
                let list = stages.list(HINT);
                if matches!(stages.value(), Value::List(none) if none.is_empty()) {
                    stages.problem_with_hint("without a stage, nobody ever gets the new profile", HINT);
                }
                let list = list.into_iter().map(|at| {
                    let stage = at.table(&["date", "percent"]);
                    let date = stage.required("date", HINT).and_then(|at| at.date());
                    let share = stage.required("percent", HINT).and_then(|at| share(&at));
                    (at, date, share)
                });
                ascending(&list.collect::<Vec<_>>())
            }
            (Some(_), Some(_)) => {
                table.at().problem("`percent` and `stages` exclude each other");
                Vec::new()
            }
            (None, None) => {
                table.at().problem_with_hint(
                    "nothing says how many devices get the new profile",
                    "add `percent = 10`, or `stages` with a date each",
                );
                Vec::new()
            }
        };
        let salt = table.get("salt").and_then(|at| at.text());
        let to = to.unwrap_or_default();
        Self {
            // By default, the same devices go first whenever this profile is rolled out.
            salt: salt
                .map_or_else(|| setup.profiles.get(to as usize).cloned().unwrap_or_default(), str::to_owned),
            group: reader.conditions(table),
            paused: table.get("paused").and_then(|at| at.flag()).unwrap_or_default(),
            name,
            to,
            from,
            stages,
        }
    }

    /// The share that gets the new profile now, in hundredths of a percent.
    fn share(&self, now: u64) -> u64 {
        let begun = self.stages.iter().take_while(|stage| stage.date <= now);
        begun.last().map_or(0, |stage| stage.share)
    }

    /// Whether a device gets the new profile.
    fn includes(&self, device: &Device, now: u64) -> bool {
        match self.paused {
            true => device.current_profile == Some(self.to),
            false => place(&self.salt, &device.serial_number) < self.share(now),
        }
    }
}

/// A percentage, in hundredths of a percent: nothing smaller can be told apart.
fn share(at: &At) -> Option<u64> {
    let hundredths = at.number(0.0..=100.0)? * 100.0;
    if (hundredths - hundredths.round()).abs() > 1e-6 {
        at.problem_with_hint("a percentage has two decimals at most", "`0.01` is one in ten thousand");
        return None;
    }
    Some(hundredths.round() as u64)
}

/// The stages, which have to grow from one to the next. Each as it was read, as far as it could be.
fn ascending(stages: &[(At, Option<u64>, Option<u64>)]) -> Vec<Stage> {
    for pair in stages.windows(2) {
        let [(_, earlier, less), (at, later, more)] = pair else { continue };
        if earlier.zip(*later).is_some_and(|(earlier, later)| later <= earlier) {
            at.problem("this stage does not begin after the one before it");
        }
        if less.zip(*more).is_some_and(|(less, more)| more < less) {
            at.problem_with_hint(
                "this stage is smaller than the one before it",
                "to hold a rollout where it is, set `paused = true`",
            );
        }
    }
    let stage = |(_, date, share): &(At, Option<u64>, Option<u64>)| Stage {
        date: date.unwrap_or_default(),
        share: share.unwrap_or_default(),
    };
    stages.iter().map(stage).collect()
}

/// Where a device stands in the line for the new profile, from 0 to 9,999. It depends on nothing but
/// these two texts, so a device that is among 10 % is among 20 % as well.
fn place(salt: &str, serial_number: &str) -> u64 {
    // FNV-1a, which every language can do in a line; then mixed, since its last bits are weak.
    let bytes = salt.bytes().chain([0]).chain(serial_number.bytes().map(|byte| byte.to_ascii_uppercase()));
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (hash ^ (hash >> 33)) % 10_000
}

impl Assignment for Rollouts {
    fn reads(&self) -> DeviceFields {
        let fields =
            self.rollouts.iter().flat_map(|rollout| rollout.group.fields()).chain(self.lookups.keys());
        let fields = fields.map(Field::flag).fold(DeviceFields::SERIAL_NUMBER, |all, flag| all | flag);
        match self.rollouts.iter().any(|rollout| rollout.paused) {
            true => fields | DeviceFields::CURRENT_PROFILE,
            false => fields,
        }
    }

    fn decide(&self, context: &Context, devices: &[Device], tables: &dyn Tables) -> Verdicts {
        let mut reasons = Reasons::default();
        // Two for each rollout, said once rather than for each device.
        let words = self.rollouts.iter().map(|rollout| {
            let Rollout { name, paused, .. } = rollout;
            let percent = rollout.share(context.now) as f64 / 100.0;
            match paused {
                true => [format!("{name}: has it, paused"), format!("{name}: does not have it, paused")],
                false => {
                    [format!("{name}: among the {percent} %"), format!("{name}: not among the {percent} %")]
                }
            }
        });
        let words: Vec<[String; 2]> = words.collect();
        let verdicts = devices.iter().map(|device| {
            let subject = Subject::new(context, device, &self.lookups, tables);
            let mut rollouts = self.rollouts.iter().zip(&words);
            match rollouts.find(|(rollout, _)| rollout.group.hold(&subject)) {
                Some((rollout, [among, not_among])) => {
                    let includes = rollout.includes(device, context.now);
                    let reason = if includes { among } else { not_among };
                    let old = rollout.from.map_or(self.otherwise.decision, Decision::Assign);
                    reasons.verdict(if includes { Decision::Assign(rollout.to) } else { old }, reason)
                }
                None => reasons.verdict(self.otherwise.decision, &self.otherwise.reason),
            }
        });
        let verdicts = verdicts.collect();
        Verdicts { verdicts, reasons: reasons.into_vec() }
    }

    /// Until the next stage of a rollout that goes on, unless who belongs to one depends on the time.
    fn lasting(&self, context: &Context, _: &dyn Tables) -> Lasting {
        if self.rollouts.iter().any(|rollout| rollout.group.look_at_the_time()) {
            return Lasting::NotSaid;
        }
        let going_on = self.rollouts.iter().filter(|rollout| !rollout.paused);
        let stages = going_on.flat_map(|rollout| &rollout.stages).map(|stage| stage.date);
        let next = stages.filter(|date| *date > context.now).min();
        next.map_or(Lasting::Always, Lasting::Until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever writes the same in another language gets the same devices.
    #[test]
    fn places_never_change() {
        let places = ["C02AA", "c02aa", "C02AB", "DMPXK1ABQ1GC"].map(|serial| place("mac-2026", serial));
        assert_eq!(places[0], places[1]);
        expect_test::expect!["[2657, 2657, 3910, 8266]"].assert_eq(&format!("{places:?}"));
    }

    #[test]
    fn shares_are_about_as_large_as_they_say() {
        for (salt, share) in [("a", 100), ("a", 1_000), ("b", 5_000), ("mac-2026", 9_000)] {
            let among = (0..100_000).filter(|index| place(salt, &format!("C02{index:06}Q")) < share).count();
            let wanted = share as f64 * 10.0;
            assert!((among as f64 - wanted).abs() < wanted.sqrt() * 4.0, "{salt} {share}: {among}");
        }
    }

    #[test]
    fn other_salts_choose_other_devices() {
        let both = |serial: &String| place("a", serial) < 1_000 && place("b", serial) < 1_000;
        let both = (0..100_000).map(|index| format!("C02{index:06}Q")).filter(both).count();
        assert!((800..1_200).contains(&both), "{both}");
    }
}
