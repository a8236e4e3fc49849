//! What Apple says of devices, folded into the inventory page by page.
//!
//! A million devices come this way, so what is done for each of them is prepared once.

use domain::device::{Change, Cursor, Folded, Known, fold};
use domain::history::{PastKind, news};
use domain::id::{ProfileId, SerialNumber, TokenName};
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Statement, ToSql, params};

use super::devices::{COLUMNS, DeviceId, known};
use super::history::{self, Happened, Seen};
use super::tokens::{Phase, set_sync_state};
use super::{Error, Store, millis, to_json};

/// What pages of changes made of the inventory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageResult {
    /// Devices that were new.
    pub added: u64,
    /// Devices that Apple says something else of.
    pub changed: u64,
    /// Devices that left.
    pub gone: u64,
}

/// Pages of devices, in the order in which Apple gave them, and where to go on after the last.
#[derive(Clone, Debug)]
pub struct Pages {
    /// What Apple says of each.
    pub changes: Vec<Change>,
    /// Devices Apple listed in a form nobody can read: they stay as they are, and are listed. One
    /// without even a serial number could be any device; then none may be taken for gone.
    pub unread: Vec<Option<SerialNumber>>,
    /// After the last page.
    pub cursor: Option<Cursor>,
    /// What to ask with it.
    pub phase: Phase,
}

impl Store {
    /// Begins a full fetch: forgets the cursor. Devices keep their place until the fetch is
    /// complete and has not listed them.
    pub async fn begin_full_fetch(&self, token: &TokenName) -> Result<(), Error> {
        let token = token.clone();
        self.write(move |connection| {
            set_sync_state(connection, &token, None, Phase::Fetch)?;
            connection.execute(
                "UPDATE token SET fetch_round = fetch_round + 1 WHERE name = ?1",
                [token.as_str()],
            )?;
            Ok(())
        })
        .await
    }

    /// Folds pages into the inventory and moves the cursor after them: both, or neither.
    pub async fn store_pages(
        &self,
        token: &TokenName,
        pages: Pages,
        seen: Seen,
    ) -> Result<PageResult, Error> {
        let token = token.clone();
        self.write(move |connection| {
            let Pages { mut changes, unread, cursor, phase } = pages;
            // In the order of their keys they fall into fewer pages of the file; those of one device
            // stay in the order in which Apple gave them.
            changes.sort_by(|a, b| a.device.serial_number.cmp(&b.device.serial_number));
            let mut inventory = Inventory::of(connection, &token, &seen)?;
            let mut result = PageResult::default();
            for change in changes {
                let folded = match phase {
                    Phase::Fetch => inventory.listed(change)?,
                    Phase::Sync => inventory.fold(change)?,
                };
                match folded {
                    Folded::New => result.added += 1,
                    Folded::Changed => result.changed += 1,
                    Folded::Gone => result.gone += 1,
                    Folded::Same => {}
                }
            }
            if phase == Phase::Fetch {
                inventory.listed_unread(&unread)?;
            }
            set_sync_state(connection, &token, cursor.as_ref(), phase)?;
            Ok(result)
        })
        .await
    }

    /// Ends a full fetch: the devices it did not list are no longer this token's. Returns how many.
    pub async fn complete_full_fetch(
        &self,
        token: &TokenName,
        cursor: Option<Cursor>,
        seen: Seen,
    ) -> Result<u64, Error> {
        let token = token.clone();
        self.write(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT d.id FROM device d LEFT JOIN listing l ON l.device = d.id
                 WHERE token = ?1 AND gone = 0
                     AND coalesce(l.round, d.round) < (SELECT fetch_round FROM token WHERE name = ?1)",
            )?;
            let missing = select.query_map([token.as_str()], |row| row.get(0))?;
            let missing = missing.collect::<Result<Vec<DeviceId>, _>>()?;
            let mut leave = connection.prepare_cached(
                "UPDATE device SET gone = 1, ours_profile = NULL, ours_at = NULL,
                     wait_until = NULL, wait_why = NULL, wait_times = 0
                 WHERE id = ?1",
            )?;
            for device in &missing {
                leave.execute([device])?;
                history::record(connection, *device, &Happened::gone(), &seen)?;
            }
            set_sync_state(connection, &token, cursor.as_ref(), Phase::Sync)?;
            connection.execute(
                "UPDATE token SET full_at = ?2 WHERE name = ?1",
                params![token.as_str(), millis(seen.at)],
            )?;
            Ok(missing.len() as u64)
        })
        .await
    }
}

/// The devices of one token, in the transaction that changes them.
pub(super) struct Inventory<'c> {
    connection: &'c Connection,
    token: &'c TokenName,
    seen: &'c Seen,
    /// Of the full fetch that is going on, or was the last.
    round: i64,
    /// No full fetch was ever complete: most devices are new.
    is_young: bool,
    find: CachedStatement<'c>,
    insert: CachedStatement<'c>,
    update: CachedStatement<'c>,
    mark: CachedStatement<'c>,
}

impl<'c> Inventory<'c> {
    pub(super) fn of(
        connection: &'c Connection,
        token: &'c TokenName,
        seen: &'c Seen,
    ) -> Result<Self, Error> {
        let (round, is_young) = connection
            .prepare_cached("SELECT fetch_round, full_at IS NULL FROM token WHERE name = ?1")?
            .query_row([token.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Self {
            connection,
            token,
            seen,
            round,
            is_young,
            find: connection.prepare_cached(&format!(
                "SELECT {COLUMNS}, id FROM device WHERE token = ?1 AND serial_number = ?2"
            ))?,
            insert: connection.prepare_cached(&format!(
                "INSERT INTO device ({COLUMNS}, token, seen_at, seen_run, round)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
                     ?20, ?21, ?22, ?23, ?24, ?25)
                 ON CONFLICT (token, serial_number) DO NOTHING"
            ))?,
            update: connection.prepare_cached(&format!(
                "UPDATE device SET ({COLUMNS}) =
                     (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,
                         ?21)
                 WHERE id = ?22"
            ))?,
            mark: connection.prepare_cached(
                "INSERT INTO listing (device, round) VALUES (?1, ?2)
                 ON CONFLICT (device) DO UPDATE SET round = excluded.round",
            )?,
        })
    }

    /// Folds in one device of a full fetch.
    fn listed(&mut self, change: Change) -> Result<Folded, Error> {
        let stored = self.put(change)?;
        // A new row says itself in which round it came.
        if !stored.inserted {
            self.mark.execute(params![stored.device, self.round])?;
        }
        Ok(stored.folded)
    }

    /// Devices of a full fetch that nobody can read; one without its serial number is any of them.
    fn listed_unread(&self, unread: &[Option<SerialNumber>]) -> Result<(), Error> {
        let mut mark_one = self.connection.prepare_cached(
            "INSERT OR REPLACE INTO listing (device, round)
             SELECT id, ?3 FROM device WHERE token = ?1 AND serial_number = ?2",
        )?;
        for serial in unread.iter().flatten() {
            mark_one.execute(params![self.token.as_str(), serial.as_str(), self.round])?;
        }
        if unread.iter().any(Option::is_none) {
            self.connection.execute(
                "INSERT OR REPLACE INTO listing (device, round) SELECT id, ?2 FROM device WHERE token = ?1",
                params![self.token.as_str(), self.round],
            )?;
        }
        Ok(())
    }

    /// Folds in what Apple says of a device, and what that makes of it into its history.
    pub(super) fn fold(&mut self, change: Change) -> Result<Folded, Error> {
        Ok(self.put(change)?.folded)
    }

    fn put(&mut self, change: Change) -> Result<Stored, Error> {
        if self.is_young {
            let (kind, at) = (change.kind, change.at);
            let (known, folded) = fold(None, change, self.seen.at);
            if let Some(device) = self.insert(&known)? {
                return Ok(Stored { device, folded, inserted: true });
            }
            return self.put_known(Change { device: known.device, kind, at });
        }
        self.put_known(change)
    }

    fn put_known(&mut self, change: Change) -> Result<Stored, Error> {
        let key = params![self.token.as_str(), change.device.serial_number.as_str()];
        let held = self.find.query_row(key, |row| Ok((row.get("id")?, known(row)))).optional()?;
        let Some((device, held)) = held else {
            let (known, folded) = fold(None, change, self.seen.at);
            let inserted = self.insert(&known)?.ok_or(rusqlite::Error::StatementChangedRows(0))?;
            return Ok(Stored { device: inserted, folded, inserted: true });
        };
        let held: Known = held?;
        let (known, folded) = fold(Some(&held), change, self.seen.at);
        if known != held {
            bind(&mut self.update, &known)?;
            self.update.raw_bind_parameter(22, device)?;
            self.update.raw_execute()?;
        }
        let folded = self.remember(device, folded, &held, &known)?;
        Ok(Stored { device, folded, inserted: false })
    }

    /// Inserts a device. None if it is there already.
    fn insert(&mut self, known: &Known) -> Result<Option<DeviceId>, Error> {
        bind(&mut self.insert, known)?;
        self.insert.raw_bind_parameter(22, self.token.as_str())?;
        // One that is heard of only because it left was never here.
        let here = (!known.gone).then_some(self.seen);
        self.insert.raw_bind_parameter(23, here.map(|seen| millis(seen.at)))?;
        self.insert.raw_bind_parameter(24, here.map(|seen| seen.run.as_str()))?;
        self.insert.raw_bind_parameter(25, self.round)?;
        let inserted = self.insert.raw_execute()?;
        Ok((inserted == 1).then(|| DeviceId::last(self.connection)))
    }

    /// Writes what happened to a device into its history. What is only the echo of our own assignment
    /// is nothing new, and is kept for what the device was before.
    fn remember(
        &self,
        device: DeviceId,
        folded: Folded,
        held: &Known,
        known: &Known,
    ) -> Result<Folded, Error> {
        let ended = held.ours.is_some() && known.ours.is_none();
        let (fields, before) = match folded {
            // Nothing else can be different.
            Folded::Same => (Vec::new(), None),
            _ => news(held, &known.device),
        };
        let kind = match folded {
            Folded::Same if ended => PastKind::NotShown,
            Folded::Same => return Ok(folded),
            Folded::Changed if fields.is_empty() => PastKind::Shown,
            Folded::Changed => PastKind::Changed,
            Folded::Gone => PastKind::Gone,
            Folded::New => PastKind::Returned,
        };
        let happened =
            Happened { kind, at: known.changed_at, fields: &fields, before: before.as_ref(), ended };
        history::record(self.connection, device, &happened, self.seen)?;
        Ok(if kind == PastKind::Shown { Folded::Same } else { folded })
    }
}

/// What became of one record.
struct Stored {
    device: DeviceId,
    folded: Folded,
    inserted: bool,
}

/// Binds the 21 columns of [`COLUMNS`].
fn bind(statement: &mut Statement<'_>, known: &Known) -> Result<(), Error> {
    let device = &known.device;
    let extra = (!device.extra.is_empty()).then(|| to_json(&device.extra));
    let columns: [&dyn ToSql; 21] = [
        &device.serial_number.as_str(),
        &device.model,
        &device.description,
        &device.color,
        &device.asset_tag,
        &device.os,
        &device.device_family,
        &device.profile_status.as_str(),
        &device.profile_uuid.as_ref().map(ProfileId::as_str),
        &device.profile_assign_time.map(millis),
        &device.profile_push_time.map(millis),
        &device.device_assigned_by,
        &device.device_assigned_date.map(millis),
        &extra,
        &known.gone,
        &known.changed_at.map(millis),
        &known.ours.as_ref().map(|ours| ours.profile.as_str()),
        &known.ours.as_ref().map(|ours| millis(ours.at)),
        &known.pause.map(|pause| millis(pause.until)),
        &known.pause.map(|pause| pause.why.as_str()),
        &known.pause.map_or(0, |pause| pause.times),
    ];
    for (place, column) in (1..).zip(columns) {
        statement.raw_bind_parameter(place, column)?;
    }
    Ok(())
}
