//! Plans that wait for a person's word, and what came of them.
//!
//! A plan that waits is told apart from others by its digest. Of one step of a workflow and one token at most
//! one plan waits; the same plan, made again, waits on as it was, and another takes its place. What a person
//! approves goes on waiting until it has been carried out: whichever run does that.

use std::time::Duration;

use domain::id::{Digest, RunId, StepId, TokenName, WorkflowName};
use domain::run::{Outcome, State};
use domain::waiting::{Answer, CameTo, End, Waited};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Rows, params};

use super::deeds::drop_planned;
use super::runs::run;
use super::{Error, Store, from_json, maybe_time, millis, time, typed};

/// The step that made a plan, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The workflow.
    pub workflow: WorkflowName,
    /// Whose devices.
    pub token: TokenName,
    /// What the workflow calls the step.
    pub step: StepId,
}

/// A plan that waits, or waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The run that asked.
    pub run: RunId,
    /// Who asked.
    pub asker: Asker,
    /// The place of the step in the workflow of that run.
    pub place: u32,
    /// The digest of the plan.
    pub plan: Digest,
    /// The step's review had its say before a person was asked.
    pub reviewed: bool,
    /// How it stands.
    pub waited: Waited,
}

/// A question to a person.
#[derive(Clone, Debug)]
pub struct Question {
    /// The run that asks.
    pub run: RunId,
    /// The place of the step in its workflow.
    pub place: u32,
    /// The digest of the plan.
    pub plan: Digest,
    /// The step's review had its say.
    pub reviewed: bool,
    /// For so long it waits.
    pub within: Duration,
}

/// What came of asking a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It waits from now on.
    Now {
        /// When it lapses.
        until: Timestamp,
        /// What waited in its place until now, if something did.
        instead_of: Option<Waiting>,
    },
    /// A person was asked about this very plan, and it still waits.
    Before(Waiting),
    /// A person was asked about this very plan, and refused it.
    Declined(Waiting),
}

const COLUMNS: &str =
    "run, workflow, token, step, plan, reviewed, since, until, came_to, ended_at, by_run, place,
    answered_by, answered_at, answered_reason, begun_by";

/// Which rows are of an asker.
const OF: &str = "workflow = ?1 AND token = ?2 AND step = ?3";

impl Asker {
    /// The values for [`OF`].
    fn values(&self) -> [&str; 3] {
        [self.workflow.as_str(), self.token.as_str(), self.step.as_str()]
    }
}

impl Store {
    /// Has a plan wait for a person, unless that very plan waits already, or was refused.
    pub async fn ask(&self, asker: &Asker, question: Question, now: Timestamp) -> Result<Asked, Error> {
        let asker = asker.clone();
        let Question { run, place, plan, reviewed, within } = question;
        let until = now.checked_add(within).unwrap_or(Timestamp::MAX);
        self.write(move |connection| {
            let before = newest(connection, &asker)?;
            match &before {
                // A review that had no say yet makes another question of the same plan.
                Some((_, it)) if it.plan == plan && it.waited.end.is_none() && it.reviewed >= reviewed => {
                    return Ok(Asked::Before(it.clone()));
                }
                Some((number, it)) if it.plan == plan && it.waited.is_refused().is_some() => {
                    // Another that went ahead meanwhile has not changed anybody's mind.
                    connection.execute("UPDATE waiting SET by_run = NULL WHERE number = ?1", [number])?;
                    return Ok(Asked::Declined(it.clone()));
                }
                _ => end(connection, &asker, CameTo::Replaced, now, Some(&run))?,
            }
            connection.execute(
                "INSERT INTO waiting (workflow, token, step, run, place, plan, reviewed, since, until, span)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9 - ?8)",
                params![
                    asker.workflow.as_str(),
                    asker.token.as_str(),
                    asker.step.as_str(),
                    run.as_str(),
                    place,
                    plan.as_str(),
                    reviewed,
                    millis(now),
                    millis(until),
                ],
            )?;
            let instead_of = before.map(|(_, it)| it).filter(|it| it.waited.end.is_none());
            Ok(Asked::Now { until, instead_of })
        })
        .await
    }

    /// The plan of a step that a person has approved, and that has not been carried out.
    pub async fn approved(&self, asker: &Asker) -> Result<Option<Waiting>, Error> {
        let asker = asker.clone();
        self.read(move |connection| {
            let newest = newest(connection, &asker)?.map(|(_, it)| it);
            Ok(newest.filter(|it| it.waited.is_approved().is_some()))
        })
        .await
    }

    /// A person lets a run's plans go ahead that wait, or that were refused and that nothing has taken the place
    /// of. Their time to be carried out begins anew. Returns them.
    pub async fn approve(&self, run: &RunId, answer: Answer) -> Result<Vec<Waiting>, Error> {
        let run = run.clone();
        self.write(move |connection| {
            let mut approved = Vec::new();
            for it in of_run(connection, &run)? {
                let Some((number, newest)) =
                    newest(connection, &it.asker)?.filter(|(_, newest)| *newest == it)
                else {
                    continue;
                };
                if newest.waited.end.is_some() && newest.waited.is_refused().is_none() {
                    continue;
                }
                connection.execute(
                    "UPDATE waiting SET answered_by = ?2, answered_at = ?3, answered_reason = ?4,
                         until = ?3 + span, came_to = NULL, ended_at = NULL, by_run = NULL WHERE number = ?1",
                    params![number, answer.who, millis(answer.at), answer.reason],
                )?;
                connection.execute(
                    "UPDATE run SET state = 'waiting' WHERE id = ?1 AND state <> 'running'",
                    [run.as_str()],
                )?;
                approved.push(newest);
            }
            Ok(approved)
        })
        .await
    }

    /// A run begins to carry out the plan of a step that a person has approved.
    pub async fn begins(&self, run: &RunId, asker: &Asker) -> Result<(), Error> {
        let (run, asker) = (run.clone(), asker.clone());
        self.write(move |connection| {
            let [workflow, token, step] = asker.values();
            connection.execute(
                &format!(
                    "UPDATE waiting SET begun_by = ?4 WHERE {OF} AND came_to IS NULL AND answered_by IS NOT NULL"
                ),
                [workflow, token, step, run.as_str()],
            )?;
            Ok(())
        })
        .await
    }

    /// A plan has been carried out: what waited in its place waits no longer. The plan that waited was carried
    /// out with it if it is the same, or if that of the run `approved` let it through.
    pub async fn goes_ahead(
        &self,
        run: &RunId,
        asker: &Asker,
        (plan, approved): (&Digest, Option<&RunId>),
        now: Timestamp,
    ) -> Result<(), Error> {
        let (run, asker) = (run.clone(), asker.clone());
        let (plan, approved) = (plan.clone(), approved.cloned());
        self.write(move |connection| {
            let Some((number, before)) = newest(connection, &asker)? else { return Ok(()) };
            let is_it = before.plan == plan || approved.as_ref() == Some(&before.run);
            match &before.waited.end {
                None if is_it => end(connection, &asker, CameTo::Approved, now, Some(&run)),
                None => end(connection, &asker, CameTo::Replaced, now, Some(&run)),
                // A person has changed their mind.
                Some(it) if is_it && it.came_to == CameTo::Refused => {
                    connection.execute(
                        "UPDATE waiting SET came_to = 'approved', ended_at = ?2, by_run = ?3, answered_by = NULL,
                             answered_at = NULL, answered_reason = NULL WHERE number = ?1",
                        params![number, millis(now), run.as_str()],
                    )?;
                    close(connection, &before.run)
                }
                Some(it) if it.came_to == CameTo::Refused => {
                    connection.execute(
                        "UPDATE waiting SET by_run = ?2 WHERE number = ?1",
                        params![number, run.as_str()],
                    )?;
                    Ok(())
                }
                Some(_) => Ok(()),
            }
        })
        .await
    }

    /// What a person has refused, where nothing has taken its place since.
    pub async fn refused(&self) -> Result<Vec<Waiting>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM waiting w WHERE came_to = 'refused' AND by_run IS NULL AND number = (
                     SELECT max(number) FROM waiting
                     WHERE workflow = w.workflow AND token = w.token AND step = w.step)
                 ORDER BY number"
            ))?;
            let mut rows = statement.query([])?;
            all(&mut rows)
        })
        .await
    }

    /// The run in shadow mode that made this very plan, if the one before this did.
    pub async fn last_shadow(
        &self,
        this: &RunId,
        asker: &Asker,
        plan: &Digest,
    ) -> Result<Option<RunId>, Error> {
        let (this, asker, plan) = (this.clone(), asker.clone(), plan.clone());
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT r.id, s.outcome FROM run r
                     JOIN step s ON s.run = r.id AND s.token = ?2 AND coalesce(s.id, s.uses) = ?3
                 WHERE r.workflow = ?1 AND r.shadow AND NOT r.dry AND r.id <> ?4 AND s.outcome IS NOT NULL
                 ORDER BY r.started_at DESC, r.id DESC LIMIT 1",
            )?;
            let [workflow, token, step] = asker.values();
            let mut rows = statement.query([workflow, token, step, this.as_str()])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let outcome: String = row.get(1)?;
            Ok(match from_json(&outcome, "outcome")? {
                Outcome::Planned(planned) if planned.plan.as_ref() == Some(&plan) => {
                    let run: RunId = planned.same_as.map_or_else(|| typed(row.get(0)?, "run id"), Ok)?;
                    // It may have been forgotten since, with its actions.
                    let mut there = connection.prepare_cached("SELECT 1 FROM run WHERE id = ?1")?;
                    if there.exists([run.as_str()])? { Some(run) } else { None }
                }
                _ => None,
            })
        })
        .await
    }

    /// What waits, the oldest first; of one run also what no longer does.
    pub async fn waiting(&self, of: Option<&RunId>) -> Result<Vec<Waiting>, Error> {
        let of = of.cloned();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM waiting WHERE (?1 IS NULL AND came_to IS NULL) OR run = ?1 ORDER BY number"
            ))?;
            let mut rows = statement.query([of.as_ref().map(RunId::as_str)])?;
            all(&mut rows)
        })
        .await
    }

    /// A person refuses what a run waits with. How many plans that were.
    pub async fn refuse(&self, run: &RunId, answer: Answer) -> Result<usize, Error> {
        let run = run.clone();
        self.write(move |connection| {
            let ended = connection.execute(
                "UPDATE waiting SET came_to = 'refused', ended_at = ?2, answered_by = ?3, answered_at = ?2,
                     answered_reason = ?4 WHERE run = ?1 AND came_to IS NULL",
                params![run.as_str(), millis(answer.at), answer.who, answer.reason],
            )?;
            close(connection, &run)?;
            Ok(ended)
        })
        .await
    }

    /// Ends the waiting of all that nobody has approved in time, and returns it.
    pub async fn lapse(&self, now: Timestamp) -> Result<Vec<Waiting>, Error> {
        // Asked often, and most often nothing does.
        let due = self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM waiting WHERE came_to IS NULL AND until <= ?1)",
            )?;
            Ok(statement.query_row([millis(now)], |row| row.get::<_, bool>(0))?)
        });
        if due.await? { self.write(move |connection| lapse(connection, now)).await } else { Ok(Vec::new()) }
    }
}

/// Ends what waits for a token that is forgotten: nobody can approve it any more.
pub(super) fn forget(connection: &Connection, token: &TokenName) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "UPDATE waiting SET came_to = 'lapsed', ended_at = since WHERE token = ?1 AND came_to IS NULL
         RETURNING run",
    )?;
    let runs = statement.query_map([token.as_str()], |row| row.get(0))?;
    for run in runs.collect::<Result<Vec<String>, _>>()? {
        close(connection, &typed(run, "run id")?)?;
    }
    connection.execute("DELETE FROM waiting WHERE token = ?1", [token.as_str()])?;
    Ok(())
}

fn lapse(connection: &Connection, now: Timestamp) -> Result<Vec<Waiting>, Error> {
    let mut statement = connection.prepare_cached(&format!(
        "UPDATE waiting SET came_to = 'lapsed', ended_at = until WHERE came_to IS NULL AND until <= ?1
         RETURNING {COLUMNS}"
    ))?;
    let lapsed = all(&mut statement.query([millis(now)])?)?;
    for it in &lapsed {
        close(connection, &it.run)?;
    }
    Ok(lapsed)
}

/// Ends what waits of a step for a token, if something does.
fn end(
    connection: &Connection,
    asker: &Asker,
    how: CameTo,
    now: Timestamp,
    by: Option<&RunId>,
) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(&format!(
        "UPDATE waiting SET came_to = ?4, ended_at = ?5, by_run = ?6 WHERE {OF} AND came_to IS NULL RETURNING run"
    ))?;
    let [workflow, token, step] = asker.values();
    let by = by.map(RunId::as_str);
    let ended = params![workflow, token, step, how.as_str(), millis(now), by];
    let ended: Option<String> = statement.query_row(ended, |row| row.get(0)).optional()?;
    match ended {
        Some(run) => close(connection, &typed(run, "run id")?),
        None => Ok(()),
    }
}

/// A run of which nothing waits any more is over: it ended as the worst of what waited did, or as its other
/// steps, if that is worse. What it planned will not be sent by it.
pub(super) fn close(connection: &Connection, id: &RunId) -> Result<(), Error> {
    let mut ends = Vec::new();
    for it in of_run(connection, id)? {
        match it.waited.end {
            Some(end) => ends.push(state_of(end.came_to)),
            None => return Ok(()),
        }
    }
    if ends.is_empty() {
        return Ok(());
    }
    let mut statement =
        connection.prepare_cached(&format!("SELECT {} FROM run WHERE id = ?1", super::runs::COLUMNS))?;
    let mut rows = statement.query([id.as_str()])?;
    let Some(row) = rows.next()? else { return Ok(()) };
    let others = run(connection, row)?;
    // While somebody works on it, whoever closes it says how it ends.
    if others.state == State::Running {
        return Ok(());
    }
    let state = ends.into_iter().max().unwrap_or(State::Replaced).max(others.end_but_for_waiting());
    connection.execute("UPDATE run SET state = ?2 WHERE id = ?1", [id.as_str(), state.as_str()])?;
    let mut plans = connection.prepare_cached("SELECT id FROM plan WHERE run = ?1")?;
    let plans = plans.query_map([id.as_str()], |row| row.get(0))?;
    for plan in plans.collect::<Result<Vec<i64>, _>>()? {
        drop_planned(connection, plan, None)?;
    }
    Ok(())
}

/// As what a run ends whose plan came to this.
fn state_of(came_to: CameTo) -> State {
    match came_to {
        CameTo::Approved => State::Approved,
        CameTo::Refused => State::Refused,
        CameTo::Lapsed => State::Lapsed,
        CameTo::Replaced => State::Replaced,
    }
}

/// The newest that waits or waited, with its number.
fn newest(connection: &Connection, asker: &Asker) -> Result<Option<(i64, Waiting)>, Error> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, number FROM waiting WHERE {OF} ORDER BY number DESC LIMIT 1"
    ))?;
    let mut rows = statement.query(asker.values())?;
    rows.next()?.map(|row| Ok((row.get(16)?, waiting(row)?))).transpose()
}

/// What a run has asked.
pub(super) fn of_run(connection: &Connection, run: &RunId) -> Result<Vec<Waiting>, Error> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM waiting WHERE run = ?1 ORDER BY number"))?;
    all(&mut statement.query([run.as_str()])?)
}

fn all(rows: &mut Rows<'_>) -> Result<Vec<Waiting>, Error> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(waiting(row)?);
    }
    Ok(found)
}

/// From the columns of [`COLUMNS`].
fn waiting(row: &Row<'_>) -> Result<Waiting, Error> {
    let run = |text: Option<String>| text.map(|text| typed(text, "run id")).transpose();
    let (how, ended_at): (Option<String>, _) = (row.get(8)?, maybe_time(row.get(9)?)?);
    let end = match (how, ended_at) {
        (Some(how), Some(at)) => {
            Some(End { came_to: typed(how, "end of a waiting plan")?, at, by: run(row.get(10)?)? })
        }
        _ => None,
    };
    let (who, answered_at): (Option<String>, _) = (row.get(12)?, maybe_time(row.get(13)?)?);
    let answer = match (who, answered_at) {
        (Some(who), Some(at)) => Some(Answer { who, at, reason: row.get(14)? }),
        _ => None,
    };
    Ok(Waiting {
        run: typed(row.get(0)?, "run id")?,
        asker: Asker {
            workflow: typed(row.get(1)?, "workflow name")?,
            token: typed(row.get(2)?, "token name")?,
            step: typed(row.get(3)?, "step id")?,
        },
        place: row.get(11)?,
        plan: typed(row.get(4)?, "digest")?,
        reviewed: row.get(5)?,
        waited: Waited {
            since: time(row.get(6)?)?,
            until: time(row.get(7)?)?,
            answer,
            begun_by: run(row.get(15)?)?,
            end,
        },
    })
}

#[cfg(test)]
mod tests {
    use rusqlite_migration::Migrations;

    use super::super::MIGRATIONS;
    use super::*;
    use crate::secrets::Key;

    /// A store of before approvals were kept, with what waits in it.
    async fn before(waiting: &str) -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deputy.db");
        let mut old = Connection::open(&path).unwrap();
        Migrations::from_slice(MIGRATIONS).to_version(&mut old, 13).unwrap();
        let (run, digest) = ("20260109-091320-k3f9wq", "0".repeat(64));
        old.execute_batch(&format!(
            "INSERT INTO run (id, workflow, trigger, dry, started_at, ended_at, state)
                 VALUES ('{run}', 'w', '{{\"by\":\"hand\"}}', 0, 0, 1, 'waiting');
             INSERT INTO step (run, number, place, uses, token, started_at, id) VALUES
                 ('{run}', 0, 1, 'plan', 'emea', 0, 'early'), ('{run}', 1, 3, 'plan', 'emea', 0, NULL),
                 ('{run}', 2, 1, 'plan', 'amer', 0, NULL), ('{run}', 3, 3, 'plan', 'amer', 0, NULL);"
        ))
        .unwrap();
        for row in waiting.split(';') {
            let (token, place) = row.trim().split_once(' ').unwrap();
            old.execute(
                "INSERT INTO waiting (run, workflow, token, place, plan, reviewed, since, until)
                     VALUES (?1, 'w', ?2, ?3, ?4, 0, 5, 15)",
                params![run, token, place, digest],
            )
            .unwrap();
        }
        drop(old);
        let store = Store::open(&path, Key::from_text(&"0".repeat(64), "a test").unwrap()).await.unwrap();
        (folder, store)
    }

    #[tokio::test]
    async fn what_waited_before_steps_had_ids_waits_for_them_now() {
        let (_folder, store) = before("emea 1; emea 3; amer 1; amer 3").await;
        let waiting = store.waiting(None).await.unwrap();
        let keys = waiting.iter().map(|it| format!("{} {} {}", it.asker.token, it.place, it.asker.step));
        let keys: Vec<String> = keys.collect();
        // Without an id of its own a step was the only one of its kind, or came from before there were any.
        assert_eq!(keys, ["emea 1 early", "emea 3 plan-2", "amer 1 plan", "amer 3 plan-2"]);
    }

    #[tokio::test]
    async fn an_approval_gives_the_whole_time_again_however_often_it_is_given() {
        let (_folder, store) = before("emea 1").await;
        let run: RunId = "20260109-091320-k3f9wq".parse().unwrap();
        for at in [7, 9, 14] {
            let answer = Answer { who: "anna".to_owned(), at: time(at).unwrap(), reason: None };
            assert_eq!(store.approve(&run, answer).await.unwrap().len(), 1);
            let waiting = store.waiting(None).await.unwrap().remove(0);
            assert_eq!(
                (waiting.waited.since, waiting.waited.until),
                (time(5).unwrap(), time(at + 10).unwrap())
            );
            assert_eq!(store.approved(&waiting.asker).await.unwrap(), Some(waiting));
        }
    }
}
