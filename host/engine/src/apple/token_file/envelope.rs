//! From the file to the encrypted message inside it: headers off, Base64 undone.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::TokenFileError;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The BER of the encrypted message, if there is something that could be one.
pub(super) fn open(file: &[u8]) -> Result<Vec<u8>, TokenFileError> {
    if file.starts_with(&[0x30]) && file.get(1).is_some_and(|length| *length >= 0x80) {
        return Ok(file.to_vec());
    }
    let text = String::from_utf8_lossy(file);
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
    if let Some(what) = looks_like(&text) {
        return Err(TokenFileError::NotATokenFile(what));
    }
    let base64: String = body(&text)
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .collect();
    match BASE64.decode(&base64) {
        Ok(ber) if ber.first() == Some(&0x30) => Ok(ber),
        Err(_) if base64.starts_with("MI") => Err(TokenFileError::Damaged("its Base64 is broken")),
        _ if text.to_ascii_lowercase().contains("pkcs7-mime") => {
            Err(TokenFileError::Damaged("its headers are there, its content is not"))
        }
        _ => Err(TokenFileError::NotATokenFile("something else")),
    }
}

/// What is behind the headers. They end at the first empty line; without headers, everything.
fn body(text: &str) -> &str {
    let text = text.trim_start_matches('\n');
    let first = text.lines().next().unwrap_or_default();
    // Base64 has no colon.
    if !first.contains(':') {
        return text;
    }
    let mut rest = text;
    while let Some((line, after)) = rest.split_once('\n') {
        rest = after;
        if line.trim().is_empty() {
            return rest;
        }
    }
    ""
}

/// The files people pick by mistake.
fn looks_like(text: &str) -> Option<&'static str> {
    let start: String = text.trim_start().chars().take(200).collect::<String>().to_ascii_lowercase();
    let has = |word: &str| start.contains(word);
    if start.is_empty() {
        Some("an empty one")
    } else if has("-----begin certificate-----") {
        Some("a certificate: the one to upload, perhaps; the token is what the portal gives in return")
    } else if has("private key-----") {
        Some("a private key")
    } else if start.starts_with("<!doctype html") || start.starts_with("<html") {
        Some("a web page: the portal's sign-in page, perhaps")
    } else if start.starts_with("bplist") || has("<plist") {
        Some("a property list")
    } else if start.starts_with('{') {
        Some("JSON: a token that somebody has decrypted, perhaps")
    } else if start.starts_with("pk\u{3}\u{4}") {
        Some("a ZIP archive")
    } else {
        None
    }
}
