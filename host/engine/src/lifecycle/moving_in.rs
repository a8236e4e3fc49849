//! Tokens that another program has kept: what it left on the disk, turned into something to import.
//!
//! Read only, and nothing but the token and the keys that belong to it: devices and cursors are
//! Apple's to tell, and a full fetch tells them. What is understood is told apart by its content, so
//! that one command takes all of it.

mod bolt;
mod json;
mod micromdm;
mod nanodep;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;

use super::Incoming;
use crate::apple::token_file::{KeyPair, TokenFileError};
use crate::apple::{Credentials, NotCredentials};

/// What was found.
pub struct Found {
    /// The token, or the file that holds it.
    pub incoming: Incoming,
    /// In words, where it was; none for a file of Apple's portal.
    pub from: Option<String>,
}

/// Why nothing can be taken from a file or folder.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: Arc<io::Error>,
    },
    /// Larger than any token.
    #[error("{} has {size} bytes; a token file has some 2,000", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// How large it is.
        size: u64,
    },
    /// It is JSON and no token.
    #[error("{} holds no server token", path.display())]
    NotAToken {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: NotCredentials,
    },
    /// A folder without anything of a program that we know.
    #[error("{} is no storage folder of nanodep: it has neither `consumer_key.NAME` nor `NAME.tokens.json`", .0.display())]
    NotNanodep(PathBuf),
    /// A database or list without tokens.
    #[error("{} holds no server token", .0.display())]
    NoTokenInside(PathBuf),
    /// The database cannot be understood.
    #[error("{} cannot be read as a Bolt database: {why}", path.display())]
    Bolt {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// It holds several tokens.
    #[error("{} holds several tokens: {}", path.display(), entries.join(", "))]
    Several {
        /// Which.
        path: PathBuf,
        /// What they are called there.
        entries: Vec<String>,
    },
    /// It does not hold the one that was asked for.
    #[error("{} holds no `{entry}`, but {}", path.display(), entries.join(", "))]
    NoEntry {
        /// Which.
        path: PathBuf,
        /// What was asked for.
        entry: String,
        /// What there is.
        entries: Vec<String>,
    },
    /// A key pair beside the token cannot be used.
    #[error("the key pair {what} cannot be used")]
    KeyPair {
        /// Where it is.
        what: String,
        /// Why not.
        #[source]
        source: TokenFileError,
    },
    /// A key pair was named although one comes with the token, or none is needed.
    #[error("{} comes with its keys; another key pair cannot be named beside it", .0.display())]
    NeedlessKey(PathBuf),
}

/// A key pair in files, as other programs write them: PEM.
#[derive(Clone, Debug)]
pub struct KeyFiles {
    /// The certificate that was uploaded to Apple's portal.
    pub certificate: PathBuf,
    /// Its private key, without a password.
    pub private_key: PathBuf,
}

/// A token with the key pairs that were kept beside it, and what it is called there.
struct Entry {
    name: String,
    credentials: Credentials,
    pair: Option<KeyPair>,
    pending: Option<KeyPair>,
}

/// A token that does not say whose it was.
const JSON: &str = "JSON";

/// Larger than any token file or JSON of tokens.
const LARGEST: u64 = 1 << 20;

/// Reads whatever holds a token: a file of Apple's portal, a token as JSON, the answer of MicroMDM's
/// API, MicroMDM's database, or nanodep's folder. `entry` chooses where there are several.
pub fn read(path: &Path, entry: Option<&str>, keys: Option<&KeyFiles>) -> Result<Found, Error> {
    let unreadable =
        |source: io::Error| Error::Unreadable { path: path.to_owned(), source: Arc::new(source) };
    let pair = keys.map(read_pair).transpose()?;
    let file = File::open(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if about.is_dir() {
        return chosen(path, entry, pair, nanodep::read(path, entry)?, "nanodep");
    }
    if bolt::is_one(&file) {
        return chosen(path, entry, pair, micromdm::read(path, file)?, "MicroMDM");
    }
    if about.len() > LARGEST {
        return Err(Error::TooLarge { path: path.to_owned(), size: about.len() });
    }
    let mut content = Vec::with_capacity(about.len() as usize);
    // A pipe says nothing of its size.
    file.take(LARGEST + 1).read_to_end(&mut content).map_err(unreadable)?;
    if !json::is_one(&content) {
        let incoming = match pair {
            Some(pair) => Incoming::FileWithKey(content, pair),
            None => Incoming::File(content),
        };
        return Ok(Found { incoming, from: None });
    }
    let entries =
        json::read(&content).map_err(|source| Error::NotAToken { path: path.to_owned(), source })?;
    chosen(path, entry, pair, entries, JSON)
}

/// The one entry there is, or the one that was asked for.
fn chosen(
    path: &Path,
    wanted: Option<&str>,
    named: Option<KeyPair>,
    mut entries: Vec<Entry>,
    program: &str,
) -> Result<Found, Error> {
    if named.is_some() && program != JSON {
        return Err(Error::NeedlessKey(path.to_owned()));
    }
    let names = || entries.iter().map(|entry| entry.name.clone()).collect();
    let at = match wanted {
        Some(wanted) => entries.iter().position(|entry| entry.name == wanted).ok_or_else(|| {
            Error::NoEntry { path: path.to_owned(), entry: wanted.to_owned(), entries: names() }
        })?,
        None if entries.len() > 1 => return Err(Error::Several { path: path.to_owned(), entries: names() }),
        None => 0,
    };
    if entries.is_empty() {
        return Err(Error::NoTokenInside(path.to_owned()));
    }
    let Entry { name, credentials, pair, pending } = entries.swap_remove(at);
    let pair = pair.or(named);
    let keys = match (&pair, &pending) {
        (Some(_), Some(_)) => "with its key pair and one of an open request",
        (Some(_), None) => "with its key pair",
        (None, Some(_)) => "with the key pair of an open request",
        (None, None) => "without a key pair",
    };
    let what = if program == JSON { "a token as JSON".to_owned() } else { format!("`{name}` of {program}") };
    let from = format!("{what}, {keys}");
    Ok(Found { incoming: Incoming::Open { credentials, pair, pending }, from: Some(from) })
}

fn read_pair(files: &KeyFiles) -> Result<KeyPair, Error> {
    let certificate = text(&files.certificate)?;
    let private_key = SecretString::from(text(&files.private_key)?);
    KeyPair::from_pem(certificate, &private_key).map_err(|source| Error::KeyPair {
        what: format!("{} and {}", files.certificate.display(), files.private_key.display()),
        source,
    })
}

/// A small file of text.
fn text(path: &Path) -> Result<String, Error> {
    let unreadable =
        |source: io::Error| Error::Unreadable { path: path.to_owned(), source: Arc::new(source) };
    let mut text = String::new();
    File::open(path).map_err(unreadable)?.take(LARGEST).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

impl Error {
    /// What a person can do about it.
    pub fn advice(&self) -> Option<String> {
        Some(match self {
            Self::TooLarge { .. } => "name the `…_smime.p7m` file from Apple's portal".to_owned(),
            Self::NotAToken { .. } => "a token as JSON has consumer_key, consumer_secret, access_token, \
                 access_secret and access_token_expiry; the file from Apple's portal, as it is, will do as well"
                .to_owned(),
            Self::NotNanodep(_) => {
                "name the folder that nanodep was given with `-storage-dsn`; for its MySQL and PostgreSQL storage, \
                 import what `GET /v1/tokens/NAME` answers"
                    .to_owned()
            }
            Self::NoTokenInside(_) => "name MicroMDM's micromdm.db, or import the answer of its `GET \
                 /v1/dep-tokens`"
                .to_owned(),
            Self::Bolt { .. } => {
                "stop MicroMDM first, copy the whole file, and import the copy; or import the answer of its `GET \
                 /v1/dep-tokens`"
                    .to_owned()
            }
            Self::Several { .. } => "choose one with `--entry`".to_owned(),
            Self::NoEntry { .. } => return None,
            Self::KeyPair { source: TokenFileError::LockedKey, .. } => {
                "a key with a password is opened with `openssl pkey -in KEY.pem -out OPEN.pem`".to_owned()
            }
            Self::KeyPair { .. } => {
                "name the private key and the certificate that were made together".to_owned()
            }
            Self::NeedlessKey(_) => "leave out `--certificate` and `--private-key`".to_owned(),
            Self::Unreadable { .. } => return None,
        })
    }

    /// The operator named the wrong thing, rather than that the thing is wrong.
    pub fn is_about_usage(&self) -> bool {
        match self {
            Self::Unreadable { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Self::TooLarge { .. } | Self::Several { .. } | Self::NoEntry { .. } | Self::NeedlessKey(_) => {
                true
            }
            _ => false,
        }
    }
}
