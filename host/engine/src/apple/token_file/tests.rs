mod properties;

use std::sync::LazyLock;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use expect_test::{Expect, expect};
use openssl::rsa::Padding;
use openssl::symm::{Cipher, encrypt};

use super::*;

/// Ours, and somebody else's. Keys take long to make.
static OURS: LazyLock<KeyPair> = LazyLock::new(|| request("deputy emea").unwrap());
static THEIRS: LazyLock<KeyPair> = LazyLock::new(|| request("deputy amer").unwrap());

const JSON: &str = r#"{"consumer_key":"CK_1","consumer_secret":"CS_2","access_token":"AT_3","access_secret":"AS_4","access_token_expiry":"2027-01-17T11:02:21Z"}"#;
const HEADERS: &str = "Content-Type: application/pkcs7-mime; name=\"smime.p7m\"; smime-type=enveloped-data\n\
     Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"smime.p7m\"\n\
     Content-Description: S/MIME Encrypted Message\n\n";

/// Reads a file with our key pair.
#[track_caller]
fn check(file: impl AsRef<[u8]>, expected: Expect) {
    expected.assert_eq(&said(file.as_ref()));
}

/// All of these files come to the same.
#[track_caller]
fn check_all(files: impl IntoIterator<Item = String>, expected: Expect) {
    let mut found: Vec<String> = files.into_iter().map(|file| said(file.as_bytes())).collect();
    found.dedup();
    expected.assert_eq(&found.join("\n"));
}

/// What comes of a file. Serial numbers are random, so they are not shown.
fn said(file: &[u8]) -> String {
    match decrypt(file, &OURS.certificate_pem, &OURS.private_key_pem) {
        Ok(token) => format!("{} until {}", token.access_secret.expose_secret(), token.access_token_expiry),
        Err(error) => {
            let source =
                std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            let mut said = format!("error: {error}{source}");
            for pair in [&*OURS, &*THEIRS] {
                let certificate = X509::from_pem(pair.certificate_pem.as_bytes()).unwrap();
                let serial = certificate.serial_number().to_bn().unwrap().to_hex_str().unwrap().to_string();
                said = said.replace(&serial, "SERIAL");
            }
            said
        }
    }
}

/// A file as Apple's portal makes it.
fn file(pair: &KeyPair, plaintext: &str) -> String {
    format!("{HEADERS}{}", lines(&BASE64_STANDARD.encode(message(pair, plaintext.as_bytes()))))
}

fn apples_plaintext(json: &str) -> String {
    format!(
        "Content-Type: text/plain;charset=UTF-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
         -----BEGIN MESSAGE-----\n{json}\n-----END MESSAGE-----\n"
    )
}

fn lines(base64: &str) -> String {
    base64.as_bytes().chunks(76).map(|line| format!("{}\n", str::from_utf8(line).unwrap())).collect()
}

/// The encrypted message, byte by byte as Apple's portal writes it: BER, every outer length
/// indefinite, the content in segments of 512 bytes.
fn message(pair: &KeyPair, plaintext: &[u8]) -> Vec<u8> {
    let certificate = X509::from_pem(pair.certificate_pem.as_bytes()).unwrap();
    let (key, iv) = ([7; 16], [9; 16]);
    let public = certificate.public_key().unwrap().rsa().unwrap();
    let mut encrypted_key = vec![0; public.size() as usize];
    public.public_encrypt(&key, &mut encrypted_key, Padding::PKCS1).unwrap();
    let ciphertext = encrypt(Cipher::aes_128_cbc(), &key, Some(&iv), plaintext).unwrap();

    let oid = |bytes: &[u8]| element(0x06, bytes);
    let serial = certificate.serial_number().to_bn().unwrap().to_vec();
    let issuer_and_serial =
        element(0x30, &[certificate.issuer_name().to_der().unwrap(), element(0x02, &serial)].concat());
    let rsa_encryption = element(
        0x30,
        &[oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01]), element(0x05, &[])].concat(),
    );
    let recipient = element(
        0x30,
        &[element(0x02, &[0]), issuer_and_serial, rsa_encryption, element(0x04, &encrypted_key)].concat(),
    );
    let aes_128_cbc = element(
        0x30,
        &[oid(&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02]), element(0x04, &iv)].concat(),
    );
    let segments: Vec<u8> = ciphertext.chunks(512).flat_map(|segment| element(0x04, segment)).collect();
    let content = indefinite(
        0x30,
        &[
            oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01]),
            aes_128_cbc,
            indefinite(0xa0, &segments),
        ]
        .concat(),
    );
    let envelope = indefinite(0x30, &[element(0x02, &[0]), element(0x31, &recipient), content].concat());
    let enveloped_data = oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03]);
    indefinite(0x30, &[enveloped_data, indefinite(0xa0, &envelope)].concat())
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    match content.len() {
        length @ ..0x80 => bytes.push(length as u8),
        length => {
            bytes.push(0x82);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    bytes.extend_from_slice(content);
    bytes
}

fn indefinite(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, 0x80], content, &[0, 0]].concat()
}

#[test]
fn a_file_of_apples_portal_is_read() {
    let file = file(&OURS, &apples_plaintext(JSON));
    assert!(file.contains("\n\nMIAGCSqGSIb3DQEHA6CAMIACAQAx"));
    check(file, expect!["AS_4 until 2027-01-17T11:02:21Z"]);
}

#[test]
fn content_in_several_segments_is_read() {
    check(
        file(&OURS, &apples_plaintext(&format!("{}{JSON}", "\n".repeat(2_000)))),
        expect!["AS_4 until 2027-01-17T11:02:21Z"],
    );
}

#[test]
fn what_mail_programs_make_of_a_file_is_read() {
    let good = file(&OURS, &apples_plaintext(JSON));
    let (_, base64) = good.split_once("\n\n").unwrap();
    let changed = [
        good.replace('\n', "\r\n"),
        format!("\u{feff}{good}"),
        good.replace("pkcs7-mime; ", "x-pkcs7-mime;\n\t"),
        format!("\n{good}\n\n"),
        format!("X-Anything: at all\r\n \r\n{base64}"),
        base64.to_owned(),
        base64.replace('\n', ""),
        base64.trim_end().trim_end_matches('=').to_owned(),
        format!("-----BEGIN PKCS7-----\n{base64}-----END PKCS7-----\n"),
    ];
    check_all(changed, expect!["AS_4 until 2027-01-17T11:02:21Z"]);
    check(message(&OURS, apples_plaintext(JSON).as_bytes()), expect!["AS_4 until 2027-01-17T11:02:21Z"]);
}

#[test]
fn plaintext_as_documented_and_as_other_tools_write_it_is_read() {
    let plaintexts = [
        JSON.to_owned(),
        format!("\n{JSON}"),
        format!("Content-Type: text/plain;charset=US-ASCII\n\n{JSON}"),
        format!("Content-Type: text/plain\r\n\r\n{}", JSON.replace(',', ",\r\n")),
        format!("-----BEGIN MESSAGE-----\r\n{JSON}\r\n-----END MESSAGE-----\r\n"),
    ];
    check_all(
        plaintexts.map(|plaintext| file(&OURS, &plaintext)),
        expect!["AS_4 until 2027-01-17T11:02:21Z"],
    );
}

#[test]
fn openssls_own_messages_are_read() {
    let certificate = X509::from_pem(OURS.certificate_pem.as_bytes()).unwrap();
    let mut recipients = openssl::stack::Stack::new().unwrap();
    recipients.push(certificate).unwrap();
    let message = CmsContentInfo::encrypt(
        &recipients,
        JSON.as_bytes(),
        Cipher::aes_256_cbc(),
        openssl::cms::CMSOptions::empty(),
    );
    check(message.unwrap().to_der().unwrap(), expect!["AS_4 until 2027-01-17T11:02:21Z"]);
}

#[test]
fn a_file_for_another_certificate_says_for_which() {
    check(
        file(&THEIRS, &apples_plaintext(JSON)),
        expect![[
            r#"error: the token file was made for another certificate: "deputy amer", serial number SERIAL; this key belongs to "deputy emea", serial number SERIAL"#
        ]],
    );
}

#[test]
fn a_damaged_file_is_told_apart() {
    let good = file(&OURS, &apples_plaintext(JSON));
    check(&good[..good.len() / 2], expect!["error: the token file is damaged: its Base64 is broken"]);
    check(&good[..HEADERS.len() + 400], expect!["error: the token file is damaged: its structure is broken"]);
    check(HEADERS, expect!["error: the token file is damaged: its headers are there, its content is not"]);
    check(good.replace("MIAGC", "MIAG*"), expect!["error: the token file is damaged: its Base64 is broken"]);
}

#[test]
fn what_is_no_token_file_is_told_what_it_is() {
    check("", expect!["error: the file is no token from Apple's portal, but an empty one"]);
    check(
        &OURS.certificate_pem,
        expect![
            "error: the file is no token from Apple's portal, but a certificate: the one to upload, perhaps; the token is what the portal gives in return"
        ],
    );
    check(
        OURS.private_key_pem.expose_secret(),
        expect!["error: the file is no token from Apple's portal, but a private key"],
    );
    check(
        "<!DOCTYPE html><html>",
        expect![
            "error: the file is no token from Apple's portal, but a web page: the portal's sign-in page, perhaps"
        ],
    );
    check(
        JSON,
        expect![
            "error: the file is no token from Apple's portal, but JSON: a token that somebody has decrypted, perhaps"
        ],
    );
    check(
        "shopping list: milk",
        expect!["error: the file is no token from Apple's portal, but something else"],
    );
    check([0xff; 100], expect!["error: the file is no token from Apple's portal, but something else"]);
    let signed = element(0x06, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02]);
    check(
        indefinite(0x30, &signed),
        expect!["error: the file is no token from Apple's portal, but a signed message: a profile, perhaps"],
    );
    check(
        vec![b'A'; 2 << 20],
        expect!["error: the file has 2097152 bytes, and a token file from Apple's portal has some 2,000"],
    );
}

#[test]
fn a_message_that_holds_no_token_says_what_is_missing() {
    check(
        file(&OURS, "Content-Type: text/plain\r\n\r\nhello"),
        expect!["error: the file can be decrypted, but it holds no server token: it holds no JSON object"],
    );
    check(
        file(&OURS, &apples_plaintext("{}")),
        expect![
            "error: the file can be decrypted, but it holds no server token: it lacks consumer_key, consumer_secret, access_token, access_secret, access_token_expiry"
        ],
    );
    check(
        file(&OURS, &apples_plaintext(&JSON.replace("access_secret", "other"))),
        expect!["error: the file can be decrypted, but it holds no server token: it lacks access_secret"],
    );
    check(
        file(&OURS, &apples_plaintext(&JSON.replace("2027-01-17T11:02:21Z", "soon"))),
        expect![
            "error: the file can be decrypted, but it holds no server token: its access_token_expiry is not a time"
        ],
    );
}

#[test]
fn no_changed_byte_and_no_missing_one_is_ever_a_panic() {
    let good = message(&OURS, apples_plaintext(JSON).as_bytes());
    for index in 0..good.len() {
        let _ = decrypt(&good[..index], &OURS.certificate_pem, &OURS.private_key_pem);
        for bit in [0x01, 0x80] {
            let mut changed = good.clone();
            changed[index] ^= bit;
            let _ = decrypt(&changed, &OURS.certificate_pem, &OURS.private_key_pem);
        }
    }
}

#[test]
fn endless_depth_is_not_followed() {
    check(
        [0x30, 0x80].repeat(400_000),
        expect!["error: the file is no token from Apple's portal, but something else"],
    );
    let deep = [0xa0, 0x80].repeat(400_000);
    let id = element(0x06, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03]);
    check(
        [&[0x30, 0x80], &id[..], &deep[..]].concat(),
        expect!["error: the token file is damaged: its structure is broken"],
    );
}

#[test]
fn a_key_pair_that_is_none_is_refused_without_asking_for_a_password() {
    let with = |certificate: &str, key: &str| {
        let error = decrypt(b"x", certificate, &SecretString::from(key.to_owned())).unwrap_err();
        error.to_string()
    };
    let theirs = THEIRS.private_key_pem.expose_secret();
    let locked = PKey::private_key_from_pem(theirs.as_bytes()).unwrap();
    let locked = locked.private_key_to_pem_pkcs8_passphrase(Cipher::aes_128_cbc(), b"password").unwrap();
    expect![[r#"
        the stored key pair cannot be used
        the stored key pair cannot be used
        the stored key pair cannot be used
        the private key does not belong to the certificate"#]]
    .assert_eq(
        &[
            with("", theirs),
            with(&THEIRS.certificate_pem, "key"),
            with(&THEIRS.certificate_pem, str::from_utf8(&locked).unwrap()),
            with(&OURS.certificate_pem, theirs),
        ]
        .join("\n"),
    );
}

#[test]
fn a_request_is_what_apples_portal_takes() {
    let certificate = X509::from_pem(OURS.certificate_pem.as_bytes()).unwrap();
    let key = certificate.public_key().unwrap();
    assert_eq!((key.bits(), certificate.version()), (2048, 2));
    assert!(certificate.verify(&key).unwrap());
    assert_eq!(certificate.serial_number().to_bn().unwrap().num_bits(), 127);
    let now = Asn1Time::days_from_now(0).unwrap();
    let past = now.diff(certificate.not_before()).unwrap();
    // Some time may have passed since it was made.
    assert!(past.days == 0 && (-700..=-600).contains(&past.secs), "{past:?}");
    let year = certificate.not_before().diff(certificate.not_after()).unwrap();
    assert_eq!((year.days, year.secs), (365, 0));
    assert_ne!(OURS.certificate_pem, THEIRS.certificate_pem);

    let text = String::from_utf8(certificate.to_text().unwrap()).unwrap();
    let told =
        ["Signature Algorithm", "Issuer", "Subject:", "Key Usage", "Digital Signature", "Basic", "CA:"];
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| told.iter().any(|word| line.starts_with(word))).collect();
    expect![[r#"
        Signature Algorithm: sha256WithRSAEncryption
        Issuer: CN=deputy emea
        Subject: CN=deputy emea
        CA:FALSE
        Digital Signature, Key Encipherment
        Signature Algorithm: sha256WithRSAEncryption"#]]
    .assert_eq(&lines.join("\n"));
    assert!(OURS.private_key_pem.expose_secret().starts_with("-----BEGIN PRIVATE KEY-----"));
    assert!(!format!("{:?}", *OURS).contains("PRIVATE"));
}

#[test]
fn a_name_that_no_certificate_can_have_is_refused() {
    let refused = |name: &str| request(name).unwrap_err().to_string();
    expect![[r#"
        could not make a key pair and a certificate for ``
        could not make a key pair and a certificate for `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`"#]].assert_eq(&format!("{}\n{}", refused(""), refused(&"x".repeat(65))));
}
