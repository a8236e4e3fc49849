//! Whether a `GET /session` was signed by whoever holds the token.
//!
//! OAuth 1.0a with HMAC-SHA1 and no user: two pairs of credentials sign the request's method, URL and
//! parameters. We judge strictly, since a signature that only we accept is a bug that Apple finds first.
//! Which token it is, whether it still lives and which nonces were seen is `state`'s business.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use openssl::{hash::MessageDigest, memcmp, pkey::PKey, sign::Signer};

/// The OAuth parameters of one `Authorization` header, all present and each there once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) consumer_key: String,
    pub(crate) token: String,
    pub(crate) timestamp: i64,
    pub(crate) nonce: String,
    signature: [u8; 20],
    /// Every parameter that was signed, decoded, in the order it came.
    parameters: Vec<(String, String)>,
}

/// The header cannot be judged: Apple's `oauth_problem_adviceBad Request`, with our reason for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Reads an `Authorization` header.
pub(crate) fn parse(header: &str) -> Result<Signed, Malformed> {
    let list = match header.split_once(' ') {
        Some((scheme, list)) if scheme.eq_ignore_ascii_case("OAuth") => list,
        _ => return Err(Malformed("the scheme is not OAuth")),
    };
    let mut parameters: Vec<(String, String)> = Vec::new();
    let mut signature = None;
    let mut realm = None;
    for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let (name, value) = item.split_once('=').ok_or(Malformed("a parameter without a value"))?;
        let value = value
            .trim()
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'))
            .ok_or(Malformed("a value without quotes"))?;
        let name = decode(name.trim()).ok_or(Malformed("a name with a broken % escape"))?;
        let value = decode(value).ok_or(Malformed("a value with a broken % escape"))?;
        let twice = match name.as_str() {
            "realm" => realm.replace(value).is_some(),
            "oauth_signature" => signature.replace(value).is_some(),
            _ => {
                let twice = parameters.iter().any(|(other, _)| *other == name);
                parameters.push((name, value));
                twice
            }
        };
        if twice {
            return Err(Malformed("a parameter given twice"));
        }
    }
    if realm.is_some_and(|realm| realm != "ADM") {
        return Err(Malformed("a realm that is not ADM"));
    }
    let get = |name: &str| {
        let found = parameters.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
    };
    if get("oauth_signature_method").as_deref() != Some("HMAC-SHA1") {
        return Err(Malformed("oauth_signature_method is not HMAC-SHA1"));
    }
    if get("oauth_version").as_deref() != Some("1.0") {
        return Err(Malformed("oauth_version is not 1.0"));
    }
    let signature = signature.ok_or(Malformed("no oauth_signature"))?;
    let signature = BASE64.decode(signature).ok().and_then(|bytes| <[u8; 20]>::try_from(bytes).ok());
    Ok(Signed {
        consumer_key: get("oauth_consumer_key").ok_or(Malformed("no oauth_consumer_key"))?,
        token: get("oauth_token").ok_or(Malformed("no oauth_token"))?,
        timestamp: get("oauth_timestamp")
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|text| text.parse().ok())
            .ok_or(Malformed("oauth_timestamp is not a number of seconds"))?,
        nonce: get("oauth_nonce").ok_or(Malformed("no oauth_nonce"))?,
        signature: signature
            .ok_or(Malformed("oauth_signature is not Base64 of 20 bytes: is its `+` escaped as %2B?"))?,
        parameters,
    })
}

impl Signed {
    /// Whether these secrets made the signature, for this method and the URL the client used.
    pub(crate) fn verify(
        &self,
        method: &str,
        url: &str,
        query: &str,
        consumer_secret: &str,
        access_secret: &str,
    ) -> bool {
        let base = base_string(method, url, query, &self.parameters);
        let key = format!("{}&{}", encode(consumer_secret), encode(access_secret));
        let expected = PKey::hmac(key.as_bytes()).and_then(|key| {
            let mut signer = Signer::new(MessageDigest::sha1(), &key)?;
            signer.sign_oneshot_to_vec(base.as_bytes())
        });
        expected.is_ok_and(|expected| expected.len() == 20 && memcmp::eq(&expected, &self.signature))
    }
}

/// The URL that a client signs: scheme and host in lower case, without the scheme's own port.
pub(crate) fn signed_url(scheme: &str, host: &str, path: &str) -> String {
    let host = host.to_ascii_lowercase();
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    format!("{scheme}://{}{path}", host.strip_suffix(default_port).unwrap_or(&host))
}

fn base_string(method: &str, url: &str, query: &str, parameters: &[(String, String)]) -> String {
    let in_query = url::form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (encode(&name), encode(&value)))
        .collect::<Vec<_>>();
    let mut pairs = parameters.iter().map(|(name, value)| (encode(name), encode(value))).collect::<Vec<_>>();
    pairs.extend(in_query);
    pairs.sort();
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
    format!("{}&{}&{}", method.to_ascii_uppercase(), encode(url), encode(&pairs.join("&")))
}

/// RFC 3986: everything but letters, digits and `-._~` is escaped.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Undoes `encode`, and reads a bare `+` as a space, as Apple's side seems to: a client that forgets to
/// escape its signature fails now and then, here as there.
fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let high = (bytes.next()? as char).to_digit(16)?;
                let low = (bytes.next()? as char).to_digit(16)?;
                (high * 16 + low) as u8
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    const GOOD: &str = r#"OAuth realm="ADM", oauth_consumer_key="CK_00112233445566778899aabbccddeeff", oauth_token="AT_O1234567890O89abcdef0123456789abcdef0123456789abcdefO1767225600000", oauth_signature_method="HMAC-SHA1", oauth_timestamp="1767225700", oauth_nonce="6b1f0c2d9e8a4735", oauth_version="1.0", oauth_signature="HT%2BEocSY%2BWx2%2F5j3c5wpduQQQxs%3D""#;

    /// Judges `GOOD` after one change to its text, as if sent to `url`.
    fn check(change: (&str, &str), url: &str, expect: Expect) {
        let verdict = match parse(&GOOD.replace(change.0, change.1)) {
            Err(Malformed(why)) => format!("malformed: {why}"),
            Ok(signed) => {
                let (consumer, access) = (
                    "CS_0123456789abcdef0123456789abcdef01234567",
                    "AS_fedcba9876543210fedcba9876543210fedcba98",
                );
                let good = signed.verify("GET", url, "", consumer, access);
                if good { "good".into() } else { "bad signature".into() }
            }
        };
        expect.assert_eq(&verdict);
    }

    const APPLE: &str = "https://mdmenrollment.apple.com/session";

    #[test]
    fn the_worked_vector_is_accepted() {
        check(("", ""), APPLE, expect!["good"]);
    }

    #[test]
    fn a_request_without_realm_is_accepted() {
        check(("realm=\"ADM\", ", ""), APPLE, expect!["good"]);
    }

    #[test]
    fn another_url_another_nonce_or_another_token_is_a_bad_signature() {
        check(("", ""), "https://mdmenrollment.apple.com:8443/session", expect!["bad signature"]);
        check(("6b1f", "6b1e"), APPLE, expect!["bad signature"]);
        check(("AT_O1", "AT_O2"), APPLE, expect!["bad signature"]);
    }

    #[test]
    fn a_signature_whose_plus_was_not_escaped_is_malformed() {
        check(
            ("HT%2BE", "HT+E"),
            APPLE,
            expect!["malformed: oauth_signature is not Base64 of 20 bytes: is its `+` escaped as %2B?"],
        );
    }

    #[test]
    fn missing_doubled_and_unsupported_parameters_are_malformed() {
        check(("oauth_nonce", "oauth_once"), APPLE, expect!["malformed: no oauth_nonce"]);
        check((r#"oauth_version="1.0""#, ""), APPLE, expect!["malformed: oauth_version is not 1.0"]);
        check((r#"realm="ADM""#, r#"realm="MDM""#), APPLE, expect!["malformed: a realm that is not ADM"]);
        check((r#"realm="ADM""#, r#"oauth_nonce="x""#), APPLE, expect!["malformed: a parameter given twice"]);
        check(
            ("HMAC-SHA1", "PLAINTEXT"),
            APPLE,
            expect!["malformed: oauth_signature_method is not HMAC-SHA1"],
        );
        check(("1767225700", "now"), APPLE, expect!["malformed: oauth_timestamp is not a number of seconds"]);
        check(("OAuth", "Bearer"), APPLE, expect!["malformed: the scheme is not OAuth"]);
    }

    #[test]
    fn the_port_of_the_scheme_is_no_part_of_the_signed_url() {
        assert_eq!(signed_url("http", "Sim.Local:80", "/session"), "http://sim.local/session");
        assert_eq!(signed_url("https", "sim.local:443", "/session"), "https://sim.local/session");
        assert_eq!(signed_url("http", "127.0.0.1:8170", "/session"), "http://127.0.0.1:8170/session");
    }
}
