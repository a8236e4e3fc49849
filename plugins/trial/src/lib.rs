//! For the tests of policies in Rust: case files run against the policy's own functions, natively, and
//! its schema compared with what it really accepts.
//!
//! Also devices made by chance, and whether verdicts last for as long as the policy says. `deputy plugin test` runs the same files against the component.

mod any;
mod convert;
mod lasting;
mod run;
mod schema;

pub use any::any_device;
pub use lasting::how_long;
pub use run::{Ask, ask_assignment, ask_reminder, ask_review, check_cases};
pub use schema::check_schema;
