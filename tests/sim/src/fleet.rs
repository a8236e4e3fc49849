//! A fleet that looks like one: what an organisation of some size would have bought.
//!
//! The same seed makes the same devices, on every machine and in every version, so the numbers come from
//! a generator written out here and not from a library. Serial numbers look like Apple's older ones
//! (factory, year, week, number, model) and never repeat within the first 33 million of a seed.

use crate::device::{Device, Kind};
use crate::dice::mix;
use crate::view::View;
use std::sync::Arc;

/// The devices of a seed without a server for them, each in Apple's JSON, as many as are wanted: the very
/// ones that [`Control::generate_fleet`](crate::Control::generate_fleet) adds to a server of this name
/// whose devices come by Apple's own rules. `now` is when they arrived, in seconds since 1970.
pub fn fleet(seed: u64, name: &str, now: i64) -> impl Iterator<Item = String> + use<> {
    let mut generator = Generator::new(seed, name, "-1");
    std::iter::repeat_with(move || {
        let device = generator.device(now);
        // Newer than any version there is: with everything.
        let view = View { device: &device, version: u32::MAX, op: None, response_status: None };
        serde_json::to_string(&view).expect("a device is always JSON")
    })
}

/// Makes the devices of one seed, one after the other.
#[derive(Debug)]
pub(crate) struct Generator {
    seed: u64,
    next: u64,
    library: u32,
    executives: u32,
    sorts: Vec<Sort>,
}

/// A sort of device: how many in a thousand, the factory and model letters of its serial numbers.
#[derive(Debug)]
struct Sort {
    share: u64,
    factory: &'static str,
    model_code: &'static str,
    kind: Arc<Kind>,
}

impl Generator {
    /// `name` keeps the fleets of two servers apart that are given the same seed.
    pub(crate) fn new(seed: u64, name: &str, assigned_by: &str) -> Self {
        let name = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self { seed: mix(seed ^ name), next: 0, library: 0, executives: 0, sorts: sorts(assigned_by) }
    }

    pub(crate) fn device(&mut self, now: i64) -> Device {
        let nth = self.next;
        self.next += 1;
        let chance = mix(self.seed ^ mix(nth));
        let sort = pick(&self.sorts, chance % 1000);
        let mut serial = [0; 12];
        serial[..3].copy_from_slice(sort.factory.as_bytes());
        serial[3..8].copy_from_slice(&five(self.seed, nth));
        serial[8..].copy_from_slice(sort.model_code.as_bytes());
        let serial = str::from_utf8(&serial).unwrap_or_default();
        let device = Device::new(serial, sort.kind.clone(), now);
        let mut device = device.generated((chance >> 32) as u32);
        let tag_chance = (chance >> 12) % 100;
        match sort.kind.family.as_deref() {
            // Three in ten iPads are lent by the library.
            Some("iPad") if tag_chance < 30 => {
                self.library += 1;
                device.set_asset_tag(Some(format!("LIB-{:04}", self.library)));
            }
            // Four in a hundred Macs belong to executives.
            Some("Mac") if tag_chance < 4 => {
                self.executives += 1;
                device.set_asset_tag(Some(format!("EXEC-{:03}", self.executives)));
            }
            _ => {}
        }
        device
    }
}

/// The 25 lowest bits of a number that is different for every `nth`, in the letters of serial numbers.
fn five(seed: u64, nth: u64) -> [u8; 5] {
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKLMNPQRTVWXYZ";
    // An odd factor and an offset permute the numbers below 2^25.
    let number = nth.wrapping_mul(seed | 1).wrapping_add(seed >> 25) & 0x1ff_ffff;
    [20, 15, 10, 5, 0].map(|place| LETTERS[(number >> place) as usize & 31])
}

fn pick(sorts: &[Sort], mut chance: u64) -> &Sort {
    for sort in sorts {
        if chance < sort.share {
            return sort;
        }
        chance -= sort.share;
    }
    &sorts[0]
}

/// Shares add up to 1000: half Macs, a third iPads, the rest telephones and televisions.
fn sorts(assigned_by: &str) -> Vec<Sort> {
    let sort =
        |share, factory, model_code, os: &str, family: &str, model: &str, description: &str, color: &str| {
            let kind = Kind {
                model: model.into(),
                description: Some(description.into()),
                color: Some(color.into()),
                os: Some(os.into()),
                family: Some(family.into()),
                assigned_by: assigned_by.into(),
            };
            Sort { share, factory, model_code, kind: Arc::new(kind) }
        };
    vec![
        sort(
            150,
            "C02",
            "Q6L4",
            "OSX",
            "Mac",
            "MacBook Air",
            "MBA 13.6 MIDNIGHT/M4/16GB/256GB-GBR",
            "MIDNIGHT",
        ),
        sort(110, "FVF", "Q6L7", "OSX", "Mac", "MacBook Air", "MBA 15.3 SILVER/M4/16GB/512GB-FRA", "SILVER"),
        sort(
            120,
            "C02",
            "MD6T",
            "OSX",
            "Mac",
            "MacBook Pro",
            "MBP 14.2 SPACE BLACK/M4/16GB/512GB-GBR",
            "SPACE BLACK",
        ),
        sort(
            60,
            "C17",
            "MD6V",
            "OSX",
            "Mac",
            "MacBook Pro",
            "MBP 16.2 SILVER/M4 PRO/24GB/512GB-DEU",
            "SILVER",
        ),
        sort(30, "D25", "PJ7Q", "OSX", "Mac", "iMac", "IMAC 24 BLUE/M4/16GB/256GB-FRA", "BLUE"),
        sort(30, "H2W", "QMWY", "OSX", "Mac", "Mac mini", "MAC MINI M4/16GB/256GB-USA", "SILVER"),
        sort(180, "DMP", "STQ2", "iPadOS", "iPad", "iPad (A16)", "IPAD WI-FI 128GB BLUE-GBR", "BLUE"),
        sort(90, "DLX", "STQ5", "iPadOS", "iPad", "iPad (A16)", "IPAD WI-FI 128GB SILVER-FRA", "SILVER"),
        sort(
            40,
            "GG7",
            "NTH9",
            "iPadOS",
            "iPad",
            "iPad Air 11-inch (M3)",
            "IPAD AIR 11 WI-FI 128GB PURPLE-USA",
            "PURPLE",
        ),
        sort(70, "F9F", "Q1GH", "iOS", "iPhone", "iPhone 17", "IPHONE 17 BLACK 256GB-GBR", "BLACK"),
        sort(50, "G6T", "Q1GK", "iOS", "iPhone", "iPhone 17", "IPHONE 17 SAGE 256GB-DEU", "SAGE"),
        sort(20, "DNQ", "PLJM", "iOS", "iPhone", "iPhone 16e", "IPHONE 16E WHITE 128GB-FRA", "WHITE"),
        sort(
            50,
            "C07",
            "LKXR",
            "tvOS",
            "AppleTV",
            "Apple TV 4K",
            "APPLE TV 4K WI-FI + ETHERNET 128GB-USA",
            "BLACK",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use std::collections::{BTreeMap, HashSet};

    fn check(seed: u64, name: &str, expect: Expect) {
        let mut generator = Generator::new(seed, name, "-1");
        let lines = (0..6).map(|_| {
            let device = generator.device(0);
            format!("{} {} {}\n", device.serial, device.kind.model, device.asset_tag().unwrap_or_default())
        });
        expect.assert_eq(&lines.collect::<String>());
    }

    #[test]
    fn the_same_seed_makes_the_same_fleet_for_ever() {
        check(
            1,
            "emea",
            expect![[r#"
            C07GL95WLKXR Apple TV 4K 
            DLX8YZMXSTQ5 iPad (A16) 
            C0219N5YQ6L4 MacBook Air 
            C02RLCMZMD6T MacBook Pro 
            G6THZ360Q1GK iPhone 17 
            C07A9RN1LKXR Apple TV 4K 
        "#]],
        );
    }

    #[test]
    fn another_server_has_other_devices() {
        check(
            1,
            "amer",
            expect![[r#"
            FVFFALHQQ6L7 MacBook Air 
            DLXNJ5Y7STQ5 iPad (A16) LIB-0001
            GG7XRPANNTH9 iPad Air 11-inch (M3) 
            DMP518P5STQ2 iPad (A16) LIB-0002
            GG7C8T3LNTH9 iPad Air 11-inch (M3) LIB-0003
            C02KGBG3Q6L4 MacBook Air 
        "#]],
        );
    }

    #[test]
    fn serial_numbers_never_repeat_and_every_family_is_there() {
        for seed in [0, 1, 42, u64::MAX] {
            let mut generator = Generator::new(seed, "emea", "-1");
            let mut serials = HashSet::new();
            let mut families = BTreeMap::new();
            for _ in 0..50_000 {
                let device = generator.device(0);
                assert!(
                    serials.insert(device.serial.to_string()),
                    "{} twice with seed {seed}",
                    device.serial
                );
                *families.entry(device.kind.family.clone().unwrap()).or_insert(0) += 1;
            }
            assert!(families.values().all(|count| *count > 2_000), "{families:?}");
            assert!(generator.library > 3_000 && generator.executives > 500);
        }
    }

    #[test]
    fn the_shares_add_up() {
        assert_eq!(sorts("-1").iter().map(|sort| sort.share).sum::<u64>(), 1000);
    }
}
