//! What the portal does with a certificate: a server token, sealed so that only its key's owner reads it.
//!
//! The file is the one Apple hands out, byte for byte in its layout: a small MIME document around CMS
//! enveloped data in BER with indefinite lengths. Its variations (DER, CRLF, no markers) are those that
//! readers meet in the wild or in Apple's own examples.

use crate::ber;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use openssl::{error::ErrorStack, rsa::Padding, symm, x509::X509};
use serde::Serialize;

/// The five members of a server token.
///
/// Its `Debug` shows them: these are the secrets of an organisation that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Credentials {
    /// `CK_` and 96 hex digits; stays the same when a server's token is renewed.
    pub consumer_key: String,
    /// `CS_` and 40 hex digits.
    pub consumer_secret: String,
    /// `AT_O…O…O…`, ending in the time of its making in milliseconds.
    pub access_token: String,
    /// `AS_` and 40 hex digits.
    pub access_secret: String,
    /// When the token dies, to the second.
    #[serde(serialize_with = "seconds")]
    pub access_token_expiry: Timestamp,
}

/// How the `.p7m` is written, and how long its token lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenOptions {
    /// When the token expires; one calendar year after it was made if none is given.
    pub expires: Option<Timestamp>,
    /// DER instead of BER with indefinite lengths.
    pub der: bool,
    /// Lines of the file end in CR LF instead of LF.
    pub crlf: bool,
    /// The JSON stands between `-----BEGIN MESSAGE-----` and `-----END MESSAGE-----`.
    pub markers: bool,
}

impl Default for TokenOptions {
    fn default() -> Self {
        Self { expires: None, der: false, crlf: false, markers: true }
    }
}

/// Why a certificate got no token.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The text is no X.509 certificate.
    #[error(
        "this is not a PEM certificate; with curl, `--data-binary` keeps its lines apart and `-d` does not"
    )]
    NotACertificate,
    /// Apple encrypts to RSA keys only.
    #[error("the certificate's key is not RSA")]
    NotRsa,
    /// The key is too short to be of use.
    #[error("the certificate's RSA key has {0} bits; at least 2048 are needed")]
    TooShort(u32),
    /// OpenSSL could not do it.
    #[error("the token could not be encrypted")]
    Crypto(#[from] ErrorStack),
}

/// New secrets. The consumer pair of an earlier token of the same server is kept, as Apple does.
pub(crate) fn credentials(
    earlier: Option<&Credentials>,
    expires: Option<Timestamp>,
    now: Timestamp,
) -> Result<Credentials, Refused> {
    let (consumer_key, consumer_secret) = match earlier {
        Some(earlier) => (earlier.consumer_key.clone(), earlier.consumer_secret.clone()),
        None => (format!("CK_{}", hex(&random::<48>()?)), format!("CS_{}", hex(&random::<20>()?))),
    };
    let account = u64::from_be_bytes(random::<8>()?) % 9_000_000_000 + 1_000_000_000;
    Ok(Credentials {
        consumer_key,
        consumer_secret,
        access_token: format!("AT_O{account}O{}O{}", hex(&random::<20>()?), now.as_millisecond()),
        access_secret: format!("AS_{}", hex(&random::<20>()?)),
        access_token_expiry: expires.unwrap_or_else(|| one_year_after(now)),
    })
}

/// Reads the certificate that was uploaded.
pub(crate) fn certificate(pem: &[u8]) -> Result<X509, Refused> {
    let certificate = X509::from_pem(pem).map_err(|_| Refused::NotACertificate)?;
    let key = certificate.public_key()?.rsa().map_err(|_| Refused::NotRsa)?;
    match key.size() * 8 {
        bits if bits < 2048 => Err(Refused::TooShort(bits)),
        _ => Ok(certificate),
    }
}

/// The token file as the portal offers it for download.
pub(crate) fn token_file(
    credentials: &Credentials,
    certificate: &X509,
    options: &TokenOptions,
) -> Result<String, Refused> {
    let message = enveloped(plaintext(credentials, options.markers).as_bytes(), certificate, options.der)?;
    let mut lines = vec![
        r#"Content-Type: application/pkcs7-mime; name="smime.p7m"; smime-type=enveloped-data"#.to_owned(),
        "Content-Transfer-Encoding: base64".to_owned(),
        r#"Content-Disposition: attachment; filename="smime.p7m""#.to_owned(),
        "Content-Description: S/MIME Encrypted Message".to_owned(),
        String::new(),
    ];
    // 57 bytes are 76 characters of Base64.
    lines.extend(message.chunks(57).map(|line| BASE64.encode(line)));
    lines.push(String::new());
    Ok(lines.join(if options.crlf { "\r\n" } else { "\n" }))
}

fn plaintext(credentials: &Credentials, markers: bool) -> String {
    let json = serde_json::to_string(credentials).unwrap_or_default();
    let (begin, end) = match markers {
        true => ("-----BEGIN MESSAGE-----\n", "-----END MESSAGE-----\n"),
        false => ("", ""),
    };
    format!(
        "Content-Type: text/plain;charset=UTF-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n{begin}{json}\n{end}"
    )
}

/// CMS enveloped data for one recipient.
fn enveloped(plain: &[u8], certificate: &X509, der: bool) -> Result<Vec<u8>, ErrorStack> {
    let (key, iv) = (random::<16>()?, random::<16>()?);
    let sealed = symm::encrypt(symm::Cipher::aes_128_cbc(), &key, Some(&iv), plain)?;
    let rsa = certificate.public_key()?.rsa()?;
    let mut sealed_key = vec![0; rsa.size() as usize];
    let length = rsa.public_encrypt(&key, &mut sealed_key, Padding::PKCS1)?;
    sealed_key.truncate(length);

    let outer = if der { ber::definite } else { ber::indefinite };
    let serial = certificate.serial_number().to_bn()?;
    let recipient = ber::definite(
        ber::SEQUENCE,
        &[
            &ber::integer(&[0], false),
            &ber::definite(
                ber::SEQUENCE,
                &[
                    &certificate.issuer_name().to_der()?,
                    &ber::integer(&serial.to_vec(), serial.is_negative()),
                ],
            ),
            ber::RSA_ENCRYPTION,
            &ber::definite(ber::OCTET_STRING, &[&sealed_key]),
        ],
    );
    let algorithm =
        ber::definite(ber::SEQUENCE, &[ber::AES_128_CBC, &ber::definite(ber::OCTET_STRING, &[&iv])]);
    let content = if der {
        ber::definite(ber::CONTEXT_0_PRIMITIVE, &[&sealed])
    } else {
        let segments =
            sealed.chunks(512).map(|part| ber::definite(ber::OCTET_STRING, &[part])).collect::<Vec<_>>();
        ber::indefinite(ber::CONTEXT_0, &[&segments.concat()])
    };
    let data = outer(
        ber::SEQUENCE,
        &[
            &ber::integer(&[0], false),
            &ber::definite(ber::SET, &[&recipient]),
            &outer(ber::SEQUENCE, &[ber::DATA, &algorithm, &content]),
        ],
    );
    Ok(outer(ber::SEQUENCE, &[ber::ENVELOPED_DATA, &outer(ber::CONTEXT_0, &[&data])]))
}

/// One calendar year later, the milliseconds cut off.
fn one_year_after(now: Timestamp) -> Timestamp {
    let year = now.to_zoned(TimeZone::UTC).checked_add(1.year());
    whole_seconds(year.map_or(now, |later| later.timestamp()))
}

pub(crate) fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn seconds<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&whole_seconds(*time))
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], ErrorStack> {
    let mut bytes = [0; N];
    openssl::rand::rand_bytes(&mut bytes)?;
    Ok(bytes)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use openssl::asn1::Asn1Time;
    use openssl::cms::CmsContentInfo;
    use openssl::pkey::{PKey, Private};
    use openssl::rsa::Rsa;
    use openssl::{bn::BigNum, hash::MessageDigest, x509::X509NameBuilder};

    fn recipient(serial: &str, bits: u32) -> (PKey<Private>, X509) {
        let key = PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
        let mut name = X509NameBuilder::new().unwrap();
        name.append_entry_by_text("CN", "Größenwahn GmbH").unwrap();
        let name = name.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder.set_issuer_name(&name).unwrap();
        builder.set_subject_name(&name).unwrap();
        builder.set_serial_number(&BigNum::from_hex_str(serial).unwrap().to_asn1_integer().unwrap()).unwrap();
        builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        (key, builder.build())
    }

    /// Makes a token file, opens it with OpenSSL, and compares headers and plaintext, hex digits masked.
    fn check(serial: &str, options: TokenOptions, expect: Expect) {
        let (key, certificate) = recipient(serial, 2048);
        let now: Timestamp = "2025-01-17T11:02:21.803Z".parse().unwrap();
        let secrets = credentials(None, options.expires, now).unwrap();
        let file = token_file(&secrets, &certificate, &options).unwrap();
        let newline = if options.crlf { "\r\n" } else { "\n" };
        let (headers, body) = file.split_once(&format!("{newline}{newline}")).unwrap();
        assert!(body.split(newline).all(|line| line.len() <= 76), "a line is too long");
        let bytes = BASE64.decode(body.replace(newline, "")).unwrap();
        let cms = CmsContentInfo::from_der(&bytes).unwrap();
        let plain = String::from_utf8(cms.decrypt(&key, &certificate).unwrap()).unwrap();
        let mut masked = plain.replace("\r\n", "\\r\n");
        for secret in
            [&secrets.consumer_key, &secrets.consumer_secret, &secrets.access_token, &secrets.access_secret]
        {
            masked = masked.replace(secret, &format!("{}…{}", &secret[..3], secret.len()));
        }
        let headers = headers.replace("\r\n", "\\r\n");
        expect.assert_eq(&format!("{headers}\n\n{}…\n{} more\n\n{masked}", &body[..32], body.len() > 800));
    }

    #[test]
    fn the_file_looks_like_apples_and_opens_with_openssl() {
        check(
            "01",
            TokenOptions::default(),
            expect![[r#"
            Content-Type: application/pkcs7-mime; name="smime.p7m"; smime-type=enveloped-data
            Content-Transfer-Encoding: base64
            Content-Disposition: attachment; filename="smime.p7m"
            Content-Description: S/MIME Encrypted Message

            MIAGCSqGSIb3DQEHA6CAMIACAQAxggE9…
            true more

            Content-Type: text/plain;charset=UTF-8\r
            Content-Transfer-Encoding: 7bit\r
            \r
            -----BEGIN MESSAGE-----
            {"consumer_key":"CK_…99","consumer_secret":"CS_…43","access_token":"AT_…69","access_secret":"AS_…43","access_token_expiry":"2026-01-17T11:02:21Z"}
            -----END MESSAGE-----
        "#]],
        );
    }

    #[test]
    fn serial_numbers_with_the_high_bit_set_still_name_the_recipient() {
        let options = TokenOptions { der: true, markers: false, ..TokenOptions::default() };
        check(
            "F00000000000000000000000000000000000000D",
            options,
            expect![[r#"
            Content-Type: application/pkcs7-mime; name="smime.p7m"; smime-type=enveloped-data
            Content-Transfer-Encoding: base64
            Content-Disposition: attachment; filename="smime.p7m"
            Content-Description: S/MIME Encrypted Message

            MIIDbQYJKoZIhvcNAQcDoIIDXjCCA1oC…
            true more

            Content-Type: text/plain;charset=UTF-8\r
            Content-Transfer-Encoding: 7bit\r
            \r
            {"consumer_key":"CK_…99","consumer_secret":"CS_…43","access_token":"AT_…69","access_secret":"AS_…43","access_token_expiry":"2026-01-17T11:02:21Z"}
        "#]],
        );
    }

    #[test]
    fn windows_line_ends_are_those_of_the_file_only() {
        let expires = Some("2030-02-03T04:05:06Z".parse().unwrap());
        let options = TokenOptions { crlf: true, expires, ..TokenOptions::default() };
        check(
            "7f",
            options,
            expect![[r#"
                Content-Type: application/pkcs7-mime; name="smime.p7m"; smime-type=enveloped-data\r
                Content-Transfer-Encoding: base64\r
                Content-Disposition: attachment; filename="smime.p7m"\r
                Content-Description: S/MIME Encrypted Message

                MIAGCSqGSIb3DQEHA6CAMIACAQAxggE9…
                true more

                Content-Type: text/plain;charset=UTF-8\r
                Content-Transfer-Encoding: 7bit\r
                \r
                -----BEGIN MESSAGE-----
                {"consumer_key":"CK_…99","consumer_secret":"CS_…43","access_token":"AT_…69","access_secret":"AS_…43","access_token_expiry":"2030-02-03T04:05:06Z"}
                -----END MESSAGE-----
            "#]],
        );
    }

    #[test]
    fn the_content_comes_in_segments_of_512_octets() {
        let (_, certificate) = recipient("01", 2048);
        let bytes = enveloped(&[b'x'; 1100], &certificate, false).unwrap();
        let segments = bytes.windows(4).filter(|window| window == &[0x04, 0x82, 0x02, 0x00]).count();
        assert_eq!(segments, 2, "two full segments and a rest");
        assert!(bytes.ends_with(&[0; 10]), "five levels are closed");
    }

    #[test]
    fn a_renewal_keeps_the_consumer_pair_and_changes_the_rest() {
        let now = Timestamp::UNIX_EPOCH;
        let first = credentials(None, None, now).unwrap();
        let second = credentials(Some(&first), None, now).unwrap();
        assert_eq!(first.consumer_key, second.consumer_key);
        assert_ne!(first.access_token, second.access_token);
        assert_ne!(first.access_secret, second.access_secret);
    }

    #[test]
    fn what_is_no_certificate_of_a_long_enough_rsa_key_is_refused() {
        assert!(matches!(certificate(b"hello"), Err(Refused::NotACertificate)));
        let pem = recipient("01", 1024).1.to_pem().unwrap();
        assert!(matches!(certificate(&pem), Err(Refused::TooShort(1024))));
    }
}
