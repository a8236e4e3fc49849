//! Texts that many runs share, such as the settings of a policy: kept once, by their digest.

use std::time::Duration;

use domain::id::Digest;
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};

use super::{Error, Store, millis};

/// When it was used last is noted no finer than this: most runs then write nothing.
const FINE: Duration = Duration::from_secs(24 * 3_600);

impl Store {
    /// Keeps a text, and notes that it is used.
    pub async fn keep_text(&self, text: &str, now: Timestamp) -> Result<Digest, Error> {
        let (digest, text) = (Digest::of(text.as_bytes()), text.to_owned());
        let key = digest.clone();
        self.write(move |connection| {
            connection.execute(
                "INSERT INTO text_copy (digest, body, used_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (digest) DO UPDATE SET used_at = excluded.used_at
                 WHERE used_at < excluded.used_at - ?4",
                params![key.as_str(), text, millis(now), FINE.as_millis() as i64],
            )?;
            Ok(())
        })
        .await?;
        Ok(digest)
    }

    /// The text with this digest, if it is still kept.
    pub async fn kept_text(&self, digest: &Digest) -> Result<Option<String>, Error> {
        let digest = digest.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached("SELECT body FROM text_copy WHERE digest = ?1")?;
            Ok(statement.query_row([digest.as_str()], |row| row.get(0)).optional()?)
        })
        .await
    }
}
