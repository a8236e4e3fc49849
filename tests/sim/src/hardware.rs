//! The network addresses and numbers of a generated device, all from one number.

use serde::{Serialize, Serializer};

/// What a generated device has besides its serial number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hardware(pub(crate) u32);

impl Hardware {
    /// One of four addresses that no other seed has.
    pub(crate) fn mac(self, nth: u8) -> Ascii<17> {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let mut text = *b"F0:18:00:00:00:00";
        let number = self.0.wrapping_mul(4) + u32::from(nth);
        for (place, byte) in number.to_be_bytes().into_iter().enumerate() {
            text[6 + 3 * place] = DIGITS[usize::from(byte >> 4)];
            text[7 + 3 * place] = DIGITS[usize::from(byte & 15)];
        }
        Ascii(text)
    }

    /// 14 digits and their check digit.
    pub(crate) fn imei(self, nth: u64) -> Ascii<15> {
        luhn(35_000_000_000_000 + (u64::from(self.0) * 2 + nth) % 1_000_000_000_000)
    }

    pub(crate) fn eid(self) -> Ascii<32> {
        let mut text = *b"89049032000000000000000000000000";
        decimal(u64::from(self.0), &mut text[10..]);
        Ascii(text)
    }
}

/// Appends the check digit of an IMEI.
fn luhn(number: u64) -> Ascii<15> {
    let mut text = [b'0'; 15];
    decimal(number, &mut text[..14]);
    let sum = text[..14].iter().rev().enumerate().fold(0, |sum, (place, byte)| {
        let digit = byte - b'0';
        sum + if place % 2 == 0 { digit * 2 / 10 + digit * 2 % 10 } else { digit }
    });
    text[14] = b'0' + (10 - sum % 10) % 10;
    Ascii(text)
}

/// Writes a number so that it ends where the text ends.
fn decimal(mut number: u64, text: &mut [u8]) {
    for byte in text.iter_mut().rev() {
        *byte = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// A text of a known length, written without asking for memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ascii<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> Serialize for Ascii<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(str::from_utf8(&self.0).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<const N: usize>(text: Ascii<N>, expected: &str) {
        assert_eq!(serde_json::to_value(text).unwrap(), expected);
    }

    #[test]
    fn the_check_digit_of_an_imei_is_right() {
        check(luhn(49_015_420_323_751), "490154203237518");
    }

    #[test]
    fn every_seed_has_its_own_addresses_and_numbers() {
        check(Hardware(0x00AB_CDEF).mac(1), "F0:18:02:AF:37:BD");
        check(Hardware(7).imei(1), "350000000000154");
        check(Hardware(u32::MAX).eid(), "89049032000000000000004294967295");
    }
}
