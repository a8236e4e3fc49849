//! The inventory: what Apple said of each device, and what we did to it.

use std::collections::BTreeMap;

use domain::device::{Assignment, Change, Cursor, Device, Folded, Known, ProfileStatus, fold};
use domain::history::{EventKind, news};
use domain::id::{ProfileId, SerialNumber, TokenName};
use domain::pause::Pause;
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::history::{self, Seen};
use super::tokens::{Phase, fetch_round, set_sync_state};
use super::{Error, Store, from_json, maybe_time, millis, time, to_json, typed};

const COLUMNS: &str =
    "serial_number, model, description, color, asset_tag, os, device_family, profile_status,
    profile_uuid, profile_assign_time, profile_push_time, device_assigned_by, device_assigned_date, extra,
    gone, changed_at, ours_profile, ours_at, wait_until, wait_why, wait_times";

/// What a page of changes made of the inventory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageResult {
    /// Devices that were new.
    pub added: u64,
    /// Devices that Apple says something else of.
    pub changed: u64,
    /// Devices that left.
    pub gone: u64,
}

/// A device and whose it is.
#[derive(Clone, Debug)]
pub struct StoredDevice {
    /// Whose.
    pub token: TokenName,
    /// What we hold of it.
    pub known: Known,
}

/// Which devices to list.
#[derive(Clone, Debug, Default)]
pub struct DeviceFilter {
    /// Only of this token.
    pub token: Option<TokenName>,
    /// Only those without a profile.
    pub without_profile: bool,
    /// Also those that have left.
    pub gone: bool,
    /// After this place, for the next page.
    pub after: Option<(TokenName, SerialNumber)>,
    /// At most so many.
    pub limit: u32,
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

    /// Folds a page into the inventory and moves the cursor after it: both, or neither. `unread`
    /// are devices Apple listed in a form nobody can read: they stay as they are, and are listed. One
    /// without even a serial number could be any device; then none may be taken for gone.
    pub async fn store_page(
        &self,
        token: &TokenName,
        changes: Vec<Change>,
        unread: Vec<Option<SerialNumber>>,
        cursor: Option<Cursor>,
        phase: Phase,
        seen: Seen,
    ) -> Result<PageResult, Error> {
        let token = token.clone();
        self.write(move |connection| {
            let round = fetch_round(connection, &token)?;
            let mut result = PageResult::default();
            for change in changes {
                match store_change(connection, &token, change, round, &seen)? {
                    Folded::New => result.added += 1,
                    Folded::Changed => result.changed += 1,
                    Folded::Gone => result.gone += 1,
                    Folded::Same => {}
                }
            }
            let mut listed = connection.prepare_cached(
                "UPDATE device SET fetch_round = ?3 WHERE token = ?1 AND (?2 IS NULL OR serial_number = ?2)",
            )?;
            for serial in unread {
                listed.execute(params![token.as_str(), serial.as_ref().map(SerialNumber::as_str), round])?;
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
            let round = fetch_round(connection, &token)?;
            history::record_missing(connection, &token, round, &seen)?;
            let gone = connection.execute(
                "UPDATE device SET gone = 1, ours_profile = NULL, ours_at = NULL,
                     wait_until = NULL, wait_why = NULL, wait_times = 0
                 WHERE token = ?1 AND gone = 0 AND fetch_round < ?2",
                params![token.as_str(), round],
            )?;
            set_sync_state(connection, &token, cursor.as_ref(), Phase::Sync)?;
            connection.execute(
                "UPDATE token SET full_at = ?2 WHERE name = ?1",
                params![token.as_str(), millis(seen.at)],
            )?;
            Ok(gone as u64)
        })
        .await
    }

    /// Records that the inventory of a token is complete as of now; returns how many devices it has.
    pub async fn synced(&self, token: &TokenName, now: Timestamp) -> Result<u64, Error> {
        let token = token.clone();
        self.write(move |connection| {
            connection.execute(
                "UPDATE token SET synced_at = ?2 WHERE name = ?1",
                params![token.as_str(), millis(now)],
            )?;
            let mut statement =
                connection.prepare_cached("SELECT count(*) FROM device WHERE token = ?1 AND gone = 0")?;
            Ok(statement.query_row([token.as_str()], |row| row.get(0))?)
        })
        .await
    }

    /// The devices a token has, by serial number, after one; at most `limit`.
    pub async fn devices_after(
        &self,
        token: &TokenName,
        after: Option<SerialNumber>,
        limit: u32,
    ) -> Result<Vec<Device>, Error> {
        let token = token.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM device
                 WHERE token = ?1 AND serial_number > ?2 AND gone = 0 ORDER BY serial_number LIMIT ?3"
            ))?;
            let after = after.as_ref().map_or("", SerialNumber::as_str);
            let mut rows = statement.query(params![token.as_str(), after, limit])?;
            let mut devices = Vec::new();
            while let Some(row) = rows.next()? {
                devices.push(known(row)?.device);
            }
            Ok(devices)
        })
        .await
    }

    /// Devices of any token, by token and serial number.
    pub async fn list_devices(&self, filter: DeviceFilter) -> Result<Vec<StoredDevice>, Error> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS}, token FROM device
                 WHERE (?1 IS NULL OR token = ?1) AND (token, serial_number) > (?2, ?3) AND (?4 OR gone = 0)
                     AND (NOT ?5 OR (ours_profile IS NULL AND profile_status NOT IN ('assigned', 'pushed')))
                 ORDER BY token, serial_number LIMIT ?6"
            ))?;
            let (after_token, after_serial) =
                filter.after.as_ref().map_or(("", ""), |(token, serial)| (token.as_str(), serial.as_str()));
            let mut rows = statement.query(params![
                filter.token.as_ref().map(TokenName::as_str),
                after_token,
                after_serial,
                filter.gone,
                filter.without_profile,
                filter.limit,
            ])?;
            let mut devices = Vec::new();
            while let Some(row) = rows.next()? {
                devices.push(stored(row)?);
            }
            Ok(devices)
        })
        .await
    }

    /// A device in every token that has or had it.
    pub async fn find_device(&self, serial: &SerialNumber) -> Result<Vec<StoredDevice>, Error> {
        let serial = serial.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS}, token FROM device WHERE serial_number = ?1 ORDER BY gone, token"
            ))?;
            let mut rows = statement.query([serial.as_str()])?;
            let mut devices = Vec::new();
            while let Some(row) = rows.next()? {
                devices.push(stored(row)?);
            }
            Ok(devices)
        })
        .await
    }

    /// How many devices a token has on each profile, by Apple's id; none for those without.
    pub async fn devices_by_profile(
        &self,
        token: &TokenName,
    ) -> Result<BTreeMap<Option<ProfileId>, u64>, Error> {
        let token = token.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT coalesce(ours_profile, iif(profile_status IN ('assigned', 'pushed'), profile_uuid, NULL)) p,
                     count(*)
                 FROM device WHERE token = ?1 AND gone = 0 GROUP BY p",
            )?;
            let mut rows = statement.query([token.as_str()])?;
            let mut counts = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let profile: Option<String> = row.get(0)?;
                let profile = profile.map(|text| typed(text, "profile id")).transpose()?;
                counts.insert(profile, row.get(1)?);
            }
            Ok(counts)
        })
        .await
    }
}

/// Folds one change into the inventory, and what it made of a device into its history.
pub(super) fn store_change(
    connection: &Connection,
    token: &TokenName,
    change: Change,
    round: i64,
    seen: &Seen,
) -> Result<Folded, Error> {
    let mut select = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM device WHERE token = ?1 AND serial_number = ?2"))?;
    let mut rows = select.query(params![token.as_str(), change.device.serial_number.as_str()])?;
    let held = rows.next()?.map(known).transpose()?;
    drop(rows);
    let (known, folded) = fold(held.as_ref(), change, seen.at);
    write_known(connection, token, &known, round, seen)?;
    let Some(held) = held else { return Ok(folded) };
    let kind = match folded {
        Folded::Same => return Ok(folded),
        Folded::Changed => EventKind::Changed,
        Folded::Gone => EventKind::Gone,
        Folded::New => EventKind::Returned,
    };
    let fields = news(&held, &known.device);
    if kind != EventKind::Changed || !fields.is_empty() {
        history::record(connection, token, &known, kind, &fields, seen)?;
    }
    Ok(folded)
}

fn write_known(
    connection: &Connection,
    token: &TokenName,
    known: &Known,
    round: i64,
    seen: &Seen,
) -> Result<(), Error> {
    let device = &known.device;
    let extra = (!device.extra.is_empty()).then(|| to_json(&device.extra));
    let mut upsert = connection.prepare_cached(&format!(
        "INSERT INTO device (token, fetch_round, seen_at, seen_run, {COLUMNS})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
             ?22, ?23, ?24, ?25)
         ON CONFLICT (token, serial_number) DO UPDATE SET fetch_round = excluded.fetch_round, model = excluded.model,
             description = excluded.description, color = excluded.color, asset_tag = excluded.asset_tag,
             os = excluded.os, device_family = excluded.device_family,
             profile_status = excluded.profile_status, profile_uuid = excluded.profile_uuid,
             profile_assign_time = excluded.profile_assign_time,
             profile_push_time = excluded.profile_push_time,
             device_assigned_by = excluded.device_assigned_by,
             device_assigned_date = excluded.device_assigned_date, extra = excluded.extra,
             gone = excluded.gone, changed_at = excluded.changed_at, ours_profile = excluded.ours_profile,
             ours_at = excluded.ours_at, wait_until = excluded.wait_until, wait_why = excluded.wait_why,
             wait_times = excluded.wait_times"
    ))?;
    upsert.execute(params![
        token.as_str(),
        round,
        millis(seen.at),
        seen.run.as_str(),
        device.serial_number.as_str(),
        device.model,
        device.description,
        device.color,
        device.asset_tag,
        device.os,
        device.device_family,
        device.profile_status.as_str(),
        device.profile_uuid.as_ref().map(ProfileId::as_str),
        device.profile_assign_time.map(millis),
        device.profile_push_time.map(millis),
        device.device_assigned_by,
        device.device_assigned_date.map(millis),
        extra,
        known.gone,
        known.changed_at.map(millis),
        known.ours.as_ref().map(|ours| ours.profile.as_str()),
        known.ours.as_ref().map(|ours| millis(ours.at)),
        known.pause.map(|pause| millis(pause.until)),
        known.pause.map(|pause| pause.why.as_str()),
        known.pause.map_or(0, |pause| pause.times),
    ])?;
    Ok(())
}

fn stored(row: &Row<'_>) -> Result<StoredDevice, Error> {
    Ok(StoredDevice { token: typed(row.get("token")?, "token name")?, known: known(row)? })
}

/// A pause from three columns beginning with `first`: until when, why, how often in a row.
pub(super) fn pause(row: &Row<'_>, first: usize) -> Result<Option<Pause>, Error> {
    let (until, why): (Option<i64>, Option<String>) = (row.get(first)?, row.get(first + 1)?);
    let (Some(until), Some(why)) = (until, why) else { return Ok(None) };
    Ok(Some(Pause { until: time(until)?, why: typed(why, "refusal")?, times: row.get(first + 2)? }))
}

/// A device from the columns of [`COLUMNS`].
fn known(row: &Row<'_>) -> Result<Known, Error> {
    let profile = |text: Option<String>| text.map(|text| typed(text, "profile id")).transpose();
    let status: String = row.get(7)?;
    let extra: Option<String> = row.get(13)?;
    let ours_at: Option<i64> = row.get(17)?;
    let ours = match (profile(row.get(16)?)?, ours_at) {
        (Some(profile), Some(at)) => Some(Assignment { profile, at: time(at)? }),
        _ => None,
    };
    Ok(Known {
        device: Device {
            serial_number: typed(row.get(0)?, "serial number")?,
            model: row.get(1)?,
            description: row.get(2)?,
            color: row.get(3)?,
            asset_tag: row.get(4)?,
            os: row.get(5)?,
            device_family: row.get(6)?,
            profile_status: ProfileStatus::from_apple(&status),
            profile_uuid: profile(row.get(8)?)?,
            profile_assign_time: maybe_time(row.get(9)?)?,
            profile_push_time: maybe_time(row.get(10)?)?,
            device_assigned_by: row.get(11)?,
            device_assigned_date: maybe_time(row.get(12)?)?,
            extra: extra.map_or(Ok(BTreeMap::new()), |text| from_json(&text, "list of fields"))?,
        },
        gone: row.get(14)?,
        changed_at: maybe_time(row.get(15)?)?,
        ours,
        pause: pause(row, 18)?,
    })
}
