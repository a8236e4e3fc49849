//! Version 0.1: devices, verdicts, settings.

use domain::device::{Device, ProfileStatus};
use domain::verdict::{Context, Verdict};
use jiff::Timestamp;

use super::v1::Fields;
use super::{Raw, seconds};
use crate::bindings::v0_1::deputy::policy::log::Level as WitLevel;
use crate::bindings::v0_1::exports::deputy::policy::assignment as wit;
use crate::error::SettingsProblem;
use crate::fault::Fault;
use crate::log::Level;

pub(crate) fn context<'a>(context: &'a Context, profiles: &'a [&'a str]) -> wit::Context<'a> {
    wit::Context { now: seconds(context.now), token: context.token.as_str(), profiles }
}

/// A batch of devices, ready to be lent to a guest again and again.
pub(crate) struct Batch<'a> {
    devices: &'a [Device],
    /// The open tails of all devices, one after the other.
    extra: Vec<(&'a str, &'a str)>,
    reads: Fields,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(devices: &'a [Device], reads: Fields) -> Self {
        let mut extra = Vec::new();
        if reads.contains(Fields::EXTRA) {
            for device in devices {
                extra.extend(device.extra.iter().map(|(name, text)| (name.as_str(), text.as_str())));
            }
        }
        Self { devices, extra, reads }
    }

    /// The devices as the guest gets them: with what it reads, and nothing else.
    pub(crate) fn view(&'a self) -> Vec<wit::Device<'a>> {
        let text = |field, text: &'a Option<String>| text.as_deref().filter(|_| self.reads.contains(field));
        let time = |field, time: Option<Timestamp>| time.filter(|_| self.reads.contains(field)).map(seconds);
        let mut rest = self.extra.as_slice();
        let devices = self.devices.iter().map(|device| wit::Device {
            serial_number: device.serial_number.as_str(),
            model: text(Fields::MODEL, &device.model),
            description: text(Fields::DESCRIPTION, &device.description),
            color: text(Fields::COLOR, &device.color),
            asset_tag: text(Fields::ASSET_TAG, &device.asset_tag),
            os: text(Fields::OS, &device.os),
            device_family: text(Fields::DEVICE_FAMILY, &device.device_family),
            profile_status: match device.profile_status {
                ProfileStatus::Empty => wit::ProfileStatus::Empty,
                ProfileStatus::Assigned => wit::ProfileStatus::Assigned,
                ProfileStatus::Pushed => wit::ProfileStatus::Pushed,
                ProfileStatus::Removed => wit::ProfileStatus::Removed,
            },
            profile_uuid: match self.reads.contains(Fields::PROFILE_UUID) {
                true => device.profile_uuid.as_ref().map(|id| id.as_str()),
                false => None,
            },
            profile_assign_time: time(Fields::PROFILE_ASSIGN_TIME, device.profile_assign_time),
            profile_push_time: time(Fields::PROFILE_PUSH_TIME, device.profile_push_time),
            device_assigned_by: text(Fields::DEVICE_ASSIGNED_BY, &device.device_assigned_by),
            device_assigned_date: time(Fields::DEVICE_ASSIGNED_DATE, device.device_assigned_date),
            extra: match self.reads.contains(Fields::EXTRA) {
                true => {
                    let (own, others) = rest.split_at(device.extra.len());
                    rest = others;
                    own
                }
                false => &[],
            },
        });
        devices.collect()
    }
}

/// The fields asked for, in the words of the newest version. The serial number comes unasked.
pub(crate) fn fields(fields: wit::DeviceFields) -> Fields {
    use wit::DeviceFields as Old;
    let names = [
        (Old::MODEL, Fields::MODEL),
        (Old::DESCRIPTION, Fields::DESCRIPTION),
        (Old::COLOR, Fields::COLOR),
        (Old::ASSET_TAG, Fields::ASSET_TAG),
        (Old::OS, Fields::OS),
        (Old::DEVICE_FAMILY, Fields::DEVICE_FAMILY),
        (Old::PROFILE_UUID, Fields::PROFILE_UUID),
        (Old::PROFILE_ASSIGN_TIME, Fields::PROFILE_ASSIGN_TIME),
        (Old::PROFILE_PUSH_TIME, Fields::PROFILE_PUSH_TIME),
        (Old::DEVICE_ASSIGNED_BY, Fields::DEVICE_ASSIGNED_BY),
        (Old::DEVICE_ASSIGNED_DATE, Fields::DEVICE_ASSIGNED_DATE),
        (Old::EXTRA, Fields::EXTRA),
    ];
    let asked = names.into_iter().filter(|(old, _)| fields.contains(*old));
    asked.fold(Fields::SERIAL_NUMBER, |all, (_, new)| all | new)
}

pub(crate) fn verdicts(
    answer: wit::Verdicts,
    context: &Context,
    devices: usize,
) -> Result<Vec<Verdict>, Fault> {
    let wit::Verdicts { verdicts, reasons } = answer;
    let verdicts = verdicts.into_iter().map(|wit::Verdict { decision, reason }| {
        let decision = match decision {
            wit::Decision::Assign(index) => Raw::Assign(index),
            wit::Decision::Hold(until) => Raw::Hold(until),
            wit::Decision::Ignore => Raw::Ignore,
        };
        (decision, reason)
    });
    super::verdicts(verdicts, &reasons, &context.profiles, devices)
}

pub(crate) fn problems(problems: Vec<wit::SettingsProblem>) -> Vec<SettingsProblem> {
    super::problems(problems.into_iter().map(|it| (it.pointer, it.message, it.hint)))
}

pub(crate) fn level(level: WitLevel) -> Level {
    match level {
        WitLevel::Debug => Level::Debug,
        WitLevel::Info => Level::Info,
        WitLevel::Warn => Level::Warn,
        WitLevel::Error => Level::Error,
    }
}
