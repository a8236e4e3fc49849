//! What matters of a certificate. Reading files and decoding them is left to others.

use jiff::Timestamp;

/// A certificate, as far as a profile has to do with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Its DER in Base64.
    pub base64: String,
    /// Whose it is, for messages.
    pub subject: String,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
    /// Whether it may vouch for others.
    pub authority: bool,
}
