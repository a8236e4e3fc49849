//! What happened to each device at Apple.

use domain::history::{FieldChange, PastChange, PastKind};
use domain::id::{RunId, SerialNumber, TokenName};
use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::devices::DeviceId;
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
                "SELECT kind, e.seen_at, run, at, fields, number
                     FROM device_history e JOIN device d ON d.id = e.device
                     WHERE token = ?1 AND serial_number = ?2
                 UNION ALL
                 SELECT 'added', seen_at, seen_run, NULL, NULL, 0 FROM device
                     WHERE token = ?1 AND serial_number = ?2 AND seen_at IS NOT NULL
                 ORDER BY number DESC LIMIT ?3",
            )?;
            let mut rows = statement.query(params![token.as_str(), serial.as_str(), limit])?;
            let mut changes = Vec::new();
            while let Some(row) = rows.next()? {
                let fields: Option<String> = row.get(4)?;
                changes.push(PastChange {
                    kind: typed(row.get(0)?, "kind of change")?,
                    seen_at: time(row.get(1)?)?,
                    run: typed(row.get(2)?, "run id")?,
                    at: maybe_time(row.get(3)?)?,
                    fields: fields.map_or(Ok(Vec::new()), |text| from_json(&text, "list of changes"))?,
                });
            }
            Ok(changes)
        })
        .await
    }
}

/// Records what happened to a device, and `at` which time by Apple's clock.
pub(super) fn record(
    connection: &Connection,
    device: DeviceId,
    kind: PastKind,
    at: Option<Timestamp>,
    fields: &[FieldChange],
    seen: &Seen,
) -> Result<(), Error> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO device_history (device, number, kind, seen_at, run, at, fields)
         VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM device_history WHERE device = ?1), ?2, ?3, ?4, ?5, ?6)",
    )?;
    insert.execute(params![
        device,
        kind.as_str(),
        millis(seen.at),
        seen.run.as_str(),
        at.map(millis),
        (!fields.is_empty()).then(|| to_json(&fields)),
    ])?;
    Ok(())
}
