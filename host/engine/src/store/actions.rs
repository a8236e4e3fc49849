//! The actions of plans, and what came of them.
//!
//! An action is here before it is sent: `planned`, then `sent` with the call, then what Apple
//! answered. Whatever is still `sent` when nobody works on it was in flight when a process died.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use domain::device::{Change, ChangeKind, Device};
use domain::id::{ProfileId, ProfileName, RunId, SerialNumber, TokenName};
use domain::pause::{Pause, Refusal};
use domain::removal::Removal;
use foldhash::HashMap;
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::deeds::{came_to, outcome_size, settled};
use super::devices::{DeviceId, pause};
use super::history::Seen;
use super::inventory::{Inventory, set_pause};
use super::looks::{Touched, add, touch};
use super::ranges::Ranges;
use super::standing::{Standing, Standings};
use super::{Error, Store, maybe_time, millis, time, typed};

/// An action of a plan, on its way.
#[derive(Clone, Debug)]
pub struct QueuedAction {
    pub(super) id: i64,
    pub(super) device: DeviceId,
    /// What it shares its outcome with, once it is sent.
    pub(super) outcome: Option<i64>,
    /// Which device.
    pub serial_number: SerialNumber,
}

/// What Apple says of a device whose assignment was in flight.
#[derive(Clone, Debug)]
pub enum ReadBack {
    /// The device, as it is now.
    Found(Box<Device>),
    /// It is not this server's.
    NotOurs,
    /// Nothing that can be read, for so long that it is given up; it counts as failed.
    Untold,
}

/// One action and what came of it.
#[derive(Clone, Debug)]
pub struct ActionRecord {
    /// The run.
    pub run: RunId,
    /// The profile the device was to get; none if something was to be taken away.
    pub profile: Option<ProfileName>,
    /// What was to be taken away, if it was that.
    pub removal: Option<Removal>,
    /// The profile it had.
    pub from: Option<ProfileId>,
    /// The policy's reason, or a person.
    pub reason: String,
    /// What came of it.
    pub state: ActionState,
    /// Apple's id of the profile that was sent.
    pub sent: Option<ProfileId>,
    /// When it went out; none if it never did, or that was not kept then.
    pub sent_at: Option<Timestamp>,
    /// When Apple answered.
    pub answered_at: Option<Timestamp>,
}

impl ActionRecord {
    /// What was attempted, in words.
    pub fn attempted(&self) -> String {
        match (self.removal, &self.profile) {
            (Some(removal), _) => removal.attempted().to_owned(),
            (None, profile) => {
                format!("assignment of {}", profile.as_ref().map_or("a profile", ProfileName::as_str))
            }
        }
    }

    /// The profile, or the word for what was to be taken away: for a column.
    pub fn target(&self) -> String {
        match (self.removal, &self.profile) {
            (Some(removal), _) => format!("({})", removal.as_str()),
            (None, Some(profile)) => profile.to_string(),
            (None, None) => self.sent.as_ref().map_or("-", ProfileId::as_str).to_owned(),
        }
    }
}

/// What came of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActionState {
    /// Not sent yet.
    Planned,
    /// Sent, no answer yet.
    Sent,
    /// The device has the profile, or what was to be taken away is gone.
    Succeeded,
    /// Apple would not, without a reason.
    Failed,
    /// Apple wants the device left alone for a while.
    Throttled,
    /// The device is not this token's.
    NotAccessible,
    /// Never sent: the run ended first, or the profile could not be defined.
    Dropped,
}

impl ActionState {
    /// Its word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Sent => "sent",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Throttled => "throttled",
            Self::NotAccessible => "not-accessible",
            Self::Dropped => "dropped",
        }
    }
}

impl std::str::FromStr for ActionState {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        const ALL: [ActionState; 7] = [
            ActionState::Planned,
            ActionState::Sent,
            ActionState::Succeeded,
            ActionState::Failed,
            ActionState::Throttled,
            ActionState::NotAccessible,
            ActionState::Dropped,
        ];
        ALL.into_iter().find(|state| state.as_str() == word).ok_or(())
    }
}

impl Store {
    /// Records that these actions, of one plan, are about to be sent.
    pub async fn actions_sent(
        &self,
        actions: &mut [QueuedAction],
        profile: &ProfileId,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.sent(actions, Some(profile.clone()), now).await
    }

    pub(super) async fn sent(
        &self,
        actions: &mut [QueuedAction],
        profile: Option<ProfileId>,
        now: Timestamp,
    ) -> Result<(), Error> {
        if actions.is_empty() {
            return Ok(());
        }
        let ids = ids(actions);
        let outcome = self.write(move |connection| {
            let (first, last) = (ids.iter().min(), ids.iter().max());
            let mut insert = connection.prepare_cached(
                "INSERT INTO outcome (plan, state, uuid, sent_at, first, last)
                 VALUES (?1 >> 32, 'sent', ?2, ?3, ?1, ?4) RETURNING id",
            )?;
            let profile = profile.as_ref().map(ProfileId::as_str);
            let outcome: i64 =
                insert.query_row(params![first, profile, millis(now), last], |row| row.get(0))?;
            came_to(connection, &ids, Some(outcome))?;
            Ok(outcome)
        });
        let outcome = Some(outcome.await?);
        actions.iter_mut().for_each(|action| action.outcome = outcome);
        Ok(())
    }

    /// Takes back [`Self::actions_sent`] for actions that Apple is known not to have carried out.
    pub async fn actions_not_sent(&self, actions: &[QueuedAction]) -> Result<(), Error> {
        if actions.is_empty() {
            return Ok(());
        }
        let ids = ids(actions);
        let outcomes: BTreeSet<i64> = actions.iter().filter_map(|action| action.outcome).collect();
        self.write(move |connection| {
            came_to(connection, &ids, None)?;
            for outcome in outcomes {
                if outcome_size(connection, outcome)? == 0 {
                    connection.prepare_cached("DELETE FROM outcome WHERE id = ?1")?.execute([outcome])?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Records what Apple answered for actions that were sent; should that be lost, they are still on record as
    /// sent, and Apple is asked. A success is also kept with the
    /// device, and so is the pause that follows a refusal; `asked` is how long Apple wants throttled
    /// devices left alone.
    pub async fn actions_answered(
        &self,
        answers: Vec<(QueuedAction, ActionState)>,
        asked: Option<Duration>,
        now: Timestamp,
    ) -> Result<(), Error> {
        if answers.is_empty() {
            return Ok(());
        }
        self.write_soon(move |connection| answered(connection, &answers, asked, now)).await
    }

    /// Actions of a token that were sent and never answered: a process died, or the answer was lost.
    /// With each, when its run began.
    pub async fn in_flight(
        &self,
        token: &TokenName,
    ) -> Result<Vec<(QueuedAction, ProfileId, Timestamp)>, Error> {
        let token = token.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT a.id, serial_number, uuid, r.started_at, a.device, o.id
                 FROM outcome o JOIN plan p ON p.id = o.plan JOIN run r ON r.id = p.run
                     JOIN action_record a ON a.id >= o.first AND a.id <= o.last AND a.outcome = o.id
                     JOIN device_record d ON d.id = a.device
                 WHERE o.state = 'sent' AND p.token = ?1 AND uuid IS NOT NULL ORDER BY a.id",
            )?;
            let mut rows = statement.query([token.as_str()])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let serial_number = typed(row.get(1)?, "serial number")?;
                let (id, device, outcome) = (row.get(0)?, row.get(4)?, row.get(5)?);
                let action = QueuedAction { id, device, outcome, serial_number };
                found.push((action, typed(row.get(2)?, "profile id")?, time(row.get(3)?)?));
            }
            Ok(found)
        })
        .await
    }

    /// The devices of a token of which an action is in flight.
    pub(super) async fn devices_in_flight(&self, token: &TokenName) -> Result<HashSet<DeviceId>, Error> {
        let token = token.clone();
        self.read(move |connection| {
            let mut select = connection.prepare_cached(
                "SELECT a.device FROM outcome o JOIN plan p ON p.id = o.plan
                     JOIN action_record a ON a.id >= o.first AND a.id <= o.last AND a.outcome = o.id
                 WHERE o.state = 'sent' AND p.token = ?1",
            )?;
            let devices = select.query_map([token.as_str()], |row| row.get(0))?;
            Ok(devices.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Settles actions that were in flight by what Apple says of the devices now.
    pub async fn read_back(
        &self,
        token: &TokenName,
        found: Vec<(QueuedAction, ProfileId, ReadBack)>,
        seen: Seen,
    ) -> Result<(), Error> {
        let token = token.clone();
        self.write(move |connection| {
            let mut inventory = Inventory::of(connection, &token, &seen)?;
            let mut answers = Vec::new();
            for (action, sent, found) in found {
                let state = match &found {
                    ReadBack::NotOurs => ActionState::NotAccessible,
                    ReadBack::Untold => ActionState::Failed,
                    ReadBack::Found(device) if device.profile() == Some(&sent) => ActionState::Succeeded,
                    ReadBack::Found(_) => ActionState::Dropped,
                };
                if let ReadBack::Found(device) = found {
                    inventory.fold(listed(*device))?;
                }
                answers.push((action, state));
            }
            inventory.settle()?;
            answered(connection, &answers, None, seen.at)
        })
        .await
    }

    /// Stores what Apple says of devices that were just assigned.
    pub async fn confirm(&self, token: &TokenName, devices: Vec<Device>, seen: Seen) -> Result<(), Error> {
        let token = token.clone();
        self.write(move |connection| {
            let mut inventory = Inventory::of(connection, &token, &seen)?;
            for device in devices {
                inventory.fold(listed(device))?;
            }
            inventory.settle()
        })
        .await
    }

    /// What was ever done to a device, newest first; dry runs did nothing.
    pub async fn actions_of(
        &self,
        token: &TokenName,
        serial: &SerialNumber,
        limit: u32,
    ) -> Result<Vec<ActionRecord>, Error> {
        let (token, serial) = (token.clone(), serial.clone());
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT run, profile, from_uuid, reason, a.state, uuid, answered_at, kind, sent_at
                 FROM device d JOIN action a ON a.device = d.id JOIN run r ON r.id = a.run
                 WHERE d.token = ?1 AND serial_number = ?2 AND NOT r.dry AND NOT r.shadow ORDER BY a.id DESC LIMIT ?3",
            )?;
            let mut rows = statement.query(params![token.as_str(), serial.as_str(), limit])?;
            let mut actions = Vec::new();
            while let Some(row) = rows.next()? {
                actions.push(action(row, typed(row.get(0)?, "run id")?, 1)?);
            }
            Ok(actions)
        })
        .await
    }

    /// The actions of a run, by token and serial number.
    pub async fn actions_of_run(
        &self,
        run: &RunId,
        limit: u32,
    ) -> Result<Vec<(TokenName, SerialNumber, ActionRecord)>, Error> {
        let run = run.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT a.token, serial_number, profile, from_uuid, reason, state, uuid, answered_at, a.kind, sent_at
                 FROM action a JOIN device_record d ON d.id = a.device
                 WHERE run = ?1 ORDER BY a.token, serial_number LIMIT ?2",
            )?;
            let mut rows = statement.query(params![run.as_str(), limit])?;
            let mut actions = Vec::new();
            while let Some(row) = rows.next()? {
                let record = action(row, run.clone(), 2)?;
                actions.push((
                    typed(row.get(0)?, "token name")?,
                    typed(row.get(1)?, "serial number")?,
                    record,
                ));
            }
            Ok(actions)
        })
        .await
    }
}

fn ids(actions: &[QueuedAction]) -> Vec<i64> {
    actions.iter().map(|action| action.id).collect()
}

/// What Apple answered for assignments, and what that means for their devices.
fn answered(
    connection: &Connection,
    answers: &[(QueuedAction, ActionState)],
    asked: Option<Duration>,
    now: Timestamp,
) -> Result<(), Error> {
    let mut standings = Standings::new(connection)?;
    let mut touched = Touched::new();
    let are_paused = connection.prepare_cached("SELECT 1 FROM pause")?.exists([])?;
    let mut given: HashMap<i64, Option<ProfileId>> = HashMap::default();
    let mut state =
        connection.prepare_cached("UPDATE device_state SET standing = ?2, ours_at = ?3 WHERE device = ?1")?;
    for (action, came) in answers {
        let why = match came {
            ActionState::Failed => Refusal::Failed,
            ActionState::Throttled => Refusal::Throttled,
            ActionState::NotAccessible => Refusal::NotAccessible,
            ActionState::Succeeded => {
                let Some(outcome) = action.outcome else { continue };
                let profile = match given.get(&outcome) {
                    Some(profile) => profile.clone(),
                    None => {
                        let sent: Option<String> = connection
                            .prepare_cached("SELECT uuid FROM outcome WHERE id = ?1")?
                            .query_row([outcome], |row| row.get(0))?;
                        let sent = sent.map(|text| typed(text, "profile id")).transpose()?;
                        given.insert(outcome, sent.clone());
                        sent
                    }
                };
                let standing =
                    standings.change(action.device, |it| Standing { ours: profile, ..it.clone() })?;
                state.execute(params![action.device, standing, millis(now)])?;
                add(&mut touched, action.device);
                if are_paused {
                    set_pause(connection, action.device, None)?;
                }
                continue;
            }
            ActionState::Planned | ActionState::Sent | ActionState::Dropped => continue,
        };
        // A device that Apple would not assign is left alone for as long as that is wise.
        let before = pause_of(connection, action.device)?;
        set_pause(connection, action.device, Some(Pause::after(why, before, asked, now)))?;
    }
    standings.settle()?;
    touch(connection, Ranges::of(touched))?;
    settled(connection, answers.iter().map(|(action, state)| (action, *state)), now)
}

fn pause_of(connection: &Connection, device: DeviceId) -> Result<Option<Pause>, Error> {
    let mut select =
        connection.prepare_cached("SELECT wait_until, wait_why, wait_times FROM pause WHERE device = ?1")?;
    let mut rows = select.query([device])?;
    rows.next()?.map_or(Ok(None), |row| pause(row, 0))
}

/// A device as a lookup shows it: without a reason and without a time, as in a full fetch.
pub(super) fn listed(device: Device) -> Change {
    Change { device, kind: ChangeKind::Listed, at: None }
}

/// An action from eight columns beginning with `first`.
fn action(row: &Row<'_>, run: RunId, first: usize) -> Result<ActionRecord, Error> {
    let id = |text: Option<String>| text.map(|text| typed(text, "profile id")).transpose();
    let kind: String = row.get(first + 6)?;
    let assigns = kind == "assign";
    let removal = (!assigns).then(|| typed(kind, "kind of action")).transpose()?;
    let name: String = row.get(first)?;
    // A profile that was never ours has no name.
    let profile = (assigns && !name.is_empty()).then(|| typed(name, "profile name")).transpose()?;
    Ok(ActionRecord {
        run,
        profile,
        removal,
        from: id(row.get(first + 1)?)?,
        reason: row.get(first + 2)?,
        state: typed(row.get(first + 3)?, "action state")?,
        sent: id(row.get(first + 4)?)?,
        answered_at: maybe_time(row.get(first + 5)?)?,
        sent_at: maybe_time(row.get(first + 7)?)?,
    })
}
