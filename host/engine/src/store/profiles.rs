//! Which profiles Apple was told of. Apple never forgets one, and devices may be on an old one.

use std::collections::BTreeMap;

use domain::id::{Digest, ProfileId, ProfileName, TokenName};
use jiff::Timestamp;
use rusqlite::params;

use super::{Error, Store, millis, typed};

impl Store {
    /// Records that Apple knows a profile.
    pub async fn profile_defined(
        &self,
        token: &TokenName,
        name: &ProfileName,
        digest: &Digest,
        id: &ProfileId,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (token, name, digest, id) = (token.clone(), name.clone(), digest.clone(), id.clone());
        self.write(move |connection| {
            connection.execute(
                "INSERT OR REPLACE INTO profile (token, uuid, name, digest, defined_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![token.as_str(), id.as_str(), name.as_str(), digest.as_str(), millis(now)],
            )?;
            Ok(())
        })
        .await
    }

    /// Forgets a profile that Apple does not know any more.
    pub async fn forget_profile(&self, token: &TokenName, id: &ProfileId) -> Result<(), Error> {
        let (token, id) = (token.clone(), id.clone());
        self.write(move |connection| {
            connection.execute(
                "DELETE FROM profile WHERE token = ?1 AND uuid = ?2",
                params![token.as_str(), id.as_str()],
            )?;
            Ok(())
        })
        .await
    }

    /// Every profile Apple was told of for a token, by Apple's id.
    pub async fn defined_profiles(
        &self,
        token: &TokenName,
    ) -> Result<BTreeMap<ProfileId, (ProfileName, Digest)>, Error> {
        let token = token.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT uuid, name, digest FROM profile WHERE token = ?1 ORDER BY defined_at",
            )?;
            let mut rows = statement.query([token.as_str()])?;
            let mut defined = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let name = typed(row.get(1)?, "profile name")?;
                defined.insert(typed(row.get(0)?, "profile id")?, (name, typed(row.get(2)?, "digest")?));
            }
            Ok(defined)
        })
        .await
    }

    /// Apple's newest id for this content of a profile, if it was ever defined.
    pub async fn profile_id(
        &self,
        token: &TokenName,
        name: &ProfileName,
        digest: &Digest,
    ) -> Result<Option<ProfileId>, Error> {
        let (token, name, digest) = (token.clone(), name.clone(), digest.clone());
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT uuid FROM profile WHERE token = ?1 AND name = ?2 AND digest = ?3
                 ORDER BY defined_at DESC LIMIT 1",
            )?;
            let mut rows = statement.query(params![token.as_str(), name.as_str(), digest.as_str()])?;
            rows.next()?.map(|row| typed(row.get(0)?, "profile id")).transpose()
        })
        .await
    }
}
