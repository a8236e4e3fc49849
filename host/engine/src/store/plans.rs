//! Plans: what a run will do, action by action, before any of it is done.

use domain::id::{Digest, PluginName, ProfileId, ProfileName, RunId, TokenName};
use domain::plan::{Candidate, Entry, Fingerprint, Planner, Profiles, Rails, Refused, Totals};
use domain::review::{self, Moves};
use domain::verdict::{Decision, Verdict};
use jiff::Timestamp;
use rusqlite::params;

use super::actions::QueuedAction;
use super::devices::{DeviceId, pause};
use super::verdicts::verdict;
use super::{Error, Store, typed};

/// A plan that is in the store, action by action. Only such a plan can be applied.
#[derive(Clone, Debug)]
pub struct RecordedPlan {
    run: RunId,
    token: TokenName,
    totals: Totals,
    /// Its actions come after this one; those up to it are an earlier plan's, of the same run and token.
    after: i64,
}

/// Whose verdicts a plan is made from.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    /// The policies that were asked for it.
    pub of: Vec<PluginName>,
    /// Those that were asked for earlier plans of the run: the devices they did not ignore are theirs.
    pub not_of: Vec<PluginName>,
}

impl RecordedPlan {
    /// Its numbers.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }
}

/// How many devices are planned in one transaction: enough to be quick, few enough that nobody
/// else waits long.
const PLAN_BATCH: u32 = 2_000;

impl Store {
    /// Plans a token's devices from inventory and verdicts, and records every action. A plan that
    /// breaks a rail leaves no action behind.
    pub async fn record_plan(
        &self,
        run: &RunId,
        token: &TokenName,
        profiles: Profiles,
        rails: Rails,
        verdicts: Verdicts,
        now: Timestamp,
    ) -> Result<Result<RecordedPlan, Refused>, Error> {
        let before = self.last_action().await?;
        let mut planner = Planner::new(&profiles, &rails, now);
        let mut after: Option<DeviceId> = None;
        loop {
            let candidates = self.candidates(token, after, PLAN_BATCH, verdicts.clone()).await?;
            let Some((last, _)) = candidates.last() else { break };
            after = Some(*last);
            let entries = candidates.iter().map(|(id, candidate)| (*id, planner.consider(candidate)));
            let actions: Vec<_> = entries
                .filter_map(|(id, entry)| match entry {
                    Entry::Action(action) => Some((id, action)),
                    Entry::Skip(_) => None,
                })
                .collect();
            if actions.is_empty() {
                continue;
            }
            let (run, token) = (run.clone(), token.clone());
            self.write(move |connection| {
                let mut insert = connection.prepare_cached(
                    "INSERT INTO action (run, token, device, profile, from_uuid, reason)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?;
                for (device, action) in actions {
                    insert.execute(params![
                        run.as_str(),
                        token.as_str(),
                        device,
                        action.profile.as_str(),
                        action.from.as_ref().map(ProfileId::as_str),
                        &*action.reason,
                    ])?;
                }
                Ok(())
            })
            .await?;
        }
        match planner.finish() {
            Ok(totals) => {
                Ok(Ok(RecordedPlan { run: run.clone(), token: token.clone(), totals, after: before }))
            }
            Err(refused) => {
                let (run, token) = (run.clone(), token.clone());
                self.write(move |connection| {
                    let own = params![run.as_str(), token.as_str(), before];
                    connection.execute(
                        "DELETE FROM action WHERE run = ?1 AND token = ?2 AND id > ?3 AND state = 'planned'",
                        own,
                    )?;
                    Ok(())
                })
                .await?;
                Ok(Err(refused))
            }
        }
    }

    /// The plan as a review is shown it, and the digest of all it would do: which devices go from which
    /// profile to which, in what wording. Another plan has another digest, the same plan of another run
    /// the same.
    pub async fn plan_in_words(
        &self,
        plan: &RecordedPlan,
        profiles: Profiles,
    ) -> Result<(review::Plan, Digest), Error> {
        self.in_words(plan.clone(), profiles, "AND state = 'planned'").await
    }

    /// The plan that a run made for a token, whatever has become of it since, as a review is shown it.
    pub async fn plan_of_run(
        &self,
        run: &RunId,
        token: &TokenName,
        totals: &Totals,
        profiles: Profiles,
    ) -> Result<review::Plan, Error> {
        let plan = RecordedPlan { run: run.clone(), token: token.clone(), totals: totals.clone(), after: 0 };
        Ok(self.in_words(plan, profiles, "").await?.0)
    }

    /// A plan, of its actions only those for which this condition holds.
    async fn in_words(
        &self,
        plan: RecordedPlan,
        profiles: Profiles,
        only: &'static str,
    ) -> Result<(review::Plan, Digest), Error> {
        let RecordedPlan { run, token, totals, after } = plan;
        self.read(move |connection| {
            let named = |id: &str| -> String {
                let known = id.parse().ok().and_then(|id: ProfileId| profiles.defined.get(&id));
                known.map_or_else(|| id.to_owned(), |(name, _)| name.to_string())
            };
            let mut all = connection.prepare_cached(&format!(
                "SELECT serial_number, from_uuid, profile FROM action a JOIN device d ON d.id = a.device
                 WHERE run = ?1 AND a.token = ?2 AND a.id > ?3 {only} ORDER BY serial_number",
            ))?;
            let mut rows = all.query(params![run.as_str(), token.as_str(), after])?;
            let (mut fingerprint, mut moves) = (Fingerprint::new(&profiles), Moves::default());
            while let Some(row) = rows.next()? {
                let from: Option<String> = row.get(1)?;
                let to: ProfileName = typed(row.get(2)?, "profile name")?;
                let serial: String = row.get(0)?;
                fingerprint.add(&serial, from.as_deref(), &to);
                *moves.entry((from.as_deref().map(named), to.to_string())).or_default() += 1;
            }
            let mut first = connection.prepare_cached(&format!(
                "SELECT serial_number, from_uuid, profile, reason FROM action a JOIN device d ON d.id = a.device
                 WHERE run = ?1 AND a.token = ?2 AND a.id > ?3 {only}
                 ORDER BY from_uuid IS NULL, serial_number LIMIT ?4",
            ))?;
            let most = review::ACTIONS as u64;
            let mut rows = first.query(params![run.as_str(), token.as_str(), after, most])?;
            let mut actions = Vec::new();
            while let Some(row) = rows.next()? {
                let (from, reason): (Option<String>, String) = (row.get(1)?, row.get(3)?);
                actions.push(review::Action {
                    serial_number: typed(row.get(0)?, "serial number")?,
                    from: from.as_deref().map(named),
                    to: row.get(2)?,
                    reason: reason.into(),
                });
            }
            Ok((review::Plan::new(&totals, moves, actions), fingerprint.digest()))
        })
        .await
    }

    /// The next actions of a plan that are not sent yet, all for one profile.
    pub async fn next_actions(
        &self,
        plan: &RecordedPlan,
        profile: &ProfileName,
        limit: u32,
    ) -> Result<Vec<QueuedAction>, Error> {
        let (run, token, profile, after) =
            (plan.run.clone(), plan.token.clone(), profile.clone(), plan.after);
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT a.id, serial_number FROM action a JOIN device d ON d.id = a.device
                 WHERE run = ?1 AND a.token = ?2 AND profile = ?3 AND state = 'planned' AND a.id > ?4
                 ORDER BY a.id LIMIT ?5",
            )?;
            let own = params![run.as_str(), token.as_str(), profile.as_str(), after, limit];
            let mut rows = statement.query(own)?;
            let mut actions = Vec::new();
            while let Some(row) = rows.next()? {
                let serial_number = typed(row.get(1)?, "serial number")?;
                actions.push(QueuedAction { id: row.get(0)?, serial_number });
            }
            Ok(actions)
        })
        .await
    }

    /// Drops what is left of a plan for one profile, or for all: it will not be sent.
    pub async fn drop_actions(
        &self,
        plan: &RecordedPlan,
        profile: Option<&ProfileName>,
    ) -> Result<u64, Error> {
        let (run, token, profile, after) =
            (plan.run.clone(), plan.token.clone(), profile.cloned(), plan.after);
        self.write(move |connection| {
            let dropped = connection.execute(
                "UPDATE action SET state = 'dropped'
                 WHERE run = ?1 AND token = ?2 AND (?3 IS NULL OR profile = ?3) AND state = 'planned'
                     AND id > ?4",
                params![run.as_str(), token.as_str(), profile.as_ref().map(ProfileName::as_str), after],
            )?;
            Ok(dropped as u64)
        })
        .await
    }

    /// The newest action there is, of whatever run.
    async fn last_action(&self) -> Result<i64, Error> {
        self.read(|connection| {
            Ok(connection.query_row("SELECT coalesce(max(id), 0) FROM action", [], |row| row.get(0))?)
        })
        .await
    }

    /// What the planner looks at, a stretch of devices at a time.
    async fn candidates(
        &self,
        token: &TokenName,
        after: Option<DeviceId>,
        limit: u32,
        verdicts: Verdicts,
    ) -> Result<Vec<(DeviceId, Candidate)>, Error> {
        let token = token.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT v.decision, v.profile, v.hold_until, v.reason, v.fault, d.serial_number,
                     coalesce(d.ours_profile,
                              iif(d.profile_status IN ('assigned', 'pushed'), d.profile_uuid, NULL)),
                     d.wait_until, d.wait_why, d.wait_times,
                     EXISTS (SELECT 1 FROM action a
                             WHERE a.token = d.token AND a.device = d.id AND a.state = 'sent'), d.id, v.policy
                 FROM device d LEFT JOIN verdict v ON v.device = d.id
                 WHERE d.token = ?1 AND d.id > ?2 AND d.gone = 0
                 ORDER BY d.id LIMIT ?3",
            )?;
            let mut rows = statement.query(params![token.as_str(), after.unwrap_or_default(), limit])?;
            let mut candidates = Vec::new();
            while let Some(row) = rows.next()? {
                let on: Option<String> = row.get(6)?;
                let policy = row.get_ref(12)?.as_str_or_null().map_err(rusqlite::Error::from)?;
                let is_of = |policies: &[PluginName]| policies.iter().any(|it| policy == Some(it.as_str()));
                let said = verdict(row, 0)?;
                let ignored = said.as_ref().is_some_and(|it| it.decision == Decision::Ignore);
                let candidate = Candidate {
                    serial_number: typed(row.get(5)?, "serial number")?,
                    on: on.map(|text| typed(text, "profile id")).transpose()?,
                    pause: pause(row, 7)?,
                    in_flight: row.get(10)?,
                    decided_before: !ignored && is_of(&verdicts.not_of),
                    // What another policy said is still there only if all of these ignored the device.
                    verdict: said.map(|said| if is_of(&verdicts.of) { said } else { Verdict::ignore() }),
                };
                candidates.push((row.get(11)?, candidate));
            }
            Ok(candidates)
        })
        .await
    }
}
