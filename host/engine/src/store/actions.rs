//! The actions of plans, and what came of them.
//!
//! An action is here before it is sent: `planned`, then `sent` with the call, then what Apple
//! answered. Whatever is still `sent` when nobody works on it was in flight when a process died.

use std::time::Duration;

use domain::device::{Change, ChangeKind, Device};
use domain::id::{ProfileId, ProfileName, RunId, SerialNumber, TokenName};
use domain::pause::{Pause, Refusal};
use domain::removal::Removal;
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::devices::pause;
use super::history::Seen;
use super::inventory::Inventory;
use super::{Error, Store, maybe_time, millis, time, typed};

/// An action of a plan, on its way.
#[derive(Clone, Debug)]
pub struct QueuedAction {
    pub(super) id: i64,
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
    /// Records that these actions are about to be sent.
    pub async fn actions_sent(
        &self,
        actions: &[QueuedAction],
        profile: &ProfileId,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.set_states(actions, ActionState::Sent, Some(profile.clone()), Some(now)).await
    }

    /// Takes back [`Self::actions_sent`] for actions that Apple is known not to have carried out.
    pub async fn actions_not_sent(&self, actions: &[QueuedAction]) -> Result<(), Error> {
        self.set_states(actions, ActionState::Planned, None, None).await
    }

    pub(super) async fn set_states(
        &self,
        actions: &[QueuedAction],
        state: ActionState,
        profile: Option<ProfileId>,
        sent_at: Option<Timestamp>,
    ) -> Result<(), Error> {
        let ids: Vec<i64> = actions.iter().map(|action| action.id).collect();
        self.write(move |connection| {
            let mut update = connection
                .prepare_cached("UPDATE action SET state = ?2, uuid = ?3, sent_at = ?4 WHERE id = ?1")?;
            let (profile, sent_at) = (profile.as_ref().map(ProfileId::as_str), sent_at.map(millis));
            for id in ids {
                update.execute(params![id, state.as_str(), profile, sent_at])?;
            }
            Ok(())
        })
        .await
    }

    /// Records what Apple answered for actions that were sent. A success is also kept with the
    /// device, and so is the pause that follows a refusal; `asked` is how long Apple wants throttled
    /// devices left alone.
    pub async fn actions_answered(
        &self,
        answers: Vec<(QueuedAction, ActionState)>,
        asked: Option<Duration>,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.write(move |connection| {
            for (action, state) in answers {
                answer(connection, action.id, state, asked, now)?;
            }
            Ok(())
        })
        .await
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
                "SELECT a.id, serial_number, uuid, r.started_at
                 FROM action a JOIN device d ON d.id = a.device JOIN run r ON r.id = a.run
                 WHERE a.token = ?1 AND a.state = 'sent' AND uuid IS NOT NULL ORDER BY a.id",
            )?;
            let mut rows = statement.query([token.as_str()])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let serial_number = typed(row.get(1)?, "serial number")?;
                let action = QueuedAction { id: row.get(0)?, serial_number };
                found.push((action, typed(row.get(2)?, "profile id")?, time(row.get(3)?)?));
            }
            Ok(found)
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
                answer(connection, action.id, state, None, seen.at)?;
            }
            Ok(())
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
            Ok(())
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
                "SELECT a.token, serial_number, profile, from_uuid, reason, state, uuid, answered_at, kind, sent_at
                 FROM action a JOIN device d ON d.id = a.device
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

fn answer(
    connection: &Connection,
    action: i64,
    state: ActionState,
    asked: Option<Duration>,
    now: Timestamp,
) -> Result<(), Error> {
    let mut update =
        connection.prepare_cached("UPDATE action SET state = ?2, answered_at = ?3 WHERE id = ?1")?;
    update.execute(params![action, state.as_str(), millis(now)])?;
    match state {
        ActionState::Succeeded => {
            let mut update = connection.prepare_cached(
                "UPDATE device SET ours_profile = a.uuid, ours_at = ?2,
                     wait_until = NULL, wait_why = NULL, wait_times = 0
                 FROM action a WHERE a.id = ?1 AND device.id = a.device",
            )?;
            update.execute(params![action, millis(now)])?;
        }
        ActionState::Failed => refused(connection, action, Refusal::Failed, asked, now)?,
        ActionState::Throttled => refused(connection, action, Refusal::Throttled, asked, now)?,
        ActionState::NotAccessible => refused(connection, action, Refusal::NotAccessible, asked, now)?,
        ActionState::Planned | ActionState::Sent | ActionState::Dropped => {}
    }
    Ok(())
}

/// Leaves a device alone that Apple would not assign, for as long as that is wise.
fn refused(
    connection: &Connection,
    action: i64,
    why: Refusal,
    asked: Option<Duration>,
    now: Timestamp,
) -> Result<(), Error> {
    let mut select = connection.prepare_cached(
        "SELECT wait_until, wait_why, wait_times, d.id FROM device d JOIN action a ON d.id = a.device
         WHERE a.id = ?1",
    )?;
    let mut rows = select.query([action])?;
    let Some(row) = rows.next()? else { return Ok(()) };
    let (before, device): (_, i64) = (pause(row, 0)?, row.get(3)?);
    let Pause { until, why, times } = Pause::after(why, before, asked, now);
    let mut update = connection
        .prepare_cached("UPDATE device SET wait_until = ?2, wait_why = ?3, wait_times = ?4 WHERE id = ?1")?;
    update.execute(params![device, millis(until), why.as_str(), times])?;
    Ok(())
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
