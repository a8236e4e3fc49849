//! The calendar file that goes with a mail about something that ends. (RFC 5545)

use std::fmt::Write as _;

use super::{Ending, Message};

/// Bytes of a line before it is to be folded.
const LINE: usize = 75;

impl Message {
    /// A calendar with one entry, at the end of what the message is about; none if it has no end.
    /// `domain` makes the entry's name unique in the world.
    pub fn calendar(&self, domain: &str) -> Option<String> {
        let Ending { at, key, title } = self.ends.as_ref()?;
        let stamp = |time: jiff::Timestamp| time.strftime("%Y%m%dT%H%M%SZ").to_string();
        let mut out = String::new();
        let mut line = |text: &str| fold(text, &mut out);
        line("BEGIN:VCALENDAR");
        line("VERSION:2.0");
        line("PRODID:-//Deputy//Deputy//EN");
        line("METHOD:PUBLISH");
        line("BEGIN:VEVENT");
        // The same for every message about this thing: a later one takes the entry's place.
        line(&format!("UID:{key}@{domain}"));
        // An entry takes another's place only with a number that is not smaller: a later end has a larger one.
        line(&format!("SEQUENCE:{}", at.as_second().max(0) / 3600));
        line(&format!("DTSTAMP:{}", stamp(self.created_at)));
        line(&format!("DTSTART:{}", stamp(*at)));
        line(&format!("SUMMARY:{}", escaped(title)));
        line(&format!("DESCRIPTION:{}", escaped(&self.text)));
        // It fills no time of anybody's.
        line("TRANSP:TRANSPARENT");
        for before in ["P7D", "P1D"] {
            line("BEGIN:VALARM");
            line("ACTION:DISPLAY");
            line(&format!("DESCRIPTION:{}", escaped(title)));
            line(&format!("TRIGGER:-{before}"));
            line("END:VALARM");
        }
        line("END:VEVENT");
        line("END:VCALENDAR");
        Some(out)
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// Adds a line; what does not fit goes on in the next one, after a space, between two characters.
fn fold(text: &str, out: &mut String) {
    let mut used = 0;
    for c in text.chars() {
        if used + c.len_utf8() > LINE {
            out.push_str("\r\n ");
            used = 1;
        }
        let _ = write!(out, "{c}");
        used += c.len_utf8();
    }
    out.push_str("\r\n");
}
