//! How devices stand, and how many stand so.
//!
//! A million devices stand in a few ways: what Apple and we say of their profile, whether they are here, what a
//! policy wants. Each way is one row with the number of its devices, so that counting needs no look at any of
//! them; those of a first fetch are counted as they come, before they can be found. The invariant: that number is
//! right at the end of every transaction, which is why a device's standing is changed through [`Standings`] and
//! nowhere else.

use std::collections::BTreeMap;

use domain::device::{Known, ProfileStatus};
use domain::id::{ProfileId, TokenName};
use foldhash::HashMap;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row, params};

use super::devices::DeviceId;
use super::ranges::Ranges;
use super::{Error, typed};

/// One way to stand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Standing {
    /// The token's number.
    pub(super) token: i64,
    pub(super) gone: bool,
    pub(super) status: ProfileStatus,
    pub(super) profile: Option<ProfileId>,
    pub(super) ours: Option<ProfileId>,
    /// What a policy said, if one was asked.
    pub(super) opinion: Option<i64>,
}

impl Standing {
    /// Of a device that is known like this.
    pub(super) fn of(known: &Known, token: i64, opinion: Option<i64>) -> Self {
        Self {
            token,
            gone: known.gone,
            status: known.device.profile_status,
            profile: known.device.profile_uuid.clone(),
            ours: known.ours.as_ref().map(|ours| ours.profile.clone()),
            opinion,
        }
    }

    /// The profile that devices which stand so are on.
    pub(super) fn on(&self) -> Option<&ProfileId> {
        let by_apple = || match self.status {
            ProfileStatus::Assigned | ProfileStatus::Pushed => self.profile.as_ref(),
            ProfileStatus::Empty | ProfileStatus::Removed => None,
        };
        self.ours.as_ref().or_else(by_apple)
    }
}

const COLUMNS: &str = "token, gone, profile_status, profile_uuid, ours_profile, opinion";

/// The standings that a transaction meets, and how it changes their numbers.
pub(super) struct Standings<'c> {
    connection: &'c Connection,
    by_id: HashMap<i64, Standing>,
    ids: HashMap<Standing, i64>,
    more: BTreeMap<i64, i64>,
    of_device: CachedStatement<'c>,
}

impl<'c> Standings<'c> {
    pub(super) fn new(connection: &'c Connection) -> Result<Self, Error> {
        let of_device = connection.prepare_cached("SELECT standing FROM device_state WHERE device = ?1")?;
        let (by_id, ids, more) = (HashMap::default(), HashMap::default(), BTreeMap::new());
        Ok(Self { connection, by_id, ids, more, of_device })
    }

    /// The number of a device's standing.
    pub(super) fn of(&mut self, device: DeviceId) -> Result<i64, Error> {
        Ok(self.of_device.query_row([device], |row| row.get(0))?)
    }

    /// What a device's standing is.
    pub(super) fn get(&mut self, id: i64) -> Result<&Standing, Error> {
        if !self.by_id.contains_key(&id) {
            let sql = format!("SELECT {COLUMNS} FROM standing WHERE id = ?1");
            let mut select = self.connection.prepare_cached(&sql)?;
            let found = select.query_row([id], |row| Ok(standing(row)))??;
            self.ids.insert(found.clone(), id);
            self.by_id.insert(id, found);
        }
        Ok(&self.by_id[&id])
    }

    /// A device more stands so. Returns the number of the standing.
    pub(super) fn enter(&mut self, standing: Standing) -> Result<i64, Error> {
        let id = match self.ids.get(&standing) {
            Some(id) => *id,
            None => {
                let id = match find(self.connection, &standing)? {
                    Some(id) => id,
                    None => insert(self.connection, &standing)?,
                };
                self.ids.insert(standing.clone(), id);
                self.by_id.insert(id, standing);
                id
            }
        };
        *self.more.entry(id).or_default() += 1;
        Ok(id)
    }

    /// A device stands so no longer.
    pub(super) fn leave(&mut self, id: i64) {
        *self.more.entry(id).or_default() -= 1;
    }

    /// A device stands otherwise than it did. Returns the number of its new standing.
    pub(super) fn change(
        &mut self,
        device: DeviceId,
        to: impl FnOnce(&Standing) -> Standing,
    ) -> Result<i64, Error> {
        let from = self.of(device)?;
        self.move_on(from, to)
    }

    /// The same of a device that is known to stand so.
    pub(super) fn move_on(
        &mut self,
        from: i64,
        to: impl FnOnce(&Standing) -> Standing,
    ) -> Result<i64, Error> {
        let standing = to(self.get(from)?);
        self.leave(from);
        self.enter(standing)
    }

    /// Writes the numbers. To be called at the end of the transaction.
    pub(super) fn settle(self) -> Result<(), Error> {
        let mut add =
            self.connection.prepare_cached("UPDATE standing SET devices = devices + ?2 WHERE id = ?1")?;
        let mut forget =
            self.connection.prepare_cached("DELETE FROM standing WHERE id = ?1 AND devices = 0")?;
        for (id, more) in self.more {
            if more != 0 {
                add.execute([id, more])?;
            }
            if more <= 0 {
                forget.execute([id])?;
            }
        }
        Ok(())
    }
}

fn find(connection: &Connection, it: &Standing) -> Result<Option<i64>, Error> {
    let mut select = connection.prepare_cached(
        "SELECT id FROM standing WHERE token = ?1 AND opinion IS ?6 AND profile_uuid IS ?4
             AND gone = ?2 AND profile_status = ?3 AND ours_profile IS ?5",
    )?;
    let id = select.query_row(
        params![
            it.token,
            it.gone,
            it.status.as_str(),
            it.profile.as_ref().map(ProfileId::as_str),
            it.ours.as_ref().map(ProfileId::as_str),
            it.opinion
        ],
        |row| row.get(0),
    );
    Ok(id.optional()?)
}

fn insert(connection: &Connection, it: &Standing) -> Result<i64, Error> {
    let mut insert = connection.prepare_cached(&format!(
        "INSERT INTO standing ({COLUMNS}, devices) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0) RETURNING id"
    ))?;
    Ok(insert.query_row(
        params![
            it.token,
            it.gone,
            it.status.as_str(),
            it.profile.as_ref().map(ProfileId::as_str),
            it.ours.as_ref().map(ProfileId::as_str),
            it.opinion
        ],
        |row| row.get(0),
    )?)
}

/// From the columns of [`COLUMNS`].
fn standing(row: &Row<'_>) -> Result<Standing, Error> {
    let id = |text: Option<String>| text.map(|text| typed(text, "profile id")).transpose();
    let status: String = row.get(2)?;
    Ok(Standing {
        token: row.get(0)?,
        gone: row.get(1)?,
        status: ProfileStatus::from_apple(&status),
        profile: id(row.get(3)?)?,
        ours: id(row.get(4)?)?,
        opinion: row.get(5)?,
    })
}

/// All ways in which devices of a token that are here stand, with how many each, by their numbers.
pub(super) fn present(connection: &Connection, token: i64) -> Result<BTreeMap<i64, (Standing, u64)>, Error> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, id, devices FROM standing WHERE token = ?1 AND gone = 0"
    ))?;
    let mut rows = select.query([token])?;
    let mut found = BTreeMap::new();
    while let Some(row) = rows.next()? {
        found.insert(row.get(6)?, (standing(row)?, row.get(7)?));
    }
    Ok(found)
}

/// Forgets the words that no device has any more, and no verdict.
pub(super) fn forget_words(connection: &Connection) -> Result<(), Error> {
    for sql in [
        "DELETE FROM opinion WHERE id NOT IN (SELECT opinion FROM standing WHERE opinion IS NOT NULL
             UNION SELECT opinion FROM verdict_history UNION SELECT opinion FROM shadow_state)",
        "DELETE FROM asking WHERE id NOT IN (SELECT asking FROM device_state WHERE asking IS NOT NULL
             UNION SELECT asking FROM verdict_history UNION SELECT asking FROM shadow_state)",
        "DELETE FROM kind WHERE id NOT IN (SELECT kind FROM device_record)",
        "DELETE FROM arrival WHERE id NOT IN (SELECT arrival FROM device_record)",
    ] {
        connection.execute(sql, [])?;
    }
    Ok(())
}

/// Where the devices of a token are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Numbers {
    /// The token's own number; 0 for one that is not here.
    pub(super) token: i64,
    /// The last device that can be found by its serial number: what comes after it is of a first fetch
    /// that is not through, and nobody looks at it yet.
    pub(super) keyed: DeviceId,
}

impl Numbers {
    pub(super) fn of(connection: &Connection, token: &TokenName) -> Result<Self, Error> {
        let mut select = connection.prepare_cached("SELECT number, keyed FROM token WHERE name = ?1")?;
        let found = select
            .query_row([token.as_str()], |row| Ok(Self { token: row.get(0)?, keyed: row.get(1)? }))
            .optional()?;
        Ok(found.unwrap_or_default())
    }

    /// All devices of the token come after this one.
    pub(super) fn before_first(self) -> DeviceId {
        DeviceId::before_first(self.token)
    }

    /// All its devices that can be found.
    pub(super) fn all(self) -> Ranges {
        Ranges::of(vec![(self.before_first().next(), self.keyed)])
    }

    /// How many devices the token has.
    pub(super) fn devices(self, connection: &Connection) -> Result<u64, Error> {
        let mut sum = connection
            .prepare_cached("SELECT coalesce(sum(devices), 0) FROM standing WHERE token = ?1 AND gone = 0")?;
        Ok(sum.query_row([self.token], |row| row.get(0))?)
    }
}
