//! What many devices have in common, written once: the words for what they are, and how they came.

use std::hash::BuildHasher as _;

use domain::device::Device;
use foldhash::HashMap;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::history::Seen;
use super::{Error, millis};

/// The words that a device shares with others of its kind, in the order of the table.
type Words<'a> = [Option<&'a str>; 6];

/// The same, kept.
pub(super) type Kind = [Option<String>; 6];

/// The kinds that a transaction meets.
pub(super) struct Kinds<'c> {
    connection: &'c Connection,
    /// By the hash of their words: those of a device are compared as they are, not copied.
    ids: HashMap<u64, Vec<(Kind, i64)>>,
}

impl<'c> Kinds<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self { connection, ids: HashMap::default() }
    }

    /// The number of a device's kind.
    pub(super) fn enter(&mut self, device: &Device) -> Result<i64, Error> {
        let words = words(device);
        let hash = self.ids.hasher().hash_one(words);
        let same = self.ids.entry(hash).or_default();
        let found = same.iter().find(|(held, _)| held.each_ref().map(Option::as_deref) == words);
        if let Some((_, id)) = found {
            return Ok(*id);
        }
        let mut find = self.connection.prepare_cached(
            "SELECT id FROM kind WHERE description IS ?2 AND color IS ?3 AND device_assigned_by IS ?6
                 AND model IS ?1 AND os IS ?4 AND device_family IS ?5",
        )?;
        let all = params![words[0], words[1], words[2], words[3], words[4], words[5]];
        let id = match find.query_row(all, |row| row.get(0)).optional()? {
            Some(id) => id,
            None => {
                let mut insert = self.connection.prepare_cached(
                    "INSERT INTO kind (model, description, color, os, device_family, device_assigned_by)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id",
                )?;
                insert.query_row(all, |row| row.get(0))?
            }
        };
        same.push((words.map(|word| word.map(str::to_owned)), id));
        Ok(id)
    }
}

/// The words of a kind.
pub(super) fn of(connection: &Connection, kind: i64) -> Result<Kind, Error> {
    let mut select = connection.prepare_cached(
        "SELECT model, description, color, os, device_family, device_assigned_by FROM kind WHERE id = ?1",
    )?;
    Ok(select.query_row([kind], |row| {
        Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?])
    })?)
}

/// What tells a device's kind.
pub(super) fn words(device: &Device) -> Words<'_> {
    let Device { model, description, color, os, device_family, device_assigned_by, .. } = device;
    [model, description, color, os, device_family, device_assigned_by].map(Option::as_deref)
}

/// How a device comes that is first listed now; one that is heard of only because it left was never here.
pub(super) fn arrival(connection: &Connection, seen: Option<&Seen>, round: i64) -> Result<i64, Error> {
    let (at, run) = (seen.map(|seen| millis(seen.at)), seen.map(|seen| seen.run.as_str()));
    let mut last = connection.prepare_cached(
        "SELECT id FROM (SELECT * FROM arrival ORDER BY id DESC LIMIT 1)
         WHERE seen_at IS ?1 AND seen_run IS ?2 AND round = ?3",
    )?;
    if let Some(id) = last.query_row(params![at, run, round], |row| row.get(0)).optional()? {
        return Ok(id);
    }
    let mut insert = connection
        .prepare_cached("INSERT INTO arrival (seen_at, seen_run, round) VALUES (?1, ?2, ?3) RETURNING id")?;
    Ok(insert.query_row(params![at, run, round], |row| row.get(0))?)
}
