//! A token's life with us: asked for, imported, renewed.
//!
//! Nothing is replaced before the new token has been shown to work: it is decrypted, Apple is asked
//! with it, and the server it belongs to is compared with the one we know. Then key and token
//! change places in one transaction.

mod check;

use domain::id::TokenName;
use domain::token::Token;
use jiff::Timestamp;
use secrecy::SecretSlice;

use crate::apple::token_file::{self, RequestError, TokenFileError};
use crate::apple::{self, Client, Credentials};
use crate::engine::Engine;
use crate::store::{self, Limits, TokenKey};

pub use check::{Checked, Finding, Known, check, judge};

/// What a person uploads to Apple's portal.
#[derive(Clone, Debug)]
pub struct Requested {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// The token in use under this name, if there is one: then this is a renewal.
    pub renews: Option<Token>,
}

/// A token that was taken over.
#[derive(Clone, Debug)]
pub struct Imported {
    /// What is known of it.
    pub token: Token,
    /// What it took the place of.
    pub replaced: Option<Token>,
}

/// Why a token cannot be asked for or imported. Whatever was there before is still there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a name of the configuration.
    #[error("the token `{0}` is not in deputy.toml")]
    NotConfigured(TokenName),
    /// No key pair could be made.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// No key was ever made for it.
    #[error("no key was made for `{0}`, so its token cannot be read")]
    NeverRequested(TokenName),
    /// The file cannot be read with any key we made for it.
    #[error("the token file of `{token}` cannot be read")]
    File {
        /// For which token.
        token: TokenName,
        /// With the newest key, why not.
        #[source]
        source: TokenFileError,
    },
    /// It ended before it was imported.
    #[error("the token in the file ended on {}", .0.strftime("%Y-%m-%d"))]
    Expired(Timestamp),
    /// It belongs to another server entry of the portal.
    #[error("the file holds a token of the server \"{theirs}\", and `{token}` is the server \"{ours}\"")]
    OtherServer {
        /// For which token.
        token: TokenName,
        /// The server we know.
        ours: String,
        /// The server it belongs to.
        theirs: String,
    },
    /// Apple does not say which server it is, so nothing can be compared.
    #[error("Apple's answer does not name the server of `{0}`")]
    NoServer(TokenName),
    /// Apple did not accept it, or did not answer.
    #[error("the token of `{token}` can be read, but could not be checked with Apple")]
    Check {
        /// For which token.
        token: TokenName,
        /// What Apple said.
        #[source]
        source: apple::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Makes a key pair for a token and keeps the key. An earlier request stays good.
pub async fn request(engine: &Engine, name: &TokenName) -> Result<Requested, Error> {
    if !engine.settings.tokens.contains_key(name) {
        return Err(Error::NotConfigured(name.clone()));
    }
    let pair = token_file::request(&format!("deputy {name}").chars().take(64).collect::<String>())?;
    let key = TokenKey {
        id: engine.new_run_id().to_string(),
        token: name.clone(),
        certificate: pair.certificate_pem.clone(),
        private_key: pair.private_key_pem,
        created_at: engine.now(),
    };
    engine.store.add_token_key(key).await?;
    let renews = engine.store.token(name).await?;
    Ok(Requested { certificate_pem: pair.certificate_pem, renews })
}

/// Decrypts a token file from Apple's portal, checks the token with Apple, and stores it.
pub async fn import(engine: &Engine, name: &TokenName, p7m: &[u8]) -> Result<Imported, Error> {
    let settings = engine.settings.tokens.get(name).ok_or_else(|| Error::NotConfigured(name.clone()))?;
    let (key_id, credentials) = decrypt(engine, name, p7m).await?;
    let expires_at = credentials.access_token_expiry;
    if expires_at <= engine.now() {
        return Err(Error::Expired(expires_at));
    }
    let check = |source| Error::Check { token: name.clone(), source };
    let options = settings.options(name, credentials.clone());
    let account = Client::new(options).map_err(check)?.account().await.map_err(check)?;
    let server_uuid = account.server_uuid.ok_or_else(|| Error::NoServer(name.clone()))?;
    let replaced = engine.store.token(name).await?;
    let token = Token {
        name: name.clone(),
        server_name: account.server_name.unwrap_or_default(),
        server_uuid,
        org_name: account.org_name.unwrap_or_default(),
        admin_id: account.admin_id.unwrap_or_default(),
        expires_at,
        imported_at: engine.now(),
    };
    if let Some(known) = replaced.as_ref().filter(|known| known.server_uuid != token.server_uuid) {
        let (ours, theirs) = (known.server_name.clone(), token.server_name);
        return Err(Error::OtherServer { token: name.clone(), ours, theirs });
    }
    let sealed = SecretSlice::from(credentials.expose_everything_as_json_for_sealing().to_vec());
    let limits = Limits { page: account.page_limit, assign: account.assign_limit };
    engine.store.save_token(token.clone(), sealed, key_id, limits).await?;
    Ok(Imported { token, replaced })
}

/// Tries every key made for the token, the newest first, and says which fits.
async fn decrypt(engine: &Engine, name: &TokenName, p7m: &[u8]) -> Result<(String, Credentials), Error> {
    let mut newest = None;
    for key in engine.store.token_keys(name).await? {
        match token_file::decrypt(p7m, &key.certificate, &key.private_key) {
            Ok(credentials) => return Ok((key.id, credentials)),
            Err(error) => newest = newest.or(Some(error)),
        }
    }
    Err(match newest {
        Some(source) => Error::File { token: name.clone(), source },
        None => Error::NeverRequested(name.clone()),
    })
}

impl Error {
    /// What a person can do about it.
    pub fn advice(&self) -> Option<String> {
        Some(match self {
            Self::NotConfigured(token) => format!("add a table `[tokens.{token}]` to deputy.toml"),
            Self::NeverRequested(token) => {
                format!(
                    "type `deputy token request {token}`, and upload the certificate it makes to Apple's portal"
                )
            }
            Self::File { token, source: TokenFileError::OtherCertificate { .. } } => format!(
                "upload the certificate of `deputy token request {token}` to Apple's portal once more, download the \
                 token again, and import that file"
            ),
            Self::File { .. } => {
                "download the token from Apple's portal again, and import that file as it is".to_owned()
            }
            Self::Expired(_) => "download a new token from Apple's portal, and import that file".to_owned(),
            Self::OtherServer { token, theirs, .. } => format!(
                "import it under another name, or download the token of the right server; `{token}` is unchanged, \
                 but downloading ended the token of \"{theirs}\" that was in use"
            ),
            Self::Check { source, .. } => {
                source.advice().unwrap_or_else(|| "import the file again when Apple answers".to_owned())
            }
            Self::Store(store::Error::Secret(error)) => error.advice(),
            Self::Request(_) | Self::NoServer(_) | Self::Store(_) => return None,
        })
    }
}
