//! Policies that misbehave on purpose, as tests need them: bytes of files an operator might have.
//!
//! Those from `tests/guests` are made when this crate is built, the [`zoo`] when a test asks for it.

pub mod guest;
pub mod versions;
pub mod zoo;

/// A policy of version 1.0 that answers every question, as its settings choose; see the source of `three-questions`.
pub const THREE_QUESTIONS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/three-questions.wasm"));

/// A policy of version 1.1 that says for how long its verdicts last, as its settings choose; see the source of
/// `lasting`.
pub const LASTING: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/lasting.wasm"));

/// A policy of version 0.1 whose settings choose how it misbehaves; see the source of `misbehave`. It stays in that
/// version, so that what was built against it is known to run.
pub const MISBEHAVE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/misbehave.wasm"));

/// Imports what nobody grants.
pub const UNGRANTED_IMPORTS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ungranted-imports.wasm"));

/// Answers a question of a contract from the future.
pub const FUTURE_CONTRACT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/future-contract.wasm"));

/// Claims to answer the assignment question, without its functions.
pub const WRONG_SHAPE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/wrong-shape.wasm"));

/// A component in order that answers no question at all.
pub const NO_QUESTION: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/no-question.wasm"));

/// A module that nobody wrapped as a component.
pub const CORE_MODULE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/core-module.wasm"));

/// Not WebAssembly at all.
pub const TEXT: &[u8] = b"# not a policy\n";

/// A component from its text.
pub fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}
