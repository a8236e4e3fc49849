//! What holds for every file a person could pick.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::super::mutation::{config, edited, edits};
use super::*;

/// A good file, as Apple's portal makes it.
static GOOD: LazyLock<String> = LazyLock::new(|| file(&OURS, &apples_plaintext(JSON)));

fn read(file: &[u8]) -> Result<Credentials, TokenFileError> {
    decrypt(file, &OURS.certificate_pem, &OURS.private_key_pem)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_file_is_ever_a_panic(
        file in prop_oneof![
            vec(any::<u8>(), 0..200),
            "(\u{feff})?[a-zA-Z-]{0,12}: .{0,40}\n\n?[A-Za-z0-9+/=\r\n]{0,200}".prop_map(String::into_bytes),
            "MI[A-Za-z0-9+/]{0,200}={0,3}".prop_map(String::into_bytes),
        ],
    ) {
        prop_assert!(read(&file).is_err());
    }

    #[test]
    fn a_real_file_changed_anywhere_gives_an_error_or_a_token(edits in edits(), binary in any::<bool>()) {
        let whole = if binary { message(&OURS, apples_plaintext(JSON).as_bytes()) } else { GOOD.clone().into_bytes() };
        match read(&edited(whole, &edits)) {
            Ok(token) => prop_assert!(!token.access_token.expose_secret().is_empty()),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn a_plaintext_changed_anywhere_gives_an_error_or_a_token(edits in edits()) {
        let plaintext = edited(apples_plaintext(JSON).into_bytes(), &edits);
        if let Ok(token) = plaintext::credentials(&plaintext) {
            prop_assert!(!token.access_token.expose_secret().is_empty());
        }
    }

    #[test]
    fn a_good_file_is_read_whatever_a_mail_program_made_of_it(
        headers in vec("[A-Z][A-Za-z-]{0,20}: ?[ -~]{0,60}", 0..5),
        folded in any::<bool>(),
        end in proptest::sample::select(&["\n", "\r\n", "\r"][..]),
        width in 1..120_usize,
        (before, after) in ("[\r\n]{0,3}", "[ \t\r\n]{0,5}"),
        bom in any::<bool>(),
    ) {
        let (_, base64) = GOOD.split_once("\n\n").expect("headers");
        let base64 = base64.replace('\n', "");
        let mut text = if bom { "\u{feff}".to_owned() } else { String::new() };
        text += &before;
        for header in &headers {
            text += &format!("{header}{end}");
            if folded {
                text += &format!("\tname=\"smime.p7m\"{end}");
            }
        }
        if !headers.is_empty() {
            text += end;
        }
        for line in base64.as_bytes().chunks(width) {
            text += &format!("{}{end}", str::from_utf8(line).expect("Base64"));
        }
        text += &after;
        let token = read(text.as_bytes()).map_err(|error| TestCaseError::fail(format!("{error}: {text:?}")))?;
        prop_assert_eq!(token.access_secret.expose_secret(), "AS_4");
    }
}
