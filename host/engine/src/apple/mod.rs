//! Apple's device enrolment service, bound to one server token.

mod credentials;
mod error;
pub mod token_file;

mod refusal;
mod wire;

pub use credentials::{Credentials, NotCredentials};
pub use error::{Answer, Call, Error, Next};
pub use wire::account::Account;
pub use wire::device::Unreadable;
pub use wire::outcome::{AssignStatus, Assigned};
pub use wire::page::{Lookup, PageAnswer};
