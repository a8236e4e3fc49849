//! A token's place taken by another, and what Apple says of it.
//!
//! Key, token and what is known of both change places in one transaction, and only if nobody else
//! has done so since the caller looked. The token before is kept until the new one has worked.

use domain::id::TokenName;
use domain::token::Token;
use domain::token_facts::{Heard, Previous, Refusal, Standing};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use secrecy::{ExposeSecret, SecretSlice};

use super::tokens::{COLUMNS, Limits, credentials_purpose, token};
use super::{Error, KeyRecord, Store, TokenKey, maybe_time, millis, seal, time, token_keys};
use crate::secrets;

/// A token that is to be stored.
pub struct NewToken {
    /// What is known of it.
    pub token: Token,
    /// Its secrets.
    pub credentials: SecretSlice<u8>,
    /// The key it was asked for with.
    pub key: KeyOfToken,
    /// Keys that come with it and for which no token has come yet.
    pub pending: Vec<TokenKey>,
    /// What the account allows.
    pub limits: Limits,
    /// When the token it takes the place of was imported; none if there must be none.
    pub replaces: Option<Timestamp>,
}

/// The key a token was asked for with.
pub enum KeyOfToken {
    /// One that is kept, by its name.
    Kept(String),
    /// One that comes with the token.
    New(TokenKey),
    /// It is not known.
    None,
}

/// A token with everything the store knows of it, besides secrets.
#[derive(Clone, Debug)]
pub struct TokenRecord {
    /// The token in use.
    pub token: Token,
    /// The name of the key it was asked for with.
    pub key_id: Option<String>,
    /// Every key of this name, newest first.
    pub keys: Vec<KeyRecord>,
    /// The token before it.
    pub previous: Option<Previous>,
    /// What Apple said of it last.
    pub standing: Standing,
}

impl Store {
    /// Stores a token and its secrets in the place of the one it replaces. The inventory and its
    /// cursor stay: they belong to the server, which is the same. False, and nothing is changed, if
    /// another token has come to be there meanwhile.
    pub async fn replace_token(&self, new: NewToken) -> Result<bool, Error> {
        let sealing = self.key.clone();
        self.write(move |connection| {
            let name = &new.token.name;
            let found: Option<i64> = connection
                .query_row("SELECT imported_at FROM token WHERE name = ?1", [name.as_str()], |row| row.get(0))
                .optional()?;
            if found != new.replaces.map(millis) {
                return Ok(false);
            }
            let left = keep_previous(connection, &sealing, name, new.token.imported_at)?;
            let key_id = match &new.key {
                KeyOfToken::Kept(id) => Some(id.clone()),
                KeyOfToken::New(key) => {
                    token_keys::insert(connection, &sealing, key)?;
                    Some(key.id.clone())
                }
                KeyOfToken::None => None,
            };
            for key in &new.pending {
                token_keys::insert(connection, &sealing, key)?;
            }
            let purpose = credentials_purpose(name.as_str());
            let sealed = seal(connection, &sealing, &purpose, new.credentials.expose_secret())?;
            put(connection, &new.token, new.limits, &sealed, key_id.as_deref())?;
            forget_unused_key(connection, left)?;
            Ok(true)
        })
        .await
    }

    /// Puts the token before the one in use back in its place; the one in use is kept as the one
    /// before. Its secrets come with it. None, and nothing is changed, if there is none.
    pub async fn restore_previous(&self, name: &TokenName, now: Timestamp) -> Result<Option<Token>, Error> {
        let (name, sealing) = (name.clone(), self.key.clone());
        self.write(move |connection| {
            let Some((previous, credentials, key_id)) = previous_row(connection, &sealing, &name)? else {
                return Ok(None);
            };
            let (current, _) = standing_row(connection, &name)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
            connection.execute("DELETE FROM token_before WHERE token = ?1", [name.as_str()])?;
            keep_previous(connection, &sealing, &name, now)?;
            let token = Token {
                admin_id: previous.admin_id,
                expires_at: previous.expires_at,
                // Not when it first was: whoever still works with the other one is to notice.
                imported_at: now,
                ..current
            };
            let sealed =
                seal(connection, &sealing, &credentials_purpose(name.as_str()), credentials.expose_secret())?;
            connection.execute(
                "UPDATE token SET admin_id = ?2, expires_at = ?3, imported_at = ?4, credentials = ?5, key_id = ?6,
                     worked_at = ?4, refused = NULL, refused_since = NULL, refused_at = NULL WHERE name = ?1",
                params![
                    name.as_str(),
                    token.admin_id,
                    millis(token.expires_at),
                    millis(now),
                    sealed,
                    key_id,
                ],
            )?;
            Ok(Some(token))
        })
        .await
    }

    /// The secrets of the token before the one in use, and what is known of it.
    pub async fn previous_credentials(
        &self,
        name: &TokenName,
    ) -> Result<Option<(Previous, SecretSlice<u8>)>, Error> {
        let (name, sealing) = (name.clone(), self.key.clone());
        self.read(move |connection| {
            Ok(previous_row(connection, &sealing, &name)?
                .map(|(previous, credentials, _)| (previous, credentials)))
        })
        .await
    }

    /// Records what Apple says of the token that was imported then; of another one under its name it
    /// says nothing. Once a token has worked, the one before it is no longer kept, nor a key that
    /// only that one needed.
    pub async fn heard(
        &self,
        name: &TokenName,
        imported_at: Timestamp,
        heard: Heard,
        now: Timestamp,
    ) -> Result<(), Error> {
        let name = name.clone();
        self.erase(move |connection| {
            let Some((token, standing)) = standing_row(connection, &name)? else { return Ok(()) };
            if millis(token.imported_at) != millis(imported_at) {
                return Ok(());
            }
            let Standing { worked_at, refusal } = standing.after(heard, now);
            connection.execute(
                "UPDATE token SET worked_at = ?2, refused = ?3, refused_since = ?4, refused_at = ?5
                 WHERE name = ?1",
                params![
                    name.as_str(),
                    worked_at.map(millis),
                    refusal.as_ref().map(|it| it.why.as_str()),
                    refusal.as_ref().map(|it| millis(it.since)),
                    refusal.as_ref().map(|it| millis(it.seen_at)),
                ],
            )?;
            if heard == Heard::Worked {
                let key: Option<Option<String>> = connection
                    .query_row(
                        "DELETE FROM token_before WHERE token = ?1 RETURNING key_id",
                        [name.as_str()],
                        |row| row.get(0),
                    )
                    .optional()?;
                forget_unused_key(connection, key.flatten())?;
            }
            Ok(())
        })
        .await
    }

    /// Every token with all that is known of it, by name.
    pub async fn token_records(&self) -> Result<Vec<TokenRecord>, Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS}, key_id, worked_at, refused, refused_since, refused_at FROM token ORDER BY name"
            ))?;
            let mut rows = statement.query([])?;
            let mut records = Vec::new();
            while let Some(row) = rows.next()? {
                let token = token(row)?;
                records.push(TokenRecord {
                    key_id: row.get(8)?,
                    keys: token_keys::of_token(connection, &token.name)?,
                    previous: previous(connection, &token.name)?,
                    standing: standing(row, 9)?,
                    token,
                });
            }
            Ok(records)
        })
        .await
    }
}

/// Moves the token in use to where the one before is kept. If there is one already, the one in use has
/// never worked since: then that one stays, and the key of the one in use, which is not kept, is returned.
fn keep_previous(
    connection: &Connection,
    sealing: &secrets::Key,
    name: &TokenName,
    now: Timestamp,
) -> Result<Option<String>, Error> {
    let in_use: Option<(Vec<u8>, Option<String>)> = connection
        .query_row("SELECT credentials, key_id FROM token WHERE name = ?1", [name.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((sealed, key_id)) = in_use else { return Ok(None) };
    if connection.prepare_cached("SELECT 1 FROM token_before WHERE token = ?1")?.exists([name.as_str()])? {
        return Ok(key_id);
    }
    let plain = secrets::open(sealing, &credentials_purpose(name.as_str()), &sealed)?;
    let sealed = seal(connection, sealing, &previous_purpose(name.as_str()), plain.expose_secret())?;
    connection.execute(
        "INSERT INTO token_before (token, admin_id, expires_at, imported_at, replaced_at, credentials, key_id)
         SELECT name, admin_id, expires_at, imported_at, ?2, ?3, key_id FROM token WHERE name = ?1",
        params![name.as_str(), millis(now), sealed],
    )?;
    Ok(None)
}

/// A key whose token is not kept any more, unless another one that is kept was made for it as well.
fn forget_unused_key(connection: &Connection, key_id: Option<String>) -> Result<(), Error> {
    connection.execute(
        "DELETE FROM token_key WHERE id = ?1
             AND NOT EXISTS (SELECT 1 FROM token WHERE key_id = ?1)
             AND NOT EXISTS (SELECT 1 FROM token_before WHERE key_id = ?1)",
        [key_id],
    )?;
    Ok(())
}

fn put(
    connection: &Connection,
    token: &Token,
    limits: Limits,
    sealed: &[u8],
    key_id: Option<&str>,
) -> Result<(), Error> {
    connection.execute(
        "INSERT INTO token (name, server_name, server_uuid, org_name, org_id, admin_id, expires_at, imported_at,
             credentials, key_id, page_limit, assign_limit, worked_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?8)
         ON CONFLICT (name) DO UPDATE SET server_name = excluded.server_name,
             server_uuid = excluded.server_uuid, org_name = excluded.org_name, org_id = excluded.org_id,
             admin_id = excluded.admin_id, expires_at = excluded.expires_at,
             imported_at = excluded.imported_at, credentials = excluded.credentials,
             key_id = excluded.key_id, page_limit = excluded.page_limit,
             assign_limit = excluded.assign_limit, worked_at = excluded.worked_at,
             refused = NULL, refused_since = NULL, refused_at = NULL",
        params![
            token.name.as_str(),
            token.server_name,
            token.server_uuid,
            token.org_name,
            token.org_id,
            token.admin_id,
            millis(token.expires_at),
            millis(token.imported_at),
            sealed,
            key_id,
            limits.page,
            limits.assign,
        ],
    )?;
    Ok(())
}

type PreviousRow = (Previous, SecretSlice<u8>, Option<String>);

fn previous_row(
    connection: &Connection,
    sealing: &secrets::Key,
    name: &TokenName,
) -> Result<Option<PreviousRow>, Error> {
    let Some(known) = previous(connection, name)? else { return Ok(None) };
    let (sealed, key_id): (Vec<u8>, Option<String>) = connection.query_row(
        "SELECT credentials, key_id FROM token_before WHERE token = ?1",
        [name.as_str()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let plain = secrets::open(sealing, &previous_purpose(name.as_str()), &sealed)?;
    Ok(Some((known, plain, key_id)))
}

fn previous(connection: &Connection, name: &TokenName) -> Result<Option<Previous>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT admin_id, expires_at, imported_at, replaced_at FROM token_before WHERE token = ?1",
    )?;
    let mut rows = statement.query([name.as_str()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Previous {
        admin_id: row.get(0)?,
        expires_at: time(row.get(1)?)?,
        imported_at: time(row.get(2)?)?,
        replaced_at: time(row.get(3)?)?,
    }))
}

fn standing_row(connection: &Connection, name: &TokenName) -> Result<Option<(Token, Standing)>, Error> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, worked_at, refused, refused_since, refused_at FROM token WHERE name = ?1"
    ))?;
    let mut rows = statement.query([name.as_str()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some((token(row)?, standing(row, 8)?)))
}

/// From four columns, of which this is the first.
fn standing(row: &Row<'_>, first: usize) -> Result<Standing, Error> {
    let why: Option<String> = row.get(first + 1)?;
    let refusal = match why {
        Some(text) => Some(Refusal {
            why: text.parse().map_err(|()| Error::Corrupt { what: "reason of a refusal", text })?,
            since: time(row.get(first + 2)?)?,
            seen_at: time(row.get(first + 3)?)?,
        }),
        None => None,
    };
    Ok(Standing { worked_at: maybe_time(row.get(first)?)?, refusal })
}

pub(super) fn previous_purpose(token: &str) -> String {
    format!("credentials of {token}, before")
}

#[cfg(test)]
mod tests {
    use domain::token_facts::Why;

    use super::*;
    use crate::secrets::Key;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A token that was imported then, in the place of the one of that time.
    fn token(imported: i64, replaces: Option<i64>) -> NewToken {
        let token = Token {
            name: "emea".parse().unwrap(),
            server_name: "MDM".into(),
            server_uuid: "5D3A".into(),
            org_name: "Orchard".into(),
            org_id: None,
            admin_id: "admin".into(),
            expires_at: at(imported + 1_000),
            imported_at: at(imported),
        };
        let credentials = SecretSlice::from(format!("token of {imported}").into_bytes());
        let (key, pending, limits) = (KeyOfToken::None, Vec::new(), Limits::default());
        NewToken { token, credentials, key, pending, limits, replaces: replaces.map(at) }
    }

    async fn store(folder: &tempfile::TempDir) -> Store {
        let key = Key::from_text(&"0".repeat(64), "a test").unwrap();
        Store::open(&folder.path().join("deputy.db"), key).await.unwrap()
    }

    #[tokio::test]
    async fn of_two_imports_at_a_time_the_second_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder).await;
        assert!(store.replace_token(token(1, None)).await.unwrap());
        assert!(store.replace_token(token(2, Some(1))).await.unwrap());
        assert!(!store.replace_token(token(3, Some(1))).await.unwrap());
        assert!(!store.replace_token(token(3, None)).await.unwrap());
        let record = store.token_records().await.unwrap().remove(0);
        assert_eq!(record.token.imported_at, at(2));
        assert_eq!(record.previous.unwrap().imported_at, at(1));
    }

    #[tokio::test]
    async fn what_is_heard_of_an_earlier_token_says_nothing_about_the_one_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let (store, name) = (store(&folder).await, "emea".parse().unwrap());
        store.replace_token(token(1, None)).await.unwrap();
        store.replace_token(token(2, Some(1))).await.unwrap();
        store.heard(&name, at(1), Heard::Refused(Why::Rejected), at(3)).await.unwrap();
        store.heard(&name, at(1), Heard::Worked, at(4)).await.unwrap();
        let record = store.token_records().await.unwrap().remove(0);
        assert_eq!(record.standing, Standing { worked_at: Some(at(2)), refusal: None });
        assert!(record.previous.is_some());
        store.heard(&name, at(2), Heard::Worked, at(5)).await.unwrap();
        let record = store.token_records().await.unwrap().remove(0);
        assert_eq!((record.standing.worked_at, record.previous), (Some(at(5)), None));
    }

    #[tokio::test]
    async fn the_token_that_last_worked_is_kept_through_several_imports() {
        let folder = tempfile::tempdir().unwrap();
        let (store, name) = (store(&folder).await, "emea".parse().unwrap());
        store.replace_token(token(1, None)).await.unwrap();
        store.replace_token(token(2, Some(1))).await.unwrap();
        store.replace_token(token(3, Some(2))).await.unwrap();
        let restored = store.restore_previous(&name, at(4)).await.unwrap().unwrap();
        assert_eq!((restored.expires_at, restored.imported_at), (at(1_001), at(4)));
        let secrets = store.credentials(&name).await.unwrap().unwrap();
        assert_eq!(secrets.expose_secret(), b"token of 1");
        let (previous, secrets) = store.previous_credentials(&name).await.unwrap().unwrap();
        assert_eq!((previous.imported_at, secrets.expose_secret()), (at(3), &b"token of 3"[..]));
    }
}
