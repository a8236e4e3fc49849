//! Devices that are without the profile they are to have, and since when.

use domain::freshness::Freshness;
use domain::id::TokenName;
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};

use super::standing::Numbers;
use super::{Error, Store, maybe_time, millis, time, typed};

impl Store {
    /// How a token stands to the promise that no device is without its profile since before this time; none
    /// if it is not imported. Nobody could fetch the devices of one that was imported since.
    pub async fn freshness(&self, token: &TokenName, before: Timestamp) -> Result<Option<Freshness>, Error> {
        let token = token.clone();
        self.read(move |connection| {
            let times: Option<(Option<i64>, i64)> = connection
                .prepare_cached("SELECT synced_at, imported_at FROM token WHERE name = ?1")?
                .query_row([token.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((synced, imported)) = times else { return Ok(None) };
            let (synced, imported) = (maybe_time(synced)?, time(imported)?);
            if synced.unwrap_or(imported) < before {
                return Ok(Some(Freshness::NotSynced { at: synced }));
            }
            // How many stand so is counted; who, and since when, is looked up only if there are any.
            const WAITING: &str =
                "gone = 0 AND ours_profile IS NULL AND profile_status NOT IN ('assigned', 'pushed')
                AND (o.id IS NULL OR o.decision = 'assign' OR o.fault)";
            let waiting = format!(
                "SELECT g.id FROM standing g LEFT JOIN opinion o ON o.id = g.opinion WHERE token = ?1 AND {WAITING}"
            );
            let numbers = Numbers::of(connection, &token)?;
            if !connection.prepare_cached(&waiting)?.exists([numbers.token])? {
                return Ok(Some(Freshness::Met));
            }
            // Without a profile since it came, came back, or lost the one it had.
            let mut select = connection.prepare_cached(&format!(
                "WITH waiting AS (
                     SELECT serial_number, max(
                         coalesce(d.seen_at, d.device_assigned_date, 0),
                         coalesce((SELECT max(h.seen_at) FROM device_history h WHERE h.device = d.id
                             AND (kind IN ('returned', 'not-shown', 'done')
                                  OR instr(coalesce(fields, ''), '\"profile_status\"') > 0)), 0)) AS since
                     FROM device_state n CROSS JOIN numbered_device d ON d.id = n.device
                     WHERE n.device > ?2 AND n.device <= ?3 AND n.standing IN ({waiting}))
                 SELECT count(*), serial_number, min(since) FROM waiting WHERE since < ?4"
            ))?;
            select
                .query_row(params![numbers.token, numbers.before_first(), numbers.keyed, millis(before)], |row| {
                    let (devices, example, since): (u64, Option<String>, Option<i64>) =
                        (row.get(0)?, row.get(1)?, row.get(2)?);
                    Ok((devices, example.zip(since)))
                })
                .map_err(Error::from)
                .and_then(|(devices, oldest)| {
                    let Some((example, since)) = oldest else { return Ok(Some(Freshness::Met)) };
                    Ok(Some(Freshness::Stale {
                        devices,
                        example: typed(example, "serial number")?,
                        since: time(since)?,
                    }))
                })
        })
        .await
    }
}
