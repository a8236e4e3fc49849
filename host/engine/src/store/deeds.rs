//! Plans, what they do, and what that came to, as rows: in words that many actions share.
//!
//! An action says which device, which *deed* (to what, from what, why) and which *outcome* (sent when, answered
//! what). Its number begins with that of its plan, so the actions of a plan lie together.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::id::{ProfileId, RunId, TokenName};
use domain::removal::Removal;
use foldhash::HashMap;
use jiff::Timestamp;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

use super::actions::{ActionState, QueuedAction};
use super::devices::DeviceId;
use super::{Error, millis};

/// What is done to a device, in words that it shares with others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Deed {
    /// What is taken away; nothing where a profile is assigned.
    pub(super) kind: Option<Removal>,
    /// Our name for the profile; empty where there is none.
    pub(super) profile: String,
    /// This very profile of Apple's.
    pub(super) id: Option<String>,
    /// The profile until then.
    pub(super) from: Option<ProfileId>,
    pub(super) reason: Arc<str>,
}

/// The actions of one plan on their way into the store.
pub(super) struct Writing<'c> {
    connection: &'c Connection,
    plan: i64,
    last: i64,
    deeds: HashMap<Deed, i64>,
    insert: CachedStatement<'c>,
}

impl<'c> Writing<'c> {
    /// Begins a plan, or goes on with it.
    pub(super) fn of(
        connection: &'c Connection,
        run: &RunId,
        token: &TokenName,
        place: Option<u32>,
    ) -> Result<Self, Error> {
        let plan = match plan_of(connection, run, token, place)? {
            Some(plan) => plan,
            None => connection
                .prepare_cached("INSERT INTO plan (run, token, place) VALUES (?1, ?2, ?3) RETURNING id")?
                .query_row(params![run.as_str(), token.as_str(), place], |row| row.get(0))?,
        };
        let last: Option<i64> = connection
            .prepare_cached("SELECT max(id) FROM action_record WHERE id >= ?1 << 32 AND id < (?1 + 1) << 32")?
            .query_row([plan], |row| row.get(0))?;
        let insert =
            connection.prepare_cached("INSERT INTO action_record (id, device, deed) VALUES (?1, ?2, ?3)")?;
        Ok(Self { connection, plan, last: last.unwrap_or(plan << 32), deeds: HashMap::default(), insert })
    }

    /// One action more. Returns its number.
    pub(super) fn put(&mut self, device: DeviceId, deed: Deed) -> Result<i64, Error> {
        let deed = match self.deeds.get(&deed) {
            Some(id) => *id,
            None => {
                let id = deed_of(self.connection, self.plan, &deed)?;
                self.deeds.insert(deed, id);
                id
            }
        };
        self.last += 1;
        self.insert.execute(params![self.last, device, deed])?;
        Ok(self.last)
    }
}

/// The number of a deed in its plan.
pub(super) fn deed_of(connection: &Connection, plan: i64, deed: &Deed) -> Result<i64, Error> {
    let Deed { kind, profile, id, from, reason } = deed;
    let from = from.as_ref().map(ProfileId::as_str);
    let all = params![plan, kind.map_or("assign", Removal::as_str), profile, id, from, &**reason];
    let mut find = connection.prepare_cached(
        "SELECT id FROM deed WHERE plan = ?1 AND reason = ?6 AND kind = ?2 AND profile = ?3 AND to_uuid IS ?4
             AND from_uuid IS ?5",
    )?;
    if let Some(id) = find.query_row(all, |row| row.get(0)).optional()? {
        return Ok(id);
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO deed (plan, kind, profile, to_uuid, from_uuid, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         RETURNING id",
    )?;
    Ok(insert.query_row(all, |row| row.get(0))?)
}

/// The plans of a run for a token, all or that of one step.
pub(super) fn plans_of(
    connection: &Connection,
    run: &RunId,
    token: &TokenName,
    place: Option<u32>,
) -> Result<Vec<i64>, Error> {
    let mut select = connection.prepare_cached(
        "SELECT id FROM plan WHERE run = ?1 AND token = ?2 AND (?3 IS NULL OR place = ?3) ORDER BY id",
    )?;
    let plans = select.query_map(params![run.as_str(), token.as_str(), place], |row| row.get(0))?;
    Ok(plans.collect::<Result<_, _>>()?)
}

/// The plan of a step, or what is no plan.
pub(super) fn plan_of(
    connection: &Connection,
    run: &RunId,
    token: &TokenName,
    place: Option<u32>,
) -> Result<Option<i64>, Error> {
    let mut select =
        connection.prepare_cached("SELECT id FROM plan WHERE run = ?1 AND token = ?2 AND place IS ?3")?;
    Ok(select.query_row(params![run.as_str(), token.as_str(), place], |row| row.get(0)).optional()?)
}

/// What is left of a plan, for all profiles or for one by its columns, will not be sent. Returns how much.
pub(super) fn drop_planned(
    connection: &Connection,
    plan: i64,
    target: Option<(String, Option<String>)>,
) -> Result<u64, Error> {
    let left = "id >= ?1 << 32 AND id < (?1 + 1) << 32 AND outcome IS NULL";
    let mut is_left = connection.prepare_cached(&format!("SELECT 1 FROM action_record WHERE {left}"))?;
    if !is_left.exists([plan])? {
        return Ok(0);
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO outcome (plan, state, first, last) VALUES (?1, 'dropped', ?1 << 32, (?1 + 1) << 32)
         RETURNING id",
    )?;
    let outcome: i64 = insert.query_row([plan], |row| row.get(0))?;
    let mut update = connection.prepare_cached(&format!(
        "UPDATE action_record SET outcome = ?2 WHERE {left} AND (?3 IS NULL OR deed IN
             (SELECT id FROM deed WHERE plan = ?1 AND profile = ?3 AND to_uuid IS ?4))"
    ))?;
    let (name, id) = target.unzip();
    Ok(update.execute(params![plan, outcome, name, id.flatten()])? as u64)
}

/// These actions have this outcome, or none yet.
pub(super) fn came_to(connection: &Connection, actions: &[i64], outcome: Option<i64>) -> Result<(), Error> {
    let mut update = connection.prepare_cached("UPDATE action_record SET outcome = ?2 WHERE id = ?1")?;
    for id in actions {
        update.execute(params![id, outcome])?;
    }
    Ok(())
}

/// How many actions have this outcome.
pub(super) fn outcome_size(connection: &Connection, outcome: i64) -> Result<usize, Error> {
    let mut count = connection.prepare_cached(
        "SELECT count(*) FROM outcome o JOIN action_record a ON a.id >= o.first AND a.id <= o.last AND a.outcome = o.id
         WHERE o.id = ?1",
    )?;
    Ok(count.query_row([outcome], |row| row.get(0))?)
}

/// Writes what became of actions. Those that were sent together and came to the same share one row: most are, so
/// it is that row which changes, and only of the others which row they have.
pub(super) fn settled<'a>(
    connection: &Connection,
    actions: impl IntoIterator<Item = (&'a QueuedAction, ActionState)>,
    now: Timestamp,
) -> Result<(), Error> {
    let mut groups: BTreeMap<(Option<i64>, &str), Vec<i64>> = BTreeMap::new();
    for (action, state) in actions {
        groups.entry((action.outcome, state.as_str())).or_default().push(action.id);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, ids)| ids.len());
    for ((outcome, state), ids) in groups {
        let whole = match outcome {
            Some(outcome) if outcome_size(connection, outcome)? == ids.len() => Some(outcome),
            _ => None,
        };
        if let Some(whole) = whole {
            connection
                .prepare_cached("UPDATE outcome SET state = ?2, answered_at = ?3 WHERE id = ?1")?
                .execute(params![whole, state, millis(now)])?;
            continue;
        }
        let (Some(first), Some(last)) = (ids.iter().min(), ids.iter().max()) else { continue };
        let mut insert = connection.prepare_cached(
            "INSERT INTO outcome (plan, state, uuid, sent_at, answered_at, first, last)
             SELECT ?1 >> 32, ?2, o.uuid, o.sent_at, ?3, ?1, ?4
             FROM (SELECT 1) LEFT JOIN outcome o ON o.id = ?5 RETURNING id",
        )?;
        let apart: i64 =
            insert.query_row(params![first, state, millis(now), last, outcome], |row| row.get(0))?;
        came_to(connection, &ids, Some(apart))?;
    }
    Ok(())
}
