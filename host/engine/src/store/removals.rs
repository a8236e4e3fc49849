//! What a person has taken away: profiles from devices, and devices from the organisation.
//!
//! These are actions like others: in the store before they are sent, and read back from Apple when
//! an answer is lost. A plan never holds one.

use domain::history::{PastKind, ProfileState};
use domain::id::{RunId, SerialNumber, TokenName};
use domain::removal::Removal;
use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::actions::listed;
use super::devices::{COLUMNS, DeviceId, known};
use super::history::{self, Happened, Seen};
use super::inventory::Inventory;
use super::{ActionState, Error, QueuedAction, ReadBack, Store, millis, time, typed};

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
            let mut insert = connection.prepare_cached(
                "INSERT INTO action (run, token, device, profile, from_uuid, reason, kind)
                 SELECT ?1, token, id, '',
                     coalesce(ours_profile, iif(profile_status IN ('assigned', 'pushed'), profile_uuid, NULL)),
                     'by hand', ?4
                 FROM device WHERE token = ?2 AND serial_number = ?3 AND gone = 0",
            )?;
            let mut actions = Vec::new();
            for serial_number in serials {
                let own = params![run.as_str(), token.as_str(), serial_number.as_str(), what.as_str()];
                if insert.execute(own)? == 1 {
                    actions.push(QueuedAction { id: connection.last_insert_rowid(), serial_number });
                }
            }
            Ok(actions)
        })
        .await
    }

    /// Records that these removals are about to be sent.
    pub async fn removals_sent(&self, actions: &[QueuedAction], now: Timestamp) -> Result<(), Error> {
        self.set_states(actions, ActionState::Sent, None, Some(now)).await
    }

    /// Records what Apple answered, and what it means for the device. With a failure comes why.
    pub async fn removals_answered(
        &self,
        what: Removal,
        answers: Vec<(QueuedAction, ActionState, Option<String>)>,
        seen: Seen,
    ) -> Result<(), Error> {
        self.write(move |connection| {
            for (action, state, why) in answers {
                answer(connection, what, action.id, state, why.as_deref(), &seen)?;
            }
            Ok(())
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
                "SELECT a.id, serial_number, kind, r.started_at
                 FROM action a JOIN device d ON d.id = a.device JOIN run r ON r.id = a.run
                 WHERE a.token = ?1 AND a.state = 'sent' AND kind <> 'assign' ORDER BY a.id",
            )?;
            let mut rows = statement.query([token.as_str()])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let serial_number = typed(row.get(1)?, "serial number")?;
                let what = typed(row.get(2)?, "kind of action")?;
                let action = QueuedAction { id: row.get(0)?, serial_number };
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
            let mut states = Vec::new();
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
                answer(connection, what, action.id, state, why, &seen)?;
                if let ReadBack::Found(device) = found {
                    inventory.fold(listed(*device))?;
                }
                states.push(state);
            }
            Ok(states)
        })
        .await
    }
}

fn answer(
    connection: &Connection,
    what: Removal,
    action: i64,
    state: ActionState,
    why: Option<&str>,
    seen: &Seen,
) -> Result<(), Error> {
    let mut update = connection.prepare_cached(
        "UPDATE action SET state = ?2, answered_at = ?3, reason = coalesce(reason || '; ' || ?4, reason)
         WHERE id = ?1 RETURNING device",
    )?;
    let device: DeviceId =
        update.query_row(params![action, state.as_str(), millis(seen.at), why], |row| row.get(0))?;
    if state != ActionState::Succeeded {
        return Ok(());
    }
    const NOTHING_OURS: &str = "ours_profile = NULL, ours_at = NULL, wait_until = NULL, wait_why = NULL,
        wait_times = 0";
    match what {
        // As Apple has it: the device goes on naming the profile that was removed.
        Removal::Unassign => {
            let mut select =
                connection.prepare_cached(&format!("SELECT {COLUMNS} FROM device WHERE id = ?1"))?;
            let held = select.query_row([device], |row| Ok(known(row)))??;
            let before = ProfileState::of(&held.device);
            let (kind, ended) = (PastKind::Done, held.ours.is_some());
            let happened = Happened { kind, at: None, fields: &[], before: Some(&before), ended };
            history::record(connection, device, &happened, seen)?;
            let mut update = connection.prepare_cached(&format!(
                "UPDATE device SET profile_uuid = coalesce(ours_profile, profile_uuid),
                     profile_status = iif(coalesce(ours_profile, profile_uuid) IS NULL, profile_status, 'removed'),
                     {NOTHING_OURS}
                 WHERE id = ?1"
            ))?;
            update.execute([device])?;
        }
        // No sync would tell; but one may still tell of what happened to the device before.
        Removal::Disown => {
            let mut update = connection.prepare_cached(&format!(
                "UPDATE device SET gone = 1, changed_at = max(coalesce(changed_at, 0), ?2), {NOTHING_OURS}
                 WHERE id = ?1 AND gone = 0"
            ))?;
            if update.execute(params![device, millis(seen.at)])? == 1 {
                history::record(connection, device, &Happened::gone(), seen)?;
            }
        }
    }
    Ok(())
}
