//! A year in a few seconds: the real timetable over a real store, with a clock that is moved. What comes
//! of it is held against times that were worked out apart from Deputy, in `tests/data/year`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use domain::document::Source;
use domain::id::WorkflowName;
use domain::run::{Run, State, Trigger};
use domain::workflow::{Defaults, Workflow};
use expect_test::expect;
use jiff::ToSpan as _;
use jiff::tz::TimeZone;
use tempfile::TempDir;

use super::timetable::Begun;
use super::*;
use crate::clock::Clock;
use crate::secrets::Key;
use crate::store::Store;

const TABLES: [(&str, &str); 5] = [
    ("Africa/Cairo", include_str!("../../../../tests/data/year/Africa-Cairo.txt")),
    ("America/Havana", include_str!("../../../../tests/data/year/America-Havana.txt")),
    ("America/New_York", include_str!("../../../../tests/data/year/America-New_York.txt")),
    ("Australia/Lord_Howe", include_str!("../../../../tests/data/year/Australia-Lord_Howe.txt")),
    ("Europe/Paris", include_str!("../../../../tests/data/year/Europe-Paris.txt")),
];

/// A clock that a test moves.
struct Moved(Mutex<Timestamp>);

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A daemon without its loop: its timetable, the runs it has begun, and what happens to its machine.
struct World {
    folder: TempDir,
    clock: Arc<Moved>,
    settings: Settings,
    engine: Option<Engine>,
    timetable: Timetable,
    /// The runs that are going on, and when each ends.
    going: BTreeMap<WorkflowName, (Begun, Timestamp)>,
    /// How long the next runs take, one after the other.
    minutes: std::iter::Cycle<std::array::IntoIter<i64, 7>>,
}

impl World {
    async fn new(begins: &str, settings: Settings) -> Self {
        // In memory, where there is such a place: nobody pulls the plug here.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let mut world = Self {
            folder,
            clock: Arc::new(Moved(Mutex::new(at(begins)))),
            settings,
            engine: None,
            timetable: Timetable::default(),
            going: BTreeMap::new(),
            minutes: [1, 2, 1, 25, 1, 3, 400].into_iter().cycle(),
        };
        world.start().await;
        world
    }

    fn engine(&self) -> Engine {
        self.engine.clone().unwrap()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn set(&self, now: Timestamp) {
        *self.clock.0.lock().unwrap() = now;
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("deputy.db")
    }

    /// The program starts.
    async fn start(&mut self) {
        let store =
            Store::open(&self.path(), Key::from_text(&"0".repeat(64), "a test").unwrap()).await.unwrap();
        let engine = Engine::new(store, self.settings.clone(), self.clock.clone()).unwrap();
        engine.close_interrupted_runs().await.unwrap();
        let begun = self.timetable.take_up(&engine, |_| false).await.unwrap();
        self.engine = Some(engine);
        self.begin(begun);
        self.look().await;
    }

    /// The program ends, without a word to anybody.
    fn die(&mut self) {
        self.timetable = Timetable::default();
        self.going.clear();
        self.engine = None;
    }

    /// The operator changes the files.
    async fn reload(&mut self, settings: Settings) {
        self.settings = settings.clone();
        let engine = self.engine().with_settings(settings);
        let begun = self.timetable.take_up(&engine, |name| self.going.contains_key(name)).await.unwrap();
        self.engine = Some(engine);
        self.begin(begun);
    }

    fn begin(&mut self, begun: Vec<Begun>) {
        for begun in begun {
            let ends = self.now() + self.minutes.next().unwrap().minutes();
            let name = begun.workflow.name.clone();
            assert!(self.going.insert(name.clone(), (begun, ends)).is_none(), "two runs of {name} at once");
        }
    }

    async fn look(&mut self) {
        let engine = self.engine();
        let ended: Vec<_> = self
            .going
            .iter()
            .filter(|(_, (_, ends))| *ends <= self.now())
            .map(|(name, _)| name.clone())
            .collect();
        for name in ended {
            let (begun, _) = self.going.remove(&name).unwrap();
            engine.store.close_run(&begun.opened.id, State::Succeeded, self.now()).await.unwrap();
        }
        let begun = self.timetable.look(&engine, |name| self.going.contains_key(name)).await.unwrap();
        self.begin(begun);
    }

    /// The daemon works until then, waking whenever it would.
    async fn go_on_until(&mut self, until: Timestamp) {
        while self.now() < until {
            let ends = self.going.values().map(|(_, ends)| *ends).min();
            let wakes = self.timetable.next().into_iter().chain(ends).chain([until]).min().unwrap();
            self.set(wakes.clamp(self.now(), until));
            self.look().await;
        }
    }

    async fn rows(&self, workflow: &WorkflowName) -> Vec<Run> {
        let mut runs = self.engine().store.runs(Some(workflow), u32::MAX).await.unwrap();
        runs.sort_by_key(|run| run.trigger.scheduled_at());
        runs
    }

    /// The rows of a workflow as few words as possible.
    async fn told(&self, workflow: &str) -> String {
        let rows = self.rows(&workflow.parse().unwrap()).await;
        let short = |at: Timestamp| at.strftime("%d %H:%M").to_string();
        let line = |run: &Run| {
            let at = short(run.trigger.scheduled_at().unwrap());
            match (&run.skipped, &run.trigger) {
                (Some(skipped), _) => {
                    let note = skipped.note.as_ref().map_or(String::new(), |note| format!(" ({note})"));
                    let (from, why) = (short(skipped.from), skipped.why.as_str());
                    format!("{from} to {at}: {} {why}{note}\n", skipped.times)
                }
                (None, Trigger::CaughtUp { .. }) => format!("{at}: caught up {}\n", short(run.started_at)),
                (None, _) => format!("{at}: run {}, {}\n", short(run.started_at), run.state.as_str()),
            }
        };
        rows.iter().map(line).collect()
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn workflow(name: &str, zone: &str, schedule: &str) -> Workflow {
    let text = format!(
        "version = 1\nname = \"{name}\"\n[[steps]]\nuses = \"sync\"\n[schedule]\ntimezone = \"{zone}\"\n{schedule}\n"
    );
    Workflow::parse(Source { path: "a test", text: &text }, &Defaults::of_machine(TimeZone::UTC)).unwrap()
}

fn settings(workflows: impl IntoIterator<Item = Workflow>) -> Settings {
    let named = workflows.into_iter().map(|it| (it.name.clone(), Arc::new(it)));
    Settings { workflows: named.collect(), ..Settings::default() }
}

/// What a table says: for each workflow, its expression and its times.
fn table(text: &str) -> Vec<(&str, &str, Vec<Timestamp>)> {
    let mut found: Vec<(&str, &str, Vec<Timestamp>)> = Vec::new();
    for line in text.lines() {
        if let Some((label, expression)) = line.strip_prefix("# ").and_then(|line| line.split_once(": ")) {
            found.push((label, expression, Vec::new()));
        } else if let Some((day, times)) = line.split_once(' ') {
            let times = times.split(' ').map(|time| at(&format!("{day}T{time}:00Z")));
            found.last_mut().unwrap().2.extend(times);
        }
    }
    found
}

#[tokio::test]
async fn a_year_in_five_time_zones_runs_every_time_once_or_says_why_not() {
    let mut expected = BTreeMap::new();
    let mut workflows = Vec::new();
    for (zone, text) in TABLES {
        for (label, cron, times) in table(text) {
            let name = format!("{label}-{}", zone.replace(['/', '_'], "-").to_lowercase());
            let more = match label {
                "night" => "jitter = \"7m\"",
                "office" => "missed = \"skip\"",
                "late" | "through" => "overlap = \"queue\"",
                _ => "",
            };
            workflows.push(workflow(&name, zone, &format!("cron = \"{cron}\"\n{more}")));
            expected.insert(workflows.last().unwrap().name.clone(), times);
        }
    }
    let mut world = World::new("2025-01-01T00:00:00Z", settings(workflows)).await;
    // What happens to the machine: from when, and for how long; in the middle of changes of clocks too.
    let troubles = [
        ("2025-01-17T02:29:00Z", "restart", 2.minutes()),
        ("2025-02-03T11:00:00Z", "sleep", 90.minutes()),
        ("2025-03-09T06:30:00Z", "restart", 45.minutes()),
        ("2025-03-09T08:50:00Z", "sleep", 3.hours()),
        ("2025-03-29T20:00:00Z", "off", 11.hours()),
        ("2025-04-04T10:00:00Z", "off", 9.hours()),
        ("2025-04-24T20:30:00Z", "sleep", 100.minutes()),
        ("2025-06-01T12:00:00Z", "off", 400.hours()),
        ("2025-07-01T00:10:00Z", "back", 20.minutes()),
        ("2025-07-09T15:00:00Z", "back", 3.hours()),
        ("2025-10-26T00:15:00Z", "restart", 30.seconds()),
        ("2025-10-30T21:00:00Z", "sleep", 59.minutes()),
        ("2025-11-02T05:50:00Z", "off", 2.hours()),
        ("2025-12-24T00:00:00Z", "off", 70.hours()),
    ];
    for (when, what, span) in troubles {
        world.go_on_until(at(when)).await;
        match what {
            "sleep" => {
                world.set(world.now() + span);
                world.look().await;
            }
            // The clock was wrong, and is set right.
            "back" => {
                world.set(world.now() - span);
                world.look().await;
            }
            _ => {
                world.die();
                world.set(world.now() + span);
                world.start().await;
            }
        }
    }
    world.go_on_until(at("2026-01-01T00:10:00Z")).await;

    let waiting = world.engine().store.progress().await.unwrap();
    let (mut runs, mut late, mut skipped, mut queued) = (0, 0, 0, 0);
    for (workflow, times) in &expected {
        let mut left = times.as_slice();
        for row in world.rows(workflow).await {
            let last = row.trigger.scheduled_at().unwrap();
            let (from, count) = match &row.skipped {
                Some(skipped) => (skipped.from, skipped.times as usize),
                None => (last, 1),
            };
            let here = left.get(..count).unwrap_or_else(|| panic!("{workflow}: {last} is not in the table"));
            assert_eq!((here[0], here[count - 1]), (from, last), "{workflow}: {row:#?}");
            left = &left[count..];
            match (&row.skipped, &row.trigger) {
                (Some(_), _) => skipped += count,
                (None, Trigger::CaughtUp { .. }) => late += 1,
                (None, _) => runs += 1,
            }
        }
        // One may wait for the end of a run.
        let waits: Vec<_> = waiting[workflow].queued.into_iter().collect();
        assert_eq!(left, waits, "{workflow}: lost");
        queued += waits.len();
    }
    let all: usize = expected.values().map(Vec::len).sum();
    assert_eq!(runs + late + skipped + queued, all);
    expect!["27918 times: 22831 run, 93 caught up, 4994 skipped, 0 waiting"].assert_eq(&format!(
        "{all} times: {runs} run, {late} caught up, {skipped} skipped, {queued} waiting"
    ));
}

#[tokio::test]
async fn a_machine_that_is_off_at_the_first_time_of_a_workflow_makes_up_for_it() {
    let daily = settings([workflow("daily", "UTC", "cron = \"0 6 * * *\"")]);
    let mut world = World::new("2026-01-09T12:00:00Z", daily).await;
    world.die();
    world.set(at("2026-01-10T09:00:00Z"));
    world.start().await;
    expect![[r#"
        10 06:00: caught up 10 09:00
    "#]]
    .assert_eq(&world.told("daily").await);
}

#[tokio::test]
async fn a_machine_that_sleeps_under_the_daemon_is_like_one_that_is_off() {
    let hourly = workflow("hourly", "UTC", "cron = \"0 * * * *\"\nmissed = \"skip\"");
    let mut world = World::new("2026-01-09T12:30:00Z", settings([hourly])).await;
    world.go_on_until(at("2026-01-09T13:10:00Z")).await;
    world.set(at("2026-01-09T17:40:00Z"));
    world.go_on_until(at("2026-01-09T18:10:00Z")).await;
    expect![[r#"
        09 13:00: run 09 13:00, succeeded
        09 14:00 to 09 17:00: 4 missed
        09 18:00: run 09 18:00, succeeded
    "#]]
    .assert_eq(&world.told("hourly").await);
}

#[tokio::test]
async fn a_time_that_waits_for_a_run_is_run_also_after_a_restart() {
    let hourly = workflow("hourly", "UTC", "cron = \"0 * * * *\"\noverlap = \"queue\"");
    let mut world = World::new("2026-01-09T12:30:00Z", settings([hourly])).await;
    world.minutes = [200, 1, 1, 1, 1, 1, 1].into_iter().cycle();
    world.go_on_until(at("2026-01-09T15:30:00Z")).await;
    world.die();
    world.start().await;
    world.go_on_until(at("2026-01-09T16:30:00Z")).await;
    expect![[r#"
        09 13:00: run 09 13:00, interrupted
        09 14:00 to 09 14:00: 1 overlap
        09 15:00: run 09 15:30, succeeded
        09 16:00: run 09 16:00, succeeded
    "#]]
    .assert_eq(&world.told("hourly").await);
}

#[tokio::test]
async fn a_schedule_that_changes_makes_no_promises_about_the_past() {
    let daily = || settings([workflow("it", "UTC", "cron = \"0 6 * * *\"")]);
    let hourly = || settings([workflow("it", "UTC", "cron = \"0 * * * *\"")]);
    let mut world = World::new("2026-01-09T05:00:00Z", daily()).await;
    world.go_on_until(at("2026-01-09T12:20:00Z")).await;
    world.reload(hourly()).await;
    world.go_on_until(at("2026-01-09T14:30:00Z")).await;
    // While the program is off; then the times that were missed are those of the old schedule.
    world.die();
    world.set(at("2026-01-11T08:00:00Z"));
    world.settings = daily();
    world.start().await;
    world.go_on_until(at("2026-01-12T07:00:00Z")).await;
    expect![[r#"
        09 06:00: run 09 06:00, succeeded
        09 13:00: run 09 13:00, succeeded
        09 14:00: run 09 14:00, succeeded
        09 15:00 to 11 07:00: 41 missed
        11 08:00: run 11 08:00, succeeded
        12 06:00: run 12 06:00, succeeded
    "#]]
    .assert_eq(&world.told("it").await);
}

#[tokio::test]
async fn a_workflow_that_is_gone_and_comes_back_begins_anew() {
    let hourly = || settings([workflow("it", "UTC", "cron = \"0 * * * *\"")]);
    let mut world = World::new("2026-01-09T05:30:00Z", hourly()).await;
    world.go_on_until(at("2026-01-09T06:20:00Z")).await;
    world.reload(settings([])).await;
    world.go_on_until(at("2026-01-10T06:20:00Z")).await;
    world.reload(hourly()).await;
    world.go_on_until(at("2026-01-10T07:20:00Z")).await;
    expect![[r#"
        09 06:00: run 09 06:00, succeeded
        10 07:00: run 10 07:00, succeeded
    "#]]
    .assert_eq(&world.told("it").await);
}

#[tokio::test]
async fn months_of_a_schedule_by_the_second_are_one_row() {
    let seconds = workflow("it", "UTC", "cron = \"* * * * * *\"");
    let mut world = World::new("2026-01-09T05:30:00Z", settings([seconds])).await;
    world.die();
    world.set(at("2026-07-09T05:30:00Z"));
    world.start().await;
    expect![[r#"
        09 05:30 to 09 05:29: 15638399 missed
        09 05:30: run 09 05:30, running
    "#]]
    .assert_eq(&world.told("it").await);
}

#[tokio::test]
async fn the_times_of_a_workflow_that_is_disabled_are_on_record_as_that() {
    let hourly = |enabled: bool| {
        let it = workflow("it", "UTC", "cron = \"0 * * * *\"");
        settings([Workflow { enabled, ..it }])
    };
    let mut world = World::new("2026-01-09T05:30:00Z", hourly(true)).await;
    world.go_on_until(at("2026-01-09T06:20:00Z")).await;
    world.reload(hourly(false)).await;
    world.go_on_until(at("2026-01-09T09:20:00Z")).await;
    // Enabled again while the program is off: until then it was not.
    world.die();
    world.set(at("2026-01-09T12:20:00Z"));
    world.settings = hourly(true);
    world.start().await;
    world.go_on_until(at("2026-01-09T13:20:00Z")).await;
    expect![[r#"
        09 06:00: run 09 06:00, succeeded
        09 07:00 to 09 12:00: 6 disabled
        09 13:00: run 09 13:00, succeeded
    "#]]
    .assert_eq(&world.told("it").await);
}
