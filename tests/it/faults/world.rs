//! A configuration with a token for each call of a run, used again for every fault.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use sim::{Endpoint, Fault, ServerChange, TokenOptions};

use super::table::{IN_FLIGHT, LOST, PLACES};
use crate::env::{Ran, TestEnv};

/// What the rules say of the devices, by the beginning of their serial numbers.
const FLEET: [(&str, &str); 5] = [
    ("EXEC1", "Executive Mac"),
    ("LIB1", "Lab iPad"),
    ("LIB2", "Lab iPad"),
    ("MAC1", "Standard"),
    ("MAC2", "Standard"),
];

const STORE: &str = "state/deputy.db";
const PREPARED: &str = "prepared.db";

pub(crate) struct World {
    env: TestEnv,
    secrets: Vec<String>,
    round: Cell<u32>,
}

impl World {
    /// Tokens exchanged, nothing fetched; one of them with an assignment in flight.
    pub(crate) fn new() -> Self {
        let names = PLACES.map(|place| place.name);
        let env = TestEnv::before_the_exchange(&names);
        let mut secrets = vec![env.read("state/deputy.key").trim().to_owned()];
        for name in names {
            let change = ServerChange { page_limit: Some(2), ..ServerChange::default() };
            env.apple().change_server(name, change).expect("the server is there");
            let token = env.exchange(name, &TokenOptions::default()).credentials;
            secrets.extend([token.consumer_secret, token.access_token, token.access_secret]);
        }
        env.edit("workflows/auto-assign.toml", "attempts = 5", "attempts = 2");
        env.edit("workflows/auto-assign.toml", "uses = \"apply\"", "uses = \"apply\"\nread_back = true");
        env.append("deputy.toml", "\n[apple]\nread_timeout = \"2s\"\n");
        let world = Self { env, secrets, round: Cell::new(0) };
        world.add_devices(IN_FLIGHT);
        world.env.apple().fault(Fault::hang_up_after().on(Endpoint::Assign));
        world.env.apple().fault(Fault::status(503, "").on(Endpoint::Details).always());
        world.env.run(&["run", "auto-assign", "--token", IN_FLIGHT]).ends_with(5);
        world.env.apple().clear_faults();
        fs::copy(world.env.file(STORE), world.env.file(PREPARED)).expect("the store can be copied");
        world.env.run(&["run", "auto-assign", "--token", IN_FLIGHT]).is_done();
        world
    }

    /// Lets the fault befall each call in a run, then lets another run heal it. Returns how the run
    /// ended for the tokens, the most frequent ending first.
    pub(crate) fn play(&self, name: &str, fault: &Fault) -> String {
        self.begin_anew();
        let apple = self.env.apple();
        apple.fault(Fault::hang_up_after().on(Endpoint::Assign).of_server(LOST));
        for place in &PLACES {
            apple.fault(fault.clone().on(place.endpoint).of_server(place.name).after(place.after));
        }
        let ran = self.run();
        let endings = endings(&ran);
        apple.clear_faults();
        // Devices that Apple would not assign are left alone for an hour or a day: it has passed.
        let passed = self.env.store().execute("UPDATE pause SET wait_until = 1 WHERE wait_until > 1", []);
        passed.expect("the store can be written");

        let healed = self.run();
        healed.ends_with(0);
        let bad: Vec<_> =
            self::endings(&healed).into_iter().filter(|(_, ending)| ending != "succeeded").collect();
        assert!(bad.is_empty(), "{name}: not healed: {bad:?}\n{}", healed.text());
        let mut missed = String::new();
        for place in &PLACES {
            let wrong = self.wrong(place.name);
            if wrong > 0 {
                missed += &format!("; {}: {wrong} of 5 devices had to wait for a full fetch", place.name);
            }
        }
        if !missed.is_empty() {
            self.env.run(&["sync", "--full"]).is_done();
            self.run().ends_with(0);
            let wrong: usize = PLACES.iter().map(|place| self.wrong(place.name)).sum();
            assert_eq!(wrong, 0, "{name}: a full fetch did not heal it");
        }
        assert_eq!(self.env.open_runs(), Vec::<Value>::new(), "{name}");
        let check = self.env.store().query_row("PRAGMA quick_check", [], |row| row.get(0));
        assert_eq!(check, Ok("ok".to_owned()), "{name}");
        told(&endings) + &missed + &self.assigned_again()
    }

    /// The store as it was prepared, and new devices at Apple.
    fn begin_anew(&self) {
        for beside in ["-wal", "-shm"] {
            let _ = fs::remove_file(self.env.file(&format!("{STORE}{beside}")));
        }
        fs::copy(self.env.file(PREPARED), self.env.file(STORE)).expect("the store can be copied");
        self.round.set(self.round.get() + 1);
        let apple = self.env.apple();
        apple.clear_calls();
        for place in PLACES.iter().filter(|place| place.name != IN_FLIGHT) {
            for device in apple.devices(place.name).expect("the server is there") {
                apple.remove_device(place.name, &device.serial_number, false).expect("it is there");
            }
            self.add_devices(place.name);
        }
    }

    fn add_devices(&self, server: &str) {
        let serials = FLEET.map(|(serial, _)| format!("{serial}R{}", self.round.get()));
        self.env.add(server, &serials.each_ref().map(String::as_str));
    }

    /// A run, in all detail. It ends as the worst of its tokens does, breaks nothing, tells no secret.
    fn run(&self) -> Ran<'_> {
        let ran = self.env.run(&["-vv", "run", "auto-assign", "--json"]);
        let raw = ran.raw();
        assert!(!raw.contains("panicked"), "{raw}");
        for secret in &self.secrets {
            assert!(!raw.contains(secret), "{secret} was said:\n{raw}");
        }
        let endings = endings(&ran);
        let worst = endings.values().map(|ending| exit_code(ending)).max_by_key(|(rank, _)| *rank);
        ran.ends_with(worst.expect("there are tokens").1);
        ran
    }

    /// How many devices of a server do not have the profile that their rule says.
    fn wrong(&self, server: &str) -> usize {
        let at_apple = self.env.at_apple(server);
        let is_right = |line: &&str| {
            FLEET.iter().any(|(serial, profile)| line.starts_with(serial) && line.ends_with(profile))
        };
        FLEET.len() - at_apple.lines().filter(is_right).count()
    }

    /// Where devices were assigned more than once. The one that was in flight is not assigned again; to
    /// the store of before, the other four of its server are on profiles that it never defined.
    fn assigned_again(&self) -> String {
        let calls = self.env.calls(Endpoint::Assign);
        let mut notes = String::new();
        for place in &PLACES {
            let due = if place.name == IN_FLIGHT { FLEET.len() - 1 } else { FLEET.len() };
            let done = calls.iter().filter(|call| call.done && call.server.as_deref() == Some(place.name));
            let done: usize = done.map(|call| call.devices_in).sum();
            if done != due {
                notes += &format!("; {}: {done} assignments for {due} devices", place.name);
            }
        }
        notes
    }
}

/// How a run ended for each token: the word of its worst step.
fn endings(ran: &Ran<'_>) -> BTreeMap<String, String> {
    let run: Value =
        serde_json::from_slice(&ran.output.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.text()));
    let mut endings = BTreeMap::new();
    for step in run["run"]["steps"].as_array().expect("a run has steps") {
        let token = step["token"].as_str().expect("every step is a token's").to_owned();
        let outcome = &step["outcome"];
        let left_out = || outcome["failed"] != 0 || outcome["refused_profiles"] != serde_json::json!({});
        let ending = match outcome["outcome"].as_str().expect("it has ended") {
            "failed" => outcome["state"].as_str().expect("a state"),
            "applied" if left_out() => "failed",
            _ => "succeeded",
        };
        let so_far = endings.entry(token).or_insert_with(|| ending.to_owned());
        if exit_code(ending).0 > exit_code(so_far).0 {
            *so_far = ending.to_owned();
        }
    }
    endings
}

/// How bad a state is, and the exit code that tells it.
fn exit_code(state: &str) -> (u32, i32) {
    match state {
        "succeeded" => (0, 0),
        "unavailable" => (1, 5),
        "failed" => (2, 1),
        "needs-person" => (3, 4),
        other => panic!("no run of this kind ends {other}"),
    }
}

/// The most frequent ending, then where it was another.
fn told(endings: &BTreeMap<String, String>) -> String {
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for place in &PLACES {
        places.entry(endings[place.name].as_str()).or_default().push(place.name);
    }
    let mut places: Vec<_> = places.into_iter().collect();
    places.sort_by_key(|(ending, at)| (std::cmp::Reverse(at.len()), exit_code(ending)));
    let (most, _) = places.remove(0);
    let others = places.into_iter().map(|(ending, at)| format!("; {ending}: {}", at.join(" ")));
    most.to_owned() + &others.collect::<String>()
}
