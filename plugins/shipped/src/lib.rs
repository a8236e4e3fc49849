//! What of the policies the program carries: the shipped ones as components, for an operator, and
//! the templates of new ones, for their authors. Made from source when this crate is built; see
//! `plugin-build`.

/// Ordered first-match rules; `plugins/rules` is the source.
pub const RULES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rules.wasm"));

/// A new profile for a growing share of a group; `plugins/rollout` is the source.
pub const ROLLOUT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rollout.wasm"));

/// Who is told about tokens, when, and in which words; `plugins/reminders` is the source.
pub const REMINDERS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/reminders.wasm"));

/// Limits on what one run may change; `plugins/guard` is the source.
pub const GUARD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guard.wasm"));

/// All of them, by the name of their file.
pub const ALL: [(&str, &[u8]); 4] =
    [("rules.wasm", RULES), ("rollout.wasm", ROLLOUT), ("reminders.wasm", REMINDERS), ("guard.wasm", GUARD)];

/// The files of `plugins/templates`, by their paths below it, and their texts. In both, `{{name}}` and
/// `{{world}}` stand for what is chosen when a project is made.
pub const TEMPLATES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/templates.rs"));

/// The contract that the templates are made for.
pub const CONTRACT: &str = include_str!("../../../wit/v1.1/policy.wit");
