//! Property lists, XML, binary and the old form in text, as JSON values.
//!
//! They come from other people's machines, so what one may cost is bounded: how deep it goes, how
//! many entries it has and how many bytes. A few hundred bytes of a binary list can name the same
//! object a billion times; here each time counts.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plist::stream::{AsciiReader, BinaryReader, Event, OwnedEvent, XmlReader};
use serde_json::{Map, Value};

/// The largest file that is read, in bytes.
pub const MOST_BYTES: usize = 1 << 20;
const DEEPEST: usize = 16;
const MOST_ENTRIES: u64 = 50_000;

/// Why a file is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is no property list.
    #[error("it is no property list: {0}")]
    Malformed(String),
    /// It is one that nobody needs.
    #[error("it is {0}, which no profile and no record of one is")]
    TooMuch(&'static str),
}

/// The list as a JSON value: data as Base64, dates as text.
pub fn read(bytes: &[u8]) -> Result<Value, Unreadable> {
    if bytes.len() > MOST_BYTES {
        return Err(TOO_LARGE);
    }
    if bytes.starts_with(b"bplist") {
        return build(BinaryReader::new(Cursor::new(bytes)));
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    if text.starts_with(b"<") {
        // Its reader leaves these out of a text without a word.
        for lost in ["<![CDATA[", "<!ENTITY"] {
            if text.windows(lost.len()).any(|part| part == lost.as_bytes()) {
                return Err(Unreadable::Malformed(format!(
                    "it has `{lost}`, which is not read; write it out"
                )));
            }
        }
        return build(XmlReader::new(text));
    }
    // Printed for people, data is only hinted at: there is nothing to compare.
    if text.windows(LEFT_OUT.len()).any(|window| window == LEFT_OUT) {
        return Err(Unreadable::Malformed(
            "it was printed and leaves certificates out; read the file that the Mac keeps, in \
             /var/db/ConfigurationProfiles/Settings"
                .to_owned(),
        ));
    }
    // As the `profiles` command prints it, after a line of its own.
    match text.iter().position(|byte| *byte == b'{') {
        // Its reader leaves the end of the line on texts without quotes.
        Some(begin) => build(AsciiReader::new(Cursor::new(&text[begin..])).map(|event| match event {
            Ok(Event::String(text)) => Ok(Event::String(text.trim().to_owned().into())),
            other => other,
        })),
        None => Err(Unreadable::Malformed("it is neither XML nor binary".to_owned())),
    }
}

/// How current systems print data that they do not print.
const LEFT_OUT: &[u8] = b"{length = ";

const TOO_LARGE: Unreadable = Unreadable::TooMuch("larger than 1 MiB");

/// A list or a dictionary whose end has not come.
enum Open {
    List(Vec<Value>),
    /// With the key whose value comes next.
    Dictionary(Map<String, Value>, Option<String>),
}

fn build(events: impl Iterator<Item = Result<OwnedEvent, plist::Error>>) -> Result<Value, Unreadable> {
    let malformed = |why: &str| Unreadable::Malformed(why.to_owned());
    let (mut open, mut entries, mut bytes): (Vec<Open>, u64, usize) = (Vec::new(), 0, 0);
    for event in events {
        let event = event.map_err(|error| Unreadable::Malformed(error.to_string()))?;
        entries = entries.saturating_add(match &event {
            Event::StartArray(Some(length)) | Event::StartDictionary(Some(length)) => {
                length.saturating_add(1)
            }
            _ => 1,
        });
        bytes = bytes.saturating_add(match &event {
            Event::String(text) => text.len(),
            Event::Data(data) => data.len(),
            _ => 0,
        });
        if entries > MOST_ENTRIES {
            return Err(Unreadable::TooMuch("a list of more than 50,000 entries"));
        }
        if bytes > MOST_BYTES {
            return Err(TOO_LARGE);
        }
        let value = match event {
            Event::StartArray(_) | Event::StartDictionary(_) if open.len() == DEEPEST => {
                return Err(Unreadable::TooMuch("nested more than 16 deep"));
            }
            Event::StartArray(_) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::StartDictionary(_) => {
                open.push(Open::Dictionary(Map::new(), None));
                continue;
            }
            Event::EndCollection => match open.pop() {
                Some(Open::List(list)) => Value::Array(list),
                Some(Open::Dictionary(members, None)) => Value::Object(members),
                Some(Open::Dictionary(_, Some(_))) => return Err(malformed("a key has no value")),
                None => return Err(malformed("it ends before it begins")),
            },
            Event::Boolean(is) => Value::Bool(is),
            Event::Data(data) => Value::String(STANDARD.encode(data)),
            Event::Date(date) => Value::String(date.to_xml_format()),
            Event::Integer(number) => number
                .as_signed()
                .map_or_else(|| number.as_unsigned().map_or(Value::Null, Value::from), Value::from),
            Event::Real(number) => Value::from(number),
            Event::String(text) => Value::String(text.into_owned()),
            _ => return Err(malformed("it holds something that only archives hold")),
        };
        match open.last_mut() {
            None => return Ok(value),
            Some(Open::List(list)) => list.push(value),
            Some(Open::Dictionary(members, key)) => match (key.take(), value) {
                (Some(key), value) => drop(members.insert(key, value)),
                (None, Value::String(text)) => *key = Some(text),
                (None, _) => return Err(malformed("a key is no text")),
            },
        }
    }
    Err(malformed("it has no end"))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Expect) {
        let found = match read(bytes) {
            Ok(value) => value.to_string(),
            Err(error) => format!("error: {error}"),
        };
        expected.assert_eq(&found);
    }

    fn sample() -> plist::Value {
        let mut inner = plist::Dictionary::new();
        inner.insert("Data".to_owned(), plist::Value::Data(vec![1, 2, 3]));
        inner.insert("List".to_owned(), plist::Value::Array(vec![true.into(), 7.into(), "é".into()]));
        plist::Value::Dictionary(inner)
    }

    fn binary(value: &plist::Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        value.to_writer_binary(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn xml_and_binary_say_the_same() {
        let mut xml = Vec::new();
        sample().to_writer_xml(&mut xml).unwrap();
        check(&xml, expect![[r#"{"Data":"AQID","List":[true,7,"é"]}"#]]);
        check(&binary(&sample()), expect![[r#"{"Data":"AQID","List":[true,7,"é"]}"#]]);
    }

    #[test]
    fn what_a_terminal_shows_of_one_is_read_too() {
        check(
            b"Device Enrollment configuration:\n{\n    IsMandatory = 1;\n    SkipSetup = (\n        Siri,\n        TOS\n    );\n}\n",
            expect![[r#"{"IsMandatory":1,"SkipSetup":["Siri","TOS"]}"#]],
        );
    }

    #[test]
    fn what_is_none_says_so() {
        check(b"", expect!["error: it is no property list: it is neither XML nor binary"]);
        check(b"hello", expect!["error: it is no property list: it is neither XML nor binary"]);
        for bytes in [&b"<plist><dict><key>A</key></dict></plist>"[..], b"<plist><dict>", b"bplist00", b"{"] {
            assert!(matches!(read(bytes), Err(Unreadable::Malformed(_))), "{bytes:?}");
        }
        assert!(matches!(read(b"<plist><dict><key>A</key></dict></plist>"), Err(Unreadable::Malformed(_))));
    }

    #[test]
    fn no_part_of_a_text_is_lost() {
        check(b"<plist><string>a &amp; &#98;</string></plist>", expect![[r#""a & b""#]]);
        check(
            b"<plist><string><![CDATA[a]]> b</string></plist>",
            expect!["error: it is no property list: it has `<![CDATA[`, which is not read; write it out"],
        );
        check(
            b"<!DOCTYPE plist [<!ENTITY a \"b\">]><plist><string>&a;</string></plist>",
            expect!["error: it is no property list: it has `<!ENTITY`, which is not read; write it out"],
        );
    }

    #[test]
    fn a_deep_one_is_refused() {
        let deep = format!("<plist>{}{}</plist>", "<array>".repeat(100_000), "</array>".repeat(100_000));
        assert_eq!(read(deep.as_bytes()), Err(TOO_LARGE));
        let deep = format!("<plist>{}{}</plist>", "<array>".repeat(17), "</array>".repeat(17));
        assert_eq!(read(deep.as_bytes()), Err(Unreadable::TooMuch("nested more than 16 deep")));
    }

    #[test]
    fn a_small_one_that_names_the_same_object_a_billion_times_is_refused() {
        // Nine arrays, each of which names the next one ten times; the last names a text.
        let (mut bytes, mut offsets) = (b"bplist00".to_vec(), Vec::new());
        for level in 0..9_u8 {
            offsets.push(bytes.len() as u8);
            bytes.push(0xaa);
            bytes.extend([level + 1; 10]);
        }
        offsets.push(bytes.len() as u8);
        bytes.extend([0x53, b'l', b'o', b'l']);
        let table = bytes.len() as u64;
        bytes.extend(&offsets);
        bytes.extend([0, 0, 0, 0, 0, 0, 1, 1]);
        bytes.extend((offsets.len() as u64).to_be_bytes());
        bytes.extend(0_u64.to_be_bytes());
        bytes.extend(table.to_be_bytes());
        assert_eq!(read(&bytes), Err(Unreadable::TooMuch("a list of more than 50,000 entries")));
    }

    #[test]
    fn broken_bytes_are_an_error_and_never_a_crash() {
        let mut xml = Vec::new();
        sample().to_writer_xml(&mut xml).unwrap();
        for whole in [binary(&sample()), xml, b"{ A = ( \"b\", c ); }".to_vec()] {
            for place in 0..whole.len() {
                for byte in [0x00, 0x0f, 0x5f, 0x7f, 0xdf, 0xff, b'<', b'"', b'{'] {
                    let mut broken = whole.clone();
                    broken[place] = byte;
                    let _ = read(&broken);
                }
                let _ = read(&whole[..place]);
            }
        }
    }

    #[test]
    fn data_that_was_not_printed_is_not_made_up() {
        let printed =
            b"{\n AnchorCertificates = (\n {length = 930, bytes = 0x3082039e ... 8d8bd8f6 }\n );\n}";
        expect_test::expect!["it is no property list: it was printed and leaves certificates out; read the file that the Mac keeps, in /var/db/ConfigurationProfiles/Settings"].assert_eq(&read(printed).unwrap_err().to_string());
    }
}
