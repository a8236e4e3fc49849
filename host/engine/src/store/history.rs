//! What happened to each device at Apple, and what each was at an earlier time.

use domain::device::{Assignment, Device, Known};
use domain::history::{FieldChange, Past, PastChange, PastKind, ProfileState, as_of};
use domain::id::{RunId, SerialNumber, TokenName};
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::devices::{COLUMNS, DeviceId, known};
use super::standing::Numbers;
use super::{Error, Store, from_json, maybe_time, millis, time, to_json, typed};

/// In which run something was seen, and when.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The run.
    pub run: RunId,
    /// Now.
    pub at: Timestamp,
}

impl Store {
    /// What happened to a device, newest first; at most `limit`. The last, if there are no more, is that
    /// it was added.
    pub async fn device_history(
        &self,
        token: &TokenName,
        serial: &SerialNumber,
        limit: u32,
    ) -> Result<Vec<PastChange>, Error> {
        let (token, serial) = (token.clone(), serial.clone());
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT kind, e.seen_at, run, at, fields, before, ended, number
                     FROM device_history e JOIN device d ON d.id = e.device
                     WHERE token = ?1 AND serial_number = ?2
                 UNION ALL
                 SELECT 'added', seen_at, seen_run, NULL, NULL, NULL, 0, 0 FROM device
                     WHERE token = ?1 AND serial_number = ?2 AND seen_at IS NOT NULL
                 ORDER BY number DESC LIMIT ?3",
            )?;
            let mut rows = statement.query(params![token.as_str(), serial.as_str(), limit])?;
            let mut changes = Vec::new();
            while let Some(row) = rows.next()? {
                changes.push(past_change(row)?);
            }
            Ok(changes)
        })
        .await
    }

    /// Since when the histories of devices are whole: before that, not everything was kept.
    pub async fn whole_since(&self) -> Result<Timestamp, Error> {
        self.read(|connection| {
            let sql = "SELECT place FROM keeping WHERE what = 'whole-since'";
            time(connection.query_row(sql, [], |row| row.get(0))?)
        })
        .await
    }

    /// A device as it was when a run decided about it, or at any other time. `own` is that run: what it did
    /// itself came later. None if there is no such device.
    pub async fn device_as_of(
        &self,
        token: &TokenName,
        serial: &SerialNumber,
        then: Timestamp,
        own: Option<RunId>,
    ) -> Result<Option<Past>, Error> {
        let (token, serial) = (token.clone(), serial.clone());
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS}, id, seen_at, seen_run FROM device WHERE token = ?1 AND serial_number = ?2"
            ))?;
            let mut rows = statement.query([token.as_str(), serial.as_str()])?;
            rows.next()?.map(|row| past(connection, row, then, own.as_ref())).transpose()
        })
        .await
    }

    /// The devices a token has or had, as they were then, in the order in which they came, after one; of at
    /// most `limit` rows. With each its place; [`Past::NotThere`] is left out.
    pub async fn devices_as_of(
        &self,
        token: &TokenName,
        then: Timestamp,
        own: Option<RunId>,
        after: Option<DeviceId>,
        limit: u32,
    ) -> Result<PastDevices, Error> {
        let token = token.clone();
        self.read(move |connection| {
            let numbers = Numbers::of(connection, &token)?;
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS}, id, seen_at, seen_run FROM numbered_device WHERE id > ?1 AND id <= ?2
                 ORDER BY id LIMIT ?3"
            ))?;
            let after = after.unwrap_or(numbers.before_first());
            let mut rows = statement.query(params![after, numbers.keyed, limit])?;
            let mut found = PastDevices::default();
            while let Some(row) = rows.next()? {
                let id: DeviceId = row.get("id")?;
                found.last = Some(id);
                match past(connection, row, then, own.as_ref())? {
                    Past::Here(known) => found.here.push((id, known.present())),
                    Past::NotThere => {}
                    Past::Forgotten => found.forgotten += 1,
                }
            }
            Ok(found)
        })
        .await
    }
}

/// Devices as they were.
#[derive(Clone, Debug, Default)]
pub struct PastDevices {
    /// The last row looked at; none if there are no more.
    pub last: Option<DeviceId>,
    /// Those that were here, as policies saw them.
    pub here: Vec<(DeviceId, Device)>,
    /// Those of which too little is kept to say.
    pub forgotten: u64,
}

/// A device as it was then.
fn past(connection: &Connection, row: &Row<'_>, then: Timestamp, own: Option<&RunId>) -> Result<Past, Error> {
    let (now, id): (Known, DeviceId) = (known(row)?, row.get("id")?);
    let mut history = connection.prepare_cached(
        "SELECT kind, seen_at, run, at, fields, before, ended, number FROM device_history
         WHERE device = ?1 ORDER BY number DESC",
    )?;
    let mut rows = history.query([id])?;
    let (mut changes, mut oldest) = (Vec::new(), 1);
    while let Some(row) = rows.next()? {
        changes.push(past_change(row)?);
        oldest = row.get(7)?;
    }
    let is_whole = oldest == 1;
    if let (Some(at), Some(run)) =
        (maybe_time(row.get("seen_at")?)?, row.get::<_, Option<String>>("seen_run")?)
    {
        let run = typed(run, "run id")?;
        let (kind, fields) = (PastKind::Added, Vec::new());
        changes.push(PastChange { kind, seen_at: at, run, at: None, fields, before: None, ended: false });
    }
    let mut actions = connection.prepare_cached(
        "SELECT uuid, answered_at, run FROM action
         WHERE device = ?1 AND state = 'succeeded' AND kind = 'assign' AND answered_at IS NOT NULL
             AND uuid IS NOT NULL",
    )?;
    let mut rows = actions.query([id])?;
    let mut assigned = Vec::new();
    while let Some(row) = rows.next()? {
        let run: String = row.get(2)?;
        if own.is_none_or(|own| own.as_str() != run) {
            let profile = typed(row.get(0)?, "profile id")?;
            assigned.push(Assignment { profile, at: time(row.get(1)?)? });
        }
    }
    Ok(as_of(now, then, &changes, is_whole, &assigned))
}

/// A change from seven columns.
fn past_change(row: &Row<'_>) -> Result<PastChange, Error> {
    let (fields, before): (Option<String>, Option<String>) = (row.get(4)?, row.get(5)?);
    Ok(PastChange {
        kind: typed(row.get(0)?, "kind of change")?,
        seen_at: time(row.get(1)?)?,
        run: typed(row.get(2)?, "run id")?,
        at: maybe_time(row.get(3)?)?,
        fields: fields.map_or(Ok(Vec::new()), |text| from_json(&text, "list of changes"))?,
        before: before.map(|text| from_json(&text, "profile of before")).transpose()?,
        ended: row.get(6)?,
    })
}

/// Something that happened to a device, about to be recorded.
#[derive(Debug)]
pub(super) struct Happened<'a> {
    pub(super) kind: PastKind,
    /// By Apple's clock.
    pub(super) at: Option<Timestamp>,
    /// What is different, and news.
    pub(super) fields: &'a [FieldChange],
    /// The profile by Apple's word until then, if the rest is the echo of what we did.
    pub(super) before: Option<&'a ProfileState>,
    /// Our own assignment counted until then.
    pub(super) ended: bool,
}

impl Happened<'_> {
    /// It left; nothing of ours counts any more.
    pub(super) fn gone() -> Self {
        Self { kind: PastKind::Gone, at: None, fields: &[], before: None, ended: true }
    }
}

/// Records what happened to a device.
pub(super) fn record(
    connection: &Connection,
    device: DeviceId,
    happened: &Happened<'_>,
    seen: &Seen,
) -> Result<(), Error> {
    let Happened { kind, at, fields, before, ended } = happened;
    let mut insert = connection.prepare_cached(
        "INSERT INTO device_history (device, number, kind, seen_at, run, at, fields, before, ended)
         VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM device_history WHERE device = ?1), ?2, ?3, ?4, ?5, ?6,
             ?7, ?8)",
    )?;
    insert.execute(params![
        device,
        kind.as_str(),
        millis(seen.at),
        seen.run.as_str(),
        at.map(millis),
        (!fields.is_empty()).then(|| to_json(fields)),
        before.map(to_json),
        ended,
    ])?;
    Ok(())
}
