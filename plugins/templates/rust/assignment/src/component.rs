//! The glue between the contract in `wit/` and the decision in `lib.rs`. What the functions mean is
//! written in `wit/policy.wit`.

use std::collections::HashMap;
use std::sync::OnceLock;

use bindings::deputy::policy::log;
use bindings::exports::deputy::policy::{assignment, plugin};

use crate::Policy;

mod bindings {
    wit_bindgen::generate!({ world: "{{world}}", path: "wit" });

    use super::Component;
    export!(Component);
}

struct Component;

/// Every call begins with a new instance, so what `configure` leaves here is for one call.
static POLICY: OnceLock<Policy> = OnceLock::new();

impl plugin::Guest for Component {
    fn describe() -> plugin::Description {
        plugin::Description {
            summary: "a profile by asset tag, else by family".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            settings_schema: Some(SCHEMA.to_owned()),
        }
    }

    fn configure(settings: String, setup: plugin::Setup) -> Result<(), Vec<plugin::SettingsProblem>> {
        // Every call begins here. Without this, nobody would hear more than that the policy failed.
        std::panic::set_hook(Box::new(|panic| log::log(log::Level::Error, &panic.to_string())));
        let policy = Policy::read(&settings, &setup.profiles).map_err(|problems| {
            let problems = problems.into_iter().map(|crate::Problem { pointer, message, hint }| {
                plugin::SettingsProblem { pointer, message, hint }
            });
            problems.collect::<Vec<_>>()
        })?;
        POLICY.get_or_init(|| policy);
        Ok(())
    }

    fn tables() -> Vec<plugin::TableUse> {
        Vec::new()
    }
}

impl assignment::Guest for Component {
    fn reads() -> assignment::DeviceFields {
        assignment::DeviceFields::ASSET_TAG | assignment::DeviceFields::DEVICE_FAMILY
    }

    fn decide(_context: assignment::Context, devices: Vec<assignment::Device>) -> assignment::Verdicts {
        let policy = POLICY.get_or_init(Policy::default);
        let mut indices = HashMap::new();
        let mut reasons = Vec::new();
        let verdicts = devices.iter().map(|device| {
            let (profile, reason) =
                policy.decide(device.asset_tag.as_deref(), device.device_family.as_deref());
            let reason = *indices.entry(reason).or_insert_with_key(|reason| {
                reasons.push(reason.clone());
                reasons.len() as u32 - 1
            });
            let decision = match profile {
                Some(profile) => assignment::Decision::Assign(profile),
                None => assignment::Decision::Hold(None),
            };
            assignment::Verdict { decision, reason }
        });
        let verdicts = verdicts.collect();
        assignment::Verdicts { verdicts, reasons }
    }
}

const SCHEMA: &str = r#"{
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "families": {
      "description": "The profile of each device family",
      "type": "object",
      "additionalProperties": { "type": "string" }
    },
    "prefixes": {
      "description": "The profile of the asset tags that begin so; the longest prefix decides, before any family",
      "type": "object",
      "additionalProperties": { "type": "string" }
    }
  }
}"#;
