//! Which profiles Apple was told of. Apple never forgets one, and devices may be on an old one.

use std::collections::BTreeMap;

use domain::device::ProfileStatus;
use domain::id::{Digest, ProfileId, ProfileName, TokenName};
use domain::profile::Definition;
use jiff::Timestamp;
use rusqlite::{Row, params};

use serde_json::Value;

use super::{Error, Store, from_json, millis, time, typed};

/// A definition of a profile that Apple was told of.
#[derive(Clone, Debug, PartialEq)]
pub struct Defined {
    /// Apple's id of it.
    pub id: ProfileId,
    /// Our name for the profile.
    pub name: ProfileName,
    /// The digest of what was sent.
    pub digest: Digest,
    /// When.
    pub at: Timestamp,
    /// What was sent; none if that was before it was kept.
    pub body: Option<Value>,
}

/// How many devices of a token are on each profile, by the status of it.
pub type StatusCounts = BTreeMap<ProfileId, BTreeMap<&'static str, u64>>;

const COLUMNS: &str = "uuid, name, digest, defined_at, body";

impl Store {
    /// Records that Apple knows a profile.
    pub async fn profile_defined(
        &self,
        token: &TokenName,
        name: &ProfileName,
        definition: &Definition,
        id: &ProfileId,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (token, name, id) = (token.clone(), name.clone(), id.clone());
        let (digest, body) = (definition.digest.clone(), definition.body.to_string());
        self.write(move |connection| {
            connection.execute(
                "INSERT OR REPLACE INTO profile (token, uuid, name, digest, defined_at, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![token.as_str(), id.as_str(), name.as_str(), digest.as_str(), millis(now), body],
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

    /// The same as it was then. One that Apple has forgotten since is not among them.
    pub async fn defined_profiles_by(
        &self,
        token: &TokenName,
        then: Timestamp,
    ) -> Result<BTreeMap<ProfileId, (ProfileName, Digest)>, Error> {
        let mut defined = self.defined_profiles(token).await?;
        let token = token.clone();
        let later = self
            .read(move |connection| {
                let mut statement = connection
                    .prepare_cached("SELECT uuid FROM profile WHERE token = ?1 AND defined_at > ?2")?;
                let mut rows = statement.query(params![token.as_str(), millis(then)])?;
                let mut later: Vec<ProfileId> = Vec::new();
                while let Some(row) = rows.next()? {
                    later.push(typed(row.get(0)?, "profile id")?);
                }
                Ok(later)
            })
            .await?;
        later.iter().for_each(|id| drop(defined.remove(id)));
        Ok(defined)
    }

    /// Every definition of a profile for a token, the newest first.
    pub async fn definitions(&self, token: &TokenName, name: &ProfileName) -> Result<Vec<Defined>, Error> {
        let (token, name) = (token.clone(), name.clone());
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM profile WHERE token = ?1 AND name = ?2 ORDER BY defined_at DESC, uuid"
            ))?;
            let mut rows = statement.query([token.as_str(), name.as_str()])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(defined(row)?);
            }
            Ok(found)
        })
        .await
    }

    /// What is on record of a profile that Apple calls so.
    pub async fn definition(&self, token: &TokenName, id: &ProfileId) -> Result<Option<Defined>, Error> {
        let (token, id) = (token.clone(), id.clone());
        self.read(move |connection| {
            let mut statement = connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM profile WHERE token = ?1 AND uuid = ?2"))?;
            let mut rows = statement.query([token.as_str(), id.as_str()])?;
            rows.next()?.map(defined).transpose()
        })
        .await
    }

    /// How many devices of a token are on each profile, or were, by the status of it. A device whose
    /// assignment Apple's lists do not show yet counts as assigned.
    pub async fn devices_by_status(&self, token: &TokenName) -> Result<StatusCounts, Error> {
        let token = token.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT coalesce(ours_profile, profile_uuid) p,
                     iif(ours_profile IS NULL
                             OR (ours_profile = profile_uuid AND profile_status IN ('assigned', 'pushed')),
                         profile_status, 'assigned') s,
                     sum(devices)
                 FROM standing
                 WHERE token = (SELECT number FROM token WHERE name = ?1) AND gone = 0 AND p IS NOT NULL
                 GROUP BY p, s",
            )?;
            let mut rows = statement.query([token.as_str()])?;
            let mut counts = StatusCounts::new();
            while let Some(row) = rows.next()? {
                let status: String = row.get(1)?;
                let by_status = counts.entry(typed(row.get(0)?, "profile id")?).or_default();
                by_status.insert(ProfileStatus::from_apple(&status).as_str(), row.get(2)?);
            }
            Ok(counts)
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

/// A definition from the columns of [`COLUMNS`].
fn defined(row: &Row<'_>) -> Result<Defined, Error> {
    let body: Option<String> = row.get(4)?;
    Ok(Defined {
        id: typed(row.get(0)?, "profile id")?,
        name: typed(row.get(1)?, "profile name")?,
        digest: typed(row.get(2)?, "digest")?,
        at: time(row.get(3)?)?,
        body: body.map(|text| from_json(&text, "profile")).transpose()?,
    })
}
