//! Case files: what goes into a policy and what must come out, as TOML that people write.
//!
//! `../CASES.md` describes the format. Here it is read ([`File`]), answers are put into the same words
//! as expectations ([`Answer`]), compared ([`Difference`]), and expectations rewritten ([`update`]).
//! Who asks the policy is somebody else's business: a sandbox, or a test that calls it.

mod about;
mod answer;
mod difference;
mod file;
mod input;
mod update;

pub use about::{plan, tokens};
pub use answer::{Answer, Decision, Occasion, Opinion, Problem, Reminder, Verdict};
pub use difference::Difference;
pub use file::{Case, Error, File, Question, Setup, Table, schema};
pub use input::{Action, Device, Fact, Move, Plan, ProfileStatus, Token, Trouble};
pub use update::update;
