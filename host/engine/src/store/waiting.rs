//! Plans that wait for a person's word, and what came of them.
//!
//! A plan that waits is told apart from others by its digest. Of one step of a workflow and one token at most
//! one plan waits; the same plan, made again, waits on as it was, and another takes its place.

use std::time::Duration;

use domain::id::{Digest, RunId, TokenName, WorkflowName};
use domain::run::{Outcome, State};
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::actions::drop_planned;
use super::runs::run;
use super::{Error, Store, absent, from_json, maybe_time, millis, time, typed};

/// The step that made a plan, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The workflow.
    pub workflow: WorkflowName,
    /// Whose devices.
    pub token: TokenName,
    /// The place of the step in the workflow.
    pub place: u32,
}

/// A plan that waits, or waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The run that asked.
    pub run: RunId,
    /// Who asked.
    pub asker: Asker,
    /// The digest of the plan.
    pub plan: Digest,
    /// The step's review had its say before a person was asked.
    pub reviewed: bool,
    /// Since when.
    pub since: Timestamp,
    /// When it lapses.
    pub until: Timestamp,
    /// What came of it; none as long as it waits.
    pub end: Option<End>,
}

/// How the waiting of a plan ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// How.
    pub how: CameTo,
    /// When.
    pub at: Timestamp,
    /// The run that carried it out, or whose plan took its place.
    pub by: Option<RunId>,
}

/// What a plan that waited came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CameTo {
    /// A person let it through.
    Approved,
    /// A person refused it.
    Refused,
    /// Nobody said anything in time.
    Lapsed,
    /// Another plan took its place.
    Replaced,
}

impl CameTo {
    fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Refused => "refused",
            Self::Lapsed => "lapsed",
            Self::Replaced => "replaced",
        }
    }

    fn state(self) -> State {
        match self {
            Self::Approved => State::Approved,
            Self::Refused => State::Refused,
            Self::Lapsed => State::Lapsed,
            Self::Replaced => State::Replaced,
        }
    }
}

impl std::str::FromStr for CameTo {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        [Self::Approved, Self::Refused, Self::Lapsed, Self::Replaced]
            .into_iter()
            .find(|it| it.as_str() == word)
            .ok_or(())
    }
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
    Declined(RunId),
}

const COLUMNS: &str = "run, workflow, token, place, plan, reviewed, since, until, came_to, ended_at, by_run";

impl Store {
    /// Has a plan wait for a person, unless that very plan waits already, or was refused.
    pub async fn ask(
        &self,
        run: &RunId,
        asker: &Asker,
        plan: &Digest,
        reviewed: bool,
        (now, within): (Timestamp, Duration),
    ) -> Result<Asked, Error> {
        let (run, asker, plan) = (run.clone(), asker.clone(), plan.clone());
        let until = now.checked_add(within).unwrap_or(Timestamp::MAX);
        self.write(move |connection| {
            let before = newest(connection, &asker)?;
            match &before {
                // A review that had no say yet makes another question of the same plan.
                Some(it) if it.plan == plan && it.end.is_none() && it.reviewed >= reviewed => {
                    return Ok(Asked::Before(it.clone()));
                }
                Some(it)
                    if it.plan == plan && it.end.as_ref().is_some_and(|end| end.how == CameTo::Refused) =>
                {
                    return Ok(Asked::Declined(it.run.clone()));
                }
                _ => end(connection, &asker, CameTo::Replaced, now, Some(&run))?,
            }
            connection.execute(
                "INSERT INTO waiting (run, workflow, token, place, plan, reviewed, since, until)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    run.as_str(),
                    asker.workflow.as_str(),
                    asker.token.as_str(),
                    asker.place,
                    plan.as_str(),
                    reviewed,
                    millis(now),
                    millis(until),
                ],
            )?;
            Ok(Asked::Now { until, instead_of: before.filter(|it| it.end.is_none()) })
        })
        .await
    }

    /// A plan goes ahead: what waited in its place waits no longer. The same plan was approved with it.
    pub async fn goes_ahead(
        &self,
        run: &RunId,
        asker: &Asker,
        plan: &Digest,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (run, asker, plan) = (run.clone(), asker.clone(), plan.clone());
        self.write(move |connection| {
            let Some(before) = newest(connection, &asker)? else { return Ok(()) };
            match &before.end {
                None if before.plan == plan => end(connection, &asker, CameTo::Approved, now, Some(&run)),
                None => end(connection, &asker, CameTo::Replaced, now, Some(&run)),
                // A person has changed their mind.
                Some(it) if before.plan == plan && it.how == CameTo::Refused => {
                    connection.execute(
                        "UPDATE waiting SET came_to = 'approved', ended_at = ?2, by_run = ?3
                         WHERE number = (SELECT max(number) FROM waiting WHERE run = ?1 AND token = ?4 AND place = ?5)",
                        params![before.run.as_str(), millis(now), run.as_str(), asker.token.as_str(), asker.place],
                    )?;
                    close(connection, &before.run)
                }
                Some(_) => Ok(()),
            }
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
                "SELECT r.id, s.outcome FROM run r JOIN step s ON s.run = r.id AND s.token = ?2 AND s.place = ?3
                 WHERE r.workflow = ?1 AND r.shadow AND NOT r.dry AND r.id <> ?4 AND s.outcome IS NOT NULL
                 ORDER BY r.started_at DESC, r.id DESC LIMIT 1",
            )?;
            let asker =
                params![asker.workflow.as_str(), asker.token.as_str(), asker.place, this.as_str()];
            let mut rows = statement.query(asker)?;
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
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(waiting(row)?);
            }
            Ok(found)
        })
        .await
    }

    /// A person refuses what a run waits with. How many plans that were.
    pub async fn refuse(&self, run: &RunId, now: Timestamp) -> Result<usize, Error> {
        let run = run.clone();
        self.write(move |connection| {
            let ended = connection.execute(
                "UPDATE waiting SET came_to = 'refused', ended_at = ?2 WHERE run = ?1 AND came_to IS NULL",
                params![run.as_str(), millis(now)],
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
    let mut rows = statement.query([millis(now)])?;
    let mut lapsed = Vec::new();
    while let Some(row) = rows.next()? {
        lapsed.push(waiting(row)?);
    }
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
    let mut statement = connection.prepare_cached(
        "UPDATE waiting SET came_to = ?4, ended_at = ?5, by_run = ?6
         WHERE workflow = ?1 AND token = ?2 AND place = ?3 AND came_to IS NULL RETURNING run",
    )?;
    let ended: Option<String> = statement
        .query_row(
            params![
                asker.workflow.as_str(),
                asker.token.as_str(),
                asker.place,
                how.as_str(),
                millis(now),
                by.map(RunId::as_str),
            ],
            |row| row.get(0),
        )
        .map(Some)
        .or_else(absent)?;
    match ended {
        Some(run) => close(connection, &typed(run, "run id")?),
        None => Ok(()),
    }
}

/// A run of which nothing waits any more is over: it ended as the worst of what waited did, or as its other
/// steps, if that is worse. What it planned will not be sent by it.
pub(super) fn close(connection: &Connection, id: &RunId) -> Result<(), Error> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM waiting WHERE run = ?1"))?;
    let mut rows = statement.query([id.as_str()])?;
    let mut ends = Vec::new();
    while let Some(row) = rows.next()? {
        match waiting(row)?.end {
            Some(end) => ends.push(end.how.state()),
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

/// The newest that waits or waited.
fn newest(connection: &Connection, asker: &Asker) -> Result<Option<Waiting>, Error> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM waiting WHERE workflow = ?1 AND token = ?2 AND place = ?3
         ORDER BY number DESC LIMIT 1"
    ))?;
    let mut rows = statement.query(params![asker.workflow.as_str(), asker.token.as_str(), asker.place])?;
    rows.next()?.map(waiting).transpose()
}

/// From the columns of [`COLUMNS`].
fn waiting(row: &Row<'_>) -> Result<Waiting, Error> {
    let (how, at, by): (Option<String>, _, Option<String>) =
        (row.get(8)?, maybe_time(row.get(9)?)?, row.get(10)?);
    let end = match (how, at) {
        (Some(how), Some(at)) => Some(End {
            how: typed(how, "end of a waiting plan")?,
            at,
            by: by.map(|text| typed(text, "run id")).transpose()?,
        }),
        _ => None,
    };
    Ok(Waiting {
        run: typed(row.get(0)?, "run id")?,
        asker: Asker {
            workflow: typed(row.get(1)?, "workflow name")?,
            token: typed(row.get(2)?, "token name")?,
            place: row.get(3)?,
        },
        plan: typed(row.get(4)?, "digest")?,
        reviewed: row.get(5)?,
        since: time(row.get(6)?)?,
        until: time(row.get(7)?)?,
        end,
    })
}
