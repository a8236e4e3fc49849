//! Devices as Apple never sent them, and may tomorrow: what a policy has to take without failing.
//!
//! The same every time, so that what fails once can be looked at again.

use domain::device::{Device, ProfileStatus};
use jiff::Timestamp;

/// How many there are.
pub(super) const ODD: usize = 300;

/// The odd devices.
pub(super) fn devices() -> Vec<Device> {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    (0..ODD).map(|nth| device(nth, &mut dice)).collect()
}

/// Puts things in another order, the same every time.
pub(super) fn shuffle<T>(things: &mut [T]) {
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    for last in (1..things.len()).rev() {
        things.swap(last, dice.below(last + 1));
    }
}

fn device(nth: usize, dice: &mut Dice) -> Device {
    // Whatever is printable may be in one: somebody will have put it there.
    let letters: String = (0..dice.below(50)).map(|_| char::from(b'!' + dice.below(94) as u8)).collect();
    let serial = format!("ODD{nth:04}{letters}").parse().expect("that is printable and short");
    let mut device = Device::new(serial);
    let statuses =
        [ProfileStatus::Empty, ProfileStatus::Assigned, ProfileStatus::Pushed, ProfileStatus::Removed];
    device.profile_status = statuses[dice.below(4)];
    // A removed device may go on naming its profile, an assigned one may leave it out.
    device.profile_uuid = dice.maybe(|dice| {
        let id: String = (0..32).map(|_| char::from(b"0123456789ABCDEF"[dice.below(16)])).collect();
        id.parse().expect("that is an id")
    });
    device.model = dice.maybe(text);
    device.description = dice.maybe(text);
    device.color = dice.maybe(text);
    device.asset_tag = dice.maybe(text);
    device.os =
        dice.maybe(|dice| word(dice, &["iOS", "iPadOS", "OSX", "tvOS", "visionOS", "watchOS", "ios"]));
    device.device_family = dice
        .maybe(|dice| word(dice, &["iPad", "iPhone", "Mac", "AppleTV", "Vision", "Watch", "HomePod", "mac"]));
    device.device_assigned_by = dice.maybe(|dice| word(dice, &["-1", "it@example.com", "@", "nobody"]));
    device.profile_assign_time = dice.maybe(time);
    device.profile_push_time = dice.maybe(time);
    device.device_assigned_date = dice.maybe(time);
    for name in
        ["imei", "mdm_migration_deadline", "is_replacement_device", "wifi_mac_address", "new_field", ""]
    {
        if let Some(text) = dice.maybe(text) {
            device.extra.insert(name.to_owned(), text);
        }
    }
    device
}

/// One that is known, or any.
fn word(dice: &mut Dice, known: &[&str]) -> String {
    if dice.below(4) == 0 { text(dice) } else { known[dice.below(known.len())].to_owned() }
}

/// Empty, blank, very long, of every plane of Unicode, or what a careless program takes for something.
fn text(dice: &mut Dice) -> String {
    match dice.below(8) {
        0 => String::new(),
        1 => " \t\n\r\0 ".to_owned(),
        2 => "x".repeat(1 + dice.below(20_000)),
        3 => "é🦀".repeat(1 + dice.below(2_000)),
        4 => {
            let odd =
                ["null", "[]", "{\"a\":1}", "*", "?", "[", "\\", "%s", "../..", "-1", "NaN", "1e999", "'\"`"];
            odd[dice.below(odd.len())].to_owned()
        }
        5 => "e\u{301}\u{200d}\u{202e}\u{feff}\u{fffd}".repeat(1 + dice.below(9)),
        _ => (0..17).flat_map(|plane| [plane_letter(dice, plane), plane_letter(dice, plane)]).collect(),
    }
}

fn plane_letter(dice: &mut Dice, plane: usize) -> char {
    let point = (plane << 16) + dice.below(1 << 16);
    char::from_u32(point as u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn time(dice: &mut Dice) -> Timestamp {
    let seconds = [0, 1, 1_767_949_200, 4_102_444_800, 253_402_207_200, -62_135_596_800];
    Timestamp::from_second(seconds[dice.below(seconds.len())]).expect("a calendar has it")
}

/// Chance that is the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        // xorshift64*, which is enough for variety.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end.max(1)
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(3) > 0).then(|| make(self))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn odd_devices_are_the_same_every_time_and_have_something_of_everything() {
        let devices = devices();
        assert_eq!(devices, super::devices());
        let serials: BTreeSet<_> = devices.iter().map(|device| &device.serial_number).collect();
        assert_eq!(serials.len(), ODD);
        let texts: Vec<&str> = devices.iter().filter_map(|device| device.model.as_deref()).collect();
        assert!(texts.contains(&""));
        assert!(texts.iter().any(|text| text.len() > 10_000));
        let planes: BTreeSet<u32> =
            texts.iter().flat_map(|text| text.chars()).map(|letter| u32::from(letter) >> 16).collect();
        assert_eq!(planes.len(), 17);
        assert!(
            devices.iter().any(
                |device| device.profile_status == ProfileStatus::Removed && device.profile_uuid.is_some()
            )
        );
    }

    #[test]
    fn a_shuffle_loses_nothing_and_changes_the_order() {
        let mut things: Vec<usize> = (0..100).collect();
        shuffle(&mut things);
        assert_ne!(things, (0..100).collect::<Vec<_>>());
        things.sort_unstable();
        assert_eq!(things, (0..100).collect::<Vec<_>>());
    }
}
