//! What people were told of the facts about a token, what they said to it, and the certificates of web
//! servers as they were seen last.

use std::collections::BTreeMap;

use domain::id::{ChannelName, RunId, TokenName};
use domain::reminder::{FactName, Instance, Muted, Threshold, Told};
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::{Error, Outgoing, Store, enqueue, maybe_time, millis, time, typed};

/// A reminder on its way out, and what is on record with it.
pub struct Telling {
    /// About which token.
    pub token: TokenName,
    /// About which fact of it.
    pub fact: FactName,
    /// The message, and where it goes.
    pub outgoing: Outgoing,
    /// What the channels know then.
    pub told: Vec<Told>,
    /// What was told and is over.
    pub over: Vec<(ChannelName, Instance)>,
}

impl Store {
    /// What was told of every fact of a token.
    pub async fn told(&self, token: &TokenName) -> Result<BTreeMap<FactName, Vec<Told>>, Error> {
        let token = token.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT kind, name, channel, threshold, instance, at FROM told WHERE token = ?1",
            )?;
            let mut rows = statement.query([token.as_str()])?;
            let mut found: BTreeMap<FactName, Vec<Told>> = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let told = Told {
                    channel: typed(row.get(2)?, "channel name")?,
                    instance: instance(row.get(4)?, row.get(5)?)?,
                    threshold: Threshold(row.get(3)?),
                };
                found.entry(fact_name(row)?).or_default().push(told);
            }
            Ok(found)
        })
        .await
    }

    /// Puts a reminder into the outbox and records, with it, what is known by whom.
    pub async fn tell(&self, telling: Telling, run: &RunId, now: Timestamp) -> Result<(), Error> {
        let run = run.clone();
        self.write(move |connection| {
            let Telling { token, fact: FactName { kind, name }, outgoing, told, over } = &telling;
            enqueue(connection, outgoing)?;
            for (channel, instance) in over {
                let (word, at) = columns(*instance);
                connection.execute(
                    "DELETE FROM told WHERE token = ?1 AND kind = ?2 AND name = ?3 AND channel = ?4
                         AND instance = ?5 AND at = ?6",
                    params![token.as_str(), kind, name, channel.as_str(), word, at],
                )?;
            }
            for Told { channel, instance, threshold } in told {
                let (word, at) = columns(*instance);
                connection.execute(
                    "INSERT INTO told VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO UPDATE
                         SET threshold = min(threshold, excluded.threshold), run = excluded.run,
                             told_at = excluded.told_at",
                    params![
                        token.as_str(),
                        kind,
                        name,
                        channel.as_str(),
                        word,
                        at,
                        threshold.0,
                        run.as_str(),
                        millis(now),
                    ],
                )?;
            }
            Ok(())
        })
        .await
    }

    /// What people said of the facts of a token. Without a kind: of all of them.
    pub async fn muted(&self, token: &TokenName) -> Result<BTreeMap<FactName, Muted>, Error> {
        let token = token.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT kind, name, instance, at, snoozed_until, note, muted_at FROM muted WHERE token = ?1",
            )?;
            let mut rows = statement.query([token.as_str()])?;
            let mut found = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let word: Option<String> = row.get(2)?;
                let muted = Muted {
                    acknowledged: word.map(|word| instance(word, row.get(3)?)).transpose()?,
                    snoozed_until: maybe_time(row.get(4)?)?,
                    note: row.get(5)?,
                    at: time(row.get(6)?)?,
                };
                found.insert(fact_name(row)?, muted);
            }
            Ok(found)
        })
        .await
    }

    /// Records what somebody says of facts of a token, in place of what was said of them before; what says
    /// nothing takes that back.
    pub async fn mute(&self, token: &TokenName, said: Vec<(FactName, Muted)>) -> Result<(), Error> {
        let token = token.clone();
        self.write(move |connection| {
            for (fact, muted) in &said {
                put(connection, &token, fact, muted)?;
            }
            Ok(())
        })
        .await
    }

    /// The end of a web server's certificate, if it was ever seen, and when somebody last looked.
    pub async fn web_certificates(&self) -> Result<BTreeMap<String, (Option<Timestamp>, Timestamp)>, Error> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT server, ends_at, looked_at FROM web_certificate")?;
            let mut rows = statement.query([])?;
            let mut found = BTreeMap::new();
            while let Some(row) = rows.next()? {
                found.insert(row.get(0)?, (maybe_time(row.get(1)?)?, time(row.get(2)?)?));
            }
            Ok(found)
        })
        .await
    }

    /// Records a look at a web server; one that showed nothing leaves what was seen before.
    pub async fn saw_web_certificate(
        &self,
        server: &str,
        ends: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let server = server.to_owned();
        self.write(move |connection| {
            connection.execute(
                "INSERT INTO web_certificate VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE
                     SET ends_at = coalesce(excluded.ends_at, ends_at), looked_at = excluded.looked_at",
                params![server, ends.map(millis), millis(now)],
            )?;
            Ok(())
        })
        .await
    }
}

fn put(connection: &Connection, token: &TokenName, fact: &FactName, muted: &Muted) -> Result<(), Error> {
    let FactName { kind, name } = fact;
    let Muted { acknowledged, snoozed_until, note, at: muted_at } = muted;
    connection.execute(
        "DELETE FROM muted WHERE token = ?1 AND kind = ?2 AND name = ?3",
        params![token.as_str(), kind, name],
    )?;
    if acknowledged.is_some() || snoozed_until.is_some() {
        let (word, at) = acknowledged.map(columns).unzip();
        connection.execute(
            "INSERT INTO muted VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                token.as_str(),
                kind,
                name,
                word,
                at,
                snoozed_until.map(millis),
                note,
                millis(*muted_at),
            ],
        )?;
    }
    Ok(())
}

fn fact_name(row: &Row<'_>) -> Result<FactName, Error> {
    Ok(FactName { kind: row.get(0)?, name: row.get(1)? })
}

fn columns(instance: Instance) -> (&'static str, i64) {
    match instance {
        Instance::Only => ("only", 0),
        Instance::End(at) => ("end", millis(at)),
        Instance::Trouble(at) => ("trouble", millis(at)),
    }
}

fn instance(word: String, at: i64) -> Result<Instance, Error> {
    match word.as_str() {
        "only" => Ok(Instance::Only),
        "end" => Ok(Instance::End(time(at)?)),
        "trouble" => Ok(Instance::Trouble(time(at)?)),
        _ => Err(Error::Corrupt { what: "instance of a fact", text: word }),
    }
}
