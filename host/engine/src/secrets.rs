//! Sealing: what Deputy must keep secret is stored encrypted, under a key that is not stored with it.
//!
//! AES-256-GCM. What is sealed says with which key, so that a wrong key is told apart from damage,
//! and is bound to its purpose, so that a value moved to another place in the store does not open
//! there. Where the key comes from is the operator's choice; where sealed values go, the store's.

mod key;

pub use key::{Key, KeyError};

use std::fmt;

use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretSlice};

/// Why a sealed value did not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Another key sealed it.
    #[error("{purpose} was sealed with the key {sealed_with}, and this is the key {ours}")]
    WrongKey {
        /// What the value is.
        purpose: String,
        /// Which key opens it.
        sealed_with: KeyId,
        /// The key that was tried.
        ours: KeyId,
    },
    /// Cut off or changed, or taken from where it belongs.
    #[error("the sealed form of {purpose} is damaged, or belongs elsewhere")]
    Damaged {
        /// What the value is.
        purpose: String,
    },
    /// Sealed in a way that this version does not know.
    #[error("{purpose} was sealed by a newer Deputy")]
    Newer {
        /// What the value is.
        purpose: String,
    },
}

/// Tells keys apart without telling anything about them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; KEY_ID]);

/// First byte of everything sealed: how the rest is to be read.
const VERSION: u8 = 1;
const KEY_ID: usize = 8;
const NONCE: usize = 12;
const TAG: usize = 16;
/// Version, key id.
const HEADER: usize = 1 + KEY_ID;

/// Seals a value for `purpose`, such as `token emea credentials`; only the same purpose opens it.
///
/// The nonce is random: safe for some four thousand million values under one key.
///
/// # Panics
///
/// When the system gives no random numbers.
pub fn seal(key: &Key, purpose: &str, plaintext: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(HEADER + NONCE + plaintext.len() + TAG);
    sealed.push(VERSION);
    sealed.extend_from_slice(&key.id().0);
    let bound = bound(&sealed, purpose);
    let mut nonce = [0; NONCE];
    openssl::rand::rand_bytes(&mut nonce).expect("the system gives random numbers");
    let mut tag = [0; TAG];
    let ciphertext =
        encrypt_aead(Cipher::aes_256_gcm(), key.bytes(), Some(&nonce), &bound, plaintext, &mut tag)
            .expect("AES-256-GCM encrypts anything");
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&ciphertext);
    sealed.extend_from_slice(&tag);
    sealed
}

/// Opens what [`seal`] made for the same purpose with the same key.
pub fn open(key: &Key, purpose: &str, sealed: &[u8]) -> Result<SecretSlice<u8>, OpenError> {
    let damaged = || OpenError::Damaged { purpose: purpose.to_owned() };
    let (header, rest) = sealed.split_first_chunk::<HEADER>().ok_or_else(damaged)?;
    let [version, id @ ..] = *header;
    if version != VERSION {
        // A version that comes later is the likelier the closer it is.
        let newer = (VERSION + 1..VERSION + 8).contains(&version);
        return Err(if newer { OpenError::Newer { purpose: purpose.to_owned() } } else { damaged() });
    }
    if id != key.id().0 {
        let (sealed_with, ours) = (KeyId(id), key.id());
        return Err(OpenError::WrongKey { purpose: purpose.to_owned(), sealed_with, ours });
    }
    let (nonce, rest) = rest.split_first_chunk::<NONCE>().ok_or_else(damaged)?;
    let (ciphertext, tag) = rest.split_last_chunk::<TAG>().ok_or_else(damaged)?;
    let bound = bound(header, purpose);
    decrypt_aead(Cipher::aes_256_gcm(), key.bytes(), Some(nonce), &bound, ciphertext, tag)
        // Copied at its exact size: shrinking a vector would leave what it held behind.
        .map(|plaintext| SecretSlice::from(Zeroizing::new(plaintext).to_vec()))
        .map_err(|_| damaged())
}

/// How everything begins that this key sealed.
pub fn header(key: KeyId) -> Vec<u8> {
    [&[VERSION][..], &key.0].concat()
}

/// What is not encrypted but must not be changed either.
fn bound(header: &[u8], purpose: &str) -> Vec<u8> {
    [header, purpose.as_bytes()].concat()
}

impl OpenError {
    /// What the operator has to do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::WrongKey { sealed_with, .. } => format!(
                "name the key {sealed_with} under `[secrets]` in deputy.toml; if it is lost, request and import the \
                 server tokens again"
            ),
            Self::Damaged { .. } => {
                "restore the database from a backup, or enter the secret again: for a server token, run \
                 `deputy token request NAME` and `deputy token import NAME FILE`"
                    .to_owned()
            }
            Self::Newer { .. } => "run the Deputy that made the database, or a newer one".to_owned(),
        }
    }
}

impl Key {
    /// Names the key: the first bytes of the digest of a value derived from it.
    pub fn id(&self) -> KeyId {
        let derived = self.derive(b"deputy key id 1");
        let digest = openssl::sha::sha256(derived.expose_secret());
        let mut id = [0; KEY_ID];
        id.copy_from_slice(&digest[..KEY_ID]);
        KeyId(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn key(letter: char) -> Key {
        Key::from_text(&letter.to_string().repeat(64), "the test").unwrap()
    }

    /// Seals `secret` for `token emea`, lets `change` at it and opens it with the key of
    /// `letter` for `purpose`.
    #[track_caller]
    fn check(letter: char, purpose: &str, change: impl FnOnce(&mut Vec<u8>), expected: Expect) {
        let mut sealed = seal(&key('a'), "token emea", b"secret");
        change(&mut sealed);
        let found = match open(&key(letter), purpose, &sealed) {
            Ok(plaintext) => {
                assert_eq!(format!("{plaintext:?}"), "SecretBox<[u8]>([REDACTED])");
                String::from_utf8(plaintext.expose_secret().to_vec()).unwrap()
            }
            Err(error) => format!("error: {error}\nhint: {}\n", error.advice()),
        };
        expected.assert_eq(&found);
    }

    #[test]
    fn what_is_sealed_opens() {
        check('a', "token emea", |_| {}, expect!["secret"]);
    }

    #[test]
    fn a_wrong_key_is_told_apart_from_damage() {
        check(
            'b',
            "token emea",
            |_| {},
            expect![[r#"
            error: token emea was sealed with the key 009745924f5e8954, and this is the key a2769d0a6849a77a
            hint: name the key 009745924f5e8954 under `[secrets]` in deputy.toml; if it is lost, request and import the server tokens again
        "#]],
        );
        check(
            'a',
            "token emea",
            |sealed| sealed[25] ^= 1,
            expect![[r#"
            error: the sealed form of token emea is damaged, or belongs elsewhere
            hint: restore the database from a backup, or enter the secret again: for a server token, run `deputy token request NAME` and `deputy token import NAME FILE`
        "#]],
        );
    }

    #[test]
    fn a_value_moved_to_another_place_does_not_open() {
        check(
            'a',
            "token amer",
            |_| {},
            expect![[r#"
            error: the sealed form of token amer is damaged, or belongs elsewhere
            hint: restore the database from a backup, or enter the secret again: for a server token, run `deputy token request NAME` and `deputy token import NAME FILE`
        "#]],
        );
    }

    #[test]
    fn a_later_version_is_not_called_damage() {
        check(
            'a',
            "token emea",
            |sealed| sealed[0] = 2,
            expect![[r#"
            error: token emea was sealed by a newer Deputy
            hint: run the Deputy that made the database, or a newer one
        "#]],
        );
    }

    #[test]
    fn no_changed_byte_and_no_missing_one_goes_unnoticed() {
        let sealed = seal(&key('a'), "token emea", b"secret");
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 0x40;
            assert!(open(&key('a'), "token emea", &changed).is_err(), "byte {index}");
            assert!(open(&key('a'), "token emea", &sealed[..index]).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn the_same_value_is_never_sealed_the_same_way_twice() {
        assert_ne!(seal(&key('a'), "token emea", b"secret"), seal(&key('a'), "token emea", b"secret"));
    }

    #[test]
    fn nothing_at_all_can_be_sealed() {
        let sealed = seal(&key('a'), "", b"");
        assert_eq!(sealed.len(), HEADER + NONCE + TAG);
        assert!(open(&key('a'), "", &sealed).unwrap().expose_secret().is_empty());
    }

    #[test]
    fn what_an_earlier_deputy_sealed_still_opens() {
        let sealed = "01009745924f5e8954026f390c5817af03ccabc73f243d7dd49b993e57c43909218e578a7478cdef050eff";
        let sealed: Vec<u8> = (0..sealed.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&sealed[at..at + 2], 16).unwrap())
            .collect();
        assert_eq!(open(&key('a'), "token emea", &sealed).unwrap().expose_secret(), b"secret");
    }
}
