//! What a person has taken away: profiles from devices, and devices from the organisation.
//!
//! These are actions like others: in the store before they are sent, and read back from Apple when
//! an answer is lost. A plan never holds one.

use domain::device::ProfileStatus;
use domain::history::{PastKind, ProfileState};
use domain::id::{RunId, SerialNumber, TokenName};
use domain::removal::Removal;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::actions::listed;
use super::deeds::{Deed, Writing, deed_of, settled};
use super::devices::{COLUMNS, known};
use super::history::{self, Happened, Seen};
use super::inventory::{Inventory, depart, set_pause};
use super::looks::touch;
use super::standing::{Standing, Standings};
use super::{ActionState, Error, QueuedAction, ReadBack, Store, time, typed};

impl Store {
    /// Records what is about to be taken away. A device that the token does not have is left out.
    pub async fn record_removals(
        &self,
        run: &RunId,
        token: &TokenName,
        what: Removal,
        serials: &[SerialNumber],
    ) -> Result<Vec<QueuedAction>, Error> {
        let (run, token, serials) = (run.clone(), token.clone(), serials.to_vec());
        self.write(move |connection| {
            let mut writing = Writing::of(connection, &run, &token, None)?;
            let mut standings = Standings::new(connection)?;
            let mut find = connection.prepare_cached(
                "SELECT device, standing FROM serial JOIN token t ON t.number = serial.token
                     JOIN device_state USING (device)
                 WHERE t.name = ?1 AND serial_number = ?2",
            )?;
            let mut actions = Vec::new();
            for serial_number in serials {
                let key = [token.as_str(), serial_number.as_str()];
                let found = find.query_row(key, |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
                let Some((device, standing)) = found else { continue };
                let standing = standings.get(standing)?;
                if standing.gone {
                    continue;
                }
                let (profile, reason) = (String::new(), "by hand".into());
                let deed = Deed { kind: Some(what), profile, id: None, from: standing.on().cloned(), reason };
                let id = writing.put(device, deed)?;
                actions.push(QueuedAction { id, device, outcome: None, serial_number });
            }
            Ok(actions)
        })
        .await
    }

    /// Records that these removals are about to be sent.
    pub async fn removals_sent(&self, actions: &mut [QueuedAction], now: Timestamp) -> Result<(), Error> {
        self.sent(actions, None, now).await
    }

    /// Records what Apple answered, and what it means for the device. With a failure comes why.
    pub async fn removals_answered(
        &self,
        what: Removal,
        answers: Vec<(QueuedAction, ActionState, Option<String>)>,
        seen: Seen,
    ) -> Result<(), Error> {
        self.write(move |connection| {
            let mut standings = Standings::new(connection)?;
            for (action, state, why) in &answers {
                answer(connection, &mut standings, what, (action, *state), why.as_deref(), &seen)?;
            }
            standings.settle()?;
            touch(connection, answers.iter().map(|(action, ..)| action.device).collect())?;
            settled(connection, answers.iter().map(|(action, state, _)| (action, *state)), seen.at)
        })
        .await
    }

    /// Removals of a token that were sent and never answered, each with when its run began.
    pub async fn removals_in_flight(
        &self,
        token: &TokenName,
    ) -> Result<Vec<(QueuedAction, Removal, Timestamp)>, Error> {
        let token = token.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT a.id, serial_number, e.kind, r.started_at, a.device, o.id
                 FROM outcome o JOIN plan p ON p.id = o.plan JOIN run r ON r.id = p.run
                     JOIN action_record a ON a.id >= o.first AND a.id <= o.last AND a.outcome = o.id
                     JOIN deed e ON e.id = a.deed JOIN device_record d ON d.id = a.device
                 WHERE o.state = 'sent' AND p.token = ?1 AND e.kind <> 'assign' ORDER BY a.id",
            )?;
            let mut rows = statement.query([token.as_str()])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let serial_number = typed(row.get(1)?, "serial number")?;
                let what = typed(row.get(2)?, "kind of action")?;
                let (id, device, outcome) = (row.get(0)?, row.get(4)?, row.get(5)?);
                let action = QueuedAction { id, device, outcome, serial_number };
                found.push((action, what, time(row.get(3)?)?));
            }
            Ok(found)
        })
        .await
    }

    /// Settles removals whose answer was lost by what Apple says of the devices now: what is not done is
    /// not sent again, since a person has to want it again. Returns what each came to.
    pub async fn read_removals_back(
        &self,
        token: &TokenName,
        found: Vec<(QueuedAction, Removal, ReadBack)>,
        seen: Seen,
    ) -> Result<Vec<ActionState>, Error> {
        let token = token.clone();
        self.write(move |connection| {
            let mut inventory = Inventory::of(connection, &token, &seen)?;
            let (mut states, mut settling) = (Vec::new(), Vec::new());
            for (action, what, found) in found {
                let state = match (what, &found) {
                    (Removal::Unassign, ReadBack::Found(device)) if device.profile().is_none() => {
                        ActionState::Succeeded
                    }
                    (Removal::Unassign, ReadBack::NotOurs) => ActionState::NotAccessible,
                    (Removal::Disown, ReadBack::NotOurs) => ActionState::Succeeded,
                    (_, ReadBack::Untold) => ActionState::Failed,
                    (_, ReadBack::Found(_)) => ActionState::Dropped,
                };
                let why = (state == ActionState::Dropped).then_some("Apple did not carry it out");
                answer(connection, &mut inventory.standings, what, (&action, state), why, &seen)?;
                if let ReadBack::Found(device) = found {
                    inventory.fold(listed(*device))?;
                }
                states.push(state);
                settling.push(action);
            }
            inventory.settle()?;
            touch(connection, settling.iter().map(|action| action.device).collect())?;
            settled(connection, settling.iter().zip(states.iter().copied()), seen.at)?;
            Ok(states)
        })
        .await
    }
}

/// What Apple's answer means for the device, and why it was none, if that is known.
fn answer(
    connection: &Connection,
    standings: &mut Standings<'_>,
    what: Removal,
    (action, state): (&QueuedAction, ActionState),
    why: Option<&str>,
    seen: &Seen,
) -> Result<(), Error> {
    if let Some(why) = why {
        because(connection, action, why)?;
    }
    if state != ActionState::Succeeded {
        return Ok(());
    }
    let device = action.device;
    match what {
        // As Apple has it: the device goes on naming the profile that was removed.
        Removal::Unassign => {
            let sql = format!("SELECT {COLUMNS} FROM numbered_device WHERE id = ?1");
            let held = connection.prepare_cached(&sql)?.query_row([device], |row| Ok(known(row)))??;
            let before = ProfileState::of(&held.device);
            let (kind, ended) = (PastKind::Done, held.ours.is_some());
            let happened = Happened { kind, at: None, fields: &[], before: Some(&before), ended };
            history::record(connection, device, &happened, seen)?;
            let standing = standings.change(device, |it| {
                let profile = it.ours.clone().or_else(|| it.profile.clone());
                let status = if profile.is_none() { it.status } else { ProfileStatus::Removed };
                Standing { profile, status, ours: None, ..it.clone() }
            })?;
            connection
                .prepare_cached("UPDATE device_state SET standing = ?2, ours_at = NULL WHERE device = ?1")?
                .execute(params![device, standing])?;
            set_pause(connection, device, None)
        }
        // No sync would tell; but one may still tell of what happened to the device before.
        Removal::Disown => {
            let mut select =
                connection.prepare_cached("SELECT standing FROM device_state WHERE device = ?1")?;
            let standing = select.query_row([device], |row| row.get(0))?;
            if standings.get(standing)?.gone {
                return Ok(());
            }
            depart(connection, standings, device, Some(seen.at))?;
            history::record(connection, device, &Happened::gone(), seen)
        }
    }
}

/// Adds to an action's reason what became of it.
fn because(connection: &Connection, action: &QueuedAction, why: &str) -> Result<(), Error> {
    let mut select = connection.prepare_cached(
        "SELECT plan, kind, from_uuid, reason FROM deed WHERE id = (SELECT deed FROM action_record WHERE id = ?1)",
    )?;
    let (plan, kind, from, reason): (i64, String, Option<String>, String) =
        select.query_row([action.id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let deed = Deed {
        kind: kind.parse().ok(),
        profile: String::new(),
        id: None,
        from: from.map(|text| typed(text, "profile id")).transpose()?,
        reason: format!("{reason}; {why}").into(),
    };
    let deed = deed_of(connection, plan, &deed)?;
    connection
        .prepare_cached("UPDATE action_record SET deed = ?2 WHERE id = ?1")?
        .execute([action.id, deed])?;
    Ok(())
}
