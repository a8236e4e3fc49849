//! Why a token cannot be asked for or imported, and what to do about it.

use domain::id::TokenName;
use jiff::Timestamp;

use super::moving_in;
use crate::apple;
use crate::apple::token_file::{RequestError, TokenFileError};
use crate::store;

/// Why a token cannot be asked for or imported. Whatever was there before is still there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a name of the configuration.
    #[error("the token `{0}` is not in deputy.toml")]
    NotConfigured(TokenName),
    /// No key pair could be made.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// No key was ever made for it.
    #[error("no key was made for `{0}`, so its token cannot be read")]
    NeverRequested(TokenName),
    /// The file is for the key of another name.
    #[error("the file was made for the request of `{other}`, and not for one of `{token}`")]
    OtherRequest {
        /// For which token it was to be imported.
        token: TokenName,
        /// For which it was made.
        other: TokenName,
    },
    /// The file cannot be read with any key there is.
    #[error("the token file of `{token}` cannot be read")]
    File {
        /// For which token.
        token: TokenName,
        /// With the newest key, why not.
        #[source]
        source: TokenFileError,
    },
    /// What another program keeps cannot be used.
    #[error(transparent)]
    MovingIn(#[from] moving_in::Error),
    /// It ended before it was imported.
    #[error("the token for `{token}` ended on {}", at.strftime("%Y-%m-%d"))]
    Expired {
        /// For which token.
        token: TokenName,
        /// When.
        at: Timestamp,
    },
    /// One that was made later is in use.
    #[error(
        "it is an older token of `{token}`: it ends on {}, and the one in use on {}",
        minute(at),
        minute(in_use)
    )]
    Older {
        /// For which token.
        token: TokenName,
        /// The end of the one that was to be imported.
        at: Timestamp,
        /// The end of the one in use.
        in_use: Timestamp,
    },
    /// It belongs to another server entry of the portal.
    #[error("the file holds a token of the server \"{theirs}\", and `{token}` is the server \"{ours}\"")]
    OtherServer {
        /// For which token.
        token: TokenName,
        /// The server we know.
        ours: String,
        /// The server it belongs to.
        theirs: String,
    },
    /// The server is the same, the organisation is not.
    #[error("the file holds a token of the organisation {theirs}, and `{token}` is of {ours}")]
    OtherOrganisation {
        /// For which token.
        token: TokenName,
        /// The organisation we know.
        ours: String,
        /// The one it belongs to.
        theirs: String,
    },
    /// Another name has this server.
    #[error("the server \"{server}\" is here already, as `{other}`")]
    ServerTaken {
        /// For which token.
        token: TokenName,
        /// The server.
        server: String,
        /// The name that has it.
        other: TokenName,
    },
    /// Another import was quicker.
    #[error("another token of `{0}` was imported meanwhile")]
    Meanwhile(TokenName),
    /// There is nothing to go back to.
    #[error("no token before the one in use is kept for `{0}`")]
    NoPrevious(TokenName),
    /// Apple does not say which server it is, so nothing can be compared.
    #[error("Apple's answer does not name the server of `{0}`")]
    NoServer(TokenName),
    /// Apple did not accept it, or did not answer.
    #[error("the token of `{token}` can be read, but could not be checked with Apple")]
    Check {
        /// For which token.
        token: TokenName,
        /// What Apple said.
        #[source]
        source: apple::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// What a person can do about it.
    pub fn advice(&self) -> Option<String> {
        Some(match self {
            Self::NotConfigured(token) => format!("add a table `[tokens.{token}]` to deputy.toml"),
            Self::NeverRequested(token) => {
                format!(
                    "type `deputy token request {token}`, and upload the certificate it makes to Apple's portal; if another \
                     program made the certificate, import the file with its key (`--certificate` and `--private-key`)"
                )
            }
            Self::OtherRequest { token, other } => format!(
                "run `deputy token import {other} FILE`; or, if it is the server that is to be `{token}`, upload the \
                 certificate of `deputy token request {token}` for it and download the token again"
            ),
            Self::File { token, source } => return Some(file_advice(token, source)),
            Self::MovingIn(error) => return error.advice(),
            Self::Expired { token, .. } => {
                format!(
                    "download a new token from Apple's portal, then run `deputy token import {token} FILE`"
                )
            }
            Self::Older { token, .. } => format!(
                "the one in use stays; if it does not work (`deputy token check {token}`), download a new token from \
                 Apple's portal, and import that file"
            ),
            Self::OtherServer { token, theirs, .. } => format!(
                "import it under another name, or download the token of the right server; `{token}` is unchanged, \
                 but downloading ended the token of \"{theirs}\" that was in use"
            ),
            Self::OtherOrganisation { token, .. } => format!(
                "import it under another name, or download the token of the right organisation; `{token}` is unchanged"
            ),
            Self::ServerTaken { token, other, .. } => format!(
                "run `deputy token import {other} FILE` to renew it there; or `deputy token rename {other} {token}` \
                 first, if it is to have the other name"
            ),
            Self::Meanwhile(token) => {
                format!("look at it with `deputy token show {token}`, then import the newest file")
            }
            Self::NoPrevious(token) => format!(
                "one is kept only until the one in use has worked in a run or a check; to replace that one, download \
                 a new token from Apple's portal and run `deputy token import {token} FILE`"
            ),
            Self::Check { token, source: apple::Error::TokenRejected { answer, .. } }
                if !answer.is_about_the_request() =>
            {
                format!(
                    "it was revoked, or somebody has downloaded a newer one since, which ends it: download a token from \
                     Apple's portal, then run `deputy token import {token} FILE` with that file"
                )
            }
            Self::Check { source, .. } => {
                source.advice().unwrap_or_else(|| "import the file again when Apple answers".to_owned())
            }
            Self::Store(store::Error::Secret(error)) => error.advice(),
            Self::Request(_) | Self::NoServer(_) | Self::Store(_) => return None,
        })
    }
}

fn file_advice(token: &TokenName, error: &TokenFileError) -> String {
    match error {
        TokenFileError::OtherCertificate { .. } => format!(
            "if another program made the certificate, import the file with its key (`--certificate` and \
             `--private-key`); else upload the certificate of `deputy token request {token}` to Apple's portal once \
             more, download the token again, and import that file"
        ),
        TokenFileError::KeysDiffer | TokenFileError::KeyPair(_) => {
            "name the private key and the certificate that were made together".to_owned()
        }
        _ => "download the token from Apple's portal again, and import that file as it is".to_owned(),
    }
}

fn minute(time: &Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
