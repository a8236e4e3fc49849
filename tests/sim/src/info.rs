//! What the control side shows of servers, devices and profiles, and what it can change of a server.
//!
//! The same types in Rust and, as JSON, over HTTP.

use crate::device::{Device, ProfileStatus};
use crate::portal::Credentials;
use crate::state::{OrgType, Server, TokenState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A server entry, as seen in the portal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerInfo {
    /// Its name.
    pub name: String,
    /// 32 upper-case hex digits; what `/account` says.
    pub server_uuid: String,
    /// The organisation it belongs to.
    pub org_name: String,
    /// The organisation's number.
    pub org_id: String,
    /// The Apple Account of who makes its tokens.
    pub admin_id: String,
    /// The largest page.
    pub page_limit: usize,
    /// Whether the organisation has accepted the current terms.
    pub terms_signed: bool,
    /// Whether the entry still works in the portal.
    pub active: bool,
    /// What kind of organisation it is.
    pub org_type: OrgType,
    /// Whether the organisation has beta tokens.
    pub beta_access: bool,
    /// Devices on the server now.
    pub devices: usize,
    /// Profiles defined on it.
    pub profiles: usize,
    /// When its token expires, if it has one.
    pub token_expiry: Option<Timestamp>,
    /// How the service sees the token.
    pub token_state: TokenState,
}

/// Changes to a server entry; what is not given stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerChange {
    /// The largest page.
    pub page_limit: Option<usize>,
    /// Whether the organisation has accepted the current terms; if not, all calls are `T_C_NOT_SIGNED`.
    pub terms_signed: Option<bool>,
    /// Whether the entry works; if not, all calls are `SERVER_INACTIVE`.
    pub active: Option<bool>,
    /// What kind of organisation it is.
    pub org_type: Option<OrgType>,
    /// Whether the organisation has beta tokens; if not, asking for them is `APPLE_SEED_FOR_IT_TURNED_OFF`.
    pub beta_access: Option<bool>,
    /// How the service sees its token; anything but good ends the session.
    pub token_state: Option<TokenState>,
    /// The organisation's name.
    pub org_name: Option<String>,
    /// The Apple Account of who makes its tokens.
    pub admin_id: Option<String>,
}

/// A device, and where it stands with its profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// Its serial number.
    pub serial_number: String,
    /// Marketing name.
    pub model: String,
    /// `Mac`, `iPad`, …
    pub device_family: Option<String>,
    /// The organisation's own label.
    pub asset_tag: Option<String>,
    /// Where it stands.
    pub profile_status: ProfileStatus,
    /// The profile it has or had.
    pub profile_uuid: Option<String>,
    /// When the profile was assigned.
    pub profile_assign_time: Option<Timestamp>,
    /// When the device fetched it.
    pub profile_push_time: Option<Timestamp>,
    /// When the device came to this server.
    pub device_assigned_date: Timestamp,
    /// How often a profile was assigned to it, whether that changed anything or not.
    pub assignments: u32,
}

/// A profile that a client defined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProfileInfo {
    /// 32 upper-case hex digits.
    pub profile_uuid: String,
    /// When it was defined.
    pub defined: Timestamp,
    /// Devices that have it now, assigned or pushed.
    pub devices: usize,
    /// The definition as it was sent, without its `devices`.
    pub content: Map<String, Value>,
}

/// A server token as the portal hands it out.
#[derive(Debug, Clone)]
pub struct TokenFile {
    /// The name the portal gives the download.
    pub file_name: String,
    /// The `.p7m`.
    pub content: String,
    /// What is sealed in it: for tests that skip the file.
    pub credentials: Credentials,
}

impl From<&Server> for ServerInfo {
    fn from(server: &Server) -> Self {
        Self {
            name: server.name.clone(),
            server_uuid: server.uuid.clone(),
            org_name: server.org_name.clone(),
            org_id: server.org_id.clone(),
            admin_id: server.admin_id.to_string(),
            page_limit: server.page_limit,
            terms_signed: server.terms_signed,
            active: server.active,
            org_type: server.org_type,
            beta_access: server.beta_access,
            devices: server.inventory.len(),
            profiles: server.profiles.len(),
            token_expiry: server.token.as_ref().map(|token| token.access_token_expiry),
            token_state: server.token_state,
        }
    }
}

impl From<&Device> for DeviceInfo {
    fn from(device: &Device) -> Self {
        Self {
            serial_number: device.serial.to_string(),
            model: device.kind.model.clone(),
            device_family: device.kind.family.clone(),
            asset_tag: device.asset_tag().map(str::to_owned),
            profile_status: device.status,
            profile_uuid: device.profile.map(|profile| profile.to_string()),
            profile_assign_time: device.assign_time().map(time),
            profile_push_time: device.push_time().map(time),
            device_assigned_date: time(device.assigned_date),
            assignments: device.assignments,
        }
    }
}

pub(crate) fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or_default()
}
