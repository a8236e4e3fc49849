//! What is known of every token, put together: the store's rows, and what their certificates say.

use domain::id::TokenName;
use domain::token_facts::{PendingKey, TokenFacts};
use jiff::Timestamp;

use crate::apple::token_file;
use crate::engine::Engine;
use crate::store::{self, KeyRecord, TokenRecord};

/// What is known of every token that was imported, by name; configured or not.
pub async fn all_facts(engine: &Engine) -> Result<Vec<TokenFacts>, store::Error> {
    Ok(engine.store.token_records().await?.into_iter().map(facts_of).collect())
}

/// What is known of one token, if it was ever imported.
pub async fn facts(engine: &Engine, name: &TokenName) -> Result<Option<TokenFacts>, store::Error> {
    Ok(all_facts(engine).await?.into_iter().find(|facts| facts.token.name == *name))
}

/// The keys made for a name and still waiting for their token, newest first; also where no token was
/// ever imported.
pub async fn pending_keys(engine: &Engine, name: &TokenName) -> Result<Vec<PendingKey>, store::Error> {
    let keys = engine.store.key_records().await?;
    Ok(keys.iter().filter(|key| key.token == *name).filter_map(pending).collect())
}

/// Every name under which keys wait and no token was ever imported, with the time of the latest.
pub async fn requested(engine: &Engine) -> Result<Vec<(TokenName, Timestamp)>, store::Error> {
    let imported = engine.store.token_records().await?;
    let mut found: Vec<(TokenName, Timestamp)> = Vec::new();
    for key in engine.store.key_records().await? {
        let is_there = imported.iter().any(|record| record.token.name == key.token)
            || found.iter().any(|(name, _)| *name == key.token);
        if !is_there {
            found.push((key.token, key.created_at));
        }
    }
    found.sort();
    Ok(found)
}

fn facts_of(record: TokenRecord) -> TokenFacts {
    let TokenRecord { token, key_id, keys, previous, standing } = record;
    let used = keys.iter().find(|key| Some(&key.id) == key_id.as_ref());
    TokenFacts {
        certificate: used.and_then(|key| token_file::certificate(&key.certificate)),
        pending: keys.iter().filter_map(pending).collect(),
        token,
        previous,
        standing,
    }
}

fn pending(key: &KeyRecord) -> Option<PendingKey> {
    let certificate = key.pending.then(|| token_file::certificate(&key.certificate))??;
    Some(PendingKey { requested_at: key.created_at, certificate })
}
