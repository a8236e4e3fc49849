//! A token's life with us: asked for, imported, renewed, checked, forgotten.
//!
//! Nothing is replaced before the new token has been shown to work: it is decrypted, Apple is asked
//! with it, and the server it belongs to is compared with the one we know. Then key and token
//! change places in one transaction, and the token before is kept until the new one has worked.

mod check;
mod error;
mod facts;
mod import;
pub mod moving_in;
mod subject;
pub(crate) mod web;

use domain::id::TokenName;
use domain::token::Token;
use domain::token_facts::PendingKey;

use crate::apple::token_file;
use crate::engine::Engine;
use crate::store::TokenKey;

pub(crate) use check::how_to_import;
pub use check::{Checked, Finding, Known, check, judge};
pub use error::Error;
pub use facts::{all_facts, facts, pending_keys, requested};
pub use import::{Incoming, import, restore};
pub use subject::{About, about, mute, unsnooze};
pub(crate) use subject::{POLICY, policy_fails};

/// What a person uploads to Apple's portal.
#[derive(Clone, Debug)]
pub struct Requested {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// The token in use under this name, if there is one: then this is a renewal.
    pub renews: Option<Token>,
    /// Requests made before, still open, newest first: a token for one of them can be imported as well.
    pub open: Vec<PendingKey>,
}

/// A token that was taken over.
#[derive(Clone, Debug)]
pub struct Imported {
    /// What is known of it.
    pub token: Token,
    /// What was there before.
    pub was: Was,
}

/// What was there before an import.
#[derive(Clone, Debug)]
pub enum Was {
    /// Nothing.
    New,
    /// The token that it took the place of, which is kept until the new one has worked.
    Renewed(Token),
    /// This very token: nothing was changed.
    ThereAlready,
}

/// Makes a key pair for a token and keeps the key. Earlier requests stay good.
pub async fn request(engine: &Engine, name: &TokenName) -> Result<Requested, Error> {
    if !engine.settings.tokens.contains_key(name) {
        return Err(Error::NotConfigured(name.clone()));
    }
    let open = pending_keys(engine, name).await?;
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
    Ok(Requested { certificate_pem: pair.certificate_pem, renews, open })
}
