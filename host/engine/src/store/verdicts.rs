//! What policies said of each device: the last verdict, rewritten only when it changes, and those before it.

use domain::id::{Digest, PluginName, RunId, SerialNumber, TokenName};
use domain::verdict::{Decision, Verdict};
use jiff::Timestamp;
use rusqlite::{Row, params};

use super::devices::DeviceId;
use super::{Error, Store, maybe_time, millis, to_json, typed};

/// Where verdicts are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Book {
    /// With those that say why a device has the profile it has.
    #[default]
    Live,
    /// Apart: of workflows in shadow mode.
    Shadow,
}

impl Book {
    /// The table.
    pub(super) fn table(self) -> &'static str {
        match self {
            Self::Live => "verdict",
            Self::Shadow => "shadow_verdict",
        }
    }
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
        let (run, later) = (run.clone(), to_json(&later));
        self.write(move |connection| {
            let mut upsert = connection.prepare_cached(&format!(
                "INSERT INTO {} (device, decision, profile, hold_until, reason, fault, policy, digest, run,
                     decided_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT (device) DO UPDATE SET decision = excluded.decision,
                     profile = excluded.profile, hold_until = excluded.hold_until, reason = excluded.reason,
                     fault = excluded.fault, policy = excluded.policy, digest = excluded.digest,
                     run = excluded.run, decided_at = excluded.decided_at
                 WHERE (decision, profile, hold_until, reason, fault, policy) IS NOT
                     (excluded.decision, excluded.profile, excluded.hold_until, excluded.reason, excluded.fault,
                      excluded.policy)
                     AND NOT (excluded.decision = 'ignore'
                              AND policy IN (SELECT value FROM json_each(?11)))",
                book.table(),
            ))?;
            let mut differently = 0;
            for (device, verdict) in verdicts {
                let (decision, profile, until) = match &verdict.decision {
                    Decision::Assign { profile } => ("assign", Some(profile.as_str()), None),
                    Decision::Hold { until } => ("hold", None, until.map(millis)),
                    Decision::Ignore => ("ignore", None, None),
                };
                differently += upsert.execute(params![
                    device,
                    decision,
                    profile,
                    until,
                    &*verdict.reason,
                    verdict.fault,
                    policy.0.as_str(),
                    policy.1.as_str(),
                    run.as_str(),
                    millis(now),
                    later,
                ])? as u64;
            }
            Ok(differently)
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
                "WITH it AS (SELECT id FROM device WHERE token = ?1 AND serial_number = ?2)
                 SELECT decision, profile, hold_until, reason, fault, policy, digest, run, decided_at,
                     9223372036854775807 AS number FROM verdict WHERE device IN it
                 UNION ALL
                 SELECT decision, profile, hold_until, reason, fault, policy, digest, run, decided_at, number
                     FROM verdict_history WHERE device IN it
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
                "SELECT decision, profile, hold_until, reason, fault, policy FROM verdict_history
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
