//! Key pairs made for Apple's portal.
//!
//! The token that comes back can be read only with the very key it was asked for with, so a key is kept
//! until its token has been used and replaced, or until somebody has it forgotten. One that no token
//! fits yet is *pending*.

use domain::id::TokenName;
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use secrecy::{ExposeSecret, SecretString};

use super::{Error, Store, millis, seal, time, typed};
use crate::secrets::{self, Key};

/// A key pair made for Apple's portal.
pub struct TokenKey {
    /// Its name in the store.
    pub id: String,
    /// For which token.
    pub token: TokenName,
    /// The certificate that is uploaded, PEM.
    pub certificate: String,
    /// Opens the token that comes back, PEM.
    pub private_key: SecretString,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What is no secret of a key pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its name in the store.
    pub id: String,
    /// For which token.
    pub token: TokenName,
    /// The certificate, PEM.
    pub certificate: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// No token that is kept was asked for with it.
    pub pending: bool,
}

/// A key is pending while neither a token in use nor the one before it is the one it was made for.
const RECORD: &str = "SELECT id, token, certificate, created_at,
         NOT EXISTS (SELECT 1 FROM token t WHERE t.key_id = token_key.id)
             AND NOT EXISTS (SELECT 1 FROM token_before b WHERE b.key_id = token_key.id)
     FROM token_key";

impl Store {
    /// Keeps a key pair until the token that fits it is imported.
    pub async fn add_token_key(&self, key: TokenKey) -> Result<(), Error> {
        let sealing = self.key.clone();
        self.write(move |connection| insert(connection, &sealing, &key)).await
    }

    /// Every key pair kept for a token, newest first.
    pub async fn token_keys(&self, token: &TokenName) -> Result<Vec<TokenKey>, Error> {
        let (token, sealing) = (token.clone(), self.key.clone());
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, certificate, private_key, created_at FROM token_key WHERE token = ?1
                 ORDER BY created_at DESC, id DESC",
            )?;
            let mut rows = statement.query([token.as_str()])?;
            let mut keys = Vec::new();
            while let Some(row) = rows.next()? {
                let (id, sealed): (String, Vec<u8>) = (row.get(0)?, row.get(2)?);
                let plain = secrets::open(&sealing, &purpose(&id), &sealed)?;
                let text = String::from_utf8_lossy(plain.expose_secret()).into_owned();
                keys.push(TokenKey {
                    id,
                    token: token.clone(),
                    certificate: row.get(1)?,
                    private_key: SecretString::from(text),
                    created_at: time(row.get(3)?)?,
                });
            }
            Ok(keys)
        })
        .await
    }

    /// What is no secret of every key pair of every token, newest first.
    pub async fn key_records(&self) -> Result<Vec<KeyRecord>, Error> {
        self.read(|connection| {
            let mut statement =
                connection.prepare_cached(&format!("{RECORD} ORDER BY created_at DESC, id DESC"))?;
            let mut rows = statement.query([])?;
            let mut keys = Vec::new();
            while let Some(row) = rows.next()? {
                keys.push(record(row)?);
            }
            Ok(keys)
        })
        .await
    }

    /// Forgets the keys of a token that no token fits yet, and returns them. Token files that were
    /// downloaded for them cannot be read any more.
    pub async fn forget_pending_keys(&self, token: &TokenName) -> Result<Vec<KeyRecord>, Error> {
        let token = token.clone();
        self.erase(move |connection| {
            let keys: Vec<KeyRecord> =
                of_token(connection, &token)?.into_iter().filter(|key| key.pending).collect();
            for key in &keys {
                connection.execute("DELETE FROM token_key WHERE id = ?1", [&key.id])?;
            }
            Ok(keys)
        })
        .await
    }
}

/// Stores a key pair, sealed.
pub(super) fn insert(connection: &Connection, sealing: &Key, key: &TokenKey) -> Result<(), Error> {
    let private_key = key.private_key.expose_secret().as_bytes();
    let sealed = seal(connection, sealing, &purpose(&key.id), private_key)?;
    connection.execute(
        "INSERT INTO token_key (id, token, certificate, private_key, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![key.id, key.token.as_str(), key.certificate, sealed, millis(key.created_at)],
    )?;
    Ok(())
}

/// What is no secret of the keys of one token, newest first.
pub(super) fn of_token(connection: &Connection, token: &TokenName) -> Result<Vec<KeyRecord>, Error> {
    let mut statement =
        connection.prepare_cached(&format!("{RECORD} WHERE token = ?1 ORDER BY created_at DESC, id DESC"))?;
    let mut rows = statement.query([token.as_str()])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.push(record(row)?);
    }
    Ok(keys)
}

/// Binds a sealed key to its row: moved to another, it does not open.
pub(super) fn purpose(id: &str) -> String {
    format!("token key {id}")
}

fn record(row: &Row<'_>) -> Result<KeyRecord, Error> {
    Ok(KeyRecord {
        id: row.get(0)?,
        token: typed(row.get(1)?, "token name")?,
        certificate: row.get(2)?,
        created_at: time(row.get(3)?)?,
        pending: row.get(4)?,
    })
}
