//! A plan as a file: what `deputy plan --out` writes and `deputy apply` carries out.
//!
//! The file is a JSON document, described in `host/PLANS.md`. It says what each device was on when the plan
//! was made and which profile it is to get, in what wording, so that whoever applies it later can be told how
//! the world has moved on. Its digest is over all of it: a file that was edited, cut off or mixed up is
//! refused. It is no signature; who may run `deputy apply` may also run `deputy assign`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

use crate::document::Version1;
use crate::id::{Digest, ProfileId, ProfileName, RunId, SerialNumber, TokenName, WorkflowName};
use crate::plan::{Given, Origin, Target, Totals, Wish};
use crate::rails::Breach;

/// The version of this format.
pub const VERSION: u64 = 1;
/// The most bytes of a file that are read.
pub const LARGEST: u64 = 512 << 20;
/// The most actions in one file.
const MOST_ACTIONS: usize = 2_000_000;
/// The longest reason, in bytes: policies say no longer ones.
const LONGEST_REASON: usize = 4_096;

/// All that a run would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanFile {
    /// The version of this format.
    #[schemars(with = "Version1")]
    pub version: u64,
    /// What tells such a file from other JSON.
    pub kind: Kind,
    /// The dry run that made it.
    pub run: RunId,
    /// The workflow of that run.
    pub workflow: WorkflowName,
    /// When that run began.
    pub made_at: Timestamp,
    /// A plan for each token.
    pub plans: Vec<TokenPlan>,
    /// The SHA-256 of this very document in JSON without spaces and line ends, and with `""` in this place.
    pub digest: String,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    /// A plan.
    #[serde(rename = "deputy-plan")]
    Plan,
}

/// What a run would do to the devices of one token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenPlan {
    /// Whose devices.
    pub token: TokenName,
    /// Apple's id of the token's server.
    pub server: String,
    /// When the inventory was complete that the plan was made from.
    pub synced_at: Option<Timestamp>,
    /// The digest of Apple's cursor after that inventory.
    pub cursor: Option<Digest>,
    /// The digest of the plan: which devices go from where to where.
    pub plan: Digest,
    /// Its numbers. They add up to every device.
    pub totals: Totals,
    /// The rails that it breaks.
    pub breaches: Vec<Breach>,
    /// The digests of the profiles that devices get, as they were.
    pub profiles: BTreeMap<ProfileName, Digest>,
    /// What is to be done, in the order of the inventory.
    pub actions: Vec<FileAction>,
}

/// A device that is to get a profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileAction {
    /// Which device.
    pub serial_number: SerialNumber,
    /// Apple's id of the profile it was on; null for a first assignment.
    pub from: Option<ProfileId>,
    /// That profile in our words, where it is ours: for whoever reads the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_name: Option<String>,
    /// The profile it is to get.
    pub to: ProfileName,
    /// Why, in the words of the policy.
    pub reason: String,
}

/// Why a file is no plan that can be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPlan {
    /// Not JSON of this shape.
    #[error("not a plan of Deputy's: {0}")]
    Shape(String),
    /// A newer Deputy wrote it.
    #[error("it is of version {0} of the format, which this Deputy does not know")]
    Newer(u64),
    /// Its digest is that of something else.
    #[error("it was changed since Deputy wrote it: its digest is that of another plan")]
    Changed,
    /// It says something that no plan says.
    #[error("no plan says that: {0}")]
    Odd(String),
}

impl PlanFile {
    /// The document, with its digest, one action a line.
    pub fn write(mut self, mut out: impl Write) -> std::io::Result<()> {
        self.digest = self.digest_of_all();
        // By hand, so that a diff of two files shows devices and not one line.
        let Self { run, workflow, made_at, plans, digest, .. } = &self;
        write!(
            out,
            "{{\n\"version\": 1,\n\"kind\": \"deputy-plan\",\n\"run\": {},\n\"workflow\": {},\n\"made_at\": {},\n\"plans\": [",
            json(run),
            json(workflow),
            json(made_at),
        )?;
        for (index, plan) in plans.iter().enumerate() {
            let TokenPlan { token, server, synced_at, cursor, plan, totals, breaches, profiles, actions } =
                plan;
            write!(
                out,
                "{}\n{{\n\"token\": {},\n\"server\": {},\n\"synced_at\": {},\n\"cursor\": {},\n\"plan\": {},\n\"totals\": {},\n\"breaches\": {},\n\"profiles\": {},\n\"actions\": [",
                if index == 0 { "" } else { "," },
                json(token),
                json(server),
                json(synced_at),
                json(cursor),
                json(plan),
                json(totals),
                json(breaches),
                json(profiles),
            )?;
            for (index, action) in actions.iter().enumerate() {
                write!(out, "{}\n{}", if index == 0 { "" } else { "," }, json(action))?;
            }
            write!(out, "\n]\n}}")?;
        }
        writeln!(out, "\n],\n\"digest\": {}\n}}", json(digest))?;
        out.flush()
    }

    /// The plan in a file, if it is as Deputy wrote it.
    pub fn read(bytes: &[u8]) -> Result<Self, BadPlan> {
        #[derive(Deserialize)]
        struct Head {
            version: u64,
            #[allow(dead_code, reason = "read for its check alone")]
            kind: Kind,
        }
        let shape = |error: serde_json::Error| BadPlan::Shape(error.to_string());
        let head: Head = serde_json::from_slice(bytes).map_err(shape)?;
        if head.version != VERSION {
            return Err(BadPlan::Newer(head.version));
        }
        let file: Self = serde_json::from_slice(bytes).map_err(shape)?;
        if file.digest != file.digest_of_all() {
            return Err(BadPlan::Changed);
        }
        file.check()?;
        Ok(file)
    }

    fn digest_of_all(&self) -> String {
        let mut hash = Hashing(sha2::Sha256::new());
        let blank = self.head();
        // The head, then each plan, so that nothing is copied; together it is the compact document.
        let head = serde_json::to_string(&blank).unwrap_or_default();
        let (before, after) = head.split_once("\"plans\":[]").unwrap_or((&head, ""));
        let _ = write!(hash, "{before}\"plans\":[");
        for (index, plan) in self.plans.iter().enumerate() {
            let _ = hash.write_all(if index == 0 { b"" } else { b"," });
            let _ = serde_json::to_writer(&mut hash, plan);
        }
        let _ = write!(hash, "]{after}");
        hash.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The document without its plans and its digest.
    fn head(&self) -> Self {
        let Self { run, workflow, made_at, .. } = self;
        Self {
            version: VERSION,
            kind: Kind::Plan,
            run: run.clone(),
            workflow: workflow.clone(),
            made_at: *made_at,
            plans: Vec::new(),
            digest: String::new(),
        }
    }

    /// What it wants, token by token, to be held against the world as it is now.
    pub fn given(self) -> BTreeMap<TokenName, Given> {
        let Self { run, workflow, made_at, plans, .. } = self;
        plans.into_iter().map(|plan| (plan.token.clone(), plan.given(&run, &workflow, made_at))).collect()
    }

    /// What a digest cannot tell: whether it makes sense.
    fn check(&self) -> Result<(), BadPlan> {
        let mut tokens = BTreeSet::new();
        if let Some(twice) = self.plans.iter().find(|plan| !tokens.insert(&plan.token)) {
            return Err(BadPlan::Odd(format!("the token `{}` comes twice", twice.token)));
        }
        if self.plans.iter().map(|plan| plan.actions.len()).sum::<usize>() > MOST_ACTIONS {
            return Err(BadPlan::Odd(format!("more than {MOST_ACTIONS} actions")));
        }
        self.plans.iter().try_for_each(TokenPlan::check)
    }
}

impl TokenPlan {
    fn check(&self) -> Result<(), BadPlan> {
        let odd = |what: String| Err(BadPlan::Odd(format!("for the token `{}`, {what}", self.token)));
        let mut seen = BTreeSet::new();
        let (mut first, mut moved) = (0, 0);
        for action in &self.actions {
            if !seen.insert(&action.serial_number) {
                return odd(format!("the device {} comes twice", action.serial_number));
            }
            if !self.profiles.contains_key(&action.to) {
                return odd(format!("the digest of the profile `{}` is missing", action.to));
            }
            if action.reason.len() > LONGEST_REASON || action.reason.contains(controls) {
                return odd(format!("the reason for {} is none of a policy's", action.serial_number));
            }
            *(if action.from.is_none() { &mut first } else { &mut moved }) += 1;
        }
        if (first, moved) != (self.totals.first_assignments, self.totals.reassignments) {
            return odd("the numbers do not add up".to_owned());
        }
        Ok(())
    }

    fn given(self, run: &RunId, workflow: &WorkflowName, made_at: Timestamp) -> Given {
        let wish = |action: FileAction| Wish {
            serial_number: action.serial_number,
            from: action.from,
            to: Target::Ours(action.to),
            reason: action.reason.into(),
        };
        Given {
            origin: Origin::File { run: run.clone(), workflow: workflow.clone() },
            server: Some(self.server),
            // What the inventory of then did not have, came since.
            made_at: Some(self.synced_at.unwrap_or(made_at)),
            contents: self.profiles,
            wishes: self.actions.into_iter().map(wish).collect(),
        }
    }
}

/// No policy's reason holds what controls or reorders a terminal.
fn controls(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Writes into a digest.
struct Hashing(sha2::Sha256);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn file() -> PlanFile {
        let profile: ProfileName = "lab".parse().unwrap();
        let id: ProfileId = "ab".repeat(16).parse().unwrap();
        let action = |serial: &str, from: Option<&ProfileId>| FileAction {
            serial_number: serial.parse().unwrap(),
            from: from.cloned(),
            from_name: from.map(|_| "an older lab".to_owned()),
            to: profile.clone(),
            reason: "an iPad of the \"library\"".into(),
        };
        PlanFile {
            version: VERSION,
            kind: Kind::Plan,
            run: "20260109-091320-k3f9wq".parse().unwrap(),
            workflow: "auto-assign".parse().unwrap(),
            made_at: "2026-01-09T09:13:20.5Z".parse().unwrap(),
            plans: vec![TokenPlan {
                token: "emea".parse().unwrap(),
                server: "SERVER".to_owned(),
                synced_at: Some("2026-01-09T09:13:20Z".parse().unwrap()),
                cursor: Some(Digest::of(b"cursor")),
                plan: Digest::of(b"plan"),
                totals: Totals { devices: 2, first_assignments: 1, reassignments: 1, ..Totals::default() },
                breaches: Vec::new(),
                profiles: [(profile.clone(), Digest::of(b"lab"))].into(),
                actions: vec![action("C02AA", None), action("C02AB", Some(&id))],
            }],
            digest: String::new(),
        }
    }

    fn written(file: PlanFile) -> String {
        let mut text = Vec::new();
        file.write(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_file_comes_back_as_it_was_written() {
        let text = written(file());
        expect![[r#"
            {
            "version": 1,
            "kind": "deputy-plan",
            "run": "20260109-091320-k3f9wq",
            "workflow": "auto-assign",
            "made_at": "2026-01-09T09:13:20.5Z",
            "plans": [
            {
            "token": "emea",
            "server": "SERVER",
            "synced_at": "2026-01-09T09:13:20Z",
            "cursor": "46a4eebd20d881ecfc0ecb54f6d8346524fadb143726d256b1a045303fc67717",
            "plan": "64879f7d6b960a01909762d911a32d4582c20010c5641ee90278b644a9e3b525",
            "totals": {"devices":2,"first_assignments":1,"reassignments":1,"skips":{},"by_profile":{},"defines":[]},
            "breaches": [],
            "profiles": {"lab":"a51146d38077ff992eba84cf1d5e9b249073503eb74868699016153b031a38f7"},
            "actions": [
            {"serial_number":"C02AA","from":null,"to":"lab","reason":"an iPad of the \"library\""},
            {"serial_number":"C02AB","from":"ABABABABABABABABABABABABABABABAB","from_name":"an older lab","to":"lab","reason":"an iPad of the \"library\""}
            ]
            }
            ],
            "digest": "ed9159ee48e8fd384224cb891a1251c57496b1c46f3af2d5c2a5c56c1efc5cd6"
            }
        "#]].assert_eq(&text);
        let mut read = PlanFile::read(text.as_bytes()).unwrap();
        // As others would work it out, who have the description of the format only.
        let digest = std::mem::take(&mut read.digest);
        assert_eq!(Digest::of(serde_json::to_string(&read).unwrap().as_bytes()).as_str(), digest);
        assert_eq!(read, file());
        // Another layout is the same document.
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(PlanFile::read(value.to_string().as_bytes()).is_ok());
    }

    #[test]
    fn every_edit_of_a_value_is_noticed() {
        let text = written(file());
        for (from, to) in [
            ("C02AA", "C02AX"),
            ("\"emea\"", "\"amer\""),
            ("auto-assign", "auto-reassign"),
            ("\"reassignments\":1", "\"reassignments\":0"),
            ("library", "librarx"),
            ("an older lab", "lab"),
            ("09:13:20.5Z", "09:13:21.5Z"),
            ("SERVER", "OTHER"),
        ] {
            assert!(text.contains(from), "{from}");
            let edited = text.replacen(from, to, 1);
            assert_eq!(PlanFile::read(edited.as_bytes()), Err(BadPlan::Changed), "{from} -> {to}");
        }
    }

    /// What is said of the file after an edit that a person made who can work out digests.
    #[track_caller]
    fn check(edit: impl FnOnce(&mut PlanFile), expected: Expect) {
        let mut file = file();
        edit(&mut file);
        expected.assert_eq(&PlanFile::read(written(file).as_bytes()).unwrap_err().to_string());
    }

    #[test]
    fn what_makes_no_sense_is_refused_though_its_digest_is_right() {
        check(
            |file| file.plans[0].actions[1] = file.plans[0].actions[0].clone(),
            expect!["no plan says that: for the token `emea`, the device C02AA comes twice"],
        );
        check(
            |file| file.plans.push(file.plans[0].clone()),
            expect!["no plan says that: the token `emea` comes twice"],
        );
        check(
            |file| file.plans[0].profiles.clear(),
            expect!["no plan says that: for the token `emea`, the digest of the profile `lab` is missing"],
        );
        check(
            |file| file.plans[0].totals.first_assignments = 5,
            expect!["no plan says that: for the token `emea`, the numbers do not add up"],
        );
        check(
            |file| file.plans[0].actions[0].reason = "\u{1b}[2J".into(),
            expect!["no plan says that: for the token `emea`, the reason for C02AA is none of a policy's"],
        );
        check(
            |file| file.plans[0].actions[0].reason = "x".repeat(5_000),
            expect!["no plan says that: for the token `emea`, the reason for C02AA is none of a policy's"],
        );
    }

    #[track_caller]
    fn check_text(text: &str, expected: Expect) {
        expected.assert_eq(&PlanFile::read(text.as_bytes()).unwrap_err().to_string());
    }

    #[test]
    fn what_is_no_plan_says_so() {
        check_text("", expect!["not a plan of Deputy's: EOF while parsing a value at line 1 column 0"]);
        check_text(
            "[]",
            expect![
                "not a plan of Deputy's: invalid length 0, expected struct Head with 2 elements at line 1 column 2"
            ],
        );
        check_text(
            "{\"version\": 1}",
            expect!["not a plan of Deputy's: missing field `kind` at line 1 column 14"],
        );
        check_text(
            "{\"version\": 2, \"kind\": \"deputy-plan\", \"news\": 1}",
            expect!["it is of version 2 of the format, which this Deputy does not know"],
        );
        check_text(
            "{\"version\": 1, \"run\": {}, \"kind\": \"run\"}",
            expect![
                "not a plan of Deputy's: unknown variant `run`, expected `deputy-plan` at line 1 column 39"
            ],
        );
        check_text(
            &written(file()).replacen("\"run\"", "\"more\": 1, \"run\"", 1),
            expect![
                "not a plan of Deputy's: unknown field `more`, expected one of `version`, `kind`, `run`, `workflow`, `made_at`, `plans`, `digest` at line 4 column 6"
            ],
        );
        check_text(
            &written(file()).replace("C02AA", "C02 AA"),
            expect![
                "not a plan of Deputy's: `C02 AA` is not a serial number: letters and digits, at most 64 at line 18 column 25"
            ],
        );
        check_text(
            &"[".repeat(100_000),
            expect!["not a plan of Deputy's: invalid type: sequence, expected u64 at line 1 column 1"],
        );
        let half = written(file());
        check_text(
            &half[..half.len() / 2],
            expect!["not a plan of Deputy's: EOF while parsing a string at line 14 column 81"],
        );
    }
}
