//! The inventory, as it is read: what Apple said of each device, and what we did to it.

use std::collections::{BTreeMap, BTreeSet};

use domain::device::{Assignment, Device, Known, ProfileStatus};
use domain::id::{PluginName, ProfileId, SerialNumber, TokenName};
use domain::pause::Pause;
use foldhash::HashMap;
use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, Row, Rows, ToSql, params};

use super::kinds::Kind;
use super::ranges::Ranges;
use super::standing::{Numbers, Standings};
use super::verdicts::Book;
use super::{Error, Store, from_json, kinds, maybe_time, millis, time, typed};
use crate::expected::Here;

pub(super) const COLUMNS: &str =
    "serial_number, model, description, color, asset_tag, os, device_family, profile_status,
    profile_uuid, profile_assign_time, profile_push_time, device_assigned_by, device_assigned_date, extra,
    gone, changed_at, ours_profile, ours_at, wait_until, wait_why, wait_times";

/// A device's place in this store: where a walk over all of them goes on. Means nothing elsewhere. The upper half
/// is the number of its token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(i64);

impl DeviceId {
    /// All devices of this token come after it.
    pub(super) fn before_first(token: i64) -> Self {
        Self(token << 32)
    }

    /// The number of its token.
    pub(super) fn token(self) -> i64 {
        self.0 >> 32
    }

    #[cfg(test)]
    pub(super) fn plus(self, number: i64) -> Self {
        Self(self.0 + number)
    }

    /// How many numbers of the same token lie between it and an earlier one.
    pub(super) fn since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// The next one of the same token.
    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl ToSql for DeviceId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for DeviceId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(Self)
    }
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
    /// Records that the inventory of a token is complete as of now; returns how many devices it has.
    pub async fn synced(&self, token: &TokenName, now: Timestamp) -> Result<u64, Error> {
        let token = token.clone();
        self.write(move |connection| {
            connection.execute(
                "UPDATE token SET synced_at = ?2 WHERE name = ?1",
                params![token.as_str(), millis(now)],
            )?;
            Numbers::of(connection, &token)?.devices(connection)
        })
        .await
    }

    /// The devices a token has, as they are by now, in the order in which they came, after one; at most
    /// `limit`. With `among`, only those of them.
    pub async fn devices_after(
        &self,
        token: &TokenName,
        among: Option<&Ranges>,
        after: Option<DeviceId>,
        limit: u32,
        read: Fields,
    ) -> Result<Vec<(DeviceId, Device)>, Error> {
        let (token, among) = (token.clone(), among.cloned());
        self.read(move |connection| {
            let all = || Ok(Numbers::of(connection, &token)?.all());
            let among = among.map_or_else(all, Ok::<_, Error>)?;
            let mut reading = Reading::new(connection, read)?;
            let mut found = Vec::new();
            for (first, last) in among.after(after.unwrap_or_default()) {
                if found.len() >= limit as usize {
                    break;
                }
                reading.read(first, last, limit as usize, &mut found)?;
            }
            Ok(found)
        })
        .await
    }

    /// [`Store::devices_after`], without those about which one of these policies has decided.
    pub async fn undecided_after(
        &self,
        token: &TokenName,
        after: Option<DeviceId>,
        limit: u32,
        book: Book,
        policies: &[PluginName],
    ) -> Result<Vec<(DeviceId, Device)>, Error> {
        let (token, policies) = (token.clone(), super::to_json(&policies));
        self.read(move |connection| {
            let numbers = Numbers::of(connection, &token)?;
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS}, id FROM numbered_device
                 WHERE id > ?1 AND id <= ?2 AND gone = 0
                     AND NOT EXISTS (SELECT 1 FROM {} v WHERE v.device = numbered_device.id AND decision <> 'ignore'
                                     AND policy IN (SELECT value FROM json_each(?4)))
                 ORDER BY id LIMIT ?3",
                book.table(),
            ))?;
            let after = after.unwrap_or(numbers.before_first());
            present(&mut statement.query(params![after, numbers.keyed, limit, policies])?)
        })
        .await
    }

    /// Devices of any token, by token and serial number.
    pub async fn list_devices(&self, filter: DeviceFilter) -> Result<Vec<StoredDevice>, Error> {
        self.read(move |connection| {
            let (first, mut serial) =
                filter.after.as_ref().map_or(("", ""), |(token, serial)| (token.as_str(), serial.as_str()));
            let mut tokens = connection.prepare_cached(
                "SELECT name FROM token WHERE name >= ?1 AND (?2 IS NULL OR name = ?2) ORDER BY name",
            )?;
            let tokens = tokens
                .query_map(params![first, filter.token.as_ref().map(TokenName::as_str)], |row| row.get(0))?
                .collect::<Result<Vec<String>, _>>()?;
            // Token by token: so the index has them in order.
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS}, token FROM device
                 WHERE token = ?1 AND serial_number > ?2 AND (?3 OR gone = 0)
                     AND (NOT ?4 OR (ours_profile IS NULL AND profile_status NOT IN ('assigned', 'pushed')))
                 ORDER BY serial_number LIMIT ?5"
            ))?;
            let mut devices = Vec::new();
            for token in tokens {
                let after = if token == first { std::mem::take(&mut serial) } else { "" };
                let left = filter.limit.saturating_sub(u32::try_from(devices.len()).unwrap_or(u32::MAX));
                let mut rows =
                    statement.query(params![token, after, filter.gone, filter.without_profile, left])?;
                while let Some(row) = rows.next()? {
                    devices.push(stored(row)?);
                }
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
                "SELECT {COLUMNS}, token FROM device
                 WHERE token IN (SELECT name FROM token) AND serial_number = ?1 ORDER BY gone, token"
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

    /// Which of these devices are here: of this token, or of any.
    pub async fn which_are_here(
        &self,
        serials: Vec<SerialNumber>,
        token: Option<TokenName>,
    ) -> Result<BTreeMap<SerialNumber, Here>, Error> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT token, seen_at,
                     coalesce(ours_profile, iif(profile_status IN ('assigned', 'pushed'), profile_uuid, NULL))
                 FROM device WHERE token IN (SELECT name FROM token WHERE ?2 IS NULL OR name = ?2)
                     AND serial_number = ?1 AND gone = 0 ORDER BY token LIMIT 1",
            )?;
            let mut here = BTreeMap::new();
            for serial in serials {
                let token = token.as_ref().map(TokenName::as_str);
                let mut rows = select.query(params![serial.as_str(), token])?;
                let Some(row) = rows.next()? else { continue };
                let on: Option<String> = row.get(2)?;
                let found = Here {
                    token: typed(row.get(0)?, "token name")?,
                    since: maybe_time(row.get(1)?)?,
                    on: on.map(|text| typed(text, "profile id")).transpose()?,
                };
                here.insert(serial, found);
            }
            Ok(here)
        })
        .await
    }

    /// The families of the devices there are, in Apple's words.
    pub async fn device_families(&self) -> Result<BTreeSet<String>, Error> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT DISTINCT device_family FROM device WHERE gone = 0 AND device_family IS NOT NULL",
            )?;
            let mut rows = statement.query([])?;
            let mut families = BTreeSet::new();
            while let Some(row) = rows.next()? {
                families.insert(row.get(0)?);
            }
            Ok(families)
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
                     sum(devices)
                 FROM standing WHERE token = (SELECT number FROM token WHERE name = ?1) AND gone = 0 GROUP BY p",
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

/// How much of a device is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fields {
    /// Everything.
    All,
    /// Not what Apple says besides, [`Device::extra`]: to read that takes as long as all the rest.
    Named,
}

/// Many devices, read with what they have in common looked up once.
struct Reading<'c> {
    connection: &'c Connection,
    fields: Fields,
    standings: Standings<'c>,
    kinds: HashMap<i64, Kind>,
    select: CachedStatement<'c>,
}

impl<'c> Reading<'c> {
    fn new(connection: &'c Connection, fields: Fields) -> Result<Self, Error> {
        let select = connection.prepare_cached(
            "SELECT r.id, r.serial_number, r.kind, r.asset_tag, r.device_assigned_date, r.extra, n.standing,
                 n.profile_assign_time, n.profile_push_time, n.ours_at
             FROM device_record r JOIN device_state n ON n.device = r.id
             WHERE r.id >= ?1 AND r.id <= ?2 ORDER BY r.id",
        )?;
        let standings = Standings::new(connection)?;
        Ok(Self { connection, fields, standings, kinds: HashMap::default(), select })
    }

    /// Reads a stretch of devices, those that are here, until there are as many as are wanted.
    fn read(
        &mut self,
        first: DeviceId,
        last: DeviceId,
        most: usize,
        found: &mut Vec<(DeviceId, Device)>,
    ) -> Result<(), Error> {
        let mut rows = self.select.query([first, last])?;
        while found.len() < most
            && let Some(row) = rows.next()?
        {
            let standing = self.standings.get(row.get(6)?)?;
            if standing.gone {
                continue;
            }
            let kind: i64 = row.get(2)?;
            if !self.kinds.contains_key(&kind) {
                self.kinds.insert(kind, kinds::of(self.connection, kind)?);
            }
            let [model, description, color, os, device_family, device_assigned_by] =
                self.kinds[&kind].clone();
            let extra: Option<String> = if self.fields == Fields::All { row.get(5)? } else { None };
            let (ours_at, ours): (Option<i64>, _) = (row.get(9)?, standing.ours.clone());
            let ours = ours.zip(maybe_time(ours_at)?).map(|(profile, at)| Assignment { profile, at });
            let device = Device {
                serial_number: typed(row.get(1)?, "serial number")?,
                model,
                description,
                color,
                asset_tag: row.get(3)?,
                os,
                device_family,
                profile_status: standing.status,
                profile_uuid: standing.profile.clone(),
                profile_assign_time: maybe_time(row.get(7)?)?,
                profile_push_time: maybe_time(row.get(8)?)?,
                device_assigned_by,
                device_assigned_date: maybe_time(row.get(4)?)?,
                extra: extra.map_or(Ok(BTreeMap::new()), |text| from_json(&text, "list of fields"))?,
            };
            let known = Known { device, gone: false, ours, changed_at: None, pause: None };
            found.push((row.get(0)?, known.present()));
        }
        Ok(())
    }
}

/// Devices as they are, each with its number in the column `id`.
fn present(rows: &mut Rows<'_>) -> Result<Vec<(DeviceId, Device)>, Error> {
    let mut devices = Vec::new();
    while let Some(row) = rows.next()? {
        devices.push((row.get(21)?, known(row)?.present()));
    }
    Ok(devices)
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
pub(super) fn known(row: &Row<'_>) -> Result<Known, Error> {
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
