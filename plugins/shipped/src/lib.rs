//! The policies that ship with Deputy, as components, for a program to write where an operator
//! wants them. Made from source when this crate is built; see `plugin-build`.

/// Ordered first-match rules; `plugins/rules` is the source.
pub const RULES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rules.wasm"));
