//! Apple's device enrolment service, as its web service speaks it, bound to one server token.
//!
//! [`Client`] has one thin method per endpoint and speaks `domain`'s types. It knows no policy and
//! no store, and it does not try again: the one thing it does by itself is to renew its session and
//! repeat the request that was refused because of it, once. Whoever calls it asks the
//! [`Error::next`] who acts.
//!
//! [`token_file`] makes what a person uploads to Apple's portal and reads what they download.

mod client;
mod credentials;
mod error;
pub mod token_file;

mod oauth;
mod refusal;
mod session;
mod wire;

pub use client::{Client, Options};
pub use credentials::{Credentials, NotCredentials};
pub use error::{Answer, Call, Error, Next};
pub use wire::account::Account;
pub use wire::device::Unreadable;
pub use wire::outcome::{AssignStatus, Assigned};
pub use wire::page::{Lookup, PageAnswer};
