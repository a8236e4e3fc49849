//! Plans: what a run will do, action by action, before any of it is done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::id::{Digest, PluginName, ProfileId, ProfileName, RunId, TokenName};
use domain::plan::{Action, Done, Drawn, Entry, Given, Outdated, Planner, Profiles, Skip, Target, Totals};
use domain::rails::Rails;
use domain::review::{self, Moves};
use domain::run::Differs;
use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::actions::QueuedAction;
use super::deeds::{self, Deed};
use super::devices::DeviceId;
use super::ranges::Ranges;
use super::standing::Numbers;
use super::verdicts::Book;
use super::{Error, Store, millis, typed};

/// A plan that is in the store, action by action. Only such a plan can be applied.
#[derive(Clone, Debug)]
pub struct RecordedPlan {
    run: RunId,
    token: TokenName,
    totals: Totals,
    digest: Digest,
    place: u32,
}

/// Which step of which run plans, and for whom.
#[derive(Clone, Debug)]
pub struct Maker {
    /// The run.
    pub run: RunId,
    /// Whose devices.
    pub token: TokenName,
    /// The place of the step in the run's workflow: it tells the plans of one run and token apart.
    pub place: u32,
}

/// Whose verdicts a plan is made from.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    /// The policies that were asked for it.
    pub of: Vec<PluginName>,
    /// Those that were asked for earlier plans of the run: the devices they did not ignore are theirs.
    pub not_of: Vec<PluginName>,
    /// Where they are kept.
    pub book: Book,
    /// The devices that have changed since the last look at all of them, where only these were decided about.
    pub changed: Option<Ranges>,
}

impl RecordedPlan {
    /// The place, in the workflow, of the step that made it.
    pub fn place(&self) -> u32 {
        self.place
    }

    /// Its numbers.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Its digest.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }
}

/// How many devices are planned in one transaction: enough to be quick, few enough that nobody
/// else waits long.
const PLAN_BATCH: u32 = 8_000;

/// As many devices in which two plans differ are named.
const NAMED: usize = 3;

impl Store {
    /// Plans a token's devices from inventory and verdicts, and records every action.
    pub async fn record_plan(
        &self,
        maker: &Maker,
        profiles: &Profiles,
        rails: &Rails,
        verdicts: Verdicts,
        now: Timestamp,
    ) -> Result<(RecordedPlan, Drawn), Error> {
        let mut planner = Planner::new(profiles, rails, now);
        let mut stands = self.stands(&maker.token, verdicts.clone()).await?;
        // Of most devices it follows from their standing that they are left alone.
        stands.retain(|_, it| {
            let skip = planner.skips_all(it.on.as_ref(), it.verdict.as_ref(), it.decided_before);
            skip.inspect(|skip| planner.leave(it.devices, *skip)).is_none()
        });
        let stands = Arc::new(stands);
        let in_flight = self.devices_in_flight(&maker.token).await?;
        let among = self.among(maker, &verdicts, &stands, &in_flight).await?;
        let mut after: Option<DeviceId> = None;
        while !stands.is_empty() {
            let mut candidates =
                self.candidates(among.clone(), after, verdicts.book, stands.clone(), PLAN_BATCH).await?;
            let Some((last, _)) = candidates.last() else { break };
            after = Some(*last);
            candidates.iter_mut().for_each(|(id, it)| it.in_flight = in_flight.contains(id));
            let entries = candidates.iter().map(|(id, candidate)| (*id, planner.consider(candidate)));
            self.record_actions(maker, actions(entries)).await?;
        }
        let drawn = planner.finish();
        let (totals, digest) = (drawn.totals.clone(), drawn.digest.clone());
        let Maker { run, token, place } = maker.clone();
        Ok((RecordedPlan { run, token, totals, digest, place }, drawn))
    }

    /// Holds what a person wants against the inventory, and records every action; or tells how the world is
    /// not the one it was wished for. Then no action is left behind.
    pub async fn record_given(
        &self,
        maker: &Maker,
        profiles: &Profiles,
        rails: &Rails,
        given: &Given,
        now: Timestamp,
    ) -> Result<Result<(RecordedPlan, Drawn), Outdated>, Error> {
        let mut planner = Planner::new(profiles, rails, now);
        let in_flight = self.devices_in_flight(&maker.token).await?;
        let mut outdated = Outdated { profiles: given.profiles_changed(profiles), ..Outdated::default() };
        for wishes in given.wishes.chunks(PLAN_BATCH as usize) {
            let serials = wishes.iter().map(|wish| wish.serial_number.clone()).collect();
            let mut found = self.look_up(&maker.token, serials).await?;
            found.values_mut().for_each(|(id, it)| it.in_flight = in_flight.contains(id));
            let mut entries = Vec::new();
            for wish in wishes {
                let found = found.get(&wish.serial_number);
                match planner.follow(wish, found.map(|(_, candidate)| candidate)) {
                    Ok(entry) => entries.extend(found.map(|(id, _)| (*id, entry))),
                    Err(moved) => outdated.add(moved, &wish.serial_number),
                }
            }
            if outdated.is_nothing() {
                self.record_actions(maker, actions(entries.into_iter())).await?;
            }
        }
        if !outdated.is_nothing() {
            self.forget_actions(maker.clone()).await?;
            return Ok(Err(outdated));
        }
        let all = self.devices_of(&maker.token, None).await?;
        planner.leave(all.saturating_sub(given.wishes.len() as u64), Skip::NotNamed);
        let drawn = planner.finish();
        let (totals, digest) = (drawn.totals.clone(), drawn.digest.clone());
        let Maker { run, token, place } = maker.clone();
        Ok(Ok((RecordedPlan { run, token, totals, digest, place }, drawn)))
    }

    /// How many devices a token has; with a time, of those that came after it.
    pub async fn devices_of(&self, token: &TokenName, since: Option<Timestamp>) -> Result<u64, Error> {
        let token = token.clone();
        self.read(move |connection| {
            let numbers = Numbers::of(connection, &token)?;
            let Some(since) = since else { return numbers.devices(connection) };
            let mut count = connection.prepare_cached(
                "SELECT count(*) FROM numbered_device WHERE id > ?1 AND id <= ?2 AND gone = 0 AND seen_at > ?3",
            )?;
            let range = params![numbers.before_first(), numbers.keyed, millis(since)];
            Ok(count.query_row(range, |row| row.get(0))?)
        })
        .await
    }

    async fn record_actions(&self, maker: &Maker, actions: Vec<(DeviceId, Action)>) -> Result<(), Error> {
        if actions.is_empty() {
            return Ok(());
        }
        let Maker { run, token, place } = maker.clone();
        self.write_soon(move |connection| {
            let mut writing = deeds::Writing::of(connection, &run, &token, Some(place))?;
            for (device, action) in actions {
                let (profile, id) = columns(&action.to);
                writing.put(
                    device,
                    Deed { kind: None, profile, id, from: action.from, reason: action.reason },
                )?;
            }
            Ok(())
        })
        .await
    }

    /// Forgets what a plan would have done: it is on record elsewhere, or was refused.
    pub async fn forget_plan(&self, plan: &RecordedPlan) -> Result<(), Error> {
        let RecordedPlan { run, token, place, .. } = plan.clone();
        self.forget_actions(Maker { run, token, place }).await
    }

    async fn forget_actions(&self, maker: Maker) -> Result<(), Error> {
        let Maker { run, token, place } = maker;
        self.write(move |connection| {
            // Its actions go with it.
            connection.execute(
                "DELETE FROM plan WHERE run = ?1 AND token = ?2 AND place = ?3
                     AND NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.plan = plan.id)",
                params![run.as_str(), token.as_str(), place],
            )?;
            Ok(())
        })
        .await
    }

    /// The plan as a review is shown it.
    pub async fn plan_in_words(
        &self,
        plan: &RecordedPlan,
        profiles: Profiles,
    ) -> Result<review::Plan, Error> {
        let RecordedPlan { run, token, totals, place, .. } = plan.clone();
        self.in_words(run, token, totals, Some(place), profiles).await
    }

    /// The plan that a run made for a token, whatever has become of it since, as a review is shown it.
    pub async fn plan_of_run(
        &self,
        run: &RunId,
        token: &TokenName,
        totals: &Totals,
        profiles: Profiles,
    ) -> Result<review::Plan, Error> {
        self.in_words(run.clone(), token.clone(), totals.clone(), None, profiles).await
    }

    async fn in_words(
        &self,
        run: RunId,
        token: TokenName,
        totals: Totals,
        place: Option<u32>,
        profiles: Profiles,
    ) -> Result<review::Plan, Error> {
        self.read(move |connection| {
            let moves = moves(connection, &run, &token, place, &profiles)?;
            let mut first = connection.prepare_cached(
                "SELECT serial_number, from_uuid, profile, reason, to_uuid
                 FROM action a JOIN device_record d ON d.id = a.device
                 WHERE run = ?1 AND a.token = ?2 AND (?3 IS NULL OR a.place = ?3)
                 ORDER BY from_uuid IS NULL, serial_number LIMIT ?4",
            )?;
            let most = review::ACTIONS as u64;
            let mut rows = first.query(params![run.as_str(), token.as_str(), place, most])?;
            let mut actions = Vec::new();
            while let Some(row) = rows.next()? {
                let (from, reason): (Option<String>, String) = (row.get(1)?, row.get(3)?);
                actions.push(review::Action {
                    serial_number: typed(row.get(0)?, "serial number")?,
                    from: from.as_deref().map(|id| named(&profiles, id)),
                    to: target(&profiles, row.get(2)?, row.get(4)?),
                    reason: reason.into(),
                });
            }
            Ok(review::Plan::new(&totals, moves, actions))
        })
        .await
    }

    /// How many devices a plan takes from where to where, by our names or else Apple's ids. `run` is the one
    /// that has its actions: its own, or an earlier one that made the very same plan.
    pub async fn moves(&self, run: &RunId, plan: &RecordedPlan, profiles: Profiles) -> Result<Moves, Error> {
        if plan.totals.actions() == 0 {
            return Ok(Moves::new());
        }
        let (run, token, place) = (run.clone(), plan.token.clone(), plan.place);
        self.read(move |connection| {
            // In an earlier run the step may have had another place.
            let at = deeds::plan_of(connection, &run, &token, Some(place))?.map(|_| place);
            moves(connection, &run, &token, at, &profiles)
        })
        .await
    }

    /// How the plan of one run for a token differs from that of another.
    pub async fn difference(
        &self,
        plan: &RecordedPlan,
        from: &RunId,
        profiles: Vec<ProfileName>,
    ) -> Result<Differs, Error> {
        let RecordedPlan { run, token, place, .. } = plan.clone();
        let from = from.clone();
        self.read(move |connection| {
            let mut differs = Differs {
                from: from.clone(),
                more: 0,
                fewer: 0,
                otherwise: 0,
                examples: Vec::new(),
                profiles,
            };
            let numbers = |run: &RunId| deeds::plan_of(connection, run, &token, Some(place));
            // A plan without actions has no number, and 0 has no actions.
            let (ours, theirs) = (numbers(&run)?.unwrap_or(0), numbers(&from)?.unwrap_or(0));
            // Both ways: what only this one has or has otherwise, then what only the other has.
            let mut statement = connection.prepare_cached(
                "SELECT d.serial_number, b.id IS NULL
                 FROM action_record a JOIN device_record d ON d.id = a.device JOIN deed x ON x.id = a.deed
                     LEFT JOIN action_record b ON b.device = a.device AND b.id >= ?2 << 32 AND b.id < (?2 + 1) << 32
                     LEFT JOIN deed y ON y.id = b.deed
                 WHERE a.id >= ?1 << 32 AND a.id < (?1 + 1) << 32
                     AND (b.id IS NULL OR (?3 AND (x.profile, x.to_uuid, x.from_uuid)
                                              IS NOT (y.profile, y.to_uuid, y.from_uuid)))
                 ORDER BY a.id",
            )?;
            for (one, other, this) in [(ours, theirs, true), (theirs, ours, false)] {
                let mut rows = statement.query(params![one, other, this])?;
                while let Some(row) = rows.next()? {
                    let only_here: bool = row.get(1)?;
                    match (this, only_here) {
                        (true, true) => differs.more += 1,
                        (true, false) => differs.otherwise += 1,
                        (false, _) => differs.fewer += 1,
                    }
                    if differs.examples.len() < NAMED {
                        differs.examples.push(typed(row.get(0)?, "serial number")?);
                    }
                }
            }
            Ok(differs)
        })
        .await
    }

    /// What a run planned for a token, in the order of the inventory: the device, what it was on, what it is
    /// to get, and why.
    pub async fn plan_actions(&self, run: &RunId, token: &TokenName) -> Result<Vec<Action>, Error> {
        let (run, token) = (run.clone(), token.clone());
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT serial_number, from_uuid, profile, to_uuid, reason
                 FROM action a JOIN device_record d ON d.id = a.device
                 WHERE run = ?1 AND a.token = ?2 AND a.kind = 'assign' ORDER BY a.id",
            )?;
            let mut rows = statement.query([run.as_str(), token.as_str()])?;
            let mut actions = Vec::new();
            while let Some(row) = rows.next()? {
                let (from, reason): (Option<String>, String) = (row.get(1)?, row.get(4)?);
                let Some(to) = target_of(row.get(2)?, row.get(3)?)? else { continue };
                actions.push(Action {
                    serial_number: typed(row.get(0)?, "serial number")?,
                    to,
                    from: from.map(|text| typed(text, "profile id")).transpose()?,
                    reason: reason.into(),
                });
            }
            Ok(actions)
        })
        .await
    }

    /// What a run did to devices, and what they are on now, by token.
    pub async fn done_by(&self, run: &RunId) -> Result<BTreeMap<TokenName, Vec<Done>>, Error> {
        let run = run.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT a.token, serial_number, kind, from_uuid, p.name, a.uuid, gone,
                     coalesce(d.ours_profile, iif(d.profile_status IN ('assigned', 'pushed'), d.profile_uuid, NULL))
                 FROM action a JOIN numbered_device d ON d.id = a.device
                     LEFT JOIN profile p ON p.token = a.token AND p.uuid = a.from_uuid
                 WHERE run = ?1 AND state = 'succeeded' ORDER BY a.id",
            )?;
            let mut rows = statement.query([run.as_str()])?;
            let id = |text: Option<String>| text.map(|text| typed(text, "profile id")).transpose();
            let mut done: BTreeMap<TokenName, Vec<Done>> = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let (kind, name): (String, Option<String>) = (row.get(2)?, row.get(4)?);
                let it = Done {
                    serial_number: typed(row.get(1)?, "serial number")?,
                    removal: kind.parse().ok(),
                    from: id(row.get(3)?)?,
                    from_name: name.map(|text| typed(text, "profile name")).transpose()?,
                    given: id(row.get(5)?)?,
                    gone: row.get(6)?,
                    on: id(row.get(7)?)?,
                };
                done.entry(typed(row.get(0)?, "token name")?).or_default().push(it);
            }
            Ok(done)
        })
        .await
    }

    /// What a plan gives to devices.
    pub async fn targets(&self, plan: &RecordedPlan) -> Result<BTreeSet<Target>, Error> {
        let RecordedPlan { run, token, place, .. } = plan.clone();
        self.read(move |connection| {
            let Some(plan) = deeds::plan_of(connection, &run, &token, Some(place))? else {
                return Ok(BTreeSet::new());
            };
            let mut statement =
                connection.prepare_cached("SELECT DISTINCT profile, to_uuid FROM deed WHERE plan = ?1")?;
            let mut rows = statement.query([plan])?;
            let mut targets = BTreeSet::new();
            while let Some(row) = rows.next()? {
                targets.extend(target_of(row.get(0)?, row.get(1)?)?);
            }
            Ok(targets)
        })
        .await
    }

    /// The next actions of a plan, after one, that are not sent yet, all for one profile.
    pub async fn next_actions(
        &self,
        plan: &RecordedPlan,
        target: &Target,
        after: Option<&QueuedAction>,
        limit: u32,
    ) -> Result<Vec<QueuedAction>, Error> {
        let RecordedPlan { run, token, place, .. } = plan.clone();
        let (name, id) = columns(target);
        let after = after.map(|action| action.id);
        self.read(move |connection| {
            let Some(plan) = deeds::plan_of(connection, &run, &token, Some(place))? else {
                return Ok(Vec::new());
            };
            let mut statement = connection.prepare_cached(
                "SELECT a.id, r.serial_number, a.device
                 FROM action_record a CROSS JOIN deed e ON e.id = a.deed CROSS JOIN device_record r ON r.id = a.device
                 WHERE a.id > coalesce(?2, ?1 << 32) AND a.id < (?1 + 1) << 32 AND outcome IS NULL
                     AND e.profile = ?3 AND e.to_uuid IS ?4
                 ORDER BY a.id LIMIT ?5",
            )?;
            let mut rows = statement.query(params![plan, after, name, id, limit])?;
            let mut actions = Vec::new();
            while let Some(row) = rows.next()? {
                let serial_number = typed(row.get(1)?, "serial number")?;
                let (id, device) = (row.get(0)?, row.get(2)?);
                actions.push(QueuedAction { id, device, outcome: None, serial_number });
            }
            Ok(actions)
        })
        .await
    }

    /// Drops what is left of a plan for one profile, or for all: it will not be sent.
    pub async fn drop_actions(&self, plan: &RecordedPlan, target: Option<&Target>) -> Result<u64, Error> {
        let RecordedPlan { run, token, place, .. } = plan.clone();
        let target = target.map(columns);
        self.write(move |connection| match deeds::plan_of(connection, &run, &token, Some(place))? {
            Some(plan) => deeds::drop_planned(connection, plan, target),
            None => Ok(0),
        })
        .await
    }
}

/// Those of the entries that are actions.
fn actions(entries: impl Iterator<Item = (DeviceId, Entry)>) -> Vec<(DeviceId, Action)> {
    let actions = entries.filter_map(|(id, entry)| match entry {
        Entry::Action(action) => Some((id, action)),
        Entry::Skip(_) => None,
    });
    actions.collect()
}

/// A target as it stands in the columns `profile` and `to_uuid`.
fn columns(target: &Target) -> (String, Option<String>) {
    let id = match target {
        Target::Ours(_) => None,
        Target::Exactly { id, .. } => Some(id.to_string()),
    };
    (target.name().map_or_else(String::new, ProfileName::to_string), id)
}

/// The target of an action from these columns; none where something was to be taken away.
fn target_of(name: String, id: Option<String>) -> Result<Option<Target>, Error> {
    let name = if name.is_empty() { None } else { Some(typed(name, "profile name")?) };
    Ok(match (name, id) {
        (name, Some(id)) => Some(Target::Exactly { id: typed(id, "profile id")?, name }),
        (Some(name), None) => Some(Target::Ours(name)),
        (None, None) => None,
    })
}

/// Apple's profile by our name, if it is one of ours.
fn named(profiles: &Profiles, id: &str) -> String {
    let known = id.parse().ok().and_then(|id: ProfileId| profiles.defined.get(&id));
    known.map_or_else(|| id.to_owned(), |(name, _)| name.to_string())
}

/// What a device gets, by our name or else by Apple's id.
fn target(profiles: &Profiles, name: String, id: Option<String>) -> String {
    match id {
        Some(id) if name.is_empty() => named(profiles, &id),
        _ => name,
    }
}

/// Counted as the rows come: nothing is sorted, however many they are.
fn moves(
    connection: &Connection,
    run: &RunId,
    token: &TokenName,
    place: Option<u32>,
    profiles: &Profiles,
) -> Result<Moves, Error> {
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    let mut all = connection
        .prepare_cached("SELECT deed FROM action_record WHERE id >= ?1 << 32 AND id < (?1 + 1) << 32")?;
    for plan in deeds::plans_of(connection, run, token, place)? {
        let mut rows = all.query([plan])?;
        while let Some(row) = rows.next()? {
            *counts.entry(row.get(0)?).or_default() += 1;
        }
    }
    let mut deed = connection.prepare_cached("SELECT from_uuid, profile, to_uuid FROM deed WHERE id = ?1")?;
    let mut moves = Moves::new();
    for (id, devices) in counts {
        let (from, to, id): (Option<String>, String, Option<String>) =
            deed.query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let key = (from.as_deref().map(|id| named(profiles, id)), target(profiles, to, id));
        *moves.entry(key).or_default() += devices;
    }
    Ok(moves)
}
