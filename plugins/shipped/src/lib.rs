//! The policies that ship with Deputy, as components, for a program to write where an operator
//! wants them. Made from source when this crate is built; see `plugin-build`.

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
