//! What plugins did, and which of them rest.

use std::time::Duration;

use domain::id::{Digest, PluginName, TokenName};
use domain::policy::Usage;
use domain::rest::Health;
use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{Error, Store, maybe_time, millis, time, typed};

/// What a component of a plugin did, in one step or over all runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// What asking it took.
    pub usage: Usage,
    /// Devices it was asked about.
    pub devices: u64,
    /// Devices it wanted left as they are, those it failed on included.
    pub held: u64,
    /// Devices it failed on.
    pub faults: u64,
}

/// What a component of a plugin did over all runs.
#[derive(Clone, Debug)]
pub struct WorkRecord {
    /// The plugin.
    pub plugin: PluginName,
    /// The component.
    pub digest: Digest,
    /// What it did.
    pub work: Work,
    /// When it was asked first.
    pub first_at: Timestamp,
    /// When it was asked last.
    pub last_at: Timestamp,
}

impl Store {
    /// Adds to what a component did.
    pub async fn plugin_worked(
        &self,
        plugin: &PluginName,
        digest: &Digest,
        work: Work,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (plugin, digest) = (plugin.clone(), digest.clone());
        self.write(move |connection| {
            let Work { usage, devices, held, faults } = work;
            connection.execute(
                "INSERT INTO plugin_use VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)
                 ON CONFLICT (plugin, digest) DO UPDATE SET calls = calls + excluded.calls,
                     devices = devices + excluded.devices, micros = micros + excluded.micros,
                     fuel = fuel + excluded.fuel, held = held + excluded.held,
                     faults = faults + excluded.faults, last_at = excluded.last_at",
                params![
                    plugin.as_str(),
                    digest.as_str(),
                    usage.calls,
                    devices,
                    u64::try_from(usage.time.as_micros()).unwrap_or(u64::MAX),
                    usage.fuel,
                    held,
                    faults,
                    millis(now),
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// What every component did, the latest first.
    pub async fn plugin_work(&self) -> Result<Vec<WorkRecord>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT plugin, digest, calls, devices, micros, fuel, held, faults, first_at, last_at
                 FROM plugin_use ORDER BY last_at DESC",
            )?;
            let mut rows = statement.query([])?;
            let mut records = Vec::new();
            while let Some(row) = rows.next()? {
                let time_taken = Duration::from_micros(row.get(4)?);
                let usage = Usage { calls: row.get(2)?, fuel: row.get(5)?, time: time_taken };
                let work = Work { usage, devices: row.get(3)?, held: row.get(6)?, faults: row.get(7)? };
                records.push(WorkRecord {
                    plugin: typed(row.get(0)?, "plugin name")?,
                    digest: typed(row.get(1)?, "digest")?,
                    work,
                    first_at: time(row.get(8)?)?,
                    last_at: time(row.get(9)?)?,
                });
            }
            Ok(records)
        })
        .await
    }

    /// Whether anything is on record of how a plugin did lately: that it failed, as it was configured then.
    pub async fn plugin_failed_lately(&self, plugin: &PluginName) -> Result<bool, Error> {
        let plugin = plugin.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached("SELECT 1 FROM plugin_health WHERE plugin = ?1")?;
            Ok(statement.exists([plugin.as_str()])?)
        })
        .await
    }

    /// How a plugin did lately with the devices of one token; of all tokens, where it rests longest. With
    /// another component, other settings or other tables than then, well.
    pub async fn plugin_health(
        &self,
        plugin: &PluginName,
        token: Option<&TokenName>,
        mark: &Digest,
    ) -> Result<Health, Error> {
        let (plugin, token, mark) = (plugin.clone(), token.cloned(), mark.clone());
        self.read(move |connection| health(connection, &plugin, token.as_ref(), &mark)).await
    }

    /// Notes that a plugin failed on a whole batch of a token's. How it does now, and whether it begins to rest, for
    /// the first time since it worked.
    pub async fn plugin_failed(
        &self,
        plugin: &PluginName,
        token: &TokenName,
        mark: &Digest,
        why: &str,
        now: Timestamp,
    ) -> Result<(Health, bool), Error> {
        let (plugin, token) = (plugin.clone(), token.clone());
        let (mark, why) = (mark.clone(), why.to_owned());
        self.write(move |connection| {
            let mut health = health(connection, &plugin, Some(&token), &mark)?;
            let news = health.failed(&why, now);
            connection.execute(
                "INSERT OR REPLACE INTO plugin_health VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    plugin.as_str(),
                    token.as_str(),
                    mark.as_str(),
                    health.failures,
                    health.rests,
                    health.until.map(millis),
                    health.why,
                ],
            )?;
            Ok((health, news))
        })
        .await
    }

    /// Forgets that a plugin failed on a token's devices, or on anybody's. True if there was anything to
    /// forget.
    pub async fn plugin_forgiven(
        &self,
        plugin: &PluginName,
        token: Option<&TokenName>,
    ) -> Result<bool, Error> {
        let (plugin, token) = (plugin.clone(), token.cloned());
        self.write(move |connection| {
            let forgotten = connection.execute(
                "DELETE FROM plugin_health WHERE plugin = ?1 AND token = ifnull(?2, token)",
                params![plugin.as_str(), token.as_ref().map(TokenName::as_str)],
            )?;
            Ok(forgotten > 0)
        })
        .await
    }
}

fn health(
    connection: &Connection,
    plugin: &PluginName,
    token: Option<&TokenName>,
    mark: &Digest,
) -> Result<Health, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT failures, rests, until, why FROM plugin_health
         WHERE plugin = ?1 AND mark = ?2 AND token = ifnull(?3, token)
         ORDER BY until DESC, failures DESC LIMIT 1",
    )?;
    let token = token.map(TokenName::as_str);
    let mut rows = statement.query(params![plugin.as_str(), mark.as_str(), token])?;
    let Some(row) = rows.next()? else { return Ok(Health::default()) };
    Ok(Health {
        failures: row.get(0)?,
        rests: row.get(1)?,
        until: maybe_time(row.get(2)?)?,
        why: row.get(3)?,
    })
}
