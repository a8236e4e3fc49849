//! Runs and their steps.

use std::fmt;

use domain::id::{PluginName, RunId, StepId, TokenName, WorkflowName};
use domain::run::{Decided, Outcome, Run, SkippedTimes, State, StepRecord, Trigger};
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::deeds::drop_planned;
use super::{Error, Store, from_json, maybe_time, millis, time, to_json, typed, waiting};

/// A run about to be opened.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Its name.
    pub id: RunId,
    /// What is executed.
    pub workflow: WorkflowName,
    /// Who asked.
    pub trigger: Trigger,
    /// Nothing is to be changed at Apple.
    pub dry: bool,
    /// The same by the workflow's own wish.
    pub shadow: bool,
    /// Now.
    pub started_at: Timestamp,
    /// `Running`, or `Skipped` for times that are only recorded.
    pub state: State,
    /// Which times, and why.
    pub skipped: Option<SkippedTimes>,
}

/// A run under which the process ended.
#[derive(Clone, Debug)]
pub struct Interrupted {
    /// Which.
    pub run: RunId,
    /// Of what.
    pub workflow: WorkflowName,
    /// The steps that had begun and not ended.
    pub steps: Vec<String>,
    /// Actions that were sent, and of which it is not known what became.
    pub in_flight: u64,
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMED: usize = 5;
        let Self { run, workflow, steps, in_flight } = self;
        write!(f, "run {run} of {workflow} was interrupted ")?;
        match steps.as_slice() {
            [] => f.write_str("between two steps")?,
            steps => write!(f, "in {}", steps[..steps.len().min(NAMED)].join(", "))?,
        }
        if steps.len() > NAMED {
            write!(f, " and {} more", steps.len() - NAMED)?;
        }
        match in_flight {
            0 => f.write_str("; the next run goes on"),
            devices => {
                write!(f, "; the next run asks first what became of what was sent for {devices} devices")
            }
        }
    }
}

/// That a policy was asked about the devices of a token.
#[derive(Clone, Debug)]
pub struct Asking {
    /// In which run.
    pub run: RunId,
    /// Of which workflow.
    pub workflow: WorkflowName,
    /// When it began to be asked.
    pub at: Timestamp,
    /// The time it was told: the run's own start.
    pub now: Timestamp,
    /// Nothing was to be changed at Apple.
    pub dry: bool,
    /// Who it was, what it was told, and what that came to.
    pub decided: Decided,
}

/// As many steps are looked through for one that asked a certain policy.
const ASKINGS: u32 = 100;

/// Which runs are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Of this workflow.
    pub workflow: Option<WorkflowName>,
    /// In one of these states; in any, if there are none.
    pub states: Vec<State>,
    /// That did something for this token.
    pub token: Option<TokenName>,
    /// That began then or later.
    pub since: Option<Timestamp>,
    /// At most so many.
    pub limit: u32,
}

pub(super) const COLUMNS: &str = "id, workflow, trigger, dry, started_at, ended_at, state, skipped, shadow";

impl Store {
    /// Opens a run. False if another process has taken this scheduled time already.
    pub async fn open_run(&self, run: NewRun) -> Result<bool, Error> {
        self.write(move |connection| insert(connection, &run)).await
    }

    /// Closes a run. What it planned in earnest and never sent will not be sent any more, unless that waits
    /// for a person.
    pub async fn close_run(&self, run: &RunId, state: State, now: Timestamp) -> Result<(), Error> {
        let run = run.clone();
        self.write(move |connection| {
            connection.execute(
                "UPDATE run SET state = ?2, ended_at = ?3 WHERE id = ?1 AND state = 'running'",
                params![run.as_str(), state.as_str(), millis(now)],
            )?;
            let mut plans = connection.prepare_cached(
                "SELECT id FROM plan WHERE run = ?1 AND (SELECT NOT dry AND NOT shadow FROM run WHERE id = ?1)
                     AND token NOT IN (SELECT token FROM waiting WHERE run = ?1 AND came_to IS NULL)",
            )?;
            let plans = plans.query_map([run.as_str()], |row| row.get(0))?;
            for plan in plans.collect::<Result<Vec<i64>, _>>()? {
                drop_planned(connection, plan, None)?;
            }
            // However it ended, it waits while a plan of it does; and no longer than that.
            connection.execute(
                "UPDATE run SET state = 'waiting'
                 WHERE id = ?1 AND EXISTS (SELECT 1 FROM waiting WHERE run = ?1 AND came_to IS NULL)",
                [run.as_str()],
            )?;
            waiting::close(connection, &run)
        })
        .await
    }

    /// Records that a step begins; returns its number in the run.
    pub async fn begin_step(
        &self,
        run: &RunId,
        place: u32,
        uses: &'static str,
        id: Option<&StepId>,
        token: Option<&TokenName>,
        now: Timestamp,
    ) -> Result<i64, Error> {
        let (run, token, id) = (run.clone(), token.cloned(), id.cloned());
        self.write(move |connection| {
            Ok(connection.query_row(
                "INSERT INTO step (run, number, place, uses, id, token, started_at)
                 VALUES (?1, (SELECT count(*) FROM step WHERE run = ?1), ?2, ?3, ?4, ?5, ?6) RETURNING number",
                params![
                    run.as_str(),
                    place,
                    uses,
                    id.as_ref().map(StepId::as_str),
                    token.as_ref().map(TokenName::as_str),
                    millis(now),
                ],
                |row| row.get(0),
            )?)
        })
        .await
    }

    /// Records what a step came to.
    pub async fn end_step(
        &self,
        run: &RunId,
        number: i64,
        outcome: &Outcome,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (run, outcome) = (run.clone(), to_json(outcome));
        self.write(move |connection| {
            connection.execute(
                "UPDATE step SET outcome = ?3, ended_at = ?4 WHERE run = ?1 AND number = ?2",
                params![run.as_str(), number, outcome, millis(now)],
            )?;
            Ok(())
        })
        .await
    }

    /// A run with its steps.
    pub async fn run(&self, id: &RunId) -> Result<Option<Run>, Error> {
        let id = id.clone();
        self.read(move |connection| {
            let mut statement =
                connection.prepare_cached(&format!("SELECT {COLUMNS} FROM run WHERE id = ?1"))?;
            let mut rows = statement.query([id.as_str()])?;
            rows.next()?.map(|row| run(connection, row)).transpose()
        })
        .await
    }

    /// The newest runs, newest first, with their steps.
    pub async fn runs(&self, workflow: Option<&WorkflowName>, limit: u32) -> Result<Vec<Run>, Error> {
        self.find_runs(RunFilter { workflow: workflow.cloned(), limit, ..RunFilter::default() }).await
    }

    /// Certain runs, newest first, with their steps.
    pub async fn find_runs(&self, filter: RunFilter) -> Result<Vec<Run>, Error> {
        let RunFilter { workflow, states, token, since, limit } = filter;
        let states: Vec<&str> = states.into_iter().map(State::as_str).collect();
        let states = (!states.is_empty()).then(|| to_json(&states));
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM run WHERE (?1 IS NULL OR workflow = ?1)
                     AND (?2 IS NULL OR state IN (SELECT value FROM json_each(?2)))
                     AND (?3 IS NULL OR EXISTS (SELECT 1 FROM step WHERE run = run.id AND token = ?3))
                     AND (?4 IS NULL OR started_at >= ?4)
                 ORDER BY started_at DESC, id DESC LIMIT ?5"
            ))?;
            let mut rows = statement.query(params![
                workflow.as_ref().map(WorkflowName::as_str),
                states,
                token.as_ref().map(TokenName::as_str),
                since.map(millis),
                limit
            ])?;
            let mut runs = Vec::new();
            while let Some(row) = rows.next()? {
                runs.push(run(connection, row)?);
            }
            Ok(runs)
        })
        .await
    }

    /// The last time by then that a policy was asked about the devices of a token, and answered; of this
    /// policy, if one is named.
    pub async fn last_asking(
        &self,
        token: &TokenName,
        then: Timestamp,
        policy: Option<&PluginName>,
    ) -> Result<Option<Asking>, Error> {
        let (token, policy) = (token.clone(), policy.cloned());
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT r.id, r.workflow, s.started_at, r.started_at, r.dry, s.outcome
                 FROM step s JOIN run r ON r.id = s.run
                 WHERE s.uses = 'decide' AND s.token = ?1 AND s.started_at <= ?2 AND s.outcome IS NOT NULL
                     AND NOT r.shadow
                 ORDER BY s.started_at DESC, s.number DESC LIMIT ?3",
            )?;
            let mut rows = statement.query(params![token.as_str(), millis(then), ASKINGS])?;
            while let Some(row) = rows.next()? {
                let asking = asking(row)?;
                let wanted = |it: &Asking| policy.is_none() || it.decided.policy == policy;
                if asking.as_ref().is_some_and(wanted) {
                    return Ok(asking);
                }
            }
            Ok(None)
        })
        .await
    }

    /// Whom a run asked about the devices of a token, one policy after the other.
    pub async fn askings_of(&self, token: &TokenName, run: &RunId) -> Result<Vec<Asking>, Error> {
        let (token, run) = (token.clone(), run.clone());
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT r.id, r.workflow, s.started_at, r.started_at, r.dry, s.outcome
                 FROM step s JOIN run r ON r.id = s.run
                 WHERE s.run = ?2 AND s.uses = 'decide' AND s.token = ?1 AND s.outcome IS NOT NULL
                 ORDER BY s.number",
            )?;
            let mut rows = statement.query([token.as_str(), run.as_str()])?;
            let mut askings = Vec::new();
            while let Some(row) = rows.next()? {
                askings.extend(asking(row)?);
            }
            Ok(askings)
        })
        .await
    }

    /// Runs that were never closed. Whether somebody still works on them is not for the store to say.
    pub async fn open_runs(&self) -> Result<Vec<RunId>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT id FROM run WHERE state = 'running'")?;
            let mut rows = statement.query([])?;
            let mut ids = Vec::new();
            while let Some(row) = rows.next()? {
                ids.push(typed(row.get(0)?, "run id")?);
            }
            Ok(ids)
        })
        .await
    }

    /// What a run has left that nobody works on any more.
    pub async fn left_by(&self, run: &RunId) -> Result<Interrupted, Error> {
        let run = run.clone();
        self.read(move |connection| {
            let workflow: String =
                connection
                    .query_row("SELECT workflow FROM run WHERE id = ?1", [run.as_str()], |row| row.get(0))?;
            let mut statement = connection.prepare_cached(
                "SELECT uses, token FROM step WHERE run = ?1 AND ended_at IS NULL ORDER BY number",
            )?;
            let mut rows = statement.query([run.as_str()])?;
            let mut steps = Vec::new();
            while let Some(row) = rows.next()? {
                let (uses, token): (String, Option<String>) = (row.get(0)?, row.get(1)?);
                steps.push(token.map_or_else(|| uses.clone(), |token| format!("{uses} for {token}")));
            }
            let in_flight = connection.query_row(
                "SELECT count(*) FROM outcome o JOIN plan p ON p.id = o.plan
                     JOIN action_record a ON a.id >= o.first AND a.id <= o.last AND a.outcome = o.id
                 WHERE o.state = 'sent' AND p.run = ?1",
                [run.as_str()],
                |row| row.get(0),
            )?;
            Ok(Interrupted { run, workflow: typed(workflow, "workflow name")?, steps, in_flight })
        })
        .await
    }

    /// The last run of a workflow in earnest: not a dry one, nor a time that was skipped.
    pub async fn last_run(&self, workflow: &WorkflowName) -> Result<Option<Run>, Error> {
        let workflow = workflow.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM run WHERE workflow = ?1 AND NOT dry AND state != 'skipped'
                 ORDER BY started_at DESC, id DESC LIMIT 1"
            ))?;
            let mut rows = statement.query([workflow.as_str()])?;
            rows.next()?.map(|row| run(connection, row)).transpose()
        })
        .await
    }
}

/// Writes a run. False if another process has taken this scheduled time already. Times that are skipped
/// for the same reason as those right before them become one row with those.
pub(super) fn insert(connection: &Connection, run: &NewRun) -> Result<bool, Error> {
    let scheduled = run.trigger.scheduled_at().map(millis);
    if let Some(skipped) = &run.skipped
        && let Some((before, so_far)) = skipped_before(connection, run, skipped.from)?
        && (so_far.why, &so_far.note) == (skipped.why, &skipped.note)
    {
        let skipped = SkippedTimes {
            from: so_far.from.min(skipped.from),
            times: so_far.times + skipped.times,
            ..so_far
        };
        connection.execute(
            "UPDATE run SET trigger = ?2, scheduled_at = ?3, started_at = ?4, ended_at = ?4, skipped = ?5
             WHERE id = ?1",
            params![before, to_json(&run.trigger), scheduled, millis(run.started_at), to_json(&skipped)],
        )?;
        return Ok(true);
    }
    let ended = (run.state != State::Running).then(|| millis(run.started_at));
    let opened = connection.execute(
        "INSERT INTO run (id, workflow, trigger, scheduled_at, dry, started_at, ended_at, state, skipped, shadow)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (workflow, scheduled_at) WHERE scheduled_at IS NOT NULL DO NOTHING",
        params![
            run.id.as_str(),
            run.workflow.as_str(),
            to_json(&run.trigger),
            scheduled,
            run.dry,
            millis(run.started_at),
            ended,
            run.state.as_str(),
            run.skipped.as_ref().map(to_json),
            run.shadow,
        ],
    )?;
    Ok(opened == 1)
}

/// The row of a workflow's last scheduled time, if that was before this one and nothing was run at it. After
/// a clock went back there may be rows of times that are still to come.
fn skipped_before(
    connection: &Connection,
    run: &NewRun,
    at: Timestamp,
) -> Result<Option<(String, SkippedTimes)>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT id, skipped, scheduled_at FROM run WHERE workflow = ?1 AND scheduled_at IS NOT NULL
         ORDER BY scheduled_at DESC LIMIT 1",
    )?;
    let mut rows = statement.query([run.workflow.as_str()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (id, skipped, last): (String, Option<String>, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let Some(skipped) = skipped.filter(|_| last < millis(at)) else { return Ok(None) };
    Ok(Some((id, from_json(&skipped, "set of skipped times")?)))
}

/// None if the policy was not to be asked, or not to its end.
fn asking(row: &Row<'_>) -> Result<Option<Asking>, Error> {
    let outcome: String = row.get(5)?;
    let Outcome::Decided(decided) = from_json(&outcome, "outcome")? else { return Ok(None) };
    Ok(Some(Asking {
        run: typed(row.get(0)?, "run id")?,
        workflow: typed(row.get(1)?, "workflow name")?,
        at: time(row.get(2)?)?,
        now: time(row.get(3)?)?,
        dry: row.get(4)?,
        decided,
    }))
}

pub(super) fn run(connection: &Connection, row: &Row<'_>) -> Result<Run, Error> {
    let id: String = row.get(0)?;
    let (trigger, state): (String, String) = (row.get(2)?, row.get(6)?);
    let skipped: Option<String> = row.get(7)?;
    let mut statement = connection.prepare_cached(
        "SELECT place, uses, token, started_at, ended_at, outcome, id FROM step WHERE run = ?1 ORDER BY number",
    )?;
    let mut rows = statement.query([&id])?;
    let mut steps = Vec::new();
    while let Some(row) = rows.next()? {
        let (token, outcome, id): (Option<String>, Option<String>, Option<String>) =
            (row.get(2)?, row.get(5)?, row.get(6)?);
        steps.push(StepRecord {
            index: row.get(0)?,
            uses: row.get(1)?,
            id: id.map(|text| typed(text, "step id")).transpose()?,
            token: token.map(|text| typed(text, "token name")).transpose()?,
            started_at: time(row.get(3)?)?,
            ended_at: maybe_time(row.get(4)?)?,
            outcome: outcome.map(|text| from_json(&text, "outcome")).transpose()?,
            waited: None,
        });
    }
    // What became of what it asked is told with it.
    let asked =
        steps.iter().any(|step| matches!(&step.outcome, Some(Outcome::Waits(waits)) if waits.is_new()));
    let id: RunId = typed(id, "run id")?;
    for it in if asked { waiting::of_run(connection, &id)? } else { Vec::new() } {
        let step = steps
            .iter_mut()
            .find(|step| step.index == it.place && step.token.as_ref() == Some(&it.asker.token));
        if let Some(step) = step {
            step.waited = Some(it.waited);
        }
    }
    Ok(Run {
        id,
        workflow: typed(row.get(1)?, "workflow name")?,
        trigger: from_json(&trigger, "trigger")?,
        dry: row.get(3)?,
        shadow: row.get(8)?,
        started_at: time(row.get(4)?)?,
        ended_at: maybe_time(row.get(5)?)?,
        state: State::from_word(&state).ok_or(Error::Corrupt { what: "run state", text: state })?,
        skipped: skipped.map(|text| from_json(&text, "set of skipped times")).transpose()?,
        steps,
    })
}
