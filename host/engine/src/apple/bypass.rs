//! The code that takes an organisation's Activation Lock off a device again.
//!
//! Whoever locks a device makes up the code, gives Apple only what is derived from it, and must keep
//! it: without it the device can be unlocked by Apple alone. (Apple: "Creating and using bypass
//! codes".)

use std::fmt;
use std::str::FromStr;

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkcs5::pbkdf2_hmac;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretBox, SecretString};

/// Without letters that people take for digits.
const ALPHABET: &[u8; 32] = b"0123456789ACDEFGHJKLMNPQRTUVWXYZ";
/// Five bits each, and three in the last.
const SYMBOLS: usize = 26;
/// A dash stands before these symbols.
const GROUPS: [usize; 5] = [5, 10, 14, 18, 22];
const ROUNDS: usize = 50_000;

/// Sixteen random bytes. Not printed by accident.
pub struct BypassCode(SecretBox<[u8; 16]>);

/// Why a text is no bypass code. The text is not quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a bypass code: it has 26 letters and digits, as in XXXXX-XXXXX-XXXX-XXXX-XXXX-XXXX")]
pub struct NotABypassCode;

impl BypassCode {
    /// A new code.
    pub fn generate() -> Result<Self, ErrorStack> {
        let mut bytes = Zeroizing::new([0; 16]);
        openssl::rand::rand_bytes(&mut *bytes)?;
        Ok(Self::from_bytes(*bytes))
    }

    /// A code that was kept.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(SecretBox::new(Box::new(bytes)))
    }

    /// The bytes, for sealing and for nothing else.
    pub fn expose_bytes_for_sealing(&self) -> Zeroizing<[u8; 16]> {
        Zeroizing::new(*self.0.expose_secret())
    }

    /// The code as a person types it on the device.
    pub fn for_people(&self) -> SecretString {
        // 128 bits, and two zeros in front of the last three: 26 symbols of five.
        let number = u128::from_be_bytes(*self.0.expose_secret());
        let mut text = String::with_capacity(SYMBOLS + GROUPS.len());
        for symbol in 0..SYMBOLS {
            if GROUPS.contains(&symbol) {
                text.push('-');
            }
            let bits = if symbol + 1 < SYMBOLS { number >> (123 - 5 * symbol) & 31 } else { number & 7 };
            text.push(char::from(ALPHABET[bits as usize]));
        }
        SecretString::from(text)
    }

    /// What Apple is given in its place: PBKDF2 with HMAC-SHA-256 over the bytes, four zero bytes as
    /// salt, 50,000 rounds, 32 bytes in hexadecimal digits.
    pub fn escrow_key(&self) -> Result<SecretString, ErrorStack> {
        let mut key = Zeroizing::new([0; 32]);
        pbkdf2_hmac(self.0.expose_secret(), &[0; 4], ROUNDS, MessageDigest::sha256(), &mut *key)?;
        let mut hex = String::with_capacity(64);
        for byte in key.iter() {
            hex.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
            hex.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
        }
        Ok(SecretString::from(hex))
    }
}

impl FromStr for BypassCode {
    type Err = NotABypassCode;

    /// With dashes or without, in capitals or not.
    fn from_str(text: &str) -> Result<Self, NotABypassCode> {
        let mut number = 0_u128;
        let mut symbols = 0;
        for letter in text.trim().chars().filter(|letter| *letter != '-') {
            let letter = letter.to_ascii_uppercase();
            let bits = ALPHABET.iter().position(|it| char::from(*it) == letter).ok_or(NotABypassCode)?;
            symbols += 1;
            number = match symbols {
                ..SYMBOLS => number << 5 | bits as u128,
                SYMBOLS if bits < 8 => number << 3 | bits as u128,
                _ => return Err(NotABypassCode),
            };
        }
        if symbols == SYMBOLS { Ok(Self::from_bytes(number.to_be_bytes())) } else { Err(NotABypassCode) }
    }
}

impl fmt::Debug for BypassCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BypassCode([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 16] = 0x1ea8_41db_5edf_afe6_075b_5ae0_d845_d254_u128.to_be_bytes();
    const TEXT: &str = "3UM43-PUYVY-QYD1-UVCC-HEHJ-FKA4";

    #[test]
    fn the_worked_example_gives_its_code_and_its_key() {
        let code = BypassCode::from_bytes(BYTES);
        assert_eq!(code.for_people().expose_secret(), TEXT);
        assert_eq!(
            code.escrow_key().unwrap().expose_secret(),
            "6ab40d5eabe7218ec04182f461005600c7e3426bddd82cdb405bde9a1e0014b5"
        );
        assert_eq!(format!("{code:?}"), "BypassCode([REDACTED])");
    }

    #[test]
    fn a_code_is_read_as_people_type_it() {
        for text in [TEXT.to_owned(), TEXT.to_lowercase(), TEXT.replace('-', ""), format!(" {TEXT}\n")] {
            assert_eq!(*text.parse::<BypassCode>().unwrap().expose_bytes_for_sealing(), BYTES, "{text}");
        }
        for bytes in [[0; 16], [0xff; 16], *BypassCode::generate().unwrap().expose_bytes_for_sealing()] {
            let text = BypassCode::from_bytes(bytes).for_people();
            assert_eq!(text.expose_secret().len(), 31);
            let again: BypassCode = text.expose_secret().parse().unwrap();
            assert_eq!(*again.expose_bytes_for_sealing(), bytes);
        }
    }

    #[test]
    fn what_is_no_code_is_refused() {
        let (short, long, letter) = (&TEXT[1..], format!("{TEXT}0"), TEXT.replace('U', "I"));
        // The last symbol has three bits only.
        let last = TEXT.replace("FKA4", "FKAZ");
        for text in ["", "-----", short, &long, &letter, &last, &TEXT.replace('3', "é")] {
            assert_eq!(text.parse::<BypassCode>().unwrap_err(), NotABypassCode, "{text}");
        }
    }
}
