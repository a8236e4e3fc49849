//! Between the contract's types and ours: the only file where both appear.
//!
//! What goes in is borrowed. What comes out is believed nothing: counted, its indices checked, its
//! text cleaned.

use std::sync::Arc;

use domain::device::{Device, ProfileStatus};
use domain::verdict::{Context, Decision, Verdict};
use jiff::Timestamp;

use crate::bindings::v0_1::deputy::policy::log::Level as WitLevel;
use crate::bindings::v0_1::exports::deputy::policy::assignment as wit;
use crate::error::SettingsProblem;
use crate::fault::Fault;
use crate::log::Level;

/// The longest reason, in bytes.
const REASON_BYTES: usize = 256;
/// The longest text about settings, and the most problems shown.
const PROBLEM_BYTES: usize = 1_024;
const PROBLEMS: usize = 100;

pub(crate) fn context<'a>(context: &'a Context, profiles: &'a [&'a str]) -> wit::Context<'a> {
    wit::Context { now: seconds(context.now), token: context.token.as_str(), profiles }
}

/// A batch of devices, ready to be lent to a guest again and again.
pub(crate) struct Batch<'a> {
    devices: &'a [Device],
    /// The open tails of all devices, one after the other.
    extra: Vec<(&'a str, &'a str)>,
    reads: wit::DeviceFields,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(devices: &'a [Device], reads: wit::DeviceFields) -> Self {
        let mut extra = Vec::new();
        if reads.contains(wit::DeviceFields::EXTRA) {
            for device in devices {
                extra.extend(device.extra.iter().map(|(name, text)| (name.as_str(), text.as_str())));
            }
        }
        Self { devices, extra, reads }
    }

    /// The devices as the guest gets them: with what it reads, and nothing else.
    pub(crate) fn view(&'a self) -> Vec<wit::Device<'a>> {
        use wit::DeviceFields as Field;
        let text = |field, text: &'a Option<String>| text.as_deref().filter(|_| self.reads.contains(field));
        let time = |field, time: Option<Timestamp>| time.filter(|_| self.reads.contains(field)).map(seconds);
        let mut rest = self.extra.as_slice();
        let devices = self.devices.iter().map(|device| wit::Device {
            serial_number: device.serial_number.as_str(),
            model: text(Field::MODEL, &device.model),
            description: text(Field::DESCRIPTION, &device.description),
            color: text(Field::COLOR, &device.color),
            asset_tag: text(Field::ASSET_TAG, &device.asset_tag),
            os: text(Field::OS, &device.os),
            device_family: text(Field::DEVICE_FAMILY, &device.device_family),
            profile_status: match device.profile_status {
                ProfileStatus::Empty => wit::ProfileStatus::Empty,
                ProfileStatus::Assigned => wit::ProfileStatus::Assigned,
                ProfileStatus::Pushed => wit::ProfileStatus::Pushed,
                ProfileStatus::Removed => wit::ProfileStatus::Removed,
            },
            profile_uuid: match self.reads.contains(Field::PROFILE_UUID) {
                true => device.profile_uuid.as_ref().map(|id| id.as_str()),
                false => None,
            },
            profile_assign_time: time(Field::PROFILE_ASSIGN_TIME, device.profile_assign_time),
            profile_push_time: time(Field::PROFILE_PUSH_TIME, device.profile_push_time),
            device_assigned_by: text(Field::DEVICE_ASSIGNED_BY, &device.device_assigned_by),
            device_assigned_date: time(Field::DEVICE_ASSIGNED_DATE, device.device_assigned_date),
            extra: match self.reads.contains(Field::EXTRA) {
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

/// The names of fields, as Apple and people write them.
pub(crate) fn field_names(fields: wit::DeviceFields) -> Vec<&'static str> {
    use wit::DeviceFields as Field;
    let names = [
        (Field::MODEL, "model"),
        (Field::DESCRIPTION, "description"),
        (Field::COLOR, "color"),
        (Field::ASSET_TAG, "asset_tag"),
        (Field::OS, "os"),
        (Field::DEVICE_FAMILY, "device_family"),
        (Field::PROFILE_UUID, "profile_uuid"),
        (Field::PROFILE_ASSIGN_TIME, "profile_assign_time"),
        (Field::PROFILE_PUSH_TIME, "profile_push_time"),
        (Field::DEVICE_ASSIGNED_BY, "device_assigned_by"),
        (Field::DEVICE_ASSIGNED_DATE, "device_assigned_date"),
        (Field::EXTRA, "extra"),
    ];
    names.into_iter().filter(|(field, _)| fields.contains(*field)).map(|(_, name)| name).collect()
}

/// Verdicts that keep to the contract, or what is wrong with them.
pub(crate) fn verdicts(
    answer: wit::Verdicts,
    context: &Context,
    devices: usize,
) -> Result<Vec<Verdict>, Fault> {
    let broken = |reason: String| Err(Fault::Contract { reason });
    let wit::Verdicts { verdicts, reasons } = answer;
    if verdicts.len() != devices {
        return broken(format!(
            "the number of verdicts ({}) is not that of the devices ({devices})",
            verdicts.len()
        ));
    }
    // Only the reasons that somebody names are worth the copy.
    let mut shared: Vec<Option<Arc<str>>> = vec![None; reasons.len()];
    let mut checked = Vec::with_capacity(devices);
    for wit::Verdict { decision, reason } in verdicts {
        let decision = match decision {
            wit::Decision::Assign(index) => match context.profiles.get(index as usize) {
                Some(profile) => Decision::Assign { profile: profile.clone() },
                None => {
                    return broken(format!(
                        "it assigned profile {index}, and there are {}",
                        context.profiles.len()
                    ));
                }
            },
            wit::Decision::Hold(None) => Decision::Hold { until: None },
            wit::Decision::Hold(Some(until)) => match i64::try_from(until).map(Timestamp::from_second) {
                Ok(Ok(until)) => Decision::Hold { until: Some(until) },
                _ => return broken(format!("it held a device until second {until}, which no calendar has")),
            },
            wit::Decision::Ignore => Decision::Ignore,
        };
        let (Some(text), Some(reason_slot)) = (reasons.get(reason as usize), shared.get_mut(reason as usize))
        else {
            return broken(format!("it gave reason {reason}, and there are {}", reasons.len()));
        };
        let reason = Arc::clone(reason_slot.get_or_insert_with(|| match clean(text, REASON_BYTES) {
            empty if empty.is_empty() => "no reason given".into(),
            text => text.into(),
        }));
        checked.push(Verdict { decision, reason, fault: false });
    }
    Ok(checked)
}

pub(crate) fn problems(problems: Vec<wit::SettingsProblem>) -> Vec<SettingsProblem> {
    let problems = problems.into_iter().take(PROBLEMS);
    let cleaned = problems.map(|wit::SettingsProblem { pointer, message, hint }| SettingsProblem {
        pointer: clean(&pointer, PROBLEM_BYTES),
        message: clean(&message, PROBLEM_BYTES),
        hint: hint.map(|hint| clean(&hint, PROBLEM_BYTES)),
    });
    cleaned.collect()
}

pub(crate) fn level(level: WitLevel) -> Level {
    match level {
        WitLevel::Debug => Level::Debug,
        WitLevel::Info => Level::Info,
        WitLevel::Warn => Level::Warn,
        WitLevel::Error => Level::Error,
    }
}

/// A guest's text, fit for a terminal and a log: one line of at most `bytes`, without characters that control
/// or reorder what is shown.
pub(crate) fn clean(text: &str, bytes: usize) -> String {
    let mut cleaned = String::new();
    for c in text.chars() {
        let c = match c {
            '\n' | '\r' | '\t' => ' ',
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => continue,
            c if c.is_control() => continue,
            c => c,
        };
        if cleaned.len() + c.len_utf8() > bytes {
            cleaned.truncate(cleaned.floor_char_boundary(bytes.saturating_sub('…'.len_utf8())));
            cleaned.push('…');
            break;
        }
        cleaned.push(c);
    }
    cleaned
}

/// Times before 1970 are no times of Apple's.
fn seconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_second()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters_and_says_so() {
        assert_eq!(clean("ééé", 6), "ééé");
        assert_eq!(clean("éééé", 6), "é…");
        assert_eq!(clean("abcdefg", 6), "abc…");
    }

    #[test]
    fn text_cannot_control_a_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\r\nc\u{0}\u{202e}d", 99), "a[31mb  cd");
    }
}
