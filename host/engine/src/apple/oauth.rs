//! The signature with which a server token asks for a session: OAuth 1.0a, HMAC-SHA1, realm `ADM`.
//!
//! A function of values: the nonce and the time are arguments. (Apple: "Authenticating for
//! Automated Device Enrollment"; RFC 5849, sections 3.4 and 3.5.1.)

use base64::prelude::{BASE64_STANDARD, Engine as _};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use secrecy::ExposeSecret as _;
use secrecy::zeroize::Zeroizing;
use url::Url;

use super::credentials::Credentials;

/// What makes two signatures of the same request differ.
pub(super) struct Moment<'a> {
    /// Random, never the same twice in a second.
    pub(super) nonce: &'a str,
    /// Seconds since 1970.
    pub(super) timestamp: i64,
}

/// The value of `Authorization` for `GET url`. Holds the token and the consumer key: never log it.
pub(super) fn authorization(
    url: &Url,
    credentials: &Credentials,
    moment: &Moment<'_>,
) -> Result<Zeroizing<String>, ErrorStack> {
    let mut parameters = vec![
        // In the order of their names, as the signature wants them.
        ("oauth_consumer_key", credentials.consumer_key.expose_secret().to_owned()),
        ("oauth_nonce", moment.nonce.to_owned()),
        ("oauth_signature_method", "HMAC-SHA1".to_owned()),
        ("oauth_timestamp", moment.timestamp.to_string()),
        ("oauth_token", credentials.access_token.expose_secret().to_owned()),
        ("oauth_version", "1.0".to_owned()),
    ];
    let signature = signature(&base_string(url, &parameters), credentials)?;
    parameters.push(("oauth_signature", signature));

    let mut header = Zeroizing::new(String::from("OAuth realm=\"ADM\""));
    for (name, value) in &parameters {
        // The signature is Base64: left bare, its `+` reads as a space now and then.
        header.push_str(&format!(", {name}=\"{}\"", encode(value)));
    }
    Ok(header)
}

fn signature(base_string: &str, credentials: &Credentials) -> Result<String, ErrorStack> {
    let key = Zeroizing::new(format!(
        "{}&{}",
        encode(credentials.consumer_secret.expose_secret()),
        encode(credentials.access_secret.expose_secret())
    ));
    let key = PKey::hmac(key.as_bytes())?;
    let mut signer = Signer::new(MessageDigest::sha1(), &key)?;
    Ok(BASE64_STANDARD.encode(signer.sign_oneshot_to_vec(base_string.as_bytes())?))
}

fn base_string(url: &Url, sorted: &[(&str, String)]) -> String {
    let parameters: Vec<String> =
        sorted.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    format!("GET&{}&{}", encode(&base_url(url)), encode(&parameters.join("&")))
}

/// The URL as it is signed: without a query, and without a port that the scheme implies.
fn base_url(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// RFC 3986: everything but letters, digits and `-._~`.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// Signs `GET url` with invented credentials.
    #[track_caller]
    fn check(url: &str, expected: Expect) {
        let credentials = Credentials {
            consumer_key: "CK_00112233445566778899aabbccddeeff".into(),
            consumer_secret: "CS_0123456789abcdef0123456789abcdef01234567".into(),
            access_token: "AT_O1234567890O89abcdef0123456789abcdef0123456789abcdefO1767225600000".into(),
            access_secret: "AS_fedcba9876543210fedcba9876543210fedcba98".into(),
            access_token_expiry: "2027-01-01T00:00:00Z".parse().unwrap(),
        };
        let moment = Moment { nonce: "6b1f0c2d9e8a4735", timestamp: 1_767_225_700 };
        let header = authorization(&url.parse().unwrap(), &credentials, &moment).unwrap();
        expected.assert_eq(&header.replace(", ", "\n"));
    }

    #[test]
    fn the_worked_example_of_the_protocol_gives_its_signature() {
        check(
            "https://mdmenrollment.apple.com/session",
            expect![[r#"
            OAuth realm="ADM"
            oauth_consumer_key="CK_00112233445566778899aabbccddeeff"
            oauth_nonce="6b1f0c2d9e8a4735"
            oauth_signature_method="HMAC-SHA1"
            oauth_timestamp="1767225700"
            oauth_token="AT_O1234567890O89abcdef0123456789abcdef0123456789abcdefO1767225600000"
            oauth_version="1.0"
            oauth_signature="HT%2BEocSY%2BWx2%2F5j3c5wpduQQQxs%3D""#]],
        );
    }

    #[test]
    fn a_port_is_signed_unless_the_scheme_implies_it() {
        let of = |url: &str| base_url(&url.parse().unwrap());
        expect![[r#"
            https://mdmenrollment.apple.com/session
            http://127.0.0.1:8080/session
            http://[::1]/apple/session"#]]
        .assert_eq(
            &[
                of("https://MDMenrollment.apple.com:443/session"),
                of("http://127.0.0.1:8080/session"),
                of("http://[::1]:80/apple/session?ignored=1"),
            ]
            .join("\n"),
        );
    }

    #[test]
    fn everything_but_the_unreserved_is_encoded() {
        expect!["aZ09-._~%20%2B%2F%3D%26%25%C3%A9"].assert_eq(&encode("aZ09-._~ +/=&%é"));
    }
}
