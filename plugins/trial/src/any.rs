//! Devices made by chance, for what must hold of all of them.

use deputy_policy::assignment::{Device, ProfileStatus};
use proptest::prelude::*;

prop_compose! {
    /// A device of which some things are known. Serial numbers are short, so that some come twice.
    pub fn any_device()(
        serial_number in "[A-Z0-9]{1,3}",
        model in prop::option::of(prop::sample::select(vec!["MacBook Pro", "iPad", "iPhone"])),
        asset_tag in prop::option::of("[A-Z]{0,2}"),
        device_assigned_date in prop::option::of(0..4_000_000_000_u64),
    ) -> Device {
        Device {
            serial_number,
            model: model.map(str::to_owned),
            asset_tag,
            device_assigned_date,
            description: None,
            color: None,
            os: None,
            device_family: None,
            profile_status: ProfileStatus::Empty,
            profile_uuid: None,
            current_profile: None,
            profile_assign_time: None,
            profile_push_time: None,
            device_assigned_by: None,
            mdm_migration_deadline: None,
            is_replacement_device: None,
            imei: vec![],
            meid: vec![],
            eid: None,
            wifi_mac_address: None,
            bluetooth_mac_address: None,
            ethernet_mac_address: None,
            extra: vec![],
        }
    }
}
