//! Tokens as JSON: Apple's own five members, as every tool prints them, or a list of them as MicroMDM's
//! `GET /v1/dep-tokens` answers.

use serde_json::Value;

use super::Entry;
use crate::apple::{Credentials, NotCredentials};

/// Whether it is JSON rather than a file of Apple's portal.
pub(super) fn is_one(content: &[u8]) -> bool {
    let content = content.strip_prefix("\u{feff}".as_bytes()).unwrap_or(content);
    content.trim_ascii_start().starts_with(b"{")
}

pub(super) fn read(content: &[u8]) -> Result<Vec<Entry>, NotCredentials> {
    let content = content.strip_prefix("\u{feff}".as_bytes()).unwrap_or(content);
    let value: Value = serde_json::from_slice(content).map_err(|_| NotCredentials::NotJson)?;
    match value.get("dep_tokens") {
        Some(Value::Array(tokens)) => {
            tokens.iter().map(|token| entry(token.to_string().as_bytes())).collect()
        }
        _ => Ok(vec![entry(content)?]),
    }
}

/// Called by its end: that tells several apart, and is no secret.
pub(super) fn entry(json: &[u8]) -> Result<Entry, NotCredentials> {
    let credentials = Credentials::from_json(json)?;
    let name = credentials.access_token_expiry.to_string();
    Ok(Entry { name, credentials, pair: None, pending: None })
}
