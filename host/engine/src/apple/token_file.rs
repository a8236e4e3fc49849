//! The two files of a server token: the certificate a person uploads to Apple's portal, and the
//! encrypted token they download (`…_smime.p7m`).
//!
//! The download can be read only with the very key pair whose certificate was uploaded, so both
//! halves of a [`KeyPair`] are kept until a token made with them is no longer in use. Mixing up key
//! pairs is the usual mistake; [`decrypt`] names the certificate a file was made for.
//! (Apple: "Authenticating for Automated Device Enrollment", "Examining server tokens".)

mod certificate;
mod envelope;
mod plaintext;
mod recipient;

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::cms::CmsContentInfo;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, KeyUsage};
use openssl::x509::{X509, X509NameBuilder};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

pub use certificate::{certificate, name_and_end};
pub use recipient::Recipients;

use super::credentials::{Credentials, NotCredentials};

/// A private key and the certificate that goes to Apple's portal.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// For Apple's portal. Holds no secret, but is needed again to read the token.
    pub certificate_pem: String,
    /// PKCS#8, in the clear. To be sealed.
    pub private_key_pem: SecretString,
}

/// Why a file is not a token we can use.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFileError {
    /// Larger than 1 MiB; a real one has some 2 KiB.
    #[error("the file has {0} bytes, and a token file from Apple's portal has some 2,000")]
    TooLarge(usize),
    /// Something else altogether.
    #[error("the file is no token from Apple's portal, but {0}")]
    NotATokenFile(&'static str),
    /// A token file for another key pair.
    #[error("the token file was made for another certificate: {recipient}; this key belongs to {ours}")]
    OtherCertificate {
        /// The certificate uploaded to the portal when the file was made.
        recipient: String,
        /// The certificate we tried to read it with.
        ours: String,
    },
    /// Cut off, or changed on the way.
    #[error("the token file is damaged: {0}")]
    Damaged(&'static str),
    /// It can be decrypted, but what is inside is no token.
    #[error("the file can be decrypted, but it holds no server token")]
    NotAToken(#[source] NotCredentials),
    /// Our own key or certificate cannot be used.
    #[error("the stored key pair cannot be used")]
    KeyPair(#[source] ErrorStack),
    /// The key is not the certificate's.
    #[error("the private key does not belong to the certificate")]
    KeysDiffer,
    /// A certificate that is none.
    #[error("the certificate cannot be used: {0}")]
    Certificate(&'static str),
    /// A private key with a password.
    #[error("the private key is locked with a password")]
    LockedKey,
    /// A private key that is none.
    #[error("the private key cannot be used: {0}")]
    Key(&'static str),
    /// The key is another one than the file was made for.
    #[error("the private key does not open the token file, which was made for the certificate {0}")]
    OtherKey(String),
}

/// Why no key pair could be made.
#[derive(Clone, Debug, thiserror::Error)]
#[error("could not make a key pair and a certificate for `{common_name}`")]
pub struct RequestError {
    common_name: String,
    #[source]
    source: ErrorStack,
}

/// No token file is larger.
const LARGEST: usize = 1024 * 1024;

/// Makes an RSA key of 2048 bits and a self-signed certificate for Apple's portal, valid from ten
/// minutes ago for a year, so that a clock somewhat off does no harm. `common_name` is what a
/// person sees in the portal and in errors of [`decrypt`]: 1 to 64 characters.
pub fn request(common_name: &str) -> Result<KeyPair, RequestError> {
    make(common_name).map_err(|source| RequestError { common_name: common_name.to_owned(), source })
}

fn make(common_name: &str) -> Result<KeyPair, ErrorStack> {
    let key = PKey::from_rsa(Rsa::generate(2048)?)?;
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, common_name)?;
    let name = name.build();
    // Apple's file names its certificate by issuer and serial number only: a random one keeps two
    // requests for one token apart.
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::ONE, false)?;
    let start = jiff::Timestamp::now().as_second() - 10 * 60;

    let mut certificate = X509::builder()?;
    certificate.set_version(2)?; // counts from 0: version 3
    certificate.set_serial_number(&*Asn1Integer::from_bn(&serial)?)?;
    certificate.set_subject_name(&name)?;
    certificate.set_issuer_name(&name)?;
    certificate.set_not_before(&*Asn1Time::from_unix(start)?)?;
    certificate.set_not_after(&*Asn1Time::from_unix(start + 365 * 24 * 60 * 60)?)?;
    certificate.set_pubkey(&key)?;
    certificate.append_extension(BasicConstraints::new().critical().build()?)?;
    certificate
        .append_extension(KeyUsage::new().critical().digital_signature().key_encipherment().build()?)?;
    certificate.sign(&key, MessageDigest::sha256())?;

    let key = Zeroizing::new(key.private_key_to_pem_pkcs8()?);
    Ok(KeyPair {
        certificate_pem: text(&certificate.build().to_pem()?),
        private_key_pem: SecretString::from(text(&key)),
    })
}

/// Reads a token file with the key pair whose certificate was uploaded. `certificate_pem` and
/// `private_key_pem` are those of its [`KeyPair`].
///
/// Accepts what Apple's portal was seen to give and what mail programs make of it: any headers or
/// none, any line ends, Base64 or binary, BER with indefinite lengths.
pub fn decrypt(
    p7m: &[u8],
    certificate_pem: &str,
    private_key_pem: &SecretString,
) -> Result<Credentials, TokenFileError> {
    if p7m.len() > LARGEST {
        return Err(TokenFileError::TooLarge(p7m.len()));
    }
    let (certificate, key) = key_pair(certificate_pem, private_key_pem)?;
    let ber = envelope::open(p7m)?;
    let recipients = recipient::recipients(&ber).map_err(TokenFileError::from)?;
    if !recipients.has(&certificate) {
        return Err(TokenFileError::OtherCertificate {
            recipient: recipients.to_string(),
            ours: recipient::Recipient::of(&certificate).to_string(),
        });
    }

    let cms =
        CmsContentInfo::from_der(&ber).map_err(|_| TokenFileError::Damaged("its structure is broken"))?;
    let plaintext = cms
        .decrypt(&key, &certificate)
        .map_err(|_| TokenFileError::Damaged("its content cannot be decrypted"))?;
    plaintext::credentials(&Zeroizing::new(plaintext))
}

/// Reads a token file with a private key alone (PEM).
pub fn decrypt_with_key(p7m: &[u8], private_key_pem: &SecretString) -> Result<Credentials, TokenFileError> {
    let recipients = made_for(p7m)?;
    let key = private_key(private_key_pem)?;
    let cms = CmsContentInfo::from_der(&envelope::open(p7m)?)
        .map_err(|_| TokenFileError::Damaged("its structure is broken"))?;
    let other = || TokenFileError::OtherKey(recipients.to_string());
    let plaintext = Zeroizing::new(cms.decrypt_without_cert_check(&key).map_err(|_| other())?);
    // OpenSSL answers a wrong key with noise, so as not to tell it from a right one.
    plaintext::credentials(&plaintext).map_err(|error| match error {
        TokenFileError::Damaged(_) => other(),
        error => error,
    })
}

/// For which certificates a token file was made. Fails if it is no token file; needs no key.
pub fn made_for(p7m: &[u8]) -> Result<Recipients, TokenFileError> {
    if p7m.len() > LARGEST {
        return Err(TokenFileError::TooLarge(p7m.len()));
    }
    recipient::recipients(&envelope::open(p7m)?).map_err(TokenFileError::from)
}

impl KeyPair {
    /// Whether both can be used and belong together.
    pub fn check(&self) -> Result<(), TokenFileError> {
        key_pair(&self.certificate_pem, &self.private_key_pem).map(drop)
    }

    /// A key pair as programs write it to files: PEM.
    pub fn from_pem(certificate_pem: String, private_key_pem: &SecretString) -> Result<Self, TokenFileError> {
        let certificate = X509::from_pem(certificate_pem.as_bytes())
            .map_err(|_| TokenFileError::Certificate("the file holds no certificate (PEM)"))?;
        Self::of(&certificate, &private_key(private_key_pem)?)
    }

    /// A key pair as programs keep it: DER, the key in PKCS#1 or PKCS#8.
    pub fn from_der(certificate: &[u8], private_key: &[u8]) -> Result<Self, TokenFileError> {
        let certificate = X509::from_der(certificate).map_err(TokenFileError::KeyPair)?;
        let key = PKey::private_key_from_der(private_key).map_err(TokenFileError::KeyPair)?;
        Self::of(&certificate, &key)
    }

    fn of(certificate: &X509, key: &PKey<Private>) -> Result<Self, TokenFileError> {
        let public = certificate.public_key().map_err(TokenFileError::KeyPair)?;
        if !public.public_eq(key) {
            return Err(TokenFileError::KeysDiffer);
        }
        let pem = Zeroizing::new(key.private_key_to_pem_pkcs8().map_err(TokenFileError::KeyPair)?);
        Ok(Self {
            certificate_pem: text(&certificate.to_pem().map_err(TokenFileError::KeyPair)?),
            private_key_pem: SecretString::from(text(&pem)),
        })
    }
}

fn private_key(pem: &SecretString) -> Result<PKey<Private>, TokenFileError> {
    let pem = pem.expose_secret();
    if pem.contains("ENCRYPTED") {
        return Err(TokenFileError::LockedKey);
    }
    if !pem.contains("PRIVATE KEY-----") {
        return Err(TokenFileError::Key("the file holds no private key (PEM)"));
    }
    PKey::private_key_from_pem_passphrase(pem.as_bytes(), b"")
        .map_err(|_| TokenFileError::Key("its PEM is broken"))
}

fn key_pair(certificate_pem: &str, key: &SecretString) -> Result<(X509, PKey<Private>), TokenFileError> {
    let certificate = X509::from_pem(certificate_pem.as_bytes()).map_err(TokenFileError::KeyPair)?;
    // With a password, if one is asked for: else OpenSSL would ask the terminal.
    let key = PKey::private_key_from_pem_passphrase(key.expose_secret().as_bytes(), b"")
        .map_err(TokenFileError::KeyPair)?;
    let public = certificate.public_key().map_err(TokenFileError::KeyPair)?;
    if public.public_eq(&key) { Ok((certificate, key)) } else { Err(TokenFileError::KeysDiffer) }
}

fn text(pem: &[u8]) -> String {
    str::from_utf8(pem).expect("PEM is ASCII").to_owned()
}

#[cfg(test)]
mod tests;
