//! One condition of a rule: a field, and what it has to be.

use crate::glob::{Glob, is_pattern};
use crate::{Context, Device};

/// What a condition can look at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are Apple's names; `Device` describes them")]
pub enum Field {
    SerialNumber,
    Model,
    Description,
    Color,
    AssetTag,
    Os,
    DeviceFamily,
    ProfileStatus,
    ProfileUuid,
    DeviceAssignedBy,
    DeviceAssignedDate,
    ProfileAssignTime,
    ProfilePushTime,
    /// The operator's name for the server token.
    Token,
    /// A field Apple invented later.
    Extra(String),
}

impl Field {
    /// Every field with a fixed name, and that name.
    pub(crate) const NAMES: [(&'static str, Field); 14] = [
        ("serial_number", Field::SerialNumber),
        ("model", Field::Model),
        ("description", Field::Description),
        ("color", Field::Color),
        ("asset_tag", Field::AssetTag),
        ("os", Field::Os),
        ("device_family", Field::DeviceFamily),
        ("profile_status", Field::ProfileStatus),
        ("profile_uuid", Field::ProfileUuid),
        ("device_assigned_by", Field::DeviceAssignedBy),
        ("device_assigned_date", Field::DeviceAssignedDate),
        ("profile_assign_time", Field::ProfileAssignTime),
        ("profile_push_time", Field::ProfilePushTime),
        ("token", Field::Token),
    ];

    /// The field with this name in settings.
    pub(crate) fn named(name: &str) -> Option<Self> {
        if let Some(extra) = name.strip_prefix("extra.").filter(|extra| !extra.is_empty()) {
            return Some(Self::Extra(extra.to_owned()));
        }
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, field)| field)
    }

    /// Whether it is a moment rather than a text.
    pub(crate) fn is_date(&self) -> bool {
        matches!(self, Self::DeviceAssignedDate | Self::ProfileAssignTime | Self::ProfilePushTime)
    }

    fn text<'a>(&self, context: &Context<'a>, device: &Device<'a>) -> &'a str {
        match self {
            Self::SerialNumber => device.serial_number,
            Self::Model => device.model,
            Self::Description => device.description,
            Self::Color => device.color,
            Self::AssetTag => device.asset_tag,
            Self::Os => device.os,
            Self::DeviceFamily => device.device_family,
            Self::ProfileStatus => device.profile_status,
            Self::ProfileUuid => device.profile_uuid,
            Self::DeviceAssignedBy => device.device_assigned_by,
            Self::Token => context.token,
            Self::Extra(name) => {
                device.extra.iter().find(|(known, _)| known == name).map_or("", |(_, text)| text)
            }
            Self::DeviceAssignedDate | Self::ProfileAssignTime | Self::ProfilePushTime => "",
        }
    }

    fn date(&self, device: &Device) -> Option<u64> {
        match self {
            Self::DeviceAssignedDate => device.device_assigned_date,
            Self::ProfileAssignTime => device.profile_assign_time,
            Self::ProfilePushTime => device.profile_push_time,
            _ => None,
        }
    }
}

/// Which fields a policy looks at.
pub type FieldSet = Vec<Field>;

/// A field, and what it has to be.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) field: Field,
    pub(crate) wanted: Wanted,
}

/// What a field has to be.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// One of these texts, or something one of these patterns fits.
    Text {
        /// Sorted, lower-case: a rule may list thousands of serial numbers.
        exact: Vec<String>,
        globs: Vec<Glob>,
    },
    /// A moment in `after..before`. An unknown moment is in no range.
    Date { after: Option<u64>, before: Option<u64> },
}

impl Wanted {
    /// Any of these texts and patterns.
    pub(crate) fn any_of<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let (mut exact, mut globs) = (Vec::new(), Vec::new());
        for text in texts {
            match is_pattern(text) {
                true => globs.push(Glob::new(text)),
                false => exact.push(text.to_ascii_lowercase()),
            }
        }
        exact.sort_unstable();
        Self::Text { exact, globs }
    }
}

impl Condition {
    pub(crate) fn holds(&self, context: &Context, device: &Device) -> bool {
        match &self.wanted {
            Wanted::Text { exact, globs } => {
                let text = self.field.text(context, device);
                let lower = || text.bytes().map(|byte| byte.to_ascii_lowercase());
                exact.binary_search_by(|wanted| wanted.bytes().cmp(lower())).is_ok()
                    || globs.iter().any(|glob| glob.matches(text))
            }
            Wanted::Date { after, before } => self.field.date(device).is_some_and(|date| {
                after.is_none_or(|after| date >= after) && before.is_none_or(|before| date < before)
            }),
        }
    }
}
