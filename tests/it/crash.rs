//! A process that is killed at any moment: the next run finishes its work, and assigns no device twice.
//!
//! The moments are spread over a whole run. `DEPUTY_KILLS` says how many there are and
//! `DEPUTY_KILLS_SEED` where they fall; a failure names the seed that repeats it. In earnest, for a
//! few minutes:
//!
//! ```text
//! DEPUTY_KILLS=300 cargo test --workspace --test it -- crash --nocapture
//! ```

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::SignedDuration;
use rusqlite::{Connection, OptionalExtension as _};
use serde_json::json;
use sim::{DeviceInfo, Fault, ProfileStatus, ServerChange};

use crate::env::TestEnv;

const DEVICES: usize = 5_000;
const STORE: &str = "state/deputy.db";
/// Enough to see both kinds of run die in a few places at every test.
const FEW: usize = 8;
/// A line is printed after so many moments.
const NEWS: usize = 25;

#[test]
fn a_first_run_killed_at_any_moment_is_finished_by_the_next_and_each_device_is_assigned_once() {
    let mut story = Story::new("first runs", 1_000);
    let imported = fs::read(story.env.file(STORE)).unwrap();
    // The policy is compiled once, and not in every moment.
    story.env.run(&["plan"]).is_done();
    let begin_again = |story: &mut Story| {
        let env = &story.env;
        for device in env.apple().devices("main").unwrap() {
            env.apple().remove_device("main", &device.serial_number, false).unwrap();
        }
        env.apple().generate_devices("main", DEVICES, story.dice.next()).unwrap();
        for beside in ["state/deputy.db-wal", "state/deputy.db-shm"] {
            let _ = fs::remove_file(env.file(beside));
        }
        env.write(STORE, &imported);
    };
    begin_again(&mut story);
    let usual = story.undisturbed();
    for nth in 0..story.kills {
        begin_again(&mut story);
        story.kill_and_heal(nth, &usual);
        assert_eq!(story.env.apple().most_assignments_of_one_device(), 1);
    }
    story.tell_the_end();
}

#[test]
fn a_run_over_changes_killed_at_any_moment_is_finished_by_the_next_and_each_device_is_assigned_once() {
    let mut story = Story::new("runs over changes", 100);
    story.env.apple().generate_devices("main", DEVICES, 1).unwrap();
    story.env.run(&["run", "auto-assign"]).is_done();
    // The second of two: the first also hears of every assignment of the run before it.
    let [_, usual] = [(); 2].map(|()| {
        story.let_the_world_go_on();
        story.undisturbed()
    });
    for nth in 0..story.kills {
        story.let_the_world_go_on();
        story.kill_and_heal(nth, &usual);
    }
    story.tell_the_end();
}

/// One world, in which runs are killed.
struct Story {
    env: TestEnv,
    title: &'static str,
    kills: usize,
    seed: u64,
    dice: Dice,
    /// In which step runs were killed, and how often.
    fell: BTreeMap<String, usize>,
    began: Instant,
}

/// A run that nobody disturbs.
struct Usual {
    time: Duration,
    calls: u64,
}

/// When a run is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// When it has worked for so long.
    After(Duration),
    /// When it waits for the answer to the call after so many, which Apple has not carried out.
    Unheard(u32),
    /// When it waits for the answer to the call after so many, which Apple has carried out.
    Unanswered(u32),
}

/// What a killed run left in the store.
struct Left {
    /// The run, if it came to be one.
    run: Option<(String, String)>,
    /// In words, where it was.
    at: String,
}

impl Story {
    /// With pages of so many devices: what is small has more moments between two of them.
    fn new(title: &'static str, page_limit: usize) -> Self {
        let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let kills = number("DEPUTY_KILLS").map_or(FEW, |kills| kills as usize).div_ceil(2);
        let seed = number("DEPUTY_KILLS_SEED").unwrap_or_else(now);
        println!("{title}: {kills} kills, DEPUTY_KILLS_SEED={seed}");
        let env = TestEnv::new();
        let pages = ServerChange { page_limit: Some(page_limit), ..ServerChange::default() };
        env.apple().change_server("main", pages).unwrap();
        // Rails are not the subject.
        env.edit("workflows/auto-assign.toml", "reassignments = 25", "reassignments = 5000");
        let (fell, began) = (BTreeMap::new(), Instant::now());
        Self { env, title, kills, seed, dice: Dice(seed), fell, began }
    }

    /// How long a run takes, and how many calls.
    fn undisturbed(&self) -> Usual {
        self.env.apple().clear_calls();
        let began = Instant::now();
        self.env.run(&["run", "auto-assign"]).is_done();
        Usual { time: began.elapsed(), calls: self.env.apple().counters().calls }
    }

    /// What happens in a month: devices are relabelled, come, go, and are taken off their profile.
    fn let_the_world_go_on(&mut self) {
        // Apple dates changes to the second; ours of a moment ago are to be older than these.
        self.env.apple().advance_clock(SignedDuration::from_secs(2));
        let apple = self.env.apple();
        let mut devices = apple.devices("main").unwrap();
        for nth in 0..340 {
            let device = devices.swap_remove(self.dice.below(devices.len()));
            let serial = &device.serial_number;
            match nth {
                0..20 => apple.remove_device("main", serial, nth % 2 == 0).unwrap(),
                20..40 => {
                    let removed = json!({ "profile_status": "removed" });
                    apple.change_device("main", serial, &removed).unwrap();
                }
                _ => {
                    let tag = ["EXEC-9", "LIB-9", "POOL-9"][self.dice.below(3)];
                    apple.change_device("main", serial, &json!({ "asset_tag": tag })).unwrap();
                }
            }
        }
        apple.generate_devices("main", 20, 1).unwrap();
    }

    /// Kills a run at its moment, lets the next one go through, and looks at what came of both.
    fn kill_and_heal(&mut self, nth: usize, usual: &Usual) {
        let moment = self.moment(nth, usual);
        let told =
            Told { what: format!("{} {nth}, DEPUTY_KILLS_SEED={}, {moment:?}", self.title, self.seed) };
        let env = &self.env;
        let needed = needing(env).len() as u64;
        let (sent_before, runs_before) = (env.apple().counters().assignments, count(env, "run"));
        let succeeded_before = count(env, "action WHERE state = 'succeeded'");

        env.apple().clear_calls();
        kill_at(env, moment);
        env.apple().clear_faults();
        let left = left(env, runs_before);
        *self.fell.entry(left.at).or_default() += 1;

        env.run(&["run", "auto-assign"]).is_done();
        let wrong = needing(env);
        assert_eq!(
            wrong.len(),
            0,
            "devices without the profile their rule says, such as {:?}",
            wrong.first()
        );
        let sent = env.apple().counters().assignments - sent_before;
        assert_eq!(sent, needed, "assignments that reached Apple, and devices that needed one");
        assert_eq!(count(env, "action WHERE state = 'succeeded'") - succeeded_before, needed);
        assert_eq!(count(env, "action WHERE state IN ('planned', 'sent')"), 0, "actions left open");
        assert_eq!(count(env, "run WHERE state = 'running'"), 0, "runs left open");
        if let Some((run, state)) = left.run {
            let became = if state == "running" { "interrupted" } else { state.as_str() };
            assert_eq!(count(env, &format!("run WHERE id = '{run}' AND state = '{became}'")), 1, "{run}");
        }
        is_whole(env);
        drop(told);
        if (nth + 1).is_multiple_of(NEWS) {
            println!("{}: {} of {} after {:.0?}", self.title, nth + 1, self.kills, self.began.elapsed());
        }
    }

    /// The moments of all kills lie evenly over a run, however many there are.
    fn moment(&mut self, nth: usize, usual: &Usual) -> Moment {
        const GOLDEN: f64 = 0.618_033_988_749_895;
        let part = (nth as f64 * GOLDEN + self.dice.fraction() / self.kills as f64).fract();
        let call = (part * usual.calls as f64) as u32;
        match nth % 3 {
            0 => Moment::After(usual.time.mul_f64(part)),
            1 => Moment::Unheard(call),
            _ => Moment::Unanswered(call),
        }
    }

    fn tell_the_end(&self) {
        let fell: Vec<String> = self.fell.iter().map(|(at, times)| format!("{at} {times}")).collect();
        let took = self.began.elapsed();
        println!("{}: {} kills in {took:.0?}: {}", self.title, self.kills, fell.join(", "));
    }
}

/// Starts a run and kills its process at the moment, or when it has ended before.
fn kill_at(env: &TestEnv, moment: Moment) {
    let never_answered = Fault::slow(600_000);
    match moment {
        Moment::After(_) => {}
        Moment::Unheard(calls) => env.apple().fault(Fault::hang().after(calls)),
        Moment::Unanswered(calls) => env.apple().fault(never_answered.after(calls)),
    }
    let began = Instant::now();
    let run = env.start(&["run", "auto-assign"], "killed.log");
    env.until("it is the moment", || {
        let has_come = match moment {
            Moment::After(time) => began.elapsed() >= time,
            Moment::Unheard(calls) | Moment::Unanswered(calls) => {
                env.apple().counters().calls > u64::from(calls)
            }
        };
        has_come || env.has_ended(run)
    });
    env.kill(run);
}

/// Looks at the store as the kill left it. In a copy, so that the next run finds it so too.
fn left(env: &TestEnv, runs_before: u64) -> Left {
    fs::create_dir_all(env.file("copy")).unwrap();
    for file in ["deputy.db", "deputy.db-wal"] {
        let copy = env.file(&format!("copy/{file}"));
        let _ = fs::remove_file(&copy);
        let _ = fs::copy(env.file(&format!("state/{file}")), copy);
    }
    let store = Connection::open(env.file("copy/deputy.db")).unwrap();
    let newest = store.query_row("SELECT id, state FROM run ORDER BY started_at DESC LIMIT 1", [], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    });
    let runs: u64 = store.query_row("SELECT count(*) FROM run", [], |row| row.get(0)).unwrap();
    let run = newest.optional().unwrap().filter(|_| runs > runs_before);
    let at = match &run {
        None => "before the run".to_owned(),
        Some((_, state)) if state != "running" => "after the run".to_owned(),
        Some((run, _)) => {
            let open =
                "SELECT uses || iif(EXISTS (SELECT 1 FROM action WHERE state = 'sent'), ' in flight', '')
                        FROM step WHERE run = ?1 AND ended_at IS NULL";
            let open = store.query_row(open, [run], |row| row.get(0)).optional().unwrap();
            open.unwrap_or_else(|| "between steps".to_owned())
        }
    };
    Left { run, at }
}

/// The serial numbers of devices that do not have the profile of their rule.
fn needing(env: &TestEnv) -> Vec<String> {
    let profiles = env.apple().profiles("main").unwrap();
    let name = |uuid: &str, content: &serde_json::Map<String, serde_json::Value>| {
        (uuid.to_owned(), content["profile_name"].as_str().unwrap_or_default().to_owned())
    };
    let names: HashMap<String, String> =
        profiles.iter().map(|it| name(&it.profile_uuid, &it.content)).collect();
    let is_wrong = |device: &DeviceInfo| {
        let is_on = matches!(device.profile_status, ProfileStatus::Assigned | ProfileStatus::Pushed);
        let has = device.profile_uuid.as_ref().filter(|_| is_on).and_then(|uuid| names.get(uuid));
        has.is_none_or(|has| has != rule(device))
    };
    let devices = env.apple().devices("main").unwrap();
    devices.into_iter().filter(is_wrong).map(|device| device.serial_number).collect()
}

/// What the rules of `deputy init` say.
fn rule(device: &DeviceInfo) -> &'static str {
    match (device.device_family.as_deref(), device.asset_tag.as_deref().unwrap_or_default()) {
        (Some("Mac"), tag) if tag.starts_with("EXEC-") => "Executive Mac",
        (Some("iPad"), tag) if tag.starts_with("LIB-") => "Lab iPad",
        _ => "Standard",
    }
}

/// Rows of a table.
fn count(env: &TestEnv, what: &str) -> u64 {
    let store = Connection::open(env.file(STORE)).unwrap();
    store.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get(0)).unwrap()
}

fn is_whole(env: &TestEnv) {
    let store = Connection::open(env.file(STORE)).unwrap();
    let answer: String = store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(answer, "ok");
    let orphan = store.query_row("PRAGMA foreign_key_check", [], |row| row.get::<_, String>(0));
    assert_eq!(orphan.optional().unwrap(), None, "a table with rows that point nowhere");
}

/// Says which moment it was if the test fails in it.
struct Told {
    what: String,
}

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in the moment: {}", self.what);
        }
    }
}

/// SplitMix64: the same numbers from the same seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
