//! Apple's device enrolment service, bound to one server token.

mod credentials;
pub mod token_file;

pub use credentials::{Credentials, NotCredentials};
