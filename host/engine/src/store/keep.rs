//! What is beyond its bound, forgotten a bite at a time.
//!
//! Each kind is gone through in rounds, one a day; a place in the store says how far a round is, so that it goes
//! on wherever it was left, by whichever process.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Error, Store, millis, standing};
use crate::keep::{Bound, Keep};

/// What can be forgotten, in the order in which it is: runs go once their actions have gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgettable {
    /// Actions on devices, but the last on each and what is not settled.
    Actions,
    /// What happened to devices, but the last on each.
    DeviceHistory,
    /// Verdicts that others took the place of, but the last of them on each device.
    Verdicts,
    /// Dry runs and runs in shadow mode, with their plans.
    DryRuns,
    /// Runs without actions.
    Runs,
    /// What policies were told.
    Texts,
}

/// Between two rounds.
const ROUND: i64 = 24 * 3_600 * 1_000;
/// Rows looked at in a bite.
const ROWS: i64 = 2_000;
/// Devices looked at in a bite: each has a few rows.
const DEVICES: i64 = 1_000;
/// Runs forgotten in a bite: with many tokens each has hundreds of steps.
const RUNS: i64 = 25;
/// Pages given back to the disk after a bite.
const PAGES: u32 = 500;

impl Forgettable {
    const ALL: [Self; 6] =
        [Self::Actions, Self::DeviceHistory, Self::Verdicts, Self::DryRuns, Self::Runs, Self::Texts];

    fn as_str(self) -> &'static str {
        match self {
            Self::Actions => "actions",
            Self::DeviceHistory => "device-history",
            Self::Verdicts => "verdicts",
            Self::DryRuns => "dry-runs",
            Self::Runs => "runs",
            Self::Texts => "texts",
        }
    }
}

impl Store {
    /// What has a round to begin or to go on with.
    pub async fn to_forget(&self, now: Timestamp) -> Result<Vec<Forgettable>, Error> {
        self.read(move |connection| {
            let mut rested = connection.prepare_cached(
                "SELECT 1 FROM keeping WHERE what = ?1 AND place = 0 AND ended_at BETWEEN ?2 AND ?3",
            )?;
            let mut found = Vec::new();
            for what in Forgettable::ALL {
                // A round that ended in the future was timed by a clock that was wrong.
                let key = params![what.as_str(), millis(now) - ROUND, millis(now)];
                if !rested.exists(key)? {
                    found.push(what);
                }
            }
            Ok(found)
        })
        .await
    }

    /// Takes one bite. True if the round is not through.
    pub async fn forget_a_bite(
        &self,
        what: Forgettable,
        bound: Bound,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let is_more = self
            .write(move |connection| {
                let place: Option<i64> = connection
                    .prepare_cached("SELECT place FROM keeping WHERE what = ?1")?
                    .query_row([what.as_str()], |row| row.get(0))
                    .optional()?;
                let bite = Bite {
                    connection,
                    place: place.unwrap_or(0),
                    before: millis(Keep::before(now, bound.age)),
                    count: i64::try_from(bound.count).unwrap_or(i64::MAX),
                };
                let next = match what {
                    Forgettable::Actions => bite.actions()?,
                    Forgettable::DeviceHistory => {
                        bite.of_devices("device_history", "device_history", "seen_at")?
                    }
                    Forgettable::Verdicts => {
                        bite.of_devices("verdict_history", "earlier_verdict", "decided_at")?
                    }
                    Forgettable::DryRuns => bite.dry_runs()?,
                    Forgettable::Runs => bite.runs()?,
                    Forgettable::Texts => bite.texts()?,
                };
                connection.execute(
                    "INSERT INTO keeping (what, place, ended_at) VALUES (?1, ?2, iif(?2 = 0, ?3, NULL))
                     ON CONFLICT (what) DO UPDATE SET place = ?2, ended_at = iif(?2 = 0, ?3, ended_at)",
                    params![what.as_str(), next.unwrap_or(0), millis(now)],
                )?;
                Ok(next.is_some())
            })
            .await?;
        self.read(|connection| {
            // A row for each page: only who reads them all has them all given back.
            let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
            let mut rows = vacuum.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        })
        .await?;
        Ok(is_more)
    }
}

/// One bite, in its transaction. Each method returns the place after it; none at the end of the round.
struct Bite<'c> {
    connection: &'c Connection,
    place: i64,
    /// What is older goes.
    before: i64,
    /// What has so many newer ones goes.
    count: i64,
}

impl Bite<'_> {
    /// The last of the next rows of a table, by number; none if there are no more.
    fn last_of(&self, table: &str, most: i64) -> Result<Option<i64>, Error> {
        let sql = format!("SELECT max(id) FROM (SELECT id FROM {table} WHERE id > ?1 ORDER BY id LIMIT ?2)");
        Ok(self.connection.prepare_cached(&sql)?.query_row([self.place, most], |row| row.get(0))?)
    }

    fn actions(&self) -> Result<Option<i64>, Error> {
        let Some(last) = self.last_of("action_record", ROWS)? else { return Ok(None) };
        let newer =
            "SELECT 1 FROM action_record b JOIN plan p ON p.id = b.id >> 32 JOIN run q ON q.id = p.run
            WHERE b.device = action_record.device AND b.id > action_record.id AND NOT q.dry AND NOT q.shadow";
        let sql = format!(
            "DELETE FROM action_record WHERE id > ?1 AND id <= ?2
                 AND EXISTS (SELECT 1 FROM outcome o WHERE o.id = action_record.outcome AND o.state <> 'sent')
                 AND EXISTS (SELECT 1 FROM plan JOIN run r ON r.id = plan.run
                     WHERE plan.id = action_record.id >> 32 AND NOT r.dry AND r.ended_at IS NOT NULL
                     AND r.state <> 'waiting'
                     AND (r.started_at < ?3 OR EXISTS ({newer} LIMIT 1 OFFSET ?4 - 1)))
                 AND EXISTS ({newer})"
        );
        let own = [self.place, last, self.before, self.count];
        self.connection.prepare_cached(&sql)?.execute(own)?;
        Ok(Some(last))
    }

    /// Rows that each device has, numbered. Only the oldest go, and never the newest: so whoever finds the first
    /// number knows that all is there.
    fn of_devices(&self, table: &str, whole: &str, time: &str) -> Result<Option<i64>, Error> {
        let Some(last) = self.last_of("device_record", DEVICES)? else { return Ok(None) };
        let sql = format!(
            "DELETE FROM {table} WHERE device > ?1 AND device <= ?2 AND number < (
                 SELECT max(coalesce(min(iif(h.{time} >= ?3, h.number, NULL)), max(h.number)), max(h.number) - ?4 + 1)
                 FROM {whole} h WHERE h.device = {table}.device)"
        );
        let own = [self.place, last, self.before, self.count];
        self.connection.prepare_cached(&sql)?.execute(own)?;
        Ok(Some(last))
    }

    fn dry_runs(&self) -> Result<Option<i64>, Error> {
        let Some(workflow) = self.workflow()? else { return Ok(None) };
        let (mut left, beyond) = (ROWS, self.beyond(&workflow, true)?);
        let all = i64::try_from(beyond.len()).is_ok_and(|found| found < RUNS);
        for run in beyond {
            let gone = self
                .connection
                .prepare_cached(
                    "DELETE FROM action_record WHERE id IN (SELECT a.id FROM action_record a
                         JOIN plan p ON a.id >= p.id << 32 AND a.id < (p.id + 1) << 32 WHERE p.run = ?1 LIMIT ?2)",
                )?
                .execute(params![run, left])?;
            left -= i64::try_from(gone).unwrap_or(left);
            if left <= 0 {
                // The same workflow again.
                return Ok(Some(self.place.max(1)));
            }
            self.connection.prepare_cached("DELETE FROM run WHERE id = ?1")?.execute([run])?;
        }
        Ok(Some(self.place.max(1) + i64::from(all)))
    }

    fn runs(&self) -> Result<Option<i64>, Error> {
        let Some(workflow) = self.workflow()? else { return Ok(None) };
        let beyond = self.beyond(&workflow, false)?;
        for run in &beyond {
            self.connection.prepare_cached("DELETE FROM run WHERE id = ?1")?.execute([run])?;
        }
        let all = i64::try_from(beyond.len()).is_ok_and(|found| found < RUNS);
        Ok(Some(self.place.max(1) + i64::from(all)))
    }

    /// The workflow whose turn it is: places count from 1.
    fn workflow(&self) -> Result<Option<String>, Error> {
        let sql = "SELECT DISTINCT workflow FROM run ORDER BY workflow LIMIT 1 OFFSET ?1";
        let mut select = self.connection.prepare_cached(sql)?;
        Ok(select.query_row([self.place.max(1) - 1], |row| row.get(0)).optional()?)
    }

    /// Some of a workflow's runs that are beyond their bound, and that nobody needs.
    fn beyond(&self, workflow: &str, dry: bool) -> Result<Vec<String>, Error> {
        let mut select = self.connection.prepare_cached(
            "SELECT id FROM run WHERE workflow = ?1 AND (dry OR shadow) = ?2 AND ended_at IS NOT NULL
                 AND state <> 'waiting'
                 AND (started_at < ?3 OR started_at < (SELECT started_at FROM run
                     WHERE workflow = ?1 AND (dry OR shadow) = ?2 ORDER BY started_at DESC LIMIT 1 OFFSET ?4 - 1))
                 AND (dry OR (
                     id <> (SELECT id FROM run WHERE workflow = ?1 AND NOT dry ORDER BY started_at DESC, id DESC LIMIT 1)
                     AND id IS NOT (SELECT id FROM run WHERE workflow = ?1 AND NOT dry AND state <> 'skipped'
                         ORDER BY started_at DESC, id DESC LIMIT 1)
                     AND (scheduled_at IS NULL OR scheduled_at < (SELECT max(scheduled_at) FROM run WHERE workflow = ?1))
                     AND (shadow OR NOT EXISTS (SELECT 1 FROM plan p JOIN action_record a
                         ON a.id >= p.id << 32 AND a.id < (p.id + 1) << 32 WHERE p.run = run.id))))
             ORDER BY started_at LIMIT ?5",
        )?;
        let mut rows = select.query(params![workflow, dry, self.before, self.count, RUNS])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(row.get(0)?);
        }
        Ok(found)
    }

    fn texts(&self) -> Result<Option<i64>, Error> {
        self.connection.execute("DELETE FROM text_copy WHERE used_at < ?1", [self.before])?;
        // And what they said, where nobody is left of whom.
        standing::forget_words(self.connection)?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use expect_test::{Expect, expect};

    use super::*;
    use crate::secrets::Key;

    const DAY: i64 = 24 * 3_600 * 1_000;

    /// A store with these rows, a hundred days old; what is left of them after a round of everything that keeps
    /// ten days and three of each.
    #[track_caller]
    fn check(rows: &str, left: &str, expected: Expect) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let key = Key::from_text(&"0".repeat(64), "a test").unwrap();
            let store = Store::open(&folder.path().join("deputy.db"), key).await.unwrap();
            let world = "INSERT INTO token (name, server_name, server_uuid, org_name, admin_id, expires_at,
                    imported_at, credentials) VALUES ('emea', 's', 'u', 'o', 'a', 1, 2, x'00');
                INSERT INTO kind (id) VALUES (1);
                INSERT INTO arrival (id, round) VALUES (1, 1);
                INSERT INTO standing (id, token, gone, profile_status, devices) VALUES (1, 1, 0, 'empty', 2);
                INSERT INTO device_record (id, serial_number, kind, arrival) VALUES (1, 'A', 1, 1), (2, 'B', 1, 1);
                INSERT INTO device_state (device, standing) VALUES (1, 1), (2, 1);";
            let rows = format!("{world}{rows}");
            store.write(move |connection| Ok(connection.execute_batch(&rows)?)).await.unwrap();
            let now = Timestamp::from_millisecond(100 * DAY).unwrap();
            let bound = Bound { age: Duration::from_millis(DAY as u64) * 10, count: 3 };
            for what in store.to_forget(now).await.unwrap() {
                while store.forget_a_bite(what, bound, now).await.unwrap() {}
            }
            assert_eq!(store.to_forget(now).await.unwrap(), [], "the round is through");
            let sql = left.to_owned();
            let left = store.read(move |connection| {
                let mut select = connection.prepare(&sql)?;
                let mut rows = select.query([])?;
                let mut found = Vec::new();
                while let Some(row) = rows.next()? {
                    found.push(row.get::<_, String>(0)?);
                }
                Ok(found.join(" "))
            });
            expected.assert_eq(&left.await.unwrap());
        });
    }

    /// Rows of `run`, `;` between: `ID WORKFLOW DAY STATE`, with `dry`, `shadow` or `@DAY` of its schedule behind it.
    fn runs(list: &str) -> String {
        let row = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let day = |text: &str| text.parse::<i64>().unwrap() * DAY;
            let (dry, shadow) = (words.contains(&"dry"), words.contains(&"shadow"));
            let at = words.iter().find_map(|word| word.strip_prefix('@')).map(day);
            let at = at.map_or("NULL".to_owned(), |at| at.to_string());
            let ended = if words[3] == "running" { "NULL" } else { "5" };
            let (id, workflow, state) = (words[0], words[1], words[3]);
            format!(
                "INSERT INTO run (id, workflow, trigger, scheduled_at, dry, shadow, started_at, ended_at, state)
                 VALUES ('{id}', '{workflow}', '{{\"by\":\"hand\"}}', {at}, {dry}, {shadow}, {}, {ended}, '{state}');",
                day(words[2])
            )
        };
        list.split(';').map(row).collect()
    }

    /// Rows of actions, `;` between: `RUN DEVICE STATE`, each in a plan of its own.
    fn actions(list: &str) -> String {
        let row = |(number, line): (i64, &str)| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (run, device, state) = (words[0], words[1], words[2]);
            let outcome = if state == "planned" {
                "NULL".to_owned()
            } else {
                format!("(SELECT id FROM outcome WHERE plan = {number})")
            };
            let came_to = if state == "planned" {
                String::new()
            } else {
                format!(
                    "INSERT INTO outcome (plan, state, first, last) VALUES ({number}, '{state}', 0, {});",
                    i64::MAX
                )
            };
            format!(
                "INSERT INTO plan (id, run, token) VALUES ({number}, '{run}', 'emea');
                 INSERT INTO deed (id, plan, kind, profile, reason) VALUES ({number}, {number}, 'assign', 'lab', '');
                 {came_to}
                 INSERT INTO action_record (id, device, deed, outcome)
                     VALUES (({number} << 32) + 1, {device}, {number}, {outcome});"
            )
        };
        (1..).zip(list.split(';')).map(row).collect()
    }

    const RUNS_LEFT: &str = "SELECT id FROM run ORDER BY id";

    #[test]
    fn old_runs_go_and_of_many_the_oldest_but_never_the_last() {
        check(
            &runs("a w 5 succeeded; b w 80 succeeded; c x 5 succeeded; d x 6 failed"),
            RUNS_LEFT,
            expect!["b d"],
        );
        check(
            &runs("a w 95 succeeded; b w 96 failed; c w 97 succeeded; d w 98 succeeded; e w 99 succeeded"),
            RUNS_LEFT,
            expect!["c d e"],
        );
    }

    #[test]
    fn what_goes_on_what_was_scheduled_last_and_the_last_that_did_something_stay() {
        check(
            &runs("a w 1 running; b w 2 succeeded @2; c w 3 succeeded @1; d w 4 succeeded; e w 5 skipped"),
            RUNS_LEFT,
            expect!["a b d e"],
        );
    }

    #[test]
    fn a_run_stays_while_one_of_its_actions_does_and_a_dry_run_takes_its_plan_along() {
        let actions = actions("a 1 succeeded; b 1 failed; c 1 planned; a 2 sent");
        let runs = runs("a w 1 succeeded; b w 2 succeeded; c w 3 succeeded dry; d w 4 succeeded");
        let rows = format!("{runs}{actions}");
        check(&rows, RUNS_LEFT, expect!["a b d"]);
        let actions_left = "SELECT run || device FROM action ORDER BY id";
        check(&rows, actions_left, expect!["b1 a2"]);
    }

    #[test]
    fn runs_in_shadow_mode_go_with_their_plans_and_do_not_count_as_what_was_done_last() {
        let actions = actions("a 1 succeeded; b 1 planned");
        let runs = runs("a w 1 succeeded; b s 2 succeeded shadow; c s 3 succeeded shadow; d w 4 waiting");
        check(&(runs + &actions), RUNS_LEFT, expect!["a c d"]);
    }

    #[test]
    fn of_what_happened_to_a_device_the_oldest_goes_and_the_newest_stays() {
        let row = |device: i64, number: i64, day: i64| {
            format!(
                "INSERT INTO device_history (device, number, kind, seen_at, run)
                 VALUES ({device}, {number}, 'changed', {}, 'r');",
                day * DAY
            )
        };
        let old: String = (1..=3).map(|number| row(1, number, number)).collect();
        let new: String = (1..=5).map(|number| row(2, number, 94 + number)).collect();
        check(
            &(old + &new),
            "SELECT device || ':' || number FROM device_history ORDER BY device, number",
            expect!["1:3 2:3 2:4 2:5"],
        );
    }
}
