//! Many workflows over many tokens, all due at the same minute: a bounded number is worked on at once, no
//! token is served twice at once, and it takes no more memory than a tenth of it.
//!
//! `DEPUTY_WORKFLOWS` says how many there are; for every ten there are three tokens. In earnest:
//!
//! ```text
//! DEPUTY_WORKFLOWS=500 cargo test --workspace --test it -- many --nocapture
//! ```

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::env::TestEnv;

/// Enough for every token to be wanted by several, and for more lanes than there are places.
const FEW: usize = 60;
/// How long Apple takes for each answer.
const LATENCY: u64 = 25;
/// Tokens served side by side, by all runs together.
const LANES: usize = 8;
/// What ten times as much may cost, in KiB: connections, clients and rows of what is due, not work.
const MORE_MEMORY: u64 = 24 * 1024;

#[test]
fn many_workflows_due_at_once_are_worked_off_in_bounds_and_no_token_is_served_twice_at_once() {
    let all = std::env::var("DEPUTY_WORKFLOWS").map_or(FEW, |number| number.parse().expect("a number"));
    let few = Crowd::new(all / 10).work_off();
    let many = Crowd::new(all).work_off();
    println!("{} workflows: {few:?}; {all} workflows: {many:?}", all / 10);
    assert!(many.lanes <= LANES, "{} calls at once", many.lanes);
    assert!(all < FEW || many.lanes > 1, "nothing was done side by side");
    if let (Some(few), Some(many)) = (few.memory, many.memory) {
        assert!(many < few + MORE_MEMORY, "{few} KiB grew to {many} KiB");
    }
}

struct Crowd {
    env: TestEnv,
    workflows: usize,
    tokens: Vec<String>,
}

/// What was seen of a crowd.
#[derive(Debug)]
struct Seen {
    /// The most calls to Apple at once.
    lanes: usize,
    /// The most memory the daemon has had, in KiB, where the system tells.
    memory: Option<u64>,
}

impl Crowd {
    fn new(workflows: usize) -> Self {
        let tokens: Vec<String> =
            (0..(workflows * 3 / 10).max(1)).map(|nth| format!("customer-{nth:03}")).collect();
        let env = TestEnv::with_tokens(&tokens);
        for name in ["auto-assign", "sync", "token-reminders"] {
            std::fs::remove_file(env.file(&format!("workflows/{name}.toml"))).unwrap();
        }
        for nth in 0..workflows {
            // Each token in several workflows, in another company each time.
            let (one, other) = (&tokens[nth % tokens.len()], &tokens[nth * 7 / 3 % tokens.len()]);
            let names = if one == other { format!("\"{one}\"") } else { format!("\"{one}\", \"{other}\"") };
            env.write(
                &format!("workflows/crowd-{nth:03}.toml"),
                format!(
                    "version = 1\nname = \"crowd-{nth:03}\"\ntokens = [{names}]\n\
                     [schedule]\ncron = \"0 0 1 1 *\"\ntimezone = \"UTC\"\n\
                     [[steps]]\nuses = \"sync\"\n[[steps]]\nuses = \"decide\"\npolicy = \"rules\"\n\
                     [[steps]]\nuses = \"plan\"\n[[steps]]\nuses = \"apply\"\n"
                ),
            );
        }
        for token in &tokens {
            env.apple().generate_devices(token, 20, 1).unwrap();
        }
        Self { env, workflows, tokens }
    }

    fn work_off(self) -> Seen {
        let env = &self.env;
        // Seen once, so that the new year is missed by all of them at the same minute.
        let daemon = env.start(&["serve"], "first.log");
        env.until("the daemon serves", || env.read("first.log").contains("serving"));
        env.until("all workflows are known", || self.count("schedule") == self.workflows);
        assert_eq!(env.end(daemon, "-TERM"), Some(0), "{}", env.read("first.log"));
        env.store().execute("UPDATE schedule SET upto = upto - 366 * 86400000", []).unwrap();
        env.apple().set_latency_ms(LATENCY);
        env.apple().clear_calls();

        let daemon = env.start(&["serve"], "serve.log");
        for tenth in 1..=10 {
            env.until("a tenth more of the workflows has run", || {
                self.count("run WHERE state = 'succeeded'") * 10 >= self.workflows * tenth
            });
        }
        let memory = env.memory(daemon);
        assert_eq!(env.end(daemon, "-TERM"), Some(0), "{}", env.read("serve.log"));
        assert_eq!(self.count("run"), self.workflows, "some have run twice");
        for token in &self.tokens {
            assert_eq!(env.with_profile(token), 20, "{token}");
        }
        assert_eq!(env.apple().most_assignments_of_one_device(), 1);
        self.no_token_twice_at_once();
        Seen { lanes: self.most_at_once(), memory }
    }

    /// By Apple's log: a call begins when the one before it was answered, or later. By the record of runs:
    /// the steps of one run over a token come before all those of the next.
    fn no_token_twice_at_once(&self) {
        let mut last: BTreeMap<String, Timestamp> = BTreeMap::new();
        for call in self.env.apple().calls() {
            let Some(token) = call.server else { continue };
            if let Some(before) = last.insert(token.clone(), call.time) {
                let apart = call.time.duration_since(before).as_millis();
                assert!(apart >= i128::from(LATENCY), "{token} is called again after {apart} ms");
            }
        }
        let store = self.env.store();
        let mut statement = store
            .prepare(
                "SELECT token, run, min(started_at) AS began, max(ended_at) FROM step GROUP BY token, run
                 ORDER BY token, began",
            )
            .unwrap();
        let mut rows = statement.query([]).unwrap();
        let mut before: Option<(String, i64)> = None;
        while let Some(row) = rows.next().unwrap() {
            let (token, run): (String, String) = (row.get(0).unwrap(), row.get(1).unwrap());
            let (began, ended): (i64, i64) = (row.get(2).unwrap(), row.get(3).unwrap());
            if let Some((_, until)) = before.filter(|(of, _)| *of == token) {
                assert!(began >= until, "{run} began on {token} before the run before it was done");
            }
            before = Some((token, ended));
        }
    }

    /// The most calls that were waiting for their answer at the same moment.
    fn most_at_once(&self) -> usize {
        let begun: Vec<Timestamp> = self.env.apple().calls().into_iter().map(|call| call.time).collect();
        let during = |at: &Timestamp| {
            begun
                .iter()
                .filter(|it| *it <= at && at.duration_since(**it).as_millis() < i128::from(LATENCY))
                .count()
        };
        begun.iter().map(during).max().unwrap_or(0)
    }

    fn count(&self, what: &str) -> usize {
        let sql = format!("SELECT count(*) FROM {what}");
        // The daemon may be about to make its tables.
        self.env.store().query_row(&sql, [], |row| row.get(0)).unwrap_or(0)
    }
}
