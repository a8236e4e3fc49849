//! What of the policies the program carries: the shipped ones as components, for an operator, and
//! the templates of new ones, for their authors. Made from source when this crate is built; see
//! `plugin-build`.

/// Ordered first-match rules; `plugins/rules` is the source.
pub const RULES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rules.wasm"));

/// The files of `plugins/templates`, by their paths below it, and their texts. In both, `{{name}}` and
/// `{{world}}` stand for what is chosen when a project is made.
pub const TEMPLATES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/templates.rs"));

/// The contract that the templates are made for.
pub const CONTRACT: &str = include_str!("../../../wit/v1.0/policy.wit");
