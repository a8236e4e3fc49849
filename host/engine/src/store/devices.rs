//! The inventory, as it is read: what Apple said of each device, and what we did to it.

use std::collections::{BTreeMap, BTreeSet};

use domain::device::{Assignment, Device, Known, ProfileStatus};
use domain::id::{ProfileId, SerialNumber, TokenName};
use domain::pause::Pause;
use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Row, ToSql, params};

use super::standing::Numbers;
use super::{Error, Store, from_json, maybe_time, millis, time, typed};
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
