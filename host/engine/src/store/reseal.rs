//! Every secret of the store under another key, in one transaction: either key opens all or nothing.

use rusqlite::Connection;
use secrecy::ExposeSecret as _;

use super::renewal::previous_purpose;
use super::tokens::credentials_purpose;
use super::{Error, KEY_CHECK, STORE_PURPOSE, Store, token_keys};
use crate::secrets::{self, Key, KeyId};

/// Where sealed values are.
pub(super) struct Sealed {
    pub(super) table: &'static str,
    pub(super) column: &'static str,
    /// The column that names the row.
    pub(super) row: &'static str,
    /// What a value is sealed for, from the name of its row.
    pub(super) purpose: fn(&str) -> String,
}

/// All of them: what is not in this list cannot come under another key.
pub(super) const SEALED: [Sealed; 3] = [
    Sealed { table: "token", column: "credentials", row: "name", purpose: credentials_purpose },
    Sealed { table: "token_before", column: "credentials", row: "token", purpose: previous_purpose },
    Sealed { table: "token_key", column: "private_key", row: "id", purpose: token_keys::purpose },
];

impl Store {
    /// Seals everything with another key and returns how many secrets there were. This handle, and
    /// whoever else has the store open, knows the old key only and can open nothing from then on.
    pub async fn reseal(&self, new: Key) -> Result<u64, Error> {
        let old = self.key.clone();
        let done = self.erase(move |connection| {
            let check: Vec<u8> =
                connection.query_row("SELECT sealed FROM key_check", [], |row| row.get(0))?;
            secrets::open(&old, STORE_PURPOSE, &check)?;
            let mut number = 0;
            for Sealed { table, column, row, purpose } in SEALED {
                let rows: Vec<(String, Vec<u8>)> = connection
                    .prepare(&format!("SELECT {row}, {column} FROM {table}"))?
                    .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect::<Result<_, _>>()?;
                for (id, sealed) in rows {
                    let plain = secrets::open(&old, &purpose(&id), &sealed)?;
                    let sealed = secrets::seal(&new, &purpose(&id), plain.expose_secret());
                    connection.execute(
                        &format!("UPDATE {table} SET {column} = ?2 WHERE {row} = ?1"),
                        rusqlite::params![id, sealed],
                    )?;
                    number += 1;
                }
            }
            let sealed = secrets::seal(&new, STORE_PURPOSE, KEY_CHECK);
            connection.execute("UPDATE key_check SET sealed = ?1", [sealed])?;
            nothing_left(connection, old.id())?;
            Ok(number)
        });
        let done = done.await?;
        // What the old key opens is not to stay behind in free space and in the log, from today or earlier.
        let wiped = self.read(|connection| {
            connection.execute_batch("VACUUM")?;
            Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
        });
        if let Err(error) = wiped.await {
            tracing::warn!("remnants of what the old key had sealed may be left in the database: {error}");
        }
        Ok(done)
    }
}

/// A sealed value that the list above does not have would be lost with the old key.
fn nothing_left(connection: &Connection, old: KeyId) -> Result<(), Error> {
    let begins = secrets::header(old);
    let mut statement = connection.prepare(
        "SELECT t.name, c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
         WHERE t.type = 'table' AND c.type = 'BLOB'",
    )?;
    let columns: Vec<(String, String)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    for (table, column) in columns {
        let sql = format!("SELECT 1 FROM \"{table}\" WHERE substr(\"{column}\", 1, {}) = ?1", begins.len());
        if connection.prepare(&sql)?.exists([&begins[..]])? {
            let text = format!("{table}.{column}");
            return Err(Error::Corrupt { what: "place where secrets are kept", text });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(letter: char) -> Key {
        Key::from_text(&letter.to_string().repeat(64), "a test").unwrap()
    }

    #[tokio::test]
    async fn a_secret_that_would_be_left_behind_keeps_the_old_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deputy.db");
        let store = Store::open(&path, key('a')).await.unwrap();
        let stray = secrets::seal(&key('a'), "something new", b"secret");
        store
            .write(move |connection| {
                connection.execute_batch("CREATE TABLE later (secret BLOB NOT NULL) STRICT")?;
                connection.execute("INSERT INTO later VALUES (?1)", [stray])?;
                Ok(())
            })
            .await
            .unwrap();
        let error = store.reseal(key('b')).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the store holds something that is no place where secrets are kept: later.secret"
        );
        drop(store);
        assert!(Store::open(&path, key('b')).await.is_err());
        assert!(Store::open(&path, key('a')).await.is_ok());
    }
}
