//! The calls about devices and profiles: each takes a JSON object and works on one server.
//!
//! `service` has let the client in and read the body; here is what each endpoint does with it.

use crate::portal::random;
use crate::profile::{self, ProfileUuid};
use crate::service::{Facts, Refusal, body, refuse};
use crate::settings::Settings;
use crate::state::{AssignStatus, Profile, Server};
use crate::throttle::Rules;
use crate::view::View;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A call with a JSON object as its body.
pub(crate) struct BodyCall<'a> {
    pub(crate) server: &'a mut Server,
    pub(crate) body: Map<String, Value>,
    pub(crate) version: u32,
    pub(crate) now: Timestamp,
    pub(crate) settings: &'a Settings,
    /// What is to be said of every device, instead of doing anything.
    pub(crate) verdict: Option<&'a str>,
    pub(crate) facts: &'a mut Facts,
}

impl BodyCall<'_> {
    pub(crate) fn details(&mut self) -> Result<Vec<u8>, Refusal> {
        let serials = self.serials()?;
        if let Some(verdict) = self.verdict {
            self.facts.devices_out = serials.len();
            let devices =
                serials.iter().map(|serial| (serial, BTreeMap::from([("response_status", verdict)])));
            return body(&json_devices(devices.collect::<BTreeMap<_, _>>()));
        }
        let inventory = &self.server.inventory;
        let devices = serials
            .iter()
            .map(|serial| {
                let found = inventory.get(serial).map(|device| View {
                    device,
                    version: self.version,
                    op: None,
                    response_status: Some("SUCCESS"),
                });
                (serial.as_str(), Detail(found))
            })
            .collect::<BTreeMap<_, _>>();
        self.facts.devices_out = devices.len();
        body(&json_devices(devices))
    }

    /// Releases devices for good. As with Apple, no sync tells of it.
    pub(crate) fn disown(&mut self) -> Result<Vec<u8>, Refusal> {
        let serials = self.serials()?;
        let now = self.now.as_second();
        self.each(serials, |server, serial| server.inventory.remove(serial, false, now))
    }

    pub(crate) fn define(&mut self) -> Result<Vec<u8>, Refusal> {
        profile::validate(&self.body).or_else(|code| refuse(400, code))?;
        let mut content = std::mem::take(&mut self.body);
        let serials = content.remove("devices");
        let serials = serials.as_ref().and_then(profile::strings).unwrap_or_default();
        let serials = serials.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
        self.facts.devices_in = serials.len();
        let Ok(uuid) = random::<16>() else { return refuse(500, "Internal Server Error") };
        let uuid = ProfileUuid::new(u128::from_be_bytes(uuid));
        let (nth, defined) = (self.server.profiles.len(), self.now.as_second());
        self.server.profiles.insert(uuid, Profile { nth, defined, content });
        self.assign_to(uuid, serials)
    }

    pub(crate) fn assign(&mut self) -> Result<Vec<u8>, Refusal> {
        let serials = self.serials()?;
        let uuid = match self.body.get("profile_uuid") {
            None | Some(Value::Null) => return refuse(400, "PROFILE_UUID_REQUIRED"),
            Some(Value::String(uuid)) if uuid.is_empty() => return refuse(400, "PROFILE_UUID_REQUIRED"),
            Some(Value::String(uuid)) => ProfileUuid::parse(uuid),
            Some(_) => return refuse(400, "MALFORMED_REQUEST_BODY"),
        };
        match uuid.filter(|uuid| self.server.profiles.contains_key(uuid)) {
            Some(uuid) => self.assign_to(uuid, serials),
            None => refuse(404, "PROFILE_NOT_FOUND"),
        }
    }

    /// Says `SUCCESS` also where nothing changes, and counts that too.
    fn assign_to(&mut self, uuid: ProfileUuid, serials: BTreeSet<String>) -> Result<Vec<u8>, Refusal> {
        let now = self.now.as_second();
        let mut statuses = BTreeMap::new();
        let mut retry_after = None;
        for serial in &serials {
            if let Some(verdict) = self.verdict {
                statuses.insert(serial, verdict);
                continue;
            }
            let status = match self.instead(serial).or_else(|| self.throttled(serial, uuid)) {
                Some((AssignStatus::Missing, _)) => continue,
                Some((AssignStatus::Throttled, seconds)) if self.version >= 9 => {
                    retry_after = retry_after.max(Some(seconds));
                    "THROTTLED"
                }
                Some((AssignStatus::Throttled | AssignStatus::Failed, _)) => "FAILED",
                Some((AssignStatus::NotAccessible, _)) => "NOT_ACCESSIBLE",
                None if self.server.inventory.assign(serial, uuid, now) => {
                    self.server.assignments += 1;
                    "SUCCESS"
                }
                None => "NOT_ACCESSIBLE",
            };
            statuses.insert(serial, status);
        }
        self.facts.devices_out = statuses.len();
        let mut answer = json!({ "profile_uuid": uuid, "devices": statuses });
        if let Some(seconds) = retry_after.filter(|_| self.version >= 10) {
            answer["retry_after_seconds"] = seconds.into();
        }
        body(&answer)
    }

    /// What an assignment to this device is to be answered with instead, if that was arranged.
    fn instead(&mut self, serial: &str) -> Option<(AssignStatus, u64)> {
        let answers = &mut self.server.assign_answers;
        let answer = answers.get_mut(serial)?;
        answer.times = answer.times.saturating_sub(1);
        let arranged = (answer.status, answer.retry_after_seconds);
        if answer.times == 0 {
            answers.remove(serial);
        }
        Some(arranged)
    }

    /// That a device was assigned to too many different profiles lately, and for how long.
    fn throttled(&mut self, serial: &str, uuid: ProfileUuid) -> Option<(AssignStatus, u64)> {
        let rules = Rules::of(self.settings)?;
        let device = self.server.inventory.get(serial)?;
        let is_other = device.profile != Some(uuid);
        let seconds = self.server.throttles.attempt(serial, is_other, self.now.as_second(), rules)?;
        Some((AssignStatus::Throttled, seconds))
    }

    pub(crate) fn clear(&mut self) -> Result<Vec<u8>, Refusal> {
        let serials = self.serials()?;
        let now = self.now.as_second();
        self.each(serials, |server, serial| server.inventory.clear(serial, now))
    }

    fn each(
        &mut self,
        serials: BTreeSet<String>,
        act: impl Fn(&mut Server, &str) -> bool,
    ) -> Result<Vec<u8>, Refusal> {
        let mut status = |serial: &str| match self.verdict {
            Some(verdict) => verdict,
            None if act(self.server, serial) => "SUCCESS",
            None => "NOT_ACCESSIBLE",
        };
        let statuses = serials.iter().map(|serial| (serial, status(serial))).collect::<BTreeMap<_, _>>();
        self.facts.devices_out = statuses.len();
        body(&json!({ "devices": statuses }))
    }

    /// The serial numbers of the body, each once.
    fn serials(&mut self) -> Result<BTreeSet<String>, Refusal> {
        let serials = match self.body.get("devices") {
            None | Some(Value::Null) => return refuse(400, "DEVICE_ID_REQUIRED"),
            Some(list) => profile::strings(list),
        };
        let Some(serials) = serials else { return refuse(400, "MALFORMED_REQUEST_BODY") };
        self.facts.devices_in = serials.len();
        if serials.is_empty() {
            return refuse(400, "DEVICE_ID_REQUIRED");
        }
        Ok(serials.into_iter().map(str::to_owned).collect())
    }
}

/// A device's details, or that there are none for us.
struct Detail<'a>(Option<View<'a>>);

impl Serialize for Detail<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(view) => view.serialize(serializer),
            None => BTreeMap::from([("response_status", "NOT_ACCESSIBLE")]).serialize(serializer),
        }
    }
}

fn json_devices<T: Serialize>(devices: T) -> BTreeMap<&'static str, T> {
    BTreeMap::from([("devices", devices)])
}
