//! What is inside a token file once it is decrypted: headers, two marker lines that Apple's
//! documentation leaves out, and JSON that may be broken over lines.

use secrecy::zeroize::Zeroizing;

use super::TokenFileError;
use crate::apple::credentials::{Credentials, NotCredentials};

/// The token in the decrypted message.
pub(super) fn credentials(plaintext: &[u8]) -> Result<Credentials, TokenFileError> {
    // Decrypting with a damaged key gives noise, now and then without an error.
    let Ok(text) = str::from_utf8(plaintext) else {
        return Err(TokenFileError::Damaged("its content is not text"));
    };
    let text = text.trim_start_matches('\u{feff}');
    let mut json = Zeroizing::new(String::with_capacity(text.len()));
    for line in behind_headers(text).lines() {
        if !line.starts_with("-----") {
            json.push_str(line.trim_end_matches('\r'));
        }
    }
    let json = json.find('{').map(|start| &json[start..]).ok_or(NotCredentials::NotJson);
    json.and_then(|json| Credentials::from_json(json.trim_end().as_bytes()))
        .map_err(TokenFileError::NotAToken)
}

/// Past the first header block, if there is one: Apple's JSON begins no line with a header.
fn behind_headers(text: &str) -> &str {
    if text.trim_start().starts_with(['{', '-']) {
        return text;
    }
    let mut rest = text;
    while let Some((line, after)) = rest.split_once('\n') {
        rest = after;
        if line.trim().is_empty() {
            return rest;
        }
    }
    text
}
