//! What holds for every refusal there could be.

use proptest::prelude::*;

use super::super::mutation::{config, mutated};
use super::*;

const BODIES: [&str; 8] = [
    "INVALID_CURSOR",
    "\"T_C_NOT_SIGNED\"",
    "token_expiredForbidden",
    "oauth_problem_adviceBad Request",
    "{\"code\":\"FORBIDDEN\",\"message\":\"x\"}",
    "\u{feff} \"token_rejected Forbidden\"\r\n",
    "<html><body>Service Unavailable</body></html>",
    "Internal Server Error",
];

const CALLS: [Call; 4] = [Call::Session, Call::Sync, Call::DefineProfile, Call::Assign];

fn attempt(call: Call) -> Attempt {
    let profile = (call == Call::Assign).then(|| "7C1E88D0A4B94B6E9C3F2A5D6E7F8091".parse().unwrap());
    Attempt { call, token: "emea".parse().unwrap(), host: "apple".to_owned(), profile }
}

/// Every code we know by name.
fn known() -> Vec<&'static str> {
    ABOUT_THE_TOKEN.into_iter().chain(ABOUT_TRANSPORT).chain(OTHERS).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_body_gives_a_code_or_none_and_a_code_is_its_own_code(
        body in prop_oneof![mutated(&BODIES), proptest::collection::vec(any::<u8>(), 0..64), ".{0,80}".prop_map(String::into_bytes)],
        status in 300..600_u16,
    ) {
        if let Some(found) = code(&body) {
            prop_assert!(found.bytes().all(|b| b.is_ascii_alphabetic() || b"_-. ".contains(&b)), "{found:?}");
            prop_assert_eq!(code(found.as_bytes()), Some(found));
        }
        for call in CALLS {
            let error = or_clock(classify(&attempt(call), status, &body, None), Some(SignedDuration::MIN));
            prop_assert!(!error.to_string().is_empty());
            error.next();
        }
    }

    #[test]
    fn a_known_code_is_recognised_in_every_shape(
        word in proptest::sample::select(known()),
        phrase in proptest::sample::select(&REASON_PHRASES[..]),
        around in proptest::sample::select(&["", " ", "\n", "\r\n", "\t "][..]),
        status in proptest::sample::select(&[400_u16, 401, 403, 404, 429, 500, 503][..]),
        call in proptest::sample::select(&CALLS[..]),
    ) {
        let said = |body: &str| classify(&attempt(call), status, body.as_bytes(), None).to_string();
        let bare = said(word);
        for body in [
            format!("{around}{word}{around}"),
            format!("\u{feff}{around}{word}"),
            format!("{around}\"{word}\"{around}"),
            format!("\"{around}{word}{around}\""),
            format!("{word}{phrase}{around}"),
            format!("{word} {phrase}"),
            format!("\"{word}{phrase}\""),
            format!("{around}{{\"message\":\"x\",\"code\":\"{word}\"}}{around}"),
            format!("{{\"code\":\"{word}{phrase}\"}}"),
        ] {
            prop_assert_eq!(code(body.as_bytes()), Some(word.to_owned()), "{:?}", body);
            prop_assert_eq!(said(&body), bare.clone(), "{:?}", body);
        }
    }
}
