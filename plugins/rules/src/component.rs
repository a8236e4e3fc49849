//! The glue that makes the rules a plugin.

use std::sync::OnceLock;

use bindings::exports::deputy::policy::assignment as contract;

use crate::{Context, Decision, Device, Field, Policy};

#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated from the contract")]
mod bindings {
    wit_bindgen::generate!({ world: "policy", path: "../../wit/v0.1" });

    use super::Component;
    export!(Component);
}

struct Component;

/// The rules of this instance; the host configures every instance once, before anything else.
static POLICY: OnceLock<Policy> = OnceLock::new();

fn policy() -> &'static Policy {
    POLICY.get().expect("the host calls `configure` first")
}

impl contract::Guest for Component {
    fn configure(settings: String, profiles: Vec<String>) -> Result<(), Vec<contract::SettingsProblem>> {
        match Policy::new(&settings, &profiles) {
            Ok(policy) => {
                POLICY.set(policy).expect("the host calls `configure` once");
                Ok(())
            }
            Err(problems) => Err(problems
                .into_iter()
                .map(|crate::Problem { pointer, message, hint }| contract::SettingsProblem {
                    pointer,
                    message,
                    hint,
                })
                .collect()),
        }
    }

    fn reads() -> contract::DeviceFields {
        policy().reads().iter().fold(contract::DeviceFields::empty(), |all, field| all | flag(field))
    }

    fn decide(context: contract::Context, devices: Vec<contract::Device>) -> contract::Verdicts {
        let policy = policy();
        let context = Context { now: context.now, token: &context.token };
        let verdicts = devices.iter().map(|device| {
            let (decision, reason) = policy.decide(&context, &view(device));
            let decision = match decision {
                Decision::Assign(profile) => contract::Decision::Assign(profile),
                Decision::Hold(until) => contract::Decision::Hold(until),
                Decision::Ignore => contract::Decision::Ignore,
            };
            contract::Verdict { decision, reason }
        });
        contract::Verdicts { verdicts: verdicts.collect(), reasons: policy.reasons().to_vec() }
    }
}

fn view(device: &contract::Device) -> Device<'_> {
    Device {
        serial_number: &device.serial_number,
        model: text(&device.model),
        description: text(&device.description),
        color: text(&device.color),
        asset_tag: text(&device.asset_tag),
        os: text(&device.os),
        device_family: text(&device.device_family),
        profile_status: match device.profile_status {
            contract::ProfileStatus::Empty => "empty",
            contract::ProfileStatus::Assigned => "assigned",
            contract::ProfileStatus::Pushed => "pushed",
            contract::ProfileStatus::Removed => "removed",
        },
        profile_uuid: text(&device.profile_uuid),
        device_assigned_by: text(&device.device_assigned_by),
        device_assigned_date: device.device_assigned_date,
        profile_assign_time: device.profile_assign_time,
        profile_push_time: device.profile_push_time,
        extra: &device.extra,
    }
}

fn text(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}

fn flag(field: &Field) -> contract::DeviceFields {
    use contract::DeviceFields as Flags;
    match field {
        // These come unasked.
        Field::SerialNumber | Field::ProfileStatus | Field::Token => Flags::empty(),
        Field::Model => Flags::MODEL,
        Field::Description => Flags::DESCRIPTION,
        Field::Color => Flags::COLOR,
        Field::AssetTag => Flags::ASSET_TAG,
        Field::Os => Flags::OS,
        Field::DeviceFamily => Flags::DEVICE_FAMILY,
        Field::ProfileUuid => Flags::PROFILE_UUID,
        Field::DeviceAssignedBy => Flags::DEVICE_ASSIGNED_BY,
        Field::DeviceAssignedDate => Flags::DEVICE_ASSIGNED_DATE,
        Field::ProfileAssignTime => Flags::PROFILE_ASSIGN_TIME,
        Field::ProfilePushTime => Flags::PROFILE_PUSH_TIME,
        Field::Extra(_) => Flags::EXTRA,
    }
}
