//! All devices of a token, one after the other, as policies are told of them.
//!
//! A million devices are read this way, so what they have in common is looked up once, and what nobody asks for is
//! not read at all. Whoever looks at a few devices has the views of the database.

use std::collections::{BTreeMap, HashSet};

use domain::device::{Assignment, Device, Known};
use domain::id::{PluginName, TokenName};
use foldhash::HashMap;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

use super::devices::DeviceId;
use super::kinds::{self, Kind};
use super::ranges::Ranges;
use super::standing::{Numbers, Standings};
use super::verdicts::Book;
use super::{Error, Store, from_json, maybe_time, to_json, typed};

/// Where a walk stops, and what is read there. By default everywhere, and everything.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    /// Only at these.
    pub among: Option<Ranges>,
    /// Not at those about which one of these policies has decided, by this book.
    pub undecided: Option<(Book, Vec<PluginName>)>,
    /// How much is read.
    pub fields: Fields,
}

/// How much of a device is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fields {
    /// Everything.
    #[default]
    All,
    /// Not what Apple says besides, [`Device::extra`]: to read that takes as long as all the rest.
    Named,
}

impl Store {
    /// The devices a token has, as they are by now, in the order in which they came, after one; at most
    /// `limit`.
    pub async fn devices_after(
        &self,
        token: &TokenName,
        walk: &Walk,
        after: Option<DeviceId>,
        limit: u32,
    ) -> Result<Vec<(DeviceId, Device)>, Error> {
        let (token, walk) = (token.clone(), walk.clone());
        self.read(move |connection| {
            let Walk { among, undecided, fields } = walk;
            let all = || Ok(Numbers::of(connection, &token)?.all());
            let among = among.map_or_else(all, Ok::<_, Error>)?;
            let mut reading = Reading::new(connection, fields, undecided)?;
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
}

/// Devices as they are read.
struct Reading<'c> {
    connection: &'c Connection,
    fields: Fields,
    /// Opinions that decide about a device, and the book in which they count.
    decided: Option<(Book, HashSet<i64>)>,
    standings: Standings<'c>,
    kinds: HashMap<i64, Kind>,
    select: CachedStatement<'c>,
    shadow: CachedStatement<'c>,
}

impl<'c> Reading<'c> {
    fn new(
        connection: &'c Connection,
        fields: Fields,
        undecided: Option<(Book, Vec<PluginName>)>,
    ) -> Result<Self, Error> {
        let decided = undecided.map(|(book, policies)| {
            let mut select = connection.prepare_cached(
                "SELECT id FROM opinion WHERE decision <> 'ignore' AND policy IN (SELECT value FROM json_each(?1))",
            )?;
            let opinions = select.query_map([to_json(&policies)], |row| row.get(0))?;
            Ok::<_, Error>((book, opinions.collect::<Result<_, _>>()?))
        });
        Ok(Self {
            connection,
            fields,
            decided: decided.transpose()?,
            standings: Standings::new(connection)?,
            kinds: HashMap::default(),
            select: connection.prepare_cached(
                "SELECT r.id, r.serial_number, r.kind, r.asset_tag, r.device_assigned_date, r.extra, n.standing,
                     n.profile_assign_time, n.profile_push_time, n.ours_at
                 FROM device_record r JOIN device_state n ON n.device = r.id
                 WHERE r.id >= ?1 AND r.id <= ?2 ORDER BY r.id",
            )?,
            shadow: connection.prepare_cached("SELECT opinion FROM shadow_state WHERE device = ?1")?,
        })
    }

    /// Reads a stretch of devices, those that are here, until there are as many as are wanted.
    fn read(
        &mut self,
        first: DeviceId,
        last: DeviceId,
        most: usize,
        found: &mut Vec<(DeviceId, Device)>,
    ) -> Result<(), Error> {
        let mut rows = self.select.query(params![first, last])?;
        while found.len() < most
            && let Some(row) = rows.next()?
        {
            let id: DeviceId = row.get(0)?;
            let standing = self.standings.get(row.get(6)?)?;
            if standing.gone {
                continue;
            }
            if let Some((book, decided)) = &self.decided {
                let opinion = match book {
                    Book::Live => standing.opinion,
                    Book::Shadow => self.shadow.query_row([id], |row| row.get(0)).optional()?,
                };
                if opinion.is_some_and(|opinion| decided.contains(&opinion)) {
                    continue;
                }
            }
            let kind: i64 = row.get(2)?;
            if !self.kinds.contains_key(&kind) {
                self.kinds.insert(kind, kinds::of(self.connection, kind)?);
            }
            let [model, description, color, os, device_family, device_assigned_by] =
                self.kinds[&kind].clone();
            let extra: Option<String> = if self.fields == Fields::All { row.get(5)? } else { None };
            let ours = standing.ours.clone().zip(maybe_time(row.get(9)?)?);
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
            let ours = ours.map(|(profile, at)| Assignment { profile, at });
            let known = Known { device, gone: false, ours, changed_at: None, pause: None };
            found.push((id, known.present()));
        }
        Ok(())
    }
}
