//! What Apple says of devices, folded into the inventory page by page.
//!
//! A million devices come this way, so what is done for each of them is prepared once.

use domain::device::{Change, Cursor, Device, Folded, Known, fold};
use domain::history::{PastKind, news};
use domain::id::{SerialNumber, TokenName};
use domain::pause::Pause;
use jiff::Timestamp;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row, params};

use super::devices::{COLUMNS, DeviceId, known};
use super::history::{self, Happened, Seen};
use super::kinds::{Kinds, arrival, words};
use super::looks::{Touched, add, touch};
use super::ranges::Ranges;
use super::standing::{Numbers, Standing, Standings};
use super::tokens::{Phase, set_sync_state};
use super::{Error, Store, millis, to_json};

/// So many serial numbers are sorted and entered at a time: few enough to be held in memory (4 MB).
const SERIALS: i64 = 100_000;

/// What pages of changes made of the inventory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageResult {
    /// Devices that were new.
    pub added: u64,
    /// Devices that Apple says something else of.
    pub changed: u64,
    /// Devices that left.
    pub gone: u64,
    /// Devices of a first fetch that Apple listed twice, and that were taken for new each time.
    pub twice: u64,
}

/// Pages of devices, in the order in which Apple gave them, and where to go on after the last.
#[derive(Clone, Debug)]
pub struct Pages {
    /// What Apple says of each.
    pub changes: Vec<Change>,
    /// Devices Apple listed in a form nobody can read: they stay as they are, and are listed. One
    /// without even a serial number could be any device; then none may be taken for gone.
    pub unreadable: Vec<Option<SerialNumber>>,
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
            // As long as nothing has come, the first fetch is still to begin.
            connection.execute(
                "UPDATE token SET fetch_round = fetch_round + (fetch_round = 0 OR EXISTS
                     (SELECT 1 FROM device_record WHERE id > number << 32 AND id < (number + 1) << 32))
                 WHERE name = ?1",
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
        let (result, _devices) = self
            .write_soon(move |connection| {
                let Pages { changes, unreadable, cursor, phase } = pages;
                let lists_all = phase != Phase::Sync;
                let mut inventory = match lists_all {
                    true => Inventory::of_fetch(connection, &token, &seen)?,
                    false => Inventory::of(connection, &token, &seen)?,
                };
                let mut result = PageResult::default();
                for (device, change) in inventory.find_all(changes)? {
                    let folded = match lists_all {
                        true => inventory.listed(device, change)?,
                        false => inventory.put(device, change)?.1,
                    };
                    match folded {
                        Folded::New => result.added += 1,
                        Folded::Changed => result.changed += 1,
                        Folded::Gone => result.gone += 1,
                        Folded::Same => {}
                    }
                }
                if lists_all {
                    inventory.listed_unreadable(&unreadable)?;
                }
                if inventory.not_entered() >= SERIALS {
                    result.twice = inventory.enter_serials()?;
                }
                let devices = std::mem::take(&mut inventory.appended);
                inventory.settle()?;
                set_sync_state(connection, &token, cursor.as_ref(), phase)?;
                Ok((result, devices))
            })
            .await?;
        Ok(result)
    }

    /// Lets the devices of a first fetch be found: enters their serial numbers, all together. Returns how many
    /// Apple had listed twice.
    pub async fn enter_serials(&self, token: &TokenName, seen: Seen) -> Result<u64, Error> {
        let token = token.clone();
        let wanted = token.clone();
        // Mostly there are none.
        let is_left = self.read(move |connection| {
            let numbers = Numbers::of(connection, &wanted)?;
            let mut more =
                connection.prepare_cached("SELECT 1 FROM device_record WHERE id > ?1 AND id < ?2")?;
            Ok(more.exists(params![numbers.keyed, DeviceId::before_first(numbers.token + 1)])?)
        });
        if !is_left.await? {
            return Ok(0);
        }
        self.write(move |connection| {
            let mut inventory = Inventory::of_fetch(connection, &token, &seen)?;
            let twice = inventory.enter_serials()?;
            inventory.settle()?;
            Ok(twice)
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
            let mut inventory = Inventory::of(connection, &token, &seen)?;
            let missing = inventory.missing()?;
            for device in &missing {
                inventory.leave(*device)?;
            }
            inventory.settle()?;
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
    numbers: Numbers,
    /// The last device there is.
    last: DeviceId,
    seen: &'c Seen,
    /// Of the full fetch that is going on, or was the last.
    round: i64,
    /// This is the first fetch, and all that it lists is new: devices are appended, and their serial numbers
    /// entered together when it is through.
    is_first: bool,
    kinds: Kinds<'c>,
    pub(super) standings: Standings<'c>,
    /// How a device comes that is here, and one that is only heard of.
    arrivals: [Option<i64>; 2],
    touched: Touched,
    /// Devices of a first fetch that are written, to be let go by another thread than the one of the store, which
    /// has enough to do.
    appended: Vec<Device>,
    find: CachedStatement<'c>,
    load: CachedStatement<'c>,
    insert_record: CachedStatement<'c>,
    insert_state: CachedStatement<'c>,
    insert_serial: CachedStatement<'c>,
    mark: CachedStatement<'c>,
}

/// A device that is in the store.
struct Stored {
    id: DeviceId,
    /// The number of its standing.
    standing: i64,
    known: Known,
}

impl<'c> Inventory<'c> {
    pub(super) fn of(
        connection: &'c Connection,
        token: &'c TokenName,
        seen: &'c Seen,
    ) -> Result<Self, Error> {
        let mut inventory = Self::open(connection, token, seen)?;
        // Whoever looks for a device has to find it, also where a first fetch was cut off.
        inventory.enter_serials()?;
        inventory.is_first = false;
        Ok(inventory)
    }

    /// The same, for what a full fetch lists.
    fn of_fetch(connection: &'c Connection, token: &'c TokenName, seen: &'c Seen) -> Result<Self, Error> {
        let inventory = Self::open(connection, token, seen)?;
        if inventory.is_first { Ok(inventory) } else { Self::of(connection, token, seen) }
    }

    fn open(connection: &'c Connection, token: &'c TokenName, seen: &'c Seen) -> Result<Self, Error> {
        let numbers = Numbers::of(connection, token)?;
        let (round, is_first) = connection
            .prepare_cached(
                "SELECT fetch_round, full_at IS NULL AND fetch_round <= 1 FROM token WHERE name = ?1",
            )?
            .query_row([token.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let last: Option<DeviceId> = connection
            .prepare_cached("SELECT max(id) FROM device_record WHERE id < ?1")?
            .query_row([DeviceId::before_first(numbers.token + 1)], |row| row.get(0))?;
        Ok(Self {
            connection,
            numbers,
            // One that was listed twice is gone again, and its number is not given to another.
            last: last.unwrap_or_default().max(numbers.keyed),
            seen,
            round,
            is_first,
            kinds: Kinds::new(connection),
            standings: Standings::new(connection)?,
            arrivals: [None; 2],
            touched: Touched::new(),
            appended: Vec::new(),
            find: connection
                .prepare_cached("SELECT device FROM serial WHERE token = ?1 AND serial_number = ?2")?,
            load: connection.prepare_cached(&format!(
                "SELECT {COLUMNS}, id, standing FROM numbered_device WHERE id = ?1"
            ))?,
            insert_record: connection.prepare_cached(
                "INSERT INTO device_record (id, serial_number, kind, arrival, asset_tag, device_assigned_date, extra)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?,
            insert_state: connection.prepare_cached(
                "INSERT INTO device_state (device, standing, changed_at, profile_assign_time, profile_push_time)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
            insert_serial: connection
                .prepare_cached("INSERT INTO serial (token, serial_number, device) VALUES (?1, ?2, ?3)")?,
            mark: connection.prepare_cached(
                "INSERT INTO listing (device, round) VALUES (?1, ?2)
                 ON CONFLICT (device) DO UPDATE SET round = excluded.round",
            )?,
        })
    }

    /// Ends the work on these devices. To be called at the end of the transaction.
    pub(super) fn settle(self) -> Result<(), Error> {
        let mut found = self
            .connection
            .prepare_cached("UPDATE token SET keyed = ?2 WHERE number = ?1 AND keyed <> ?2")?;
        found.execute(params![self.numbers.token, self.numbers.keyed])?;
        touch(self.connection, Ranges::of(self.touched))?;
        self.standings.settle()
    }

    /// Finds the devices that are there already, and brings all into an order in which they are written quickly.
    /// Serial numbers lie in their order, and devices in that in which they came; who goes through each in its own
    /// meets fewer pages of the file. Changes of one device stay in the order in which Apple gave them.
    fn find_all(&mut self, mut changes: Vec<Change>) -> Result<Vec<(Option<DeviceId>, Change)>, Error> {
        if self.is_first {
            return Ok(changes.into_iter().map(|change| (None, change)).collect());
        }
        changes.sort_by(|a, b| a.device.serial_number.cmp(&b.device.serial_number));
        let found = changes.into_iter().map(|change| Ok((self.find(&change.device.serial_number)?, change)));
        let mut found = found.collect::<Result<Vec<_>, Error>>()?;
        found.sort_by_key(|(device, _)| *device);
        Ok(found)
    }

    /// Folds in one device of a full fetch.
    fn listed(&mut self, device: Option<DeviceId>, change: Change) -> Result<Folded, Error> {
        if self.is_first {
            let (known, folded) = fold(None, change, self.seen.at);
            self.append(&known)?;
            self.appended.push(known.device);
            return Ok(folded);
        }
        let (device, folded, is_new) = self.put(device, change)?;
        // A new row says itself in which round it came.
        if !is_new {
            self.mark.execute(params![device, self.round])?;
        }
        Ok(folded)
    }

    /// Devices of a full fetch that nobody can read; one without its serial number is any of them.
    fn listed_unreadable(&self, unreadable: &[Option<SerialNumber>]) -> Result<(), Error> {
        let mut mark_one = self.connection.prepare_cached(
            "INSERT OR REPLACE INTO listing (device, round)
             SELECT device, ?3 FROM serial WHERE token = ?1 AND serial_number = ?2",
        )?;
        for serial in unreadable.iter().flatten() {
            mark_one.execute(params![self.numbers.token, serial.as_str(), self.round])?;
        }
        if unreadable.iter().any(Option::is_none) {
            self.connection.execute(
                "INSERT OR REPLACE INTO listing (device, round) SELECT device, ?2 FROM serial WHERE token = ?1",
                params![self.numbers.token, self.round],
            )?;
        }
        Ok(())
    }

    /// The devices that the full fetch which is through has not listed.
    fn missing(&self) -> Result<Vec<DeviceId>, Error> {
        let mut select = self.connection.prepare_cached(
            "SELECT d.id FROM numbered_device d LEFT JOIN listing l ON l.device = d.id
             WHERE d.id > ?1 AND d.id <= ?2 AND gone = 0 AND coalesce(l.round, d.round) < ?3",
        )?;
        let key = params![self.numbers.before_first(), self.numbers.keyed, self.round];
        // All that is there came with the first.
        if self.round <= 1 {
            return Ok(Vec::new());
        }
        let missing = select.query_map(key, |row| row.get(0))?;
        Ok(missing.collect::<Result<_, _>>()?)
    }

    /// A device is no longer this token's.
    fn leave(&mut self, device: DeviceId) -> Result<(), Error> {
        depart(self.connection, &mut self.standings, device, None)?;
        history::record(self.connection, device, &Happened::gone(), self.seen)
    }

    /// Folds in what Apple says of a device, and what that makes of it into its history.
    pub(super) fn fold(&mut self, change: Change) -> Result<Folded, Error> {
        Ok(self.put(None, change)?.1)
    }

    /// The same of one that may have been found already. Returns also which it is, and whether it was not there.
    fn put(&mut self, device: Option<DeviceId>, change: Change) -> Result<(DeviceId, Folded, bool), Error> {
        let device = match device {
            Some(device) => Some(device),
            // One that came a moment ago is found only now.
            None => self.find(&change.device.serial_number)?,
        };
        let Some(device) = device else {
            let (known, folded) = fold(None, change, self.seen.at);
            let device = self.append(&known)?;
            self.insert_serial.execute(params![
                self.numbers.token,
                known.device.serial_number.as_str(),
                device
            ])?;
            self.numbers.keyed = device;
            return Ok((device, folded, true));
        };
        let held = self.load(device)?;
        let (known, folded) = fold(Some(&held.known), change, self.seen.at);
        if known != held.known {
            self.rewrite(&held, &known)?;
        }
        let folded = self.remember(device, folded, &held.known, &known)?;
        Ok((device, folded, false))
    }

    fn find(&mut self, serial: &SerialNumber) -> Result<Option<DeviceId>, Error> {
        let key = params![self.numbers.token, serial.as_str()];
        Ok(self.find.query_row(key, |row| row.get(0)).optional()?)
    }

    fn load(&mut self, device: DeviceId) -> Result<Stored, Error> {
        self.load.query_row([device], |row| Ok(stored(row)))?
    }

    /// Writes a device that is not there yet. Whether it can be found is another matter.
    fn append(&mut self, known: &Known) -> Result<DeviceId, Error> {
        let (device, id) = (&known.device, self.last.next());
        let extra = (!device.extra.is_empty()).then(|| to_json(&device.extra));
        let (kind, arrival) = (self.kinds.enter(device)?, self.arrival(!known.gone)?);
        self.insert_record.execute(params![
            id,
            device.serial_number.as_str(),
            kind,
            arrival,
            device.asset_tag,
            device.device_assigned_date.map(millis),
            extra,
        ])?;
        self.insert_state.execute(params![
            id,
            self.standings.enter(Standing::of(known, self.numbers.token, None))?,
            known.changed_at.map(millis),
            device.profile_assign_time.map(millis),
            device.profile_push_time.map(millis),
        ])?;
        add(&mut self.touched, id);
        self.last = id;
        Ok(id)
    }

    /// One that is heard of only because it left was never here.
    fn arrival(&mut self, here: bool) -> Result<i64, Error> {
        let known = &mut self.arrivals[usize::from(here)];
        match known {
            Some(id) => Ok(*id),
            None => {
                let id = arrival(self.connection, here.then_some(self.seen), self.round)?;
                *known = Some(id);
                Ok(id)
            }
        }
    }

    /// How many devices were appended that cannot be found yet.
    fn not_entered(&self) -> i64 {
        self.last.since(self.numbers.keyed)
    }

    /// Enters the serial numbers of devices that were only appended: sorted, for they come in no order, and a
    /// table is written all over for every page of them. Of one that Apple listed twice the later counts. Returns
    /// how many these are.
    fn enter_serials(&mut self) -> Result<u64, Error> {
        let (from, to) = (self.numbers.keyed, self.last);
        if from >= to {
            return Ok(0);
        }
        let mut select = self
            .connection
            .prepare_cached("SELECT serial_number, id FROM device_record WHERE id > ?1 AND id <= ?2")?;
        let mut rows = select.query([from, to])?;
        // All in one text: hundreds of thousands of small ones take longer, and more memory.
        let (mut text, mut serials) = (String::new(), Vec::with_capacity(to.since(from) as usize));
        while let Some(row) = rows.next()? {
            let begin = text.len();
            text.push_str(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?);
            serials.push((begin..text.len(), row.get::<_, DeviceId>(1)?));
        }
        serials.sort_unstable_by(|(a, first), (b, second)| {
            text[a.clone()].cmp(&text[b.clone()]).then(first.cmp(second))
        });
        let mut enter = self.connection.prepare_cached(
            "INSERT INTO serial (token, serial_number, device) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?;
        let mut again = Vec::new();
        for (serial, device) in serials {
            if enter.execute(params![self.numbers.token, &text[serial], device])? == 0 {
                again.push(device);
            }
        }
        self.numbers.keyed = to;
        // In the order in which Apple listed them.
        again.sort_unstable();
        for device in &again {
            self.merge(*device)?;
        }
        Ok(again.len() as u64)
    }

    /// A device that is there a second time becomes what Apple said later of the first.
    fn merge(&mut self, device: DeviceId) -> Result<(), Error> {
        let again = self.load(device)?;
        self.standings.leave(again.standing);
        self.connection.execute("DELETE FROM device_record WHERE id = ?1", [device])?;
        self.fold(super::actions::listed(again.known.device))?;
        Ok(())
    }

    /// Writes what is different of a device.
    fn rewrite(&mut self, held: &Stored, known: &Known) -> Result<(), Error> {
        add(&mut self.touched, held.id);
        let (before, now) = (&held.known.device, &known.device);
        let is_as_it_was = words(before) == words(now)
            && (&before.asset_tag, &before.device_assigned_date, &before.extra)
                == (&now.asset_tag, &now.device_assigned_date, &now.extra);
        if !is_as_it_was {
            let extra = (!now.extra.is_empty()).then(|| to_json(&now.extra));
            let mut update = self.connection.prepare_cached(
                "UPDATE device_record SET kind = ?2, asset_tag = ?3, device_assigned_date = ?4, extra = ?5
                 WHERE id = ?1",
            )?;
            let date = now.device_assigned_date.map(millis);
            update.execute(params![held.id, self.kinds.enter(now)?, now.asset_tag, date, extra])?;
        }
        if held.known.pause != known.pause {
            set_pause(self.connection, held.id, known.pause)?;
        }
        let opinion = self.standings.get(held.standing)?.opinion;
        self.standings.leave(held.standing);
        let standing = self.standings.enter(Standing::of(known, self.numbers.token, opinion))?;
        let mut update = self.connection.prepare_cached(
            "UPDATE device_state SET standing = ?2, ours_at = ?3, changed_at = ?4, profile_assign_time = ?5,
                 profile_push_time = ?6
             WHERE device = ?1",
        )?;
        update.execute(params![
            held.id,
            standing,
            known.ours.as_ref().map(|ours| millis(ours.at)),
            known.changed_at.map(millis),
            now.profile_assign_time.map(millis),
            now.profile_push_time.map(millis),
        ])?;
        Ok(())
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

/// A device that is no longer a token's, whatever was ours of it. `at` is when, by Apple's clock.
pub(super) fn depart(
    connection: &Connection,
    standings: &mut Standings<'_>,
    device: DeviceId,
    at: Option<Timestamp>,
) -> Result<(), Error> {
    let standing =
        standings.change(device, |before| Standing { gone: true, ours: None, ..before.clone() })?;
    let mut update = connection.prepare_cached(
        "UPDATE device_state SET standing = ?2, ours_at = NULL,
             changed_at = iif(?3 IS NULL, changed_at, max(coalesce(changed_at, 0), ?3))
         WHERE device = ?1",
    )?;
    update.execute(params![device, standing, at.map(millis)])?;
    set_pause(connection, device, None)
}

/// For how long a device is left alone, from now on.
pub(super) fn set_pause(
    connection: &Connection,
    device: DeviceId,
    pause: Option<Pause>,
) -> Result<(), Error> {
    match pause {
        None => {
            connection.prepare_cached("DELETE FROM pause WHERE device = ?1")?.execute([device])?;
        }
        Some(Pause { until, why, times }) => {
            let mut set = connection.prepare_cached(
                "INSERT OR REPLACE INTO pause (device, wait_until, wait_why, wait_times) VALUES (?1, ?2, ?3, ?4)",
            )?;
            set.execute(params![device, millis(until), why.as_str(), times])?;
        }
    }
    Ok(())
}

/// A device from [`COLUMNS`] and the two after them.
fn stored(row: &Row<'_>) -> Result<Stored, Error> {
    Ok(Stored { id: row.get(21)?, standing: row.get(22)?, known: known(row)? })
}

#[cfg(test)]
mod tests;
