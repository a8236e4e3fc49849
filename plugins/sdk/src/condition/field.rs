//! What a condition can look at, under the names that operators write.

use crate::assignment::{Context, Device, DeviceFields, ProfileStatus};

/// A field of a device, or the token it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the contract describes them")]
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
    CurrentProfile,
    ProfileAssignTime,
    ProfilePushTime,
    DeviceAssignedBy,
    DeviceAssignedDate,
    MdmMigrationDeadline,
    IsReplacementDevice,
    Imei,
    Meid,
    Eid,
    WifiMacAddress,
    BluetoothMacAddress,
    EthernetMacAddress,
    /// The operator's name for the server token.
    Token,
    /// A field that is younger than the contract.
    Extra(String),
}

/// What can be said about a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Date,
    Flag,
}

impl Field {
    /// Every field with a fixed name, that name, and the flag that asks for it.
    const ALL: [(&'static str, Self, Option<DeviceFields>); 23] = {
        use DeviceFields as Flags;
        [
            ("serial_number", Self::SerialNumber, Some(Flags::SERIAL_NUMBER)),
            ("model", Self::Model, Some(Flags::MODEL)),
            ("description", Self::Description, Some(Flags::DESCRIPTION)),
            ("color", Self::Color, Some(Flags::COLOR)),
            ("asset_tag", Self::AssetTag, Some(Flags::ASSET_TAG)),
            ("os", Self::Os, Some(Flags::OS)),
            ("device_family", Self::DeviceFamily, Some(Flags::DEVICE_FAMILY)),
            // These two come unasked.
            ("profile_status", Self::ProfileStatus, None),
            ("token", Self::Token, None),
            ("profile_uuid", Self::ProfileUuid, Some(Flags::PROFILE_UUID)),
            ("current_profile", Self::CurrentProfile, Some(Flags::CURRENT_PROFILE)),
            ("profile_assign_time", Self::ProfileAssignTime, Some(Flags::PROFILE_ASSIGN_TIME)),
            ("profile_push_time", Self::ProfilePushTime, Some(Flags::PROFILE_PUSH_TIME)),
            ("device_assigned_by", Self::DeviceAssignedBy, Some(Flags::DEVICE_ASSIGNED_BY)),
            ("device_assigned_date", Self::DeviceAssignedDate, Some(Flags::DEVICE_ASSIGNED_DATE)),
            ("mdm_migration_deadline", Self::MdmMigrationDeadline, Some(Flags::MDM_MIGRATION_DEADLINE)),
            ("is_replacement_device", Self::IsReplacementDevice, Some(Flags::IS_REPLACEMENT_DEVICE)),
            ("imei", Self::Imei, Some(Flags::IMEI)),
            ("meid", Self::Meid, Some(Flags::MEID)),
            ("eid", Self::Eid, Some(Flags::EID)),
            ("wifi_mac_address", Self::WifiMacAddress, Some(Flags::WIFI_MAC_ADDRESS)),
            ("bluetooth_mac_address", Self::BluetoothMacAddress, Some(Flags::BLUETOOTH_MAC_ADDRESS)),
            ("ethernet_mac_address", Self::EthernetMacAddress, Some(Flags::ETHERNET_MAC_ADDRESS)),
        ]
    };

    /// The fixed names.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(|(name, ..)| name)
    }

    /// The field with this name in settings.
    pub fn named(name: &str) -> Option<Self> {
        if let Some(extra) = name.strip_prefix("extra.").filter(|extra| !extra.is_empty()) {
            return Some(Self::Extra(extra.to_owned()));
        }
        Self::ALL.into_iter().find(|(known, ..)| *known == name).map(|(_, field, _)| field)
    }

    /// What a policy that looks at it has to ask for.
    pub fn flag(&self) -> DeviceFields {
        match self {
            Self::Extra(_) => DeviceFields::EXTRA,
            field => Self::ALL
                .into_iter()
                .find(|(_, known, _)| known == field)
                .and_then(|(.., flag)| flag)
                .unwrap_or(DeviceFields::empty()),
        }
    }

    /// The names of the fields that are asked for.
    pub fn asked_for(fields: DeviceFields) -> Vec<&'static str> {
        let named = Self::ALL.into_iter().map(|(name, _, flag)| (name, flag));
        let named = named.chain([("extra", Some(DeviceFields::EXTRA))]);
        named
            .filter(|(_, flag)| flag.is_some_and(|flag| fields & flag == flag))
            .map(|(name, _)| name)
            .collect()
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::ProfileAssignTime
            | Self::ProfilePushTime
            | Self::DeviceAssignedDate
            | Self::MdmMigrationDeadline => Kind::Date,
            Self::IsReplacementDevice => Kind::Flag,
            _ => Kind::Text,
        }
    }

    /// The moment, for a field that is one: `Some(None)` where Apple left it out.
    pub(super) fn date(&self, device: &Device) -> Option<Option<u64>> {
        match self {
            Self::ProfileAssignTime => Some(device.profile_assign_time),
            Self::ProfilePushTime => Some(device.profile_push_time),
            Self::DeviceAssignedDate => Some(device.device_assigned_date),
            Self::MdmMigrationDeadline => Some(device.mdm_migration_deadline),
            _ => None,
        }
    }

    /// Whether one of its texts passes. A field that Apple left out is one empty text.
    pub(super) fn any_text(
        &self,
        context: &Context,
        device: &Device,
        passes: &mut dyn FnMut(&str) -> bool,
    ) -> bool {
        let mut one = |text: &Option<String>| passes(text.as_deref().unwrap_or_default());
        match self {
            Self::SerialNumber => passes(&device.serial_number),
            Self::Model => one(&device.model),
            Self::Description => one(&device.description),
            Self::Color => one(&device.color),
            Self::AssetTag => one(&device.asset_tag),
            Self::Os => one(&device.os),
            Self::DeviceFamily => one(&device.device_family),
            Self::ProfileUuid => one(&device.profile_uuid),
            Self::DeviceAssignedBy => one(&device.device_assigned_by),
            Self::Eid => one(&device.eid),
            Self::WifiMacAddress => one(&device.wifi_mac_address),
            Self::BluetoothMacAddress => one(&device.bluetooth_mac_address),
            Self::EthernetMacAddress => one(&device.ethernet_mac_address),
            Self::Imei | Self::Meid => {
                let numbers = if *self == Self::Imei { &device.imei } else { &device.meid };
                match numbers[..] {
                    [] => passes(""),
                    _ => numbers.iter().any(|number| passes(number)),
                }
            }
            Self::ProfileStatus => passes(match device.profile_status {
                ProfileStatus::Empty => "empty",
                ProfileStatus::Assigned => "assigned",
                ProfileStatus::Pushed => "pushed",
                ProfileStatus::Removed => "removed",
            }),
            Self::CurrentProfile => {
                let profile = device.current_profile.and_then(|index| context.profiles.get(index as usize));
                passes(profile.map_or("", String::as_str))
            }
            Self::IsReplacementDevice => passes(match device.is_replacement_device {
                Some(true) => "true",
                Some(false) => "false",
                None => "",
            }),
            Self::Token => passes(&context.token),
            Self::Extra(name) => {
                let found = device.extra.iter().find(|(known, _)| known == name);
                passes(found.map_or("", |(_, text)| text))
            }
            Self::ProfileAssignTime
            | Self::ProfilePushTime
            | Self::DeviceAssignedDate
            | Self::MdmMigrationDeadline => passes(""),
        }
    }
}
