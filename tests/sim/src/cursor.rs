//! Cursors: opaque to the client, a position to us.
//!
//! A cursor carries everything needed to go on, so that the service keeps nothing per client and an old
//! cursor can be used again. It is bound to its server by a check value: an invented or foreign cursor is
//! `INVALID_CURSOR`, as with Apple.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use openssl::sha::sha256;

/// Where to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// In the full list, which was `end` slots long when the fetch began; the journal stood at `journal`.
    Fetch { next: u32, end: u32, journal: u32 },
    /// In the journal of changes.
    Sync { journal: u32 },
}

/// A position, and when it was given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) position: Position,
    /// In milliseconds since 1970.
    pub(crate) issued: i64,
    /// An empty page comes first.
    pub(crate) gap: bool,
}

impl Cursor {
    /// The text a client sees: Base64 of numbers between colons, like Apple's.
    pub(crate) fn encode(&self, server_uuid: &str) -> String {
        let (kind, next, end, journal) = match self.position {
            Position::Fetch { next, end, journal } => (0, next, end, journal),
            Position::Sync { journal } => (1, 0, 0, journal),
        };
        let kind = kind + if self.gap { 2 } else { 0 };
        let numbers = format!("{kind}:{next}:{end}:{journal}:{}", self.issued);
        BASE64.encode(format!("{numbers}:{:08x}", check(&numbers, server_uuid)))
    }

    /// Reads what `encode` wrote for the same server, and nothing else.
    pub(crate) fn decode(text: &str, server_uuid: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64.decode(text).ok()?).ok()?;
        let (numbers, found) = text.rsplit_once(':')?;
        if format!("{:08x}", check(numbers, server_uuid)) != found {
            return None;
        }
        let mut numbers = numbers.split(':').map(str::parse::<i64>);
        let mut next = || numbers.next()?.ok();
        let (kind, at, end, journal, issued) = (next()?, next()?, next()?, next()?, next()?);
        let journal = journal.try_into().ok()?;
        let position = match kind % 2 {
            0 => Position::Fetch { next: at.try_into().ok()?, end: end.try_into().ok()?, journal },
            _ => Position::Sync { journal },
        };
        Some(Self { position, issued, gap: kind >= 2 })
    }
}

fn check(numbers: &str, server_uuid: &str) -> u32 {
    let digest = sha256(format!("{server_uuid}:{numbers}").as_bytes());
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(position: Position, written_for: &str, read_by: &str, readable: bool) {
        for gap in [false, true] {
            let cursor = Cursor { position, issued: 1_767_950_000_000, gap };
            let text = cursor.encode(written_for);
            assert!(text.len() <= 1000 && !text.contains('='), "{text}");
            assert_eq!(Cursor::decode(&text, read_by), readable.then_some(cursor));
        }
    }

    #[test]
    fn a_server_reads_its_own_cursors() {
        check(Position::Fetch { next: 100, end: 2500, journal: 2507 }, "A", "A", true);
        check(Position::Sync { journal: u32::MAX }, "A", "A", true);
    }

    #[test]
    fn a_server_does_not_read_those_of_another() {
        check(Position::Sync { journal: 1 }, "A", "B", false);
    }

    #[test]
    fn invented_text_is_no_cursor() {
        for text in ["", "x", "MTowOjA6MTow", "é", "0:0:0:0:0:00000000"] {
            assert_eq!(Cursor::decode(text, "A"), None, "{text}");
        }
    }
}
