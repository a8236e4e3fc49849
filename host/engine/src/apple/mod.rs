//! Apple's device enrolment service, bound to one server token.

mod credentials;
mod error;
pub mod token_file;

mod refusal;

pub use credentials::{Credentials, NotCredentials};
pub use error::{Answer, Call, Error, Next};
