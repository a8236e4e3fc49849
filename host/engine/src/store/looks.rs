//! When all devices of a token were last decided about, on what basis, and which have changed since.
//!
//! A policy is a function: on the same basis it says the same of a device that has not changed, for as long as it
//! said that its verdicts last. So after one look at every device, the next runs look at those that changed. The
//! invariant: a look is on record only while that holds for every device that is not in the list of changes, and
//! whoever changes a device adds it to that list in the same transaction.

use domain::id::{Digest, TokenName};
use domain::verdict::Lasting;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::devices::DeviceId;
use super::ranges::Ranges;
use super::standing::{self, Numbers};
use super::{Error, Store, millis, time, verdicts};

/// A list of changes longer than this is forgotten with its look: to look at everything is no slower then.
const MOST: u64 = 50_000;

/// The devices that have changed since a look.
#[derive(Clone, Debug)]
pub struct Changed {
    /// Which.
    pub(crate) devices: Ranges,
    /// How far the list of changes was read.
    pub(crate) mark: Mark,
}

/// A place in the list of changes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mark(i64);

impl Store {
    /// What has changed since the last look at a token's devices. None if there was none on this basis, or if
    /// what was said of some device need no longer be so.
    pub async fn changed_since_look(
        &self,
        token: &TokenName,
        basis: &Digest,
        now: Timestamp,
    ) -> Result<Option<Changed>, Error> {
        let (token, basis) = (token.clone(), basis.clone());
        self.read(move |connection| {
            let numbers = Numbers::of(connection, &token)?;
            let mut select = connection
                .prepare_cached("SELECT at, always, until, mark FROM look WHERE token = ?1 AND basis = ?2")?;
            let found: Option<(i64, bool, Option<i64>, i64)> = select
                .query_row(params![numbers.token, basis.as_str()], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })
                .optional()?;
            let Some((at, always, until, mark)) = found else { return Ok(None) };
            let lasting = match until {
                _ if always => Lasting::Always,
                Some(until) => Lasting::Until(time(until)?),
                None => Lasting::NotSaid,
            };
            for (standing, _) in standing::present(connection, numbers.token)?.values() {
                let Some(opinion) = standing.opinion else { continue };
                if !verdicts::opinion(connection, opinion)?.0.stands(lasting, time(at)?, now) {
                    return Ok(None);
                }
            }
            let mut log = connection.prepare_cached(
                "SELECT number, first, last FROM device_change WHERE token = ?1 AND number > ?2 ORDER BY number",
            )?;
            let mut rows = log.query([numbers.token, mark])?;
            let (mut stretches, mut last) = (Vec::new(), mark);
            while let Some(row) = rows.next()? {
                last = row.get(0)?;
                stretches.push((row.get(1)?, row.get(2)?));
            }
            Ok(Some(Changed { devices: Ranges::of(stretches), mark: Mark(last) }))
        })
        .await
    }

    /// Forgets the last look, before verdicts on another basis are stored. From here on changes are listed for
    /// the next one.
    pub async fn begin_look(&self, token: &TokenName) -> Result<Mark, Error> {
        let token = token.clone();
        self.write(move |connection| {
            let numbers = Numbers::of(connection, &token)?;
            forget(connection, numbers.token)?;
            connection
                .prepare_cached("INSERT INTO look (token, basis, at, always, mark) VALUES (?1, '', 0, 0, 0)")?
                .execute([numbers.token])?;
            Ok(Mark(0))
        })
        .await
    }

    /// Puts a look on record: every device has been decided about on this basis, and only what is listed after
    /// the mark has changed since.
    pub async fn looked(
        &self,
        token: &TokenName,
        basis: &Digest,
        (at, lasting): (Timestamp, Lasting),
        mark: Mark,
    ) -> Result<(), Error> {
        let (token, basis) = (token.clone(), basis.clone());
        self.write(move |connection| {
            let numbers = Numbers::of(connection, &token)?;
            let (always, until) = match lasting {
                Lasting::NotSaid => return forget(connection, numbers.token),
                Lasting::Until(until) => (false, Some(millis(until))),
                Lasting::Always => (true, None),
            };
            // If it was forgotten meanwhile, so were changes.
            let mut put = connection.prepare_cached(
                "UPDATE look SET basis = ?2, at = ?3, always = ?4, until = ?5, mark = ?6 WHERE token = ?1",
            )?;
            put.execute(params![numbers.token, basis.as_str(), millis(at), always, until, mark.0])?;
            connection
                .prepare_cached("DELETE FROM device_change WHERE token = ?1 AND number <= ?2")?
                .execute([numbers.token, mark.0])?;
            Ok(())
        })
        .await
    }

    /// Forgets the last look at a token's devices: what is said of them now is another matter.
    pub async fn forget_look(&self, token: &TokenName) -> Result<(), Error> {
        let token = token.clone();
        self.write(move |connection| forget(connection, Numbers::of(connection, &token)?.token)).await
    }
}

fn forget(connection: &Connection, token: i64) -> Result<(), Error> {
    connection.prepare_cached("DELETE FROM look WHERE token = ?1")?.execute([token])?;
    connection.prepare_cached("DELETE FROM device_change WHERE token = ?1")?.execute([token])?;
    Ok(())
}

/// Adds devices of one token to the list of changes, in the transaction that changes them; where nobody has
/// looked, there is none.
pub(super) fn touch(connection: &Connection, devices: Ranges) -> Result<(), Error> {
    let Some(token) = devices.iter().next().map(|(first, _)| first.token()) else { return Ok(()) };
    if !connection.prepare_cached("SELECT 1 FROM look WHERE token = ?1")?.exists([token])? {
        return Ok(());
    }
    let mut insert =
        connection.prepare_cached("INSERT INTO device_change (token, first, last) VALUES (?1, ?2, ?3)")?;
    for (first, last) in devices.iter() {
        insert.execute(params![token, first, last])?;
    }
    let mut long = connection
        .prepare_cached("SELECT 1 FROM device_change WHERE token = ?1 ORDER BY number LIMIT 1 OFFSET ?2")?;
    if long.exists(params![token, MOST])? { forget(connection, token) } else { Ok(()) }
}

/// A device that changed, as it is collected.
pub(super) type Touched = Vec<(DeviceId, DeviceId)>;

/// One more; those that follow each other are one stretch.
pub(super) fn add(touched: &mut Touched, device: DeviceId) {
    match touched.last_mut() {
        Some((_, last)) if last.next() == device => *last = device,
        _ => touched.push((device, device)),
    }
}
