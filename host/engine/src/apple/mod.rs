//! Apple's device enrolment service, as its web service speaks it, bound to one server token.
//!
//! [`Client`] has one thin method per endpoint and speaks `domain`'s types. It knows no policy and
//! no store, and it does not try again: the one thing it does by itself is to renew its session and
//! repeat the request that was refused because of it, once. Whoever calls it asks the
//! [`Error::next`] who acts.
//!
//! [`token_file`] makes what a person uploads to Apple's portal and reads what they download.

mod bypass;
mod client;
mod credentials;
mod error;
mod network;
mod trouble;

pub mod backoff;
pub mod token_file;

mod exchange;
mod oauth;
mod refusal;
mod session;
mod wire;

#[cfg(test)]
mod mutation;

pub(crate) use backoff::asked as retry_after;
pub use bypass::{BypassCode, NotABypassCode};
pub use client::{Client, Options, UnreadPage};
pub use credentials::{Credentials, NotCredentials};
pub use error::{Answer, Call, Error, Next};
pub use network::{Authorities, Connections, Network, Proxy, ProxyUrl};
pub use trouble::Trouble;
pub use wire::account::Account;
pub use wire::device::{Unreadable, read_device};
pub use wire::lock::LockStatus;
pub use wire::outcome::{AssignStatus, Assigned};
pub use wire::page::{Lookup, PageAnswer};
pub use wire::services::{BetaToken, BetaTokens, Discovery, Replacement};
