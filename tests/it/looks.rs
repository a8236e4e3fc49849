//! After one look at every device, runs look at those that changed. It comes to the same as looking at all of
//! them, whatever happens: shown by two worlds to which the same happens, of which one always looks at all.

use serde_json::{Value, json};
use sim::{AssignStatus, Endpoint, Fault};

use crate::env::TestEnv;

/// Numbers by chance, always the same.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Two worlds in which the same happens.
struct Worlds {
    chance: Chance,
    /// Looks at what changed.
    quick: TestEnv,
    /// Has never looked before, in every run.
    thorough: TestEnv,
    /// The devices there are.
    serials: Vec<String>,
    added: usize,
}

impl Worlds {
    fn new(seed: u64) -> Self {
        let (quick, thorough) = (TestEnv::new(), TestEnv::new());
        let mut worlds = Self { chance: Chance(seed), quick, thorough, serials: Vec::new(), added: 0 };
        for _ in 0..12 {
            worlds.add();
        }
        worlds
    }

    fn both(&self, happens: impl Fn(&TestEnv)) {
        happens(&self.quick);
        happens(&self.thorough);
    }

    fn add(&mut self) {
        let family = ["LIB", "MAC", "EXEC"][self.chance.below(3) as usize];
        let serial = format!("{family}{}", self.added);
        self.added += 1;
        self.both(|env| env.add("main", &[&serial]));
        self.serials.push(serial);
    }

    /// One of the devices there are.
    fn one(&mut self) -> Option<String> {
        let number = self.chance.below(self.serials.len().max(1) as u64) as usize;
        self.serials.get(number).cloned()
    }

    /// Something that happens between two runs.
    fn happen(&mut self) {
        let what = self.chance.below(12);
        if what <= 2 {
            return self.add();
        }
        let Some(serial) = self.one() else { return };
        let change =
            |fields: Value| self.both(|env| env.apple().change_device("main", &serial, &fields).unwrap());
        match what {
            3 => change(json!({ "asset_tag": "EXEC-9" })),
            4 => change(json!({ "asset_tag": null, "color": "RED" })),
            // Somebody else takes its profile away.
            5 => change(json!({ "profile_status": "removed" })),
            6 => {
                let recorded = self.chance.below(2) == 0;
                self.both(|env| env.apple().remove_device("main", &serial, recorded).unwrap());
                self.serials.retain(|it| *it != serial);
            }
            7 | 8 => {
                let status = if what == 7 { AssignStatus::Throttled } else { AssignStatus::Failed };
                self.both(|env| {
                    env.apple().answer_assignments("main", &[&serial], status, 1, 60).unwrap();
                    env.apple()
                        .change_device("main", &serial, &json!({ "profile_status": "removed" }))
                        .unwrap();
                });
            }
            9 => self.both(|env| env.apple().fault(Fault::status(500, "").on(Endpoint::Assign).times(2))),
            // The same component and settings under another name.
            10 => self.both(|env| {
                for file in ["deputy.toml", "workflows/auto-assign.toml"] {
                    let text = env.read(file);
                    let (from, to) = if text.contains("other-rules") {
                        ("other-rules", "rules")
                    } else {
                        ("rules", "other-rules")
                    };
                    let text = text.replace(&format!("[plugins.{from}"), &format!("[plugins.{to}"));
                    env.write(
                        file,
                        text.replace(&format!("policy = \"{from}\""), &format!("policy = \"{to}\"")),
                    );
                }
            }),
            _ => {
                let (department, number) = ("department = \"IT", self.added);
                self.both(|env| {
                    let file = std::fs::read_to_string(env.file("profiles/standard.toml")).unwrap();
                    env.write(
                        "profiles/standard.toml",
                        file.replace(department, &format!("{department} {number}")),
                    );
                });
            }
        }
    }

    /// A run in both worlds, or only a plan; what it came to in each.
    fn run(&mut self) {
        let arguments: &[&str] = match self.chance.below(5) {
            0 => &["plan", "auto-assign"],
            1 => &["run", "auto-assign", "--reassignments", "0"],
            2 => &["sync", "--full"],
            _ => &["run", "auto-assign", "--reassignments", "1000"],
        };
        self.thorough.store().execute("DELETE FROM look", []).unwrap();
        let [quick, thorough] = [&self.quick, &self.thorough].map(|env| {
            env.run(arguments);
            seen(env)
        });
        assert_eq!(quick, thorough, "after {arguments:?}");
    }
}

/// All that a run leaves behind, apart from names and times.
fn seen(env: &TestEnv) -> String {
    let rows = |what: &str, sql: &str| {
        let store = env.store();
        let mut select = store.prepare(sql).unwrap();
        let rows = select.query_map([], |row| row.get::<_, String>(0)).unwrap();
        format!("{what}\n  {}\n", rows.collect::<Result<Vec<_>, _>>().unwrap().join("\n  "))
    };
    // Names of runs, digests and times are apart, and what asking took is what is to be different.
    let outcomes = "SELECT concat_ws(' ', s.uses, t.fullkey, t.atom) FROM step s, json_tree(s.outcome) t
        WHERE run = (SELECT id FROM run ORDER BY started_at DESC, rowid DESC LIMIT 1)
            AND t.type IN ('integer', 'true', 'false') AND t.fullkey NOT LIKE '%.usage.%'
        ORDER BY s.number, t.fullkey";
    let verdicts = "SELECT concat_ws(' ', serial_number, gone, decision, v.profile, reason, policy,
            coalesce((SELECT name FROM profile WHERE uuid = coalesce(ours_profile, profile_uuid)), '-'), profile_status)
        FROM device d LEFT JOIN verdict v ON v.device = d.id ORDER BY serial_number";
    let actions = "SELECT concat_ws(' ', serial_number, a.profile, state) FROM action a
        JOIN device d ON d.id = a.device ORDER BY a.id";
    // How many stand so, as it is kept, and as it is.
    let miscounted = "SELECT concat_ws(' ', g.id, devices, count(n.device)) FROM standing g
        LEFT JOIN device_state n ON n.standing = g.id GROUP BY g.id HAVING devices <> count(n.device)";
    [
        rows("outcomes", outcomes),
        rows("devices", verdicts),
        rows("actions", actions),
        rows("miscounted", miscounted),
        env.at_apple("main"),
    ]
    .concat()
}

/// Of how many devices the plugin was asked so far.
fn asked(env: &TestEnv) -> u64 {
    env.store().query_row("SELECT sum(devices) FROM plugin_use", [], |row| row.get(0)).unwrap()
}

#[test]
fn looking_at_what_changed_comes_to_the_same_as_looking_at_everything() {
    for seed in [3, 1_000_003] {
        let mut worlds = Worlds::new(seed);
        for _ in 0..30 {
            for _ in 0..worlds.chance.below(4) {
                worlds.happen();
            }
            worlds.run();
        }
        let (quick, thorough) = (asked(&worlds.quick), asked(&worlds.thorough));
        assert!(quick * 2 < thorough, "asked about {quick} devices, where {thorough} would have been");
    }
}

#[test]
fn a_list_that_is_read_otherwise_or_is_about_others_is_held_against_every_device() {
    let env = TestEnv::new();
    env.add("main", &["MAC1"]);
    env.write("expected.csv", "serial_number,profile,note\nMAC1,standard,café\n");
    env.append("deputy.toml", "\n[tokens.lab]\n\n[expected.spring]\ncsv = \"expected.csv\"\n");
    env.edit("workflows/auto-assign.toml", "policy = \"rules\"", "policy = \"expected.spring\"");
    let said = || {
        env.run(&["run", "auto-assign", "--token", "main"]).is_done();
        let reason = env.store().query_row("SELECT reason FROM verdict", [], |row| row.get::<_, String>(0));
        reason.unwrap()
    };
    assert_eq!(said(), "expected by `expected.spring`: café");
    env.append("deputy.toml", "encoding = \"windows-1252\"\n");
    assert_eq!(said(), "expected by `expected.spring`: cafÃ©");
    env.append("deputy.toml", "token = \"lab\"\n");
    assert_eq!(said(), "expected elsewhere, if at all");
}
