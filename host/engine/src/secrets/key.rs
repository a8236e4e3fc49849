//! The key under which everything is sealed: where it comes from and how it is kept.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use secrecy::zeroize::{Zeroize as _, Zeroizing};
use secrecy::{ExposeSecret as _, ExposeSecretMut as _, SecretBox};

/// 32 random bytes. Does not print itself and is wiped when dropped.
#[derive(Debug)]
pub struct Key(SecretBox<[u8; LENGTH]>);

/// Why there is no key.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be read.
    #[error("could not read the key file {}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: Arc<io::Error>,
    },
    /// Others can read it.
    #[error("the key file {} can be read by others (mode {mode:03o})", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// There is no key in it.
    #[error("{origin} holds no key of 32 bytes, as 64 hexadecimal digits or 44 characters of Base64")]
    NotAKey {
        /// A file or what the operator calls the source.
        origin: String,
    },
    /// A new key must not replace one: it would lock up all that the old one sealed.
    #[error("the key file {} is there already", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("could not write the key file {}", path.display())]
    Unwritable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: Arc<io::Error>,
    },
}

const LENGTH: usize = 32;
/// A key is 64 characters; a file much larger is something else.
const LARGEST: u64 = 4096;

impl Key {
    /// A new key.
    ///
    /// # Panics
    ///
    /// When the system gives no random numbers.
    pub fn generate() -> Self {
        Self(SecretBox::init_with_mut(|bytes: &mut [u8; LENGTH]| {
            openssl::rand::rand_bytes(bytes).expect("the system gives random numbers");
        }))
    }

    /// The key in a file of text: 64 hexadecimal digits or Base64. On Unix, a file that others may
    /// read or write is refused.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        let unreadable =
            |source: io::Error| KeyError::Unreadable { path: path.to_owned(), source: Arc::new(source) };
        let file = File::open(path).map_err(unreadable)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // Of the open file: what is checked is what is read.
            let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(KeyError::Exposed { path: path.to_owned(), mode });
            }
        }
        let mut text = Zeroizing::new(Vec::with_capacity(LARGEST as usize));
        file.take(LARGEST).read_to_end(&mut text).map_err(unreadable)?;
        let origin = path.display().to_string();
        let text = str::from_utf8(&text).map_err(|_| KeyError::NotAKey { origin: origin.clone() })?;
        Self::from_text(text, &origin)
    }

    /// The key in a text, such as the value of an environment variable; `origin` is what the
    /// operator knows it by, for errors.
    pub fn from_text(text: &str, origin: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let mut key = SecretBox::new(Box::new([0; LENGTH]));
        match decode(text, &mut key) {
            Some(()) => Ok(Self(key)),
            None => Err(KeyError::NotAKey { origin: origin.to_owned() }),
        }
    }

    /// Writes the key to a new file that only its owner may read. Never replaces a file.
    pub fn write_new(&self, path: &Path) -> Result<(), KeyError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => KeyError::Exists { path: path.to_owned() },
            _ => KeyError::Unwritable { path: path.to_owned(), source: Arc::new(source) },
        };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let mut text = Zeroizing::new(String::with_capacity(64));
        ENCODED.encode_string(self.bytes(), &mut text);
        text.push('\n');
        let mut file = options.open(path).map_err(failed)?;
        // A key that a power cut takes away takes everything sealed with it along.
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        #[cfg(unix)]
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        }
        Ok(())
    }

    /// The key itself, for the cipher.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// A value that depends on the key and gives nothing away of it.
    pub(super) fn derive(&self, label: &[u8]) -> SecretBox<[u8; LENGTH]> {
        let mut derived = SecretBox::new(Box::new([0; LENGTH]));
        let key = PKey::hmac(self.bytes()).expect("any bytes are a key of HMAC");
        Signer::new(MessageDigest::sha256(), &key)
            .and_then(|mut signer| signer.sign_oneshot(derived.expose_secret_mut(), label))
            .expect("HMAC-SHA256 of a label");
        derived
    }
}

impl KeyError {
    /// What the operator has to do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::Unreadable { .. } => {
                "check the path and the owner of the file, or name another under `[secrets]` in deputy.toml"
                    .to_owned()
            }
            Self::Exposed { path, .. } => format!("chmod 600 {}", path.display()),
            Self::NotAKey { .. } => {
                "restore the key from a backup; for a new one, openssl rand -hex 32 makes a good key"
                    .to_owned()
            }
            Self::Exists { .. } => {
                "keep it if anything was sealed with it; else move it away first".to_owned()
            }
            Self::Unwritable { .. } => "check that the folder is there and may be written to".to_owned(),
        }
    }
}

const ENCODED: GeneralPurpose = engine(&alphabet::STANDARD);
const URL_SAFE: GeneralPurpose = engine(&alphabet::URL_SAFE);

const fn engine(alphabet: &alphabet::Alphabet) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config)
}

/// Hexadecimal by its length, else Base64 of either alphabet.
fn decode(text: &str, key: &mut SecretBox<[u8; LENGTH]>) -> Option<()> {
    let key = key.expose_secret_mut();
    if text.len() == 2 * LENGTH {
        for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |index: usize| char::from(digits[index]).to_digit(16);
            *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
        }
        return Some(());
    }
    // No longer than Base64 of 32 bytes with padding.
    if text.len() > 44 {
        return None;
    }
    let mut bytes = ENCODED.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()?;
    let fits = bytes.len() == LENGTH;
    if fits {
        key.copy_from_slice(&bytes);
    }
    bytes.zeroize();
    fits.then_some(())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn said(result: Result<Key, KeyError>) -> String {
        match result {
            Ok(key) => {
                assert_eq!(format!("{key:?}"), "Key(SecretBox<[u8; 32]>([REDACTED]))");
                format!("key {}", key.id())
            }
            Err(error) => format!("error: {error}\nhint: {}\n", error.advice()),
        }
    }

    /// All of these texts come to the same.
    #[track_caller]
    fn check(texts: &[&str], expected: Expect) {
        let mut found: Vec<String> =
            texts.iter().map(|text| said(Key::from_text(text, "DEPUTY_KEY"))).collect();
        found.dedup();
        expected.assert_eq(&found.join("\n"));
    }

    #[test]
    fn a_key_is_the_same_in_every_notation() {
        check(
            &[
                "fbfffefdfbfffefdfbfffefdfbfffefdfbfffefdfbfffefdfbfffefdfbfffefd\n",
                "FBFFFEFDFBFFFEFDFBFFFEFDFBFFFEFDFBFFFEFDFBFFFEFDFBFFFEFDFBFFFEFD",
                "+//+/fv//v37//79+//+/fv//v37//79+//+/fv//v0=",
                "-__-_fv__v37__79-__-_fv__v37__79-__-_fv__v0",
            ],
            expect!["key 4a7a739292b1c165"],
        );
    }

    #[test]
    fn what_is_no_key_is_not_quoted() {
        check(
            &["", "secret", &"g".repeat(64), &"a".repeat(62), &"é".repeat(32), &"A".repeat(1 << 20)],
            expect![[r#"
                error: DEPUTY_KEY holds no key of 32 bytes, as 64 hexadecimal digits or 44 characters of Base64
                hint: restore the key from a backup; for a new one, openssl rand -hex 32 makes a good key
            "#]],
        );
    }

    #[test]
    fn a_new_key_is_written_once_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deputy.key");
        let key = Key::generate();
        key.write_new(&path).unwrap();
        assert_eq!(Key::from_file(&path).unwrap().id(), key.id());
        assert_ne!(Key::generate().id(), key.id());

        let again = Key::generate().write_new(&path).unwrap_err();
        let again = again.to_string().replace(path.to_str().unwrap(), "PATH");
        assert_eq!(again, "the key file PATH is there already");
        assert_eq!(Key::from_file(&path).unwrap().id(), key.id());
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deputy.key");
        Key::generate().write_new(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let said = said(Key::from_file(&path)).replace(path.to_str().unwrap(), "PATH");
        expect![[r#"
            error: the key file PATH can be read by others (mode 644)
            hint: chmod 600 PATH
        "#]]
        .assert_eq(&said);
    }

    #[test]
    fn a_key_file_that_is_not_there_is_named() {
        expect![[r#"
            error: could not read the key file no/such.key
            hint: check the path and the owner of the file, or name another under `[secrets]` in deputy.toml
        "#]]
        .assert_eq(&said(Key::from_file(Path::new("no/such.key"))));
    }

    #[test]
    fn a_folder_or_a_binary_file_is_no_key() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Key::from_file(folder.path()).is_err());
        let path = folder.path().join("binary");
        Key::generate().write_new(&path).unwrap();
        std::fs::write(&path, [0xff; 32]).unwrap();
        assert!(matches!(Key::from_file(&path), Err(KeyError::NotAKey { .. })));
    }
}
