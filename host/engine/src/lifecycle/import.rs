//! A token taken over: decrypted, tried at Apple, compared with what is known, and only then stored.
//!
//! Until the one transaction at the end nothing is changed, so whatever goes wrong before it, and
//! whenever the process dies, the import can be typed again.

use domain::id::TokenName;
use domain::token::Token;
use secrecy::{ExposeSecret as _, SecretSlice};

use super::{Error, Imported, Was};
use crate::apple::token_file::{self, KeyPair};
use crate::apple::{Account, Client, Credentials};
use crate::engine::Engine;
use crate::store::{self, KeyOfToken, Limits, NewToken, TokenKey};

/// What a token comes in.
pub enum Incoming {
    /// A file of Apple's portal, sealed for one of our keys.
    File(Vec<u8>),
    /// The same, and the key pair that another program made for it.
    FileWithKey(Vec<u8>, KeyPair),
    /// A token that is open already, with the key pairs that came with it.
    Open {
        /// The token.
        credentials: Credentials,
        /// What it was asked for with.
        pair: Option<KeyPair>,
        /// Made for the token after it.
        pending: Option<KeyPair>,
    },
}

/// Decrypts what comes, checks the token with Apple, and stores it in the place of the one there is.
pub async fn import(engine: &Engine, name: &TokenName, incoming: Incoming) -> Result<Imported, Error> {
    if !engine.settings.tokens.contains_key(name) {
        return Err(Error::NotConfigured(name.clone()));
    }
    let mut pending = Vec::new();
    let (key, credentials) = match incoming {
        Incoming::File(p7m) => decrypt(engine, name, &p7m).await?,
        Incoming::FileWithKey(p7m, pair) => {
            let read = token_file::decrypt(&p7m, &pair.certificate_pem, &pair.private_key_pem);
            let credentials = read.map_err(|source| Error::File { token: name.clone(), source })?;
            (keep(engine, name, Some(pair)).await?, credentials)
        }
        Incoming::Open { credentials, pair, pending: next } => {
            for pair in pair.iter().chain(&next) {
                pair.check().map_err(|source| Error::File { token: name.clone(), source })?;
            }
            if let KeyOfToken::New(key) = keep(engine, name, next).await? {
                pending.push(key);
            }
            (keep(engine, name, pair).await?, credentials)
        }
    };
    let now = engine.now();
    if credentials.access_token_expiry <= now {
        return Err(Error::Expired { token: name.clone(), at: credentials.access_token_expiry });
    }
    let known = engine.store.token(name).await?;
    let in_use = engine.credentials(name).await?;
    // The same server and the same person: Apple need not be asked to know which is older.
    if let (Some(known), Some(in_use)) = (&known, &in_use)
        && in_use.consumer_key.expose_secret() == credentials.consumer_key.expose_secret()
    {
        not_older(known, &credentials)?;
    }
    let account = ask(engine, name, &credentials).await?;
    let token = token_of(engine, name, &credentials, &account)?;
    compare(engine, known.as_ref(), &token).await?;
    if let Some(known) = &known {
        not_older(known, &credentials)?;
        if in_use.is_some_and(|in_use| in_use.is_the_same(&credentials)) {
            // Keys that come along with it are kept all the same: a later file may be made for them.
            if let KeyOfToken::New(key) = key {
                pending.push(key);
            }
            for key in pending {
                engine.store.add_token_key(key).await?;
            }
            return Ok(Imported { token: known.clone(), was: Was::ThereAlready });
        }
    }
    let new = NewToken {
        token: token.clone(),
        credentials: SecretSlice::from(credentials.expose_everything_as_json().to_vec()),
        key,
        pending,
        limits: Limits { page: account.page_limit, assign: account.assign_limit },
        replaces: known.as_ref().map(|known| known.imported_at),
    };
    if !engine.store.replace_token(new).await? {
        return Err(Error::Meanwhile(name.clone()));
    }
    Ok(Imported { token, was: known.map_or(Was::New, Was::Renewed) })
}

/// Puts the token before the one in use back, if Apple takes it.
pub async fn restore(engine: &Engine, name: &TokenName) -> Result<Token, Error> {
    if !engine.settings.tokens.contains_key(name) {
        return Err(Error::NotConfigured(name.clone()));
    }
    let none = || Error::NoPrevious(name.clone());
    let (previous, sealed) = engine.store.previous_credentials(name).await?.ok_or_else(none)?;
    if previous.expires_at <= engine.now() {
        return Err(Error::Expired { token: name.clone(), at: previous.expires_at });
    }
    let credentials = Credentials::from_json(sealed.expose_secret())
        .map_err(|error| store::Error::Corrupt { what: "set of credentials", text: error.to_string() })?;
    let account = ask(engine, name, &credentials).await?;
    let token = token_of(engine, name, &credentials, &account)?;
    compare(engine, engine.store.token(name).await?.as_ref(), &token).await?;
    engine.store.restore_previous(name, engine.now()).await?.ok_or_else(none)
}

/// Tries every key made for the token, the newest first, and says which fits.
async fn decrypt(engine: &Engine, name: &TokenName, p7m: &[u8]) -> Result<(KeyOfToken, Credentials), Error> {
    let mut newest = None;
    for key in engine.store.token_keys(name).await? {
        match token_file::decrypt(p7m, &key.certificate, &key.private_key) {
            Ok(credentials) => return Ok((KeyOfToken::Kept(key.id), credentials)),
            Err(error) => newest = newest.or(Some(error)),
        }
    }
    // What is no token file is told as such, also where there is no key.
    let recipients =
        token_file::made_for(p7m).map_err(|source| Error::File { token: name.clone(), source })?;
    let records = engine.store.key_records().await?;
    let other = records.into_iter().find(|key| key.token != *name && recipients.include(&key.certificate));
    if let Some(other) = other {
        return Err(Error::OtherRequest { token: name.clone(), other: other.token });
    }
    Err(match newest {
        Some(source) => Error::File { token: name.clone(), source },
        None => Error::NeverRequested(name.clone()),
    })
}

/// The row for a key pair that came from elsewhere; the one there is, if it is here already.
async fn keep(engine: &Engine, name: &TokenName, pair: Option<KeyPair>) -> Result<KeyOfToken, Error> {
    let Some(pair) = pair else { return Ok(KeyOfToken::None) };
    let records = engine.store.key_records().await?;
    let certificate = pair.certificate_pem.trim();
    if let Some(kept) = records.iter().find(|key| key.token == *name && key.certificate.trim() == certificate)
    {
        return Ok(KeyOfToken::Kept(kept.id.clone()));
    }
    Ok(KeyOfToken::New(TokenKey {
        id: engine.new_run_id().to_string(),
        token: name.clone(),
        certificate: pair.certificate_pem,
        private_key: pair.private_key_pem,
        created_at: engine.now(),
    }))
}

async fn ask(engine: &Engine, name: &TokenName, credentials: &Credentials) -> Result<Account, Error> {
    let settings = engine.settings.tokens.get(name).ok_or_else(|| Error::NotConfigured(name.clone()))?;
    let check = |source| Error::Check { token: name.clone(), source };
    let client = Client::new(settings.options(name, credentials.clone())).map_err(check)?;
    client.account().await.map_err(check)
}

fn token_of(
    engine: &Engine,
    name: &TokenName,
    credentials: &Credentials,
    account: &Account,
) -> Result<Token, Error> {
    let account = account.clone();
    Ok(Token {
        name: name.clone(),
        server_name: account.server_name.unwrap_or_default(),
        server_uuid: account.server_uuid.ok_or_else(|| Error::NoServer(name.clone()))?,
        org_name: account.org_name.unwrap_or_default(),
        org_id: account.org_id,
        admin_id: account.admin_id.unwrap_or_default(),
        expires_at: credentials.access_token_expiry,
        imported_at: engine.now(),
    })
}

fn not_older(known: &Token, credentials: &Credentials) -> Result<(), Error> {
    let at = credentials.access_token_expiry;
    if at >= known.expires_at {
        return Ok(());
    }
    Err(Error::Older { token: known.name.clone(), at, in_use: known.expires_at })
}

/// Whether it is a token of the server we know under this name, and of none that has another.
async fn compare(engine: &Engine, known: Option<&Token>, token: &Token) -> Result<(), Error> {
    let name = &token.name;
    if let Some(known) = known {
        if known.server_uuid != token.server_uuid {
            let (ours, theirs) = (known.server_name.clone(), token.server_name.clone());
            return Err(Error::OtherServer { token: name.clone(), ours, theirs });
        }
        if let (Some(ours), Some(theirs)) = (&known.org_id, &token.org_id)
            && ours != theirs
        {
            return Err(Error::OtherOrganisation {
                token: name.clone(),
                ours: format!("{} ({ours})", known.org_name),
                theirs: format!("{} ({theirs})", token.org_name),
            });
        }
    }
    let tokens = engine.store.tokens().await?;
    let twin = tokens
        .into_iter()
        .map(|it| it.token)
        .find(|it| it.name != *name && it.server_uuid == token.server_uuid);
    match twin {
        Some(twin) => Err(Error::ServerTaken {
            token: name.clone(),
            server: token.server_name.clone(),
            other: twin.name,
        }),
        None => Ok(()),
    }
}
