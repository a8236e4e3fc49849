//! The calls about a whole organisation's doors: Activation Lock, and where people's own devices enrol.

use crate::calls::BodyCall;
use crate::info::time;
use crate::lookups::account_driven;
use crate::server::{Lock, OrgType};
use crate::service::{Refusal, body, refuse};
use serde_json::{Value, json};

impl BodyCall<'_> {
    /// The first lock wins, whoever set it.
    pub(crate) fn lock(&mut self) -> Result<Vec<u8>, Refusal> {
        let text = |name: &str| match self.body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => refuse(400, "MALFORMED_REQUEST_BODY"),
        };
        let malformed = |why| Refusal { status: 400, code: "MALFORMED_REQUEST_BODY", why: Some(why) };
        let serial = text("device")?.filter(|serial| !serial.is_empty());
        let serial = serial.ok_or(malformed("no device is named"))?;
        let (escrow_key, lost_message) = (text("escrow_key")?, text("lost_message")?);
        let is_key = |key: &String| key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !escrow_key.as_ref().is_none_or(is_key) {
            return Err(malformed("the escrow key is not 64 hex digits"));
        }
        self.facts.devices_in = 1;
        self.facts.devices_out = 1;
        let status = match self.server.inventory.get(&serial).map(|device| device.kind.family.clone()) {
            None => "NOT_ACCESSIBLE",
            Some(_) if self.server.org_type == OrgType::TvProvider => "ORG_NOT_SUPPORTED",
            Some(family) if matches!(family.as_deref(), Some("AppleTV" | "Vision")) => "DEVICE_NOT_SUPPORTED",
            Some(_) if self.server.locks.contains_key(&serial) => "DEVICE_ALREADY_LOCKED",
            Some(_) => {
                let lock =
                    Lock { by_user: false, escrow_key, lost_message, since: time(self.now.as_second()) };
                self.server.locks.insert(serial.clone(), lock);
                "SUCCESS"
            }
        };
        body(&json!({ "serial_number": serial, "response_status": status }))
    }

    /// Where a device is sent whose user's own domain does not know.
    pub(crate) fn assign_discovery(&mut self) -> Result<Vec<u8>, Refusal> {
        account_driven(self.server)?;
        let url = match self.body.get("mdm_service_discovery_url") {
            None | Some(Value::Null) => return refuse(400, "MDM_SERVICE_DISCOVERY_URL_REQUIRED"),
            Some(url) => url.as_str().unwrap_or_default(),
        };
        if !url::Url::parse(url).is_ok_and(|url| url.scheme() == "https" && url.has_host()) {
            return refuse(400, "MDM_SERVICE_DISCOVERY_URL_NOT_VALID");
        }
        self.server.discovery = Some((url.into(), self.now.as_second()));
        Ok(Vec::new())
    }
}
