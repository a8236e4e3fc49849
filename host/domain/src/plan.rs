//! What one run will do to the devices of one token.
//!
//! Every device is accounted for exactly once, as an action or as a skip, so that a report adds up.
//! Whether a device needs anything follows from its state alone, never from the event that brought
//! it to us. Rails count what the plan would do; breaking one refuses all of it, because half a
//! surprise is still a surprise.
//!
//! Devices are considered one at a time and nothing is kept of them but counts, so a plan over a
//! million devices needs no more memory than one over ten.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{Digest, ProfileId, ProfileName, SerialNumber};
use crate::pause::Pause;
use crate::verdict::{Decision, Verdict};

/// The operator's limits on what one run may do to the devices of one token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rails {
    /// The most devices that may get their first profile. Safe: such a device has none.
    pub first_assignments: u64,
    /// The most devices that may be moved from one profile to another. Dangerous.
    pub reassignments: u64,
    /// Devices on these are not moved.
    pub protect_profiles: BTreeSet<ProfileName>,
}

impl Default for Rails {
    fn default() -> Self {
        Self { first_assignments: 5_000, reassignments: 25, protect_profiles: BTreeSet::new() }
    }
}

/// The profiles of one token: what the operator's files say now, and what Apple was ever told.
#[derive(Clone, Debug, Default)]
pub struct Profiles {
    /// By our label: the content wanted now.
    pub wanted: BTreeMap<ProfileName, Digest>,
    /// By Apple's id: our label and the content it was defined with.
    pub defined: BTreeMap<ProfileId, (ProfileName, Digest)>,
}

/// What the planner looks at of one device.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Which device.
    pub serial_number: SerialNumber,
    /// The profile it is on.
    pub on: Option<ProfileId>,
    /// Apple would not assign it, and until when it is left alone.
    pub pause: Option<Pause>,
    /// It was sent in an earlier run, and nobody knows yet what became of it.
    pub in_flight: bool,
    /// What the policy said, if it was asked for this plan.
    pub verdict: Option<Verdict>,
    /// A policy that was asked for an earlier plan of the same run has decided about it.
    pub decided_before: bool,
}

/// What becomes of one device in this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It gets a profile.
    Action(Action),
    /// It is left alone.
    Skip(Skip),
}

/// A device gets a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Which device.
    pub serial_number: SerialNumber,
    /// The profile it gets.
    pub profile: ProfileName,
    /// The profile it has; none for a first assignment.
    pub from: Option<ProfileId>,
    /// The policy's reason.
    pub reason: Arc<str>,
}

/// Why a device is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Skip {
    /// It has the profile it should have.
    AlreadyRight,
    /// The policy wants it left as it is.
    Held,
    /// The policy failed on it.
    Fault,
    /// It is none of the policy's business.
    Ignored,
    /// Apple would not assign it lately.
    Waiting,
    /// An earlier run sent it, and Apple has not said what became of it.
    InFlight,
    /// The policy has not seen it yet; the next run asks.
    Undecided,
    /// An earlier plan of the same run is about it.
    Before,
}

/// The numbers of a plan. They add up to every device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// All devices looked at.
    pub devices: u64,
    /// Devices that get their first profile.
    pub first_assignments: u64,
    /// Devices that get another profile.
    pub reassignments: u64,
    /// Devices left alone, by why.
    pub skips: BTreeMap<Skip, u64>,
    /// Devices that get a profile, by profile.
    pub by_profile: BTreeMap<ProfileName, u64>,
    /// Profiles to define at Apple first: new, or changed since.
    pub defines: BTreeSet<ProfileName>,
}

/// A plan that would break a rail, and which.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the plan breaks {}: {}", if breaches.len() == 1 { "a rail" } else { "rails" }, list(breaches))]
pub struct Refused {
    /// What it would have done.
    pub totals: Totals,
    /// Every rail it breaks.
    pub breaches: Vec<Breach>,
}

/// One rail a plan would break.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Breach {
    /// More first assignments than allowed.
    FirstAssignments {
        /// What the plan wants.
        wanted: u64,
        /// The rail.
        allowed: u64,
    },
    /// More reassignments than allowed.
    Reassignments {
        /// What the plan wants.
        wanted: u64,
        /// The rail.
        allowed: u64,
    },
    /// Devices on a protected profile would be moved.
    Protected {
        /// The profile.
        profile: ProfileName,
        /// How many.
        devices: u64,
        /// One of them.
        example: SerialNumber,
    },
}

/// Turns what is, and what the policy wants, into what to do, one device at a time.
#[derive(Debug)]
pub struct Planner<'a> {
    profiles: &'a Profiles,
    rails: &'a Rails,
    now: Timestamp,
    /// Profiles whose present content Apple knows.
    ready: BTreeSet<&'a ProfileName>,
    totals: Totals,
    protected: BTreeMap<ProfileName, (u64, SerialNumber)>,
}

impl<'a> Planner<'a> {
    /// A planner that has seen no device yet.
    pub fn new(profiles: &'a Profiles, rails: &'a Rails, now: Timestamp) -> Self {
        let defined = profiles.defined.values();
        let ready =
            defined.filter(|(name, digest)| profiles.wanted.get(name) == Some(digest)).map(|(name, _)| name);
        let ready = ready.collect();
        Self { profiles, rails, now, ready, totals: Totals::default(), protected: BTreeMap::new() }
    }

    /// What becomes of this device.
    pub fn consider(&mut self, candidate: &Candidate) -> Entry {
        self.totals.devices += 1;
        let entry = self.entry(candidate);
        match &entry {
            Entry::Skip(skip) => *self.totals.skips.entry(*skip).or_default() += 1,
            Entry::Action(action) => self.count(action),
        }
        entry
    }

    /// The plan's numbers, or the refusal of all of it.
    pub fn finish(self) -> Result<Totals, Refused> {
        let (totals, rails) = (self.totals, self.rails);
        let mut breaches = Vec::new();
        if totals.first_assignments > rails.first_assignments {
            let (wanted, allowed) = (totals.first_assignments, rails.first_assignments);
            breaches.push(Breach::FirstAssignments { wanted, allowed });
        }
        if totals.reassignments > rails.reassignments {
            let (wanted, allowed) = (totals.reassignments, rails.reassignments);
            breaches.push(Breach::Reassignments { wanted, allowed });
        }
        let protected = self.protected.into_iter();
        breaches.extend(protected.map(|(profile, (devices, example))| Breach::Protected {
            profile,
            devices,
            example,
        }));
        if breaches.is_empty() { Ok(totals) } else { Err(Refused { totals, breaches }) }
    }

    fn entry(&self, candidate: &Candidate) -> Entry {
        if candidate.decided_before {
            return Entry::Skip(Skip::Before);
        }
        let Some(verdict) = &candidate.verdict else { return Entry::Skip(Skip::Undecided) };
        let wanted = match &verdict.decision {
            // What a workflow gives to devices that the policy fails on is for those without a profile.
            Decision::Assign { profile } if verdict.fault && candidate.on.is_none() => profile,
            _ if verdict.fault => return Entry::Skip(Skip::Fault),
            Decision::Hold { .. } => return Entry::Skip(Skip::Held),
            Decision::Ignore => return Entry::Skip(Skip::Ignored),
            Decision::Assign { profile } => profile,
        };
        if candidate.on.as_ref().is_some_and(|on| self.is_current(on, wanted)) {
            return Entry::Skip(Skip::AlreadyRight);
        }
        if candidate.in_flight {
            return Entry::Skip(Skip::InFlight);
        }
        if candidate.pause.is_some_and(|pause| pause.is_on(self.now)) {
            return Entry::Skip(Skip::Waiting);
        }
        Entry::Action(Action {
            serial_number: candidate.serial_number.clone(),
            profile: wanted.clone(),
            from: candidate.on.clone(),
            reason: verdict.reason.clone(),
        })
    }

    /// Apple's profile `on` is what the file of `wanted` says now.
    fn is_current(&self, on: &ProfileId, wanted: &ProfileName) -> bool {
        let defined = self.profiles.defined.get(on);
        defined
            .is_some_and(|(name, digest)| name == wanted && self.profiles.wanted.get(wanted) == Some(digest))
    }

    fn count(&mut self, action: &Action) {
        *self.totals.by_profile.entry(action.profile.clone()).or_default() += 1;
        if !self.ready.contains(&action.profile) && !self.totals.defines.contains(&action.profile) {
            self.totals.defines.insert(action.profile.clone());
        }
        let Some(from) = &action.from else {
            self.totals.first_assignments += 1;
            return;
        };
        self.totals.reassignments += 1;
        let from = self.profiles.defined.get(from).map(|(name, _)| name);
        if let Some(name) = from.filter(|name| self.rails.protect_profiles.contains(*name)) {
            let protected = self.protected.entry(name.clone());
            protected.or_insert_with(|| (0, action.serial_number.clone())).0 += 1;
        }
    }
}

/// The digest of what a plan does, taken action by action in the order of serial numbers.
#[derive(Debug)]
pub struct Fingerprint {
    wanted: BTreeMap<ProfileName, Digest>,
    used: BTreeSet<ProfileName>,
    hash: sha2::Sha256,
}

impl Fingerprint {
    /// Of a plan with these profiles. Their wording counts: the same name for something else is another plan.
    pub fn new(profiles: &Profiles) -> Self {
        use sha2::Digest as _;
        Self { wanted: profiles.wanted.clone(), used: BTreeSet::new(), hash: sha2::Sha256::new() }
    }

    /// A device that goes from one profile, by Apple's id, to another.
    pub fn add(&mut self, serial: &str, from: Option<&str>, to: &ProfileName) {
        use sha2::Digest as _;
        self.hash.update(format!("{serial} {} {to}\n", from.unwrap_or("-")));
        if !self.used.contains(to) {
            self.used.insert(to.clone());
        }
    }

    /// All of it.
    pub fn digest(mut self) -> Digest {
        use sha2::Digest as _;
        for name in &self.used {
            let wording = self.wanted.get(name).map_or("-", Digest::as_str);
            self.hash.update(format!("{name} {wording}\n"));
        }
        let hex: String = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        hex.parse().expect("a SHA-256 has 64 hexadecimal digits")
    }
}

impl Totals {
    /// How many devices the plan changes.
    pub fn actions(&self) -> u64 {
        self.first_assignments + self.reassignments
    }

    /// How many devices are left alone for this reason.
    pub fn skipped(&self, skip: Skip) -> u64 {
        self.skips.get(&skip).copied().unwrap_or(0)
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyRight => "already right",
            Self::Held => "held by the policy",
            Self::Fault => "held because the policy failed",
            Self::Ignored => "ignored by the policy",
            Self::Waiting => "waiting, after a refusal",
            Self::InFlight => "in flight, to be settled first",
            Self::Undecided => "not decided yet",
            Self::Before => "of an earlier plan",
        })
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstAssignments { wanted, allowed } => {
                write!(f, "{wanted} first assignments, {allowed} allowed")
            }
            Self::Reassignments { wanted, allowed } => write!(f, "{wanted} reassignments, {allowed} allowed"),
            Self::Protected { profile, devices, example } => {
                write!(f, "{devices} on the protected profile `{profile}`, such as {example}")
            }
        }
    }
}

fn list(breaches: &[Breach]) -> String {
    breaches.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::pause::Refusal;
    use crate::workflow::OnFault;

    /// `devices`: `SERIAL [on PROFILE[@old]] [waits] [in-flight]`, `;` between. `verdicts`: `SERIAL assign
    /// PROFILE|hold|ignore|fault [DEFAULT]`. The files say `lab`, `kiosk` and `exec`; `new` is not at Apple yet.
    #[track_caller]
    fn check_with(rails: Rails, devices: &str, verdicts: &str, expected: Expect) {
        let now = "2026-01-09T09:00:00Z".parse().unwrap();
        let pause = Pause::after(Refusal::Throttled, None, None, now);
        let mut profiles = Profiles::default();
        let id =
            |name: &str| format!("{:0>32}", name.bytes().map(|b| format!("{b:02x}")).collect::<String>());
        for name in ["lab", "kiosk", "exec"] {
            let (label, digest): (ProfileName, _) = (name.parse().unwrap(), Digest::of(name.as_bytes()));
            profiles.wanted.insert(label.clone(), digest.clone());
            profiles.defined.insert(id(name).parse().unwrap(), (label.clone(), digest));
            let old = format!("{name}@old");
            profiles.defined.insert(id(&old).parse().unwrap(), (label, Digest::of(old.as_bytes())));
        }
        profiles.wanted.insert("new".parse().unwrap(), Digest::of(b"new"));

        let verdict = |serial: &str| {
            let line = verdicts.split(';').map(str::trim).find(|line| line.starts_with(serial))?;
            let decision = match line.split_whitespace().collect::<Vec<_>>()[1..] {
                ["assign", profile] => Decision::Assign { profile: profile.parse().unwrap() },
                ["ignore"] => Decision::Ignore,
                ["hold"] => Decision::Hold { until: None },
                ["fault"] => return Some(Verdict::fault("plugin failed")),
                ["fault", default] => {
                    return Some(OnFault::Assign(default.parse().unwrap()).over(Verdict::fault("failed")));
                }
                _ => panic!("no verdict: {line}"),
            };
            Some(Verdict { decision, reason: "why".into(), fault: false })
        };
        let mut planner = Planner::new(&profiles, &rails, now);
        let mut found = String::new();
        for line in devices.split(';').map(str::trim) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let on = words.iter().position(|word| *word == "on").map(|at| id(words[at + 1]).parse().unwrap());
            let candidate = Candidate {
                serial_number: words[0].parse().unwrap(),
                on,
                pause: words.contains(&"waits").then_some(pause),
                in_flight: words.contains(&"in-flight"),
                verdict: verdict(words[0]),
                decided_before: words.contains(&"before"),
            };
            found += &match planner.consider(&candidate) {
                Entry::Action(action) => {
                    let from = action.from.and_then(|from| profiles.defined.get(&from)).map(|(name, _)| name);
                    let from = from.map_or(String::new(), |name| format!(" from {name}"));
                    format!("assign {} to {}{from}\n", action.serial_number, action.profile)
                }
                Entry::Skip(skip) => format!("skip {}: {skip}\n", words[0]),
            };
        }
        match planner.finish() {
            Ok(totals) if totals.defines.is_empty() => {}
            Ok(totals) => found += &format!("define {:?}\n", totals.defines),
            Err(refused) => found += &format!("refused: {refused}\n"),
        }
        expected.assert_eq(&found);
    }

    #[track_caller]
    fn check(devices: &str, verdicts: &str, expected: Expect) {
        check_with(Rails::default(), devices, verdicts, expected);
    }

    #[test]
    fn a_device_without_a_profile_gets_the_wanted_one() {
        check(
            "C02AA",
            "C02AA assign lab",
            expect![[r#"
            assign C02AA to lab
        "#]],
        );
    }

    #[test]
    fn a_device_already_on_the_wanted_profile_is_left_alone() {
        check(
            "C02AA on lab",
            "C02AA assign lab",
            expect![[r#"
            skip C02AA: already right
        "#]],
        );
    }

    #[test]
    fn a_device_on_another_profile_is_moved() {
        check(
            "C02AA on kiosk",
            "C02AA assign lab",
            expect![[r#"
            assign C02AA to lab from kiosk
        "#]],
        );
    }

    #[test]
    fn a_profile_whose_content_changed_moves_the_devices_that_had_it() {
        check(
            "C02AA on lab@old; C02AB on lab",
            "C02AA assign lab; C02AB assign lab",
            expect![[r#"
            assign C02AA to lab from lab
            skip C02AB: already right
        "#]],
        );
    }

    #[test]
    fn a_profile_apple_does_not_know_is_defined_once() {
        check(
            "C02AA; C02AB",
            "C02AA assign new; C02AB assign new",
            expect![[r#"
            assign C02AA to new
            assign C02AB to new
            define {ProfileName("new")}
        "#]],
        );
    }

    #[test]
    fn a_device_whose_plugin_failed_is_held_and_the_rest_go_on() {
        check(
            "C02AA; C02AB",
            "C02AA fault; C02AB assign lab",
            expect![[r#"
                skip C02AA: held because the policy failed
                assign C02AB to lab
            "#]],
        );
    }

    #[test]
    fn a_device_whose_plugin_failed_falls_to_the_default_only_if_it_has_no_profile() {
        check(
            "C02AA; C02AB on lab; C02AC on kiosk",
            "C02AA fault lab; C02AB fault lab; C02AC fault lab",
            expect![[r#"
                assign C02AA to lab
                skip C02AB: held because the policy failed
                skip C02AC: held because the policy failed
            "#]],
        );
    }

    #[test]
    fn held_ignored_and_undecided_devices_are_accounted_for() {
        check(
            "C02AA; C02AB; C02AC",
            "C02AA hold; C02AB ignore",
            expect![[r#"
            skip C02AA: held by the policy
            skip C02AB: ignored by the policy
            skip C02AC: not decided yet
        "#]],
        );
    }

    #[test]
    fn a_device_that_an_earlier_plan_is_about_is_left_to_it() {
        check(
            "C02AA before; C02AB before on lab; C02AC",
            "C02AC assign lab",
            expect![[r#"
                skip C02AA: of an earlier plan
                skip C02AB: of an earlier plan
                assign C02AC to lab
            "#]],
        );
    }

    #[test]
    fn a_device_apple_wants_left_alone_waits() {
        check(
            "C02AA waits; C02AB on lab waits",
            "C02AA assign lab; C02AB assign lab",
            expect![[r#"
                skip C02AA: waiting, after a refusal
                skip C02AB: already right
            "#]],
        );
    }

    #[test]
    fn a_device_in_flight_is_not_sent_again() {
        check(
            "C02AA in-flight",
            "C02AA assign lab",
            expect![[r#"
            skip C02AA: in flight, to be settled first
        "#]],
        );
    }

    #[test]
    fn too_many_reassignments_refuse_the_whole_plan() {
        let rails = Rails { reassignments: 1, ..Rails::default() };
        let verdicts = "C02AA assign lab; C02AB assign lab; C02AC assign lab";
        check_with(
            rails,
            "C02AA on kiosk; C02AB on kiosk; C02AC",
            verdicts,
            expect![[r#"
            assign C02AA to lab from kiosk
            assign C02AB to lab from kiosk
            assign C02AC to lab
            refused: the plan breaks a rail: 2 reassignments, 1 allowed
        "#]],
        );
    }

    #[test]
    fn first_assignments_have_a_rail_of_their_own() {
        let rails = Rails { first_assignments: 1, ..Rails::default() };
        check_with(
            rails,
            "C02AA; C02AB",
            "C02AA assign lab; C02AB assign lab",
            expect![[r#"
            assign C02AA to lab
            assign C02AB to lab
            refused: the plan breaks a rail: 2 first assignments, 1 allowed
        "#]],
        );
    }

    #[test]
    fn a_device_on_a_protected_profile_refuses_the_plan() {
        let rails = Rails { protect_profiles: ["exec".parse().unwrap()].into(), ..Rails::default() };
        check_with(
            rails,
            "C02AA on exec@old",
            "C02AA assign lab",
            expect![[r#"
            assign C02AA to lab from exec
            refused: the plan breaks a rail: 1 on the protected profile `exec`, such as C02AA
        "#]],
        );
    }
}
