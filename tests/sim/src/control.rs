//! The other side of the simulator: what an administrator does in the portal, what suppliers and devices
//! do in the world, and what a test wants to arrange or to know.
//!
//! Acts on the state directly, so a test in the same process needs no HTTP; `api` offers the same over HTTP.

use crate::device::{BadField, Device, Kind, ProfileStatus};
use crate::faults::Fault;
use crate::info::{DeviceInfo, ProfileInfo, ServerChange, ServerInfo, TokenFile, time};
use crate::log::{Call, Counters};
use crate::portal::{self, TokenOptions};
use crate::profile::ProfileUuid;
use crate::service::{self, Answer, Request};
use crate::settings::Settings;
use crate::state::{AssignAnswer, AssignStatus, Profile, Server, ServerOptions, State, TokenState};
use crate::world::checked;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No server has this name.
    #[error("there is no server `{0}`")]
    NoServer(String),
    /// The device was never there, or is not any more.
    #[error("there is no device `{serial}` on server `{server}`")]
    NoDevice {
        /// The server asked.
        server: String,
        /// The device's serial number.
        serial: String,
    },
    /// A serial number can be on a server once.
    #[error("device `{serial}` is on server `{server}` already")]
    DeviceExists {
        /// The server asked.
        server: String,
        /// The device's serial number.
        serial: String,
    },
    /// Not a serial number.
    #[error("a device needs a `serial_number` of upper-case letters and digits")]
    BadSerial,
    /// A device's field was given a value it cannot have.
    #[error(transparent)]
    BadField(#[from] BadField),
    /// A request of the control API that cannot be meant.
    #[error("{0}")]
    BadRequest(String),
    /// The certificate got no token.
    #[error("no token for server `{server}`")]
    Token {
        /// The server asked.
        server: String,
        /// What is wrong with the certificate.
        #[source]
        source: portal::Refused,
    },
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The system gave no thread to run on.
    #[error("cannot start the simulator's thread")]
    Thread(#[source] std::io::Error),
}

/// A handle on a running simulator. Cheap to clone; all clones act on the same one.
#[derive(Debug, Clone, Default)]
pub struct Control {
    state: Arc<Mutex<State>>,
}

impl Control {
    /// Creates a server entry, or returns the one of that name.
    pub fn create_server(&self, options: ServerOptions) -> ServerInfo {
        let mut state = self.state();
        if let Some(server) = state.server(&options.name) {
            return server.into();
        }
        state.add_server(options).into()
    }

    /// Every server entry, in the order of their making.
    pub fn servers(&self) -> Vec<ServerInfo> {
        self.state().servers.iter().map(ServerInfo::from).collect()
    }

    /// One server entry.
    pub fn server(&self, name: &str) -> Result<ServerInfo, Error> {
        self.with(name, |server, _| Ok(ServerInfo::from(&*server)))
    }

    /// Changes a server entry.
    pub fn change_server(&self, name: &str, change: ServerChange) -> Result<ServerInfo, Error> {
        self.with(name, |server, _| {
            server.page_limit = change.page_limit.unwrap_or(server.page_limit).max(1);
            server.terms_signed = change.terms_signed.unwrap_or(server.terms_signed);
            server.active = change.active.unwrap_or(server.active);
            server.org_type = change.org_type.unwrap_or(server.org_type);
            server.beta_access = change.beta_access.unwrap_or(server.beta_access);
            server.token_state = change.token_state.unwrap_or(server.token_state);
            if server.token_state != TokenState::Good {
                server.session = None;
            }
            server.org_name = change.org_name.unwrap_or_else(|| server.org_name.clone());
            server.admin_id = change.admin_id.map_or_else(|| server.admin_id.clone(), Into::into);
            Ok(ServerInfo::from(&*server))
        })
    }

    /// Accepts the terms, or lets new ones appear that nobody has accepted yet.
    pub fn sign_terms(&self, name: &str, signed: bool) -> Result<(), Error> {
        let change = ServerChange { terms_signed: Some(signed), ..ServerChange::default() };
        self.change_server(name, change).map(drop)
    }

    /// Makes a new server token for the holder of a PEM certificate's key. The token before it is dead
    /// from now on, whether anybody installs the new one or not.
    pub fn token(
        &self,
        name: &str,
        certificate_pem: &[u8],
        options: &TokenOptions,
    ) -> Result<TokenFile, Error> {
        self.with(name, |server, now| {
            let refused = |source| Error::Token { server: name.into(), source };
            let certificate = portal::certificate(certificate_pem).map_err(refused)?;
            let credentials =
                portal::credentials(server.token.as_ref(), options.expires, now).map_err(refused)?;
            let content = portal::token_file(&credentials, &certificate, options).map_err(refused)?;
            server.token = Some(credentials.clone());
            server.token_state = TokenState::Good;
            server.session = None;
            // A nonce must be new only among signatures of the same token.
            server.nonces.clear();
            let label = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
            let time = now.strftime("%Y-%m-%dT%H-%M-%SZ");
            Ok(TokenFile { file_name: format!("{label}_Token_{time}_smime.p7m"), content, credentials })
        })
    }

    /// Changes how the service sees the server's token; if no longer as good, its session ends too.
    pub fn set_token_state(&self, name: &str, token_state: TokenState) -> Result<(), Error> {
        let change = ServerChange { token_state: Some(token_state), ..ServerChange::default() };
        self.change_server(name, change).map(drop)
    }

    /// Revokes the server's token in the portal.
    pub fn revoke_token(&self, name: &str) -> Result<(), Error> {
        self.set_token_state(name, TokenState::Revoked)
    }

    /// Ends the server's session: the next call with its key is `UNAUTHORIZED`.
    pub fn end_session(&self, name: &str) -> Result<(), Error> {
        self.with(name, |server, _| {
            server.session = None;
            Ok(())
        })
    }

    /// Forgets all sessions, as a restart of Apple's service would: calls with their keys are `FORBIDDEN`.
    pub fn forget_sessions(&self) {
        self.state().forget_sessions();
    }

    /// Adds devices, given by their fields at Apple; only `serial_number` must be there. All or none.
    pub fn add_devices(&self, name: &str, devices: &[Value]) -> Result<usize, Error> {
        self.with(name, |server, now| {
            let now = now.as_second();
            let usual = Arc::new(Kind {
                model: "MacBook Pro".into(),
                os: Some("OSX".into()),
                family: Some("Mac".into()),
                assigned_by: server.admin_id.to_string(),
                ..Default::default()
            });
            let mut fresh: HashMap<&str, ()> = HashMap::new();
            let mut made = Vec::with_capacity(devices.len());
            for fields in devices {
                let fields = fields.as_object().ok_or(Error::BadSerial)?;
                let serial = fields.get("serial_number").and_then(Value::as_str).ok_or(Error::BadSerial)?;
                let serial = checked(serial)?;
                if server.inventory.get(serial).is_some() || fresh.insert(serial, ()).is_some() {
                    return Err(Error::DeviceExists { server: name.into(), serial: serial.into() });
                }
                let mut device = Device::new(serial, usual.clone(), now);
                device.set(fields, now)?;
                made.push(device);
            }
            Ok(made.into_iter().filter(|device| server.inventory.add(device.clone(), now)).count())
        })
    }

    /// Adds a realistic fleet; the same seed makes the same devices, and goes on when asked again.
    /// Returns their serial numbers.
    pub fn generate_devices(&self, name: &str, count: usize, seed: u64) -> Result<Vec<Arc<str>>, Error> {
        let mut serials = Vec::with_capacity(count.min(1 << 20));
        self.with(name, |server, now| {
            server.generate(count, seed, now.as_second(), |serial| serials.push(serial.into()));
            Ok(())
        })?;
        Ok(serials)
    }

    /// The same for a fleet so large that nobody wants to hear its serial numbers.
    pub fn generate_fleet(&self, name: &str, count: usize, seed: u64) -> Result<(), Error> {
        self.with(name, |server, now| {
            server.generate(count, seed, now.as_second(), |_| {});
            Ok(())
        })
    }

    /// Changes any fields of a device; `null` takes one away. Sync tells of it as `modified`.
    pub fn change_device(&self, name: &str, serial: &str, fields: &Value) -> Result<(), Error> {
        let Value::Object(fields) = fields else {
            return Err(Error::BadRequest("the changes of a device are a JSON object".into()));
        };
        self.with(name, |server, now| {
            let now = now.as_second();
            let done = server.inventory.change(serial, now, |device| device.set(fields, now));
            Ok(done.ok_or(Error::NoDevice { server: name.into(), serial: serial.into() })??)
        })
    }

    /// Takes a device off a server, with or without a `deleted` record. Apple writes one for devices moved
    /// to another server, and often none for devices that were released; if the settings say so, never.
    pub fn remove_device(&self, name: &str, serial: &str, with_record: bool) -> Result<(), Error> {
        let with_record = with_record && !self.settings().release_without_record;
        self.with(name, |server, now| match server.inventory.remove(serial, with_record, now.as_second()) {
            true => Ok(()),
            false => Err(Error::NoDevice { server: name.into(), serial: serial.into() }),
        })
    }

    /// Every device on a server, oldest first.
    pub fn devices(&self, name: &str) -> Result<Vec<DeviceInfo>, Error> {
        self.devices_from(name, 0, usize::MAX)
    }

    /// Some of the devices on a server.
    pub fn devices_from(&self, name: &str, offset: usize, limit: usize) -> Result<Vec<DeviceInfo>, Error> {
        self.with(name, |server, _| {
            Ok(server.inventory.devices().skip(offset).take(limit).map(DeviceInfo::from).collect())
        })
    }

    /// One device.
    pub fn device(&self, name: &str, serial: &str) -> Result<DeviceInfo, Error> {
        self.with(name, |server, _| {
            let found = server.inventory.get(serial).map(DeviceInfo::from);
            found.ok_or(Error::NoDevice { server: name.into(), serial: serial.into() })
        })
    }

    /// Arranges what assigning a profile to these devices answers, `times` times, instead of doing it.
    pub fn answer_assignments(
        &self,
        name: &str,
        serials: &[&str],
        status: AssignStatus,
        times: u32,
        retry_after_seconds: u64,
    ) -> Result<(), Error> {
        self.with(name, |server, _| {
            for serial in serials {
                let answer = AssignAnswer { status, times, retry_after_seconds };
                match times {
                    0 => _ = server.assign_answers.remove(*serial),
                    _ => _ = server.assign_answers.insert((*serial).to_owned(), answer),
                }
            }
            Ok(())
        })
    }

    /// Every profile defined on a server, oldest first.
    pub fn profiles(&self, name: &str) -> Result<Vec<ProfileInfo>, Error> {
        self.with(name, |server, _| {
            let mut devices: HashMap<_, usize> = HashMap::new();
            for device in server.inventory.devices() {
                if matches!(device.status, ProfileStatus::Assigned | ProfileStatus::Pushed)
                    && let Some(profile) = device.profile
                {
                    *devices.entry(profile).or_default() += 1;
                }
            }
            let mut profiles = server.profiles.iter().collect::<Vec<_>>();
            profiles.sort_by_key(|(_, profile)| profile.nth);
            let show = |(uuid, profile): (&ProfileUuid, &Profile)| ProfileInfo {
                profile_uuid: uuid.to_string(),
                defined: time(profile.defined),
                devices: devices.get(uuid).copied().unwrap_or_default(),
                content: profile.content.clone(),
            };
            Ok(profiles.into_iter().map(show).collect())
        })
    }

    /// The calls to Apple's side since the log was cleared; the latest 100,000 of them.
    pub fn calls(&self) -> Vec<Call> {
        self.state().log.calls().cloned().collect()
    }

    /// Empties the log and sets its counters to zero. What was assigned stays counted.
    pub fn clear_calls(&self) {
        self.state().log.clear();
    }

    /// Sums over the calls.
    pub fn counters(&self) -> Counters {
        let state = self.state();
        let most = state.servers.iter().map(|server| server.inventory.most_assignments).max();
        Counters {
            assignments: state.servers.iter().map(|server| server.assignments).sum(),
            most_assignments_of_one_device: most.unwrap_or_default(),
            ..state.log.counters()
        }
    }

    /// How often a profile was assigned to the device that got the most assignments.
    pub fn most_assignments_of_one_device(&self) -> u32 {
        self.counters().most_assignments_of_one_device
    }

    /// Arranges a fault.
    pub fn fault(&self, fault: Fault) {
        self.state().faults.0.push(fault);
    }

    /// The faults that are still to be played.
    pub fn faults(&self) -> Vec<Fault> {
        self.state().faults.0.clone()
    }

    /// Lets every call be answered properly again.
    pub fn clear_faults(&self) {
        self.state().faults.0.clear();
    }

    /// How the service behaves.
    pub fn settings(&self) -> Settings {
        self.state().settings.clone()
    }

    /// Changes how the service behaves.
    pub fn set_settings(&self, settings: Settings) {
        self.state().set_settings(settings);
    }

    /// Changes some of how the service behaves.
    pub fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.settings();
        change(&mut settings);
        self.set_settings(settings);
    }

    /// Sets how long every answer of Apple's side takes.
    pub fn set_latency_ms(&self, latency_ms: u64) {
        self.state().settings.latency_ms = latency_ms;
    }

    /// Moves the simulator's clock forward: cursors, sessions and tokens age. Signatures are still judged
    /// by the real time, since a client's clock was not moved.
    pub fn advance_clock(&self, by: SignedDuration) -> Timestamp {
        let mut state = self.state();
        state.ahead = state.ahead.saturating_add(by);
        state.now(Timestamp::now())
    }

    /// The simulator's clock.
    pub fn now(&self) -> Timestamp {
        self.state().now(Timestamp::now())
    }

    pub(crate) fn answer(&self, request: &Request) -> Answer {
        service::answer(&mut self.state(), request, Timestamp::now())
    }

    pub(crate) fn with<T>(
        &self,
        name: &str,
        act: impl FnOnce(&mut Server, Timestamp) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut state = self.state();
        let now = state.now(Timestamp::now());
        let server = state.server_mut(name).ok_or_else(|| Error::NoServer(name.into()))?;
        act(server, now)
    }

    /// A panic elsewhere must not make the simulator useless: the state has no half-done changes to fear.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
