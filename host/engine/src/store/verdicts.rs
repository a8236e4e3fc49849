//! What policies said of each device: the last verdict, rewritten only when it changes, and those before it.

use std::collections::BTreeMap;

use domain::id::{Digest, PluginName, RunId, SerialNumber, TokenName};
use domain::verdict::{Decision, Verdict};
use foldhash::HashMap;
use jiff::Timestamp;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row, params};

use super::devices::DeviceId;
use super::standing::{self, Numbers, Standing, Standings};
use super::{Error, Store, maybe_time, millis, typed};

/// Where verdicts are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Book {
    /// With those that say why a device has the profile it has.
    #[default]
    Live,
    /// Apart: of workflows in shadow mode.
    Shadow,
}

/// A verdict and who gave it.
#[derive(Clone, Debug)]
pub struct StoredVerdict {
    /// What was decided, and why.
    pub verdict: Verdict,
    /// The plugin that decided.
    pub policy: PluginName,
    /// The digest of its component then. One that says the same later is not noted: the step that asked it is.
    pub digest: Digest,
    /// The run in which it was decided so for the first time.
    pub run: RunId,
    /// When.
    pub decided_at: Timestamp,
}

impl Store {
    /// Stores what a policy said, where it differs from what was said before; returns how often it did. What
    /// `later` policies, still to be asked in this run, said of devices that this one ignores is left for them:
    /// else it would be written twice in every run.
    pub async fn store_verdicts(
        &self,
        run: &RunId,
        book: Book,
        policy: (PluginName, Digest),
        later: &[PluginName],
        verdicts: Vec<(DeviceId, Verdict)>,
        now: Timestamp,
    ) -> Result<u64, Error> {
        let (run, later) = (run.clone(), later.to_vec());
        self.write_soon(move |connection| {
            let mut opinions = Opinions::new(connection, &policy.0);
            let asking = Asking { connection, run: &run, digest: &policy.1, at: now, id: None };
            let put = connection
                .prepare_cached("UPDATE device_state SET standing = ?2, asking = ?3 WHERE device = ?1")?;
            let mut writing =
                Writing { book, connection, asking, standings: Standings::new(connection)?, put };
            let mut differently = 0;
            for (device, verdict) in verdicts {
                let (standing, before) = writing.opinion_on(device)?;
                let opinion = opinions.enter(&verdict)?;
                // What one of these said may be what it will say again.
                let is_theirs = verdict.decision == Decision::Ignore
                    && before.map_or(Ok(false), |before| opinions.is_of(before, &later))?;
                if before != Some(opinion) && !is_theirs {
                    writing.put(device, standing, opinion)?;
                    differently += 1;
                }
            }
            writing.standings.settle()?;
            Ok(differently)
        })
        .await
    }

    /// What policies say of the devices a token has, and of how many; none where nobody was asked.
    pub async fn said_of(
        &self,
        token: &TokenName,
    ) -> Result<Vec<(Option<(Verdict, PluginName)>, u64)>, Error> {
        let token = token.clone();
        self.read(move |connection| {
            let present = standing::present(connection, Numbers::of(connection, &token)?.token)?;
            let mut counts: BTreeMap<Option<i64>, u64> = BTreeMap::new();
            for (standing, devices) in present.values() {
                *counts.entry(standing.opinion).or_default() += devices;
            }
            let said = counts
                .into_iter()
                .map(|(id, devices)| Ok((id.map(|id| opinion(connection, id)).transpose()?, devices)));
            said.collect()
        })
        .await
    }

    /// The verdict on a device, if it was ever decided about.
    pub async fn verdict(
        &self,
        token: &TokenName,
        serial: &SerialNumber,
    ) -> Result<Option<StoredVerdict>, Error> {
        Ok(self.verdicts_of(token, serial, 1).await?.pop())
    }

    /// The verdicts on a device, the newest first; at most `limit`.
    pub async fn verdicts_of(
        &self,
        token: &TokenName,
        serial: &SerialNumber,
        limit: u32,
    ) -> Result<Vec<StoredVerdict>, Error> {
        let (token, serial) = (token.clone(), serial.clone());
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "WITH it AS (SELECT device FROM serial s JOIN token t ON t.number = s.token
                             WHERE t.name = ?1 AND serial_number = ?2)
                 SELECT decision, profile, hold_until, reason, fault, policy, digest, run, decided_at,
                     9223372036854775807 AS number FROM verdict WHERE device IN it
                 UNION ALL
                 SELECT decision, profile, hold_until, reason, fault, policy, digest, run, decided_at, number
                     FROM earlier_verdict WHERE device IN it
                 ORDER BY number DESC LIMIT ?3",
            )?;
            let mut rows = statement.query(params![token.as_str(), serial.as_str(), limit])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.extend(stored(row)?);
            }
            Ok(found)
        })
        .await
    }

    /// The verdicts on these devices as they were then, and whose, in their order; none for one that was not decided
    /// about, or of which too little is kept.
    pub async fn verdicts_as_of(
        &self,
        devices: Vec<DeviceId>,
        then: Timestamp,
    ) -> Result<Vec<Option<(Verdict, PluginName)>>, Error> {
        self.read(move |connection| {
            let mut now = connection.prepare_cached(
                "SELECT decision, profile, hold_until, reason, fault, policy FROM verdict
                 WHERE device = ?1 AND decided_at <= ?2",
            )?;
            let mut before = connection.prepare_cached(
                "SELECT decision, profile, hold_until, reason, fault, policy FROM earlier_verdict
                 WHERE device = ?1 AND decided_at <= ?2 ORDER BY number DESC LIMIT 1",
            )?;
            let mut found = Vec::with_capacity(devices.len());
            for device in devices {
                let key = params![device, millis(then)];
                let mut rows = now.query(key)?;
                found.push(match rows.next()? {
                    Some(row) => whose(row)?,
                    None => before.query(key)?.next()?.map_or(Ok(None), whose)?,
                });
            }
            Ok(found)
        })
        .await
    }
}

/// Verdicts on their way into a book.
struct Writing<'c> {
    book: Book,
    connection: &'c Connection,
    asking: Asking<'c>,
    standings: Standings<'c>,
    put: CachedStatement<'c>,
}

impl Writing<'_> {
    /// How a device stands, in the book where that counts, and what was said of it until now.
    fn opinion_on(&mut self, device: DeviceId) -> Result<(i64, Option<i64>), Error> {
        match self.book {
            Book::Live => {
                let standing = self.standings.of(device)?;
                Ok((standing, self.standings.get(standing)?.opinion))
            }
            Book::Shadow => {
                let mut select =
                    self.connection.prepare_cached("SELECT opinion FROM shadow_state WHERE device = ?1")?;
                Ok((0, select.query_row([device], |row| row.get(0)).optional()?))
            }
        }
    }

    /// Writes what is said of a device now, and keeps what was said before.
    fn put(&mut self, device: DeviceId, standing: i64, opinion: i64) -> Result<(), Error> {
        let asking = self.asking.enter()?;
        if self.book == Book::Shadow {
            let mut put = self.connection.prepare_cached(
                "INSERT OR REPLACE INTO shadow_state (device, opinion, asking) VALUES (?1, ?2, ?3)",
            )?;
            put.execute(params![device, opinion, asking])?;
            return Ok(());
        }
        let mut before = None;
        let standing = self.standings.move_on(standing, |standing| {
            before = standing.opinion;
            Standing { opinion: Some(opinion), ..standing.clone() }
        })?;
        if let Some(before) = before {
            let mut keep = self.connection.prepare_cached(
                "INSERT INTO verdict_history (device, number, opinion, asking)
                 SELECT device,
                     (SELECT coalesce(max(number), 0) + 1 FROM verdict_history WHERE device = ?1), ?2, asking
                 FROM device_state WHERE device = ?1",
            )?;
            keep.execute(params![device, before])?;
        }
        self.put.execute(params![device, standing, asking])?;
        Ok(())
    }
}

/// What a policy says, each in all its words once.
struct Opinions<'c> {
    connection: &'c Connection,
    policy: &'c PluginName,
    ids: HashMap<Verdict, i64>,
    /// Which of those that were there are of somebody else that will be asked.
    others: HashMap<i64, bool>,
}

impl<'c> Opinions<'c> {
    fn new(connection: &'c Connection, policy: &'c PluginName) -> Self {
        Self { connection, policy, ids: HashMap::default(), others: HashMap::default() }
    }

    /// The number of this opinion.
    fn enter(&mut self, verdict: &Verdict) -> Result<i64, Error> {
        if let Some(id) = self.ids.get(verdict) {
            return Ok(*id);
        }
        let Verdict { decision, reason, fault } = verdict;
        let (word, profile, until) = match decision {
            Decision::Assign { profile } => ("assign", Some(profile.as_str()), None),
            Decision::Hold { until } => ("hold", None, until.map(millis)),
            Decision::Ignore => ("ignore", None, None),
        };
        let all = params![word, profile, until, &**reason, fault, self.policy.as_str()];
        let mut find = self.connection.prepare_cached(
            "SELECT id FROM opinion WHERE reason = ?4 AND profile IS ?2 AND decision = ?1 AND hold_until IS ?3
                 AND fault = ?5 AND policy = ?6",
        )?;
        let id = match find.query_row(all, |row| row.get(0)).optional()? {
            Some(id) => id,
            None => {
                let mut insert = self.connection.prepare_cached(
                    "INSERT INTO opinion (decision, profile, hold_until, reason, fault, policy)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id",
                )?;
                insert.query_row(all, |row| row.get(0))?
            }
        };
        self.ids.insert(verdict.clone(), id);
        Ok(id)
    }

    /// Whether one of these policies said it.
    fn is_of(&mut self, opinion: i64, policies: &[PluginName]) -> Result<bool, Error> {
        if policies.is_empty() {
            return Ok(false);
        }
        if let Some(known) = self.others.get(&opinion) {
            return Ok(*known);
        }
        let mut select = self.connection.prepare_cached("SELECT policy FROM opinion WHERE id = ?1")?;
        let policy: String = select.query_row([opinion], |row| row.get(0))?;
        let is_theirs = policies.iter().any(|it| it.as_str() == policy);
        self.others.insert(opinion, is_theirs);
        Ok(is_theirs)
    }
}

/// In which run a policy is asked, written once something comes of it.
struct Asking<'c> {
    connection: &'c Connection,
    run: &'c RunId,
    digest: &'c Digest,
    at: Timestamp,
    id: Option<i64>,
}

impl Asking<'_> {
    fn enter(&mut self) -> Result<i64, Error> {
        if let Some(id) = self.id {
            return Ok(id);
        }
        let key = params![self.run.as_str(), self.digest.as_str(), millis(self.at)];
        let mut find = self
            .connection
            .prepare_cached("SELECT id FROM asking WHERE run = ?1 AND digest = ?2 AND decided_at = ?3")?;
        let id = match find.query_row(key, |row| row.get(0)).optional()? {
            Some(id) => id,
            None => {
                let mut insert = self.connection.prepare_cached(
                    "INSERT INTO asking (run, digest, decided_at) VALUES (?1, ?2, ?3) RETURNING id",
                )?;
                insert.query_row(key, |row| row.get(0))?
            }
        };
        self.id = Some(id);
        Ok(id)
    }
}

/// An opinion in all its words, and whose it is.
pub(super) fn opinion(connection: &Connection, id: i64) -> Result<(Verdict, PluginName), Error> {
    let mut select = connection.prepare_cached(
        "SELECT decision, profile, hold_until, reason, fault, policy FROM opinion WHERE id = ?1",
    )?;
    let found = select.query_row([id], |row| Ok(whose(row)))??;
    found.ok_or(Error::Corrupt { what: "opinion", text: id.to_string() })
}

fn whose(row: &Row<'_>) -> Result<Option<(Verdict, PluginName)>, Error> {
    let policy = typed(row.get(5)?, "plugin name")?;
    Ok(verdict(row, 0)?.map(|verdict| (verdict, policy)))
}

fn stored(row: &Row<'_>) -> Result<Option<StoredVerdict>, Error> {
    let Some(verdict) = verdict(row, 0)? else { return Ok(None) };
    Ok(Some(StoredVerdict {
        verdict,
        policy: typed(row.get(5)?, "plugin name")?,
        digest: typed(row.get(6)?, "digest")?,
        run: typed(row.get(7)?, "run id")?,
        decided_at: super::time(row.get(8)?)?,
    }))
}

/// A verdict from five columns beginning with `first`; none if the device was never decided about.
pub(super) fn verdict(row: &Row<'_>, first: usize) -> Result<Option<Verdict>, Error> {
    let decision: Option<String> = row.get(first)?;
    let decision = match decision.as_deref() {
        None => return Ok(None),
        Some("assign") => {
            let profile: Option<String> = row.get(first + 1)?;
            Decision::Assign { profile: typed(profile.unwrap_or_default(), "profile name")? }
        }
        Some("hold") => Decision::Hold { until: maybe_time(row.get(first + 2)?)? },
        Some(_) => Decision::Ignore,
    };
    let reason: String = row.get(first + 3)?;
    Ok(Some(Verdict { decision, reason: reason.into(), fault: row.get(first + 4)? }))
}
