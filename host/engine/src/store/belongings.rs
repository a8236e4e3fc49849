//! All that is kept under a token's name: counted, taken to another name, or forgotten.

use domain::id::TokenName;
use domain::token::Token;
use rusqlite::{Connection, params};
use secrecy::ExposeSecret as _;

use super::reseal::{SEALED, Sealed};
use super::tokens::{COLUMNS, token};
use super::{Error, Store, absent, seal, standing, token_keys, waiting};
use crate::secrets;

/// What is kept under a token's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Belongings {
    /// The token in use.
    pub token: Option<Token>,
    /// The token before it is kept as well.
    pub previous: bool,
    /// Keys made for it.
    pub keys: u64,
    /// Of these, how many wait for their token.
    pub pending_keys: u64,
    /// Devices, those that have left included.
    pub devices: u64,
    /// Changes seen of devices.
    pub changes: u64,
    /// Assignments and removals on record.
    pub actions: u64,
    /// Definitions of profiles that Apple was told of.
    pub profiles: u64,
    /// What of it people were told, each channel counted.
    pub reminders: u64,
}

/// What became of a wish to rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renamed {
    /// It is done.
    Done,
    /// Nothing has the old name.
    NotThere,
    /// Something has the new name already.
    Taken,
}

impl Belongings {
    /// Nothing has that name.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Store {
    /// What is kept under a token's name.
    pub async fn belongings(&self, name: &TokenName) -> Result<Belongings, Error> {
        let name = name.clone();
        self.read(move |connection| count(connection, &name)).await
    }

    /// Takes everything that is kept under one name to another, in one transaction: keys, tokens,
    /// devices and their history, profiles, actions, steps of past runs, reminders.
    pub async fn rename_token(&self, old: &TokenName, new: &TokenName) -> Result<Renamed, Error> {
        let (old, new, sealing) = (old.clone(), new.clone(), self.key.clone());
        self.write(move |connection| {
            if count(connection, &old)?.is_nothing() {
                return Ok(Renamed::NotThere);
            }
            if !count(connection, &new)?.is_nothing() {
                return Ok(Renamed::Taken);
            }
            // Rows that refer to the token are renamed before or after it; at the end all fits again.
            connection.pragma_update(None, "defer_foreign_keys", true)?;
            // What is sealed for a token's name does not open under another.
            for Sealed { table, column, row, purpose } in SEALED.into_iter().filter(|it| it.row != "id") {
                let sql = format!("SELECT {column} FROM {table} WHERE {row} = ?1");
                let sealed: Option<Vec<u8>> =
                    connection.query_row(&sql, [old.as_str()], |row| row.get(0)).map(Some).or_else(absent)?;
                let Some(sealed) = sealed else { continue };
                let plain = secrets::open(&sealing, &purpose(old.as_str()), &sealed)?;
                let sealed = seal(connection, &sealing, &purpose(new.as_str()), plain.expose_secret())?;
                connection.execute(
                    &format!("UPDATE {table} SET {column} = ?2 WHERE {row} = ?1"),
                    params![old.as_str(), sealed],
                )?;
            }
            connection.execute("UPDATE token SET name = ?2 WHERE name = ?1", [old.as_str(), new.as_str()])?;
            for table in tables_with_tokens(connection)? {
                connection.execute(
                    &format!("UPDATE OR REPLACE \"{table}\" SET token = ?2 WHERE token = ?1"),
                    [old.as_str(), new.as_str()],
                )?;
            }
            Ok(Renamed::Done)
        })
        .await
    }

    /// Forgets everything that is kept under a name, and returns what that was. The reports of past
    /// runs stay; at Apple nothing changes.
    pub async fn forget_token(&self, name: &TokenName) -> Result<Belongings, Error> {
        let name = name.clone();
        self.erase(move |connection| {
            let belongings = count(connection, &name)?;
            waiting::forget(connection, &name)?;
            // Devices, their verdicts, history and actions, profiles and the token before go with it.
            connection.execute("DELETE FROM token WHERE name = ?1", [name.as_str()])?;
            connection.execute("DELETE FROM token_key WHERE token = ?1", [name.as_str()])?;
            standing::forget_words(connection)?;
            for table in ["told", "muted", "said"] {
                connection.execute(&format!("DELETE FROM {table} WHERE token = ?1"), [name.as_str()])?;
            }
            Ok(belongings)
        })
        .await
    }
}

/// Every table that names tokens, whichever migration made it; what holds their numbers stays as it is.
fn tables_with_tokens(connection: &Connection) -> Result<Vec<String>, Error> {
    let mut statement = connection.prepare(
        "SELECT t.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
         WHERE t.type = 'table' AND c.name = 'token' AND c.type = 'TEXT' ORDER BY t.name",
    )?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

fn count(connection: &Connection, name: &TokenName) -> Result<Belongings, Error> {
    let number = |sql: &str| -> Result<u64, Error> {
        Ok(connection.prepare_cached(sql)?.query_row([name.as_str()], |row| row.get(0))?)
    };
    let keys = token_keys::of_token(connection, name)?;
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM token WHERE name = ?1"))?;
    let mut rows = statement.query([name.as_str()])?;
    Ok(Belongings {
        token: rows.next()?.map(token).transpose()?,
        previous: number("SELECT count(*) FROM token_before WHERE token = ?1")? > 0,
        keys: keys.len() as u64,
        pending_keys: keys.iter().filter(|key| key.pending).count() as u64,
        devices: number(
            "SELECT coalesce(sum(devices), 0) FROM standing WHERE token = (SELECT number FROM token WHERE name = ?1)",
        )?,
        changes: number(
            "SELECT count(*) FROM device_history h JOIN token t ON h.device >= t.number << 32
                 AND h.device < (t.number + 1) << 32 WHERE t.name = ?1",
        )?,
        actions: number("SELECT count(*) FROM action WHERE token = ?1")?,
        profiles: number("SELECT count(*) FROM profile WHERE token = ?1")?,
        reminders: number("SELECT count(*) FROM told WHERE token = ?1")?,
    })
}
