//! How far the schedule of each workflow is dealt with, and what a person or the daemon has to say to it.

use std::collections::{BTreeMap, BTreeSet};

use domain::agenda::WorkflowPause;
use domain::id::{RunId, WorkflowName};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::runs::insert;
use super::{Error, NewRun, Store, maybe_time, millis, time, typed};

/// A schedule as it was in force when it was last looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// The expression; empty if that is not known.
    pub expression: String,
    /// The name of the time zone; empty if it has none.
    pub timezone: String,
    /// The workflow ran by it.
    pub enabled: bool,
}

/// How far a schedule is dealt with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The schedule that was in force.
    pub in_force: InForce,
    /// Its times up to then are on record.
    pub upto: Timestamp,
    /// A time that waits for the end of a run.
    pub queued: Option<Timestamp>,
}

/// What became of scheduled times of a workflow.
#[derive(Clone, Debug)]
pub struct Dealt {
    /// Which.
    pub workflow: WorkflowName,
    /// How far its schedule was dealt with, as it was read: if somebody has gone on meanwhile, this counts
    /// for nothing.
    pub seen: Option<Timestamp>,
    /// Runs, and times that are skipped, in order.
    pub rows: Vec<NewRun>,
    /// How far its schedule is dealt with then.
    pub progress: Progress,
}

/// What the daemon has to say for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonNote {
    /// When it took up the configuration it works with.
    pub read_at: Timestamp,
    /// Why it does not work with the files as they are now, and since when that is known.
    pub mistakes: Option<(String, Timestamp)>,
}

impl Store {
    /// How far the schedules are dealt with that were ever looked at.
    pub async fn progress(&self) -> Result<BTreeMap<WorkflowName, Progress>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT workflow, expression, timezone, enabled, upto, queued FROM schedule",
            )?;
            let mut rows = statement.query([])?;
            let mut found = BTreeMap::new();
            while let Some(row) = rows.next()? {
                found.insert(typed(row.get(0)?, "workflow name")?, progress(row)?);
            }
            Ok(found)
        })
        .await
    }

    /// Records what became of scheduled times, in one transaction with how far they are dealt with. Of
    /// the runs, those are returned whose time nobody has taken before.
    pub async fn deal_with(&self, all: Vec<Dealt>) -> Result<BTreeSet<RunId>, Error> {
        self.write(move |connection| {
            let mut opened = BTreeSet::new();
            for Dealt { workflow, seen, rows, progress } in &all {
                let mut statement =
                    connection.prepare_cached("SELECT upto FROM schedule WHERE workflow = ?1")?;
                let upto: Option<i64> =
                    statement.query_row([workflow.as_str()], |row| row.get(0)).optional()?;
                if upto != seen.map(millis) {
                    continue;
                }
                for row in rows {
                    if insert(connection, row)? {
                        opened.insert(row.id.clone());
                    }
                }
                let InForce { expression, timezone, enabled } = &progress.in_force;
                let (upto, queued) = (millis(progress.upto), progress.queued.map(millis));
                let mut statement = connection.prepare_cached(
                    "INSERT INTO schedule VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                     ON CONFLICT (workflow) DO UPDATE SET expression = ?2, timezone = ?3, enabled = ?4, upto = ?5,
                         queued = ?6",
                )?;
                statement.execute(params![workflow.as_str(), expression, timezone, enabled, upto, queued])?;
            }
            Ok(opened)
        })
        .await
    }

    /// Forgets the schedules of workflows that are not among these. Returns whose.
    pub async fn forget_schedules(&self, but: Vec<WorkflowName>) -> Result<Vec<WorkflowName>, Error> {
        self.write(move |connection| {
            let mut statement = connection.prepare_cached("SELECT workflow FROM schedule")?;
            let mut rows = statement.query([])?;
            let mut gone: Vec<WorkflowName> = Vec::new();
            while let Some(row) = rows.next()? {
                let name: WorkflowName = typed(row.get(0)?, "workflow name")?;
                if !but.contains(&name) {
                    gone.push(name);
                }
            }
            for name in &gone {
                connection.execute("DELETE FROM schedule WHERE workflow = ?1", [name.as_str()])?;
            }
            Ok(gone)
        })
        .await
    }

    /// The pauses of workflows, also those that are over and were never ended by anybody.
    pub async fn pauses(&self) -> Result<BTreeMap<WorkflowName, WorkflowPause>, Error> {
        self.read(pauses).await
    }

    /// Keeps a workflow from running on its schedule, in place of what kept it before.
    pub async fn pause_workflow(&self, workflow: &WorkflowName, pause: WorkflowPause) -> Result<(), Error> {
        let workflow = workflow.clone();
        self.write(move |connection| {
            connection.execute(
                "INSERT OR REPLACE INTO workflow_pause VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    workflow.as_str(),
                    pause.who,
                    pause.reason,
                    millis(pause.since),
                    pause.until.map(millis)
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// Ends the pause of a workflow. None if there was none.
    pub async fn resume_workflow(&self, workflow: &WorkflowName) -> Result<Option<WorkflowPause>, Error> {
        let workflow = workflow.clone();
        self.write(move |connection| {
            let pause = pauses(connection)?.remove(&workflow);
            connection.execute("DELETE FROM workflow_pause WHERE workflow = ?1", [workflow.as_str()])?;
            Ok(pause)
        })
        .await
    }

    /// The daemon works with a configuration that it has read now.
    pub async fn configuration_read(&self, now: Timestamp) -> Result<(), Error> {
        self.write(move |connection| {
            connection.execute("INSERT OR REPLACE INTO daemon VALUES (1, ?1, NULL, NULL)", [millis(now)])?;
            Ok(())
        })
        .await
    }

    /// The daemon goes on with the configuration it has, since the files have mistakes now.
    pub async fn configuration_refused(&self, mistakes: String, now: Timestamp) -> Result<(), Error> {
        self.write(move |connection| {
            connection.execute(
                "UPDATE daemon SET mistakes = ?1, mistakes_at = ?2 WHERE id = 1",
                params![mistakes, millis(now)],
            )?;
            Ok(())
        })
        .await
    }

    /// What the daemon has to say for itself, if one ever worked with this store.
    pub async fn daemon_note(&self) -> Result<Option<DaemonNote>, Error> {
        self.read(|connection| {
            let row = connection
                .query_row("SELECT read_at, mistakes, mistakes_at FROM daemon", [], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .optional()?;
            let Some((read_at, mistakes, at)) = row else { return Ok(None) };
            let mistakes: Option<String> = mistakes;
            let mistakes = mistakes.zip(maybe_time(at)?);
            Ok(Some(DaemonNote { read_at: time(read_at)?, mistakes }))
        })
        .await
    }
}

fn progress(row: &Row<'_>) -> Result<Progress, Error> {
    Ok(Progress {
        in_force: InForce { expression: row.get(1)?, timezone: row.get(2)?, enabled: row.get(3)? },
        upto: time(row.get(4)?)?,
        queued: maybe_time(row.get(5)?)?,
    })
}

fn pauses(connection: &Connection) -> Result<BTreeMap<WorkflowName, WorkflowPause>, Error> {
    let mut statement =
        connection.prepare_cached("SELECT workflow, who, reason, since, until FROM workflow_pause")?;
    let mut rows = statement.query([])?;
    let mut found = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (since, until) = (time(row.get(3)?)?, maybe_time(row.get(4)?)?);
        let pause = WorkflowPause { who: row.get(1)?, reason: row.get(2)?, since, until };
        found.insert(typed(row.get(0)?, "workflow name")?, pause);
    }
    Ok(found)
}
