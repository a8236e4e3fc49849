//! Where a channel's secret is: never in the configuration.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use crate::store::Reason;

/// A password is a line; a file much larger is something else.
const LARGEST: u64 = 16 * 1024;

/// Where a secret is. Read each time it is used, so that a new one is taken up at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A file that others cannot read.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A systemd credential.
    Credential(String),
}

impl SecretSource {
    /// The secret, without what surrounds it: a line's end is no part of a password.
    pub fn read(&self) -> Result<SecretString, Reason> {
        let missing = |why: String, advice: &str| Reason { why, advice: Some(advice.to_owned()) };
        match self {
            Self::File(path) => from_file(path),
            Self::Environment(variable) => match std::env::var(variable) {
                Ok(text) => filled(text, &format!("${variable}")),
                Err(_) => Err(missing(
                    format!("the variable {variable} is not set"),
                    "set it where Deputy is started: for the service, with EnvironmentFile= in its unit",
                )),
            },
            Self::Credential(name) => {
                let folder = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                    missing(
                        format!("the credential `{name}` is not there: $CREDENTIALS_DIRECTORY is not set"),
                        "systemd sets it for a service with LoadCredential= or LoadCredentialEncrypted=",
                    )
                })?;
                from_file(&Path::new(&folder).join(name))
            }
        }
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Environment(variable) => format!("${variable}"),
            Self::Credential(name) => format!("the credential `{name}`"),
        }
    }
}

fn from_file(path: &Path) -> Result<SecretString, Reason> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| Reason {
        why: format!("cannot read {shown}: {error}"),
        advice: Some(
            "look at the path in deputy.toml, and whether Deputy's user may read the file".to_owned(),
        ),
    };
    let file = File::open(path).map_err(unreadable)?;
    {
        use std::os::unix::fs::PermissionsExt as _;
        // Of the open file: what is checked is what is read. A group may be meant to read it.
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
        if mode & 0o007 != 0 {
            let advice = Some(format!("chmod o= {shown}"));
            return Err(Reason {
                why: format!("{shown} can be read by everybody (mode {mode:03o})"),
                advice,
            });
        }
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(LARGEST).read_to_end(&mut bytes).map_err(unreadable)?;
    match str::from_utf8(&bytes) {
        Ok(text) => filled(text.to_owned(), &shown.to_string()),
        Err(_) => Err(Reason { why: format!("{shown} holds no text"), advice: None }),
    }
}

fn filled(text: String, origin: &str) -> Result<SecretString, Reason> {
    let text = Zeroizing::new(text);
    match text.trim() {
        "" => Err(Reason { why: format!("{origin} is empty"), advice: None }),
        trimmed => Ok(SecretString::from(trimmed)),
    }
}
