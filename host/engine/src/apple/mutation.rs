//! Other people's bytes as they come on a bad day: real ones, changed in a few places. For tests.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// Cases and no files: `PROPTEST_CASES` sets how many, and what is found gets a test of its own.
pub(super) fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// One of these texts with a few pieces replaced, removed, inserted or doubled.
pub(super) fn mutated(texts: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let text = proptest::sample::select(texts).prop_map(|text| text.as_bytes().to_vec());
    (text, edits()).prop_map(|(text, edits)| edited(text, &edits))
}

/// One change: where, how much of the old is taken away, what comes in its place.
pub(super) type Edit = (Index, usize, Vec<u8>);

/// Up to four changes. What comes in is noise, or a piece of JSON, or a copy of nothing.
pub(super) fn edits() -> impl Strategy<Value = Vec<Edit>> {
    const PIECES: [&str; 16] = [
        "\"",
        "\\",
        "\\ud800",
        "null",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "1e999",
        "-",
        "\u{0}",
        "é",
        "0001-01-01T00:00:00Z",
        "{\"a\":[[]]}",
    ];
    let pieces = proptest::sample::select(&PIECES[..]).prop_map(|piece| piece.as_bytes().to_vec());
    let new = prop_oneof![pieces, vec(any::<u8>(), 0..4)];
    vec((any::<Index>(), 0..6_usize, new), 1..5)
}

pub(super) fn edited(mut text: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for (at, taken, new) in edits {
        let at = at.index(text.len() + 1);
        let end = (at + taken).min(text.len());
        text.splice(at..end, new.iter().copied());
    }
    text
}

/// Any JSON, a few levels deep, written as text.
pub(super) fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<f64>()
            .prop_filter("JSON has no such number", |value| value.is_finite())
            .prop_map(|it| it.to_string()),
        ".{0,12}".prop_map(|text| quoted(&text)),
        proptest::sample::select(
            &["\"\\ud800\"", "1e999", "\"2026-01-09T10:00:00Z\"", "\"added\"", "\"pushed\""][..]
        )
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            vec(("[a-z_]{0,8}", inner), 0..4).prop_map(|fields| {
                let fields: Vec<String> =
                    fields.iter().map(|(name, value)| format!("{}:{value}", quoted(name))).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("text makes JSON")
}
