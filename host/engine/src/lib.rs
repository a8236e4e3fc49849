//! What Deputy does: it asks Apple, remembers, and carries out what `domain` decides.
//!
//! No wasmtime here and nothing printed: a policy is a [`domain::verdict::Policy`], words are data.

pub mod daemon;
pub mod runner;
mod step;
mod upkeep;
mod waiting;
mod watch;

pub mod engine;
pub mod expected;
pub mod failure;
pub mod foresee;
pub mod freshness;
pub mod lifecycle;
pub mod ping;
pub mod profiles;
pub mod rails;
pub mod settings;
pub mod table;

pub mod apple;
pub mod channel;
pub mod outbox;
pub mod secrets;
pub mod store;

pub mod clock;
pub mod copies;
pub mod keep;
pub mod lock;
pub mod room;
pub mod stop;
