//! Tokens, and where the sync of each stands.

use domain::device::Cursor;
use domain::id::TokenName;
use domain::token::Token;
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use secrecy::SecretSlice;

use super::{Error, Store, absent, maybe_time, millis, time, typed};
use crate::secrets;

/// A token and where its inventory stands.
#[derive(Clone, Debug)]
pub struct StoredToken {
    /// What is known of it.
    pub token: Token,
    /// When its devices were last complete.
    pub synced_at: Option<Timestamp>,
    /// Devices it has now.
    pub devices: u64,
    /// Of these, with a profile.
    pub with_profile: u64,
}

/// Where the sync of a token stands.
#[derive(Clone, Debug)]
pub struct SyncState {
    /// Apple's bookmark.
    pub cursor: Option<Cursor>,
    /// What to ask with it.
    pub phase: Phase,
    /// What the account allows.
    pub limits: Limits,
    /// When every device was last fetched.
    pub full_at: Option<Timestamp>,
    /// When that was last begun because the cursor was of no use.
    pub healed_at: Option<Timestamp>,
}

/// How much an account allows in one call, where Apple said.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// The largest page of devices.
    pub page: Option<u32>,
    /// The most devices in one assignment.
    pub assign: Option<u32>,
}

/// Whether everything is being fetched, or the changes since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Pages of every device.
    Fetch,
    /// All those pages are stored, and the fetch is not complete yet.
    Fetched,
    /// Changes after the cursor.
    Sync,
}

impl Store {
    /// Takes over what Apple says of the server behind a token now: its names and limits.
    pub async fn refresh_token(&self, token: Token, limits: Limits) -> Result<(), Error> {
        self.write(move |connection| {
            connection.execute(
                "UPDATE token SET server_name = ?2, org_name = ?3, admin_id = ?4, page_limit = ?5, assign_limit = ?6,
                     org_id = ?7 WHERE name = ?1",
                params![
                    token.name.as_str(),
                    token.server_name,
                    token.org_name,
                    token.admin_id,
                    limits.page,
                    limits.assign,
                    token.org_id,
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// Records that every device is fetched because the cursor is of no use.
    pub async fn healed(&self, token: &TokenName, now: Timestamp) -> Result<(), Error> {
        let token = token.clone();
        self.write(move |connection| {
            connection.execute(
                "UPDATE token SET healed_at = ?2 WHERE name = ?1",
                params![token.as_str(), millis(now)],
            )?;
            Ok(())
        })
        .await
    }

    /// Every token, by name.
    pub async fn tokens(&self) -> Result<Vec<StoredToken>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS}, synced_at,
                     (SELECT coalesce(sum(devices), 0) FROM standing g WHERE g.token = number AND gone = 0),
                     (SELECT coalesce(sum(devices), 0) FROM standing g WHERE g.token = number AND gone = 0
                          AND (ours_profile IS NOT NULL OR profile_status IN ('assigned', 'pushed')))
                 FROM token ORDER BY name"
            ))?;
            let mut rows = statement.query([])?;
            let mut tokens = Vec::new();
            while let Some(row) = rows.next()? {
                tokens.push(StoredToken {
                    token: token(row)?,
                    synced_at: maybe_time(row.get(8)?)?,
                    devices: row.get(9)?,
                    with_profile: row.get(10)?,
                });
            }
            Ok(tokens)
        })
        .await
    }

    /// One token, if it is there.
    pub async fn token(&self, name: &TokenName) -> Result<Option<Token>, Error> {
        let name = name.clone();
        self.read(move |connection| {
            let mut statement =
                connection.prepare_cached(&format!("SELECT {COLUMNS} FROM token WHERE name = ?1"))?;
            let mut rows = statement.query([name.as_str()])?;
            rows.next()?.map(token).transpose()
        })
        .await
    }

    /// The secrets of a token, as they were saved.
    pub async fn credentials(&self, name: &TokenName) -> Result<Option<SecretSlice<u8>>, Error> {
        let (name, sealing) = (name.clone(), self.key.clone());
        self.read(move |connection| {
            let mut statement = connection.prepare_cached("SELECT credentials FROM token WHERE name = ?1")?;
            let sealed: Option<Vec<u8>> =
                statement.query_row([name.as_str()], |row| row.get(0)).map(Some).or_else(absent)?;
            let Some(sealed) = sealed else { return Ok(None) };
            Ok(Some(secrets::open(&sealing, &credentials_purpose(name.as_str()), &sealed)?))
        })
        .await
    }

    /// Where the sync of a token stands.
    pub async fn sync_state(&self, name: &TokenName) -> Result<SyncState, Error> {
        let name = name.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT cursor, phase, page_limit, assign_limit, full_at, healed_at, fetched FROM token WHERE name = ?1",
            )?;
            let mut rows = statement.query([name.as_str()])?;
            let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
            let (cursor, phase): (Option<String>, String) = (row.get(0)?, row.get(1)?);
            Ok(SyncState {
                cursor: cursor.map(Cursor),
                phase: match (phase.as_str(), row.get(6)?) {
                    ("sync", _) => Phase::Sync,
                    (_, true) => Phase::Fetched,
                    (_, false) => Phase::Fetch,
                },
                limits: Limits { page: row.get(2)?, assign: row.get(3)? },
                full_at: maybe_time(row.get(4)?)?,
                healed_at: maybe_time(row.get(5)?)?,
            })
        })
        .await
    }
}

/// Writes where the sync of a token stands, in the transaction that brought it there.
pub(super) fn set_sync_state(
    connection: &Connection,
    token: &TokenName,
    cursor: Option<&Cursor>,
    phase: Phase,
) -> Result<(), Error> {
    let (phase, fetched) = match phase {
        Phase::Fetch => ("fetch", false),
        Phase::Fetched => ("fetch", true),
        Phase::Sync => ("sync", false),
    };
    let mut statement = connection
        .prepare_cached("UPDATE token SET cursor = ?2, phase = ?3, fetched = ?4 WHERE name = ?1")?;
    statement.execute(params![token.as_str(), cursor.map(|cursor| &cursor.0), phase, fetched])?;
    Ok(())
}

/// What [`token`] reads, in this order.
pub(super) const COLUMNS: &str =
    "name, server_name, server_uuid, org_name, org_id, admin_id, expires_at, imported_at";

pub(super) fn token(row: &Row<'_>) -> Result<Token, Error> {
    Ok(Token {
        name: typed(row.get(0)?, "token name")?,
        server_name: row.get(1)?,
        server_uuid: row.get(2)?,
        org_name: row.get(3)?,
        org_id: row.get(4)?,
        admin_id: row.get(5)?,
        expires_at: time(row.get(6)?)?,
        imported_at: time(row.get(7)?)?,
    })
}

/// Binds sealed credentials to their row: moved to another, they do not open.
pub(super) fn credentials_purpose(token: &str) -> String {
    format!("credentials of {token}")
}
