//! Certificates made for a test: of authorities and of servers, valid and not.

use openssl::asn1::Asn1Time;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};

/// What the certificate says; days from today.
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) authority: bool,
}

/// A certificate that issued itself, and its key.
pub(crate) fn identity(spec: Spec) -> (X509, PKey<Private>) {
    make(&spec).expect("OpenSSL makes certificates")
}

fn make(spec: &Spec) -> Result<(X509, PKey<Private>), ErrorStack> {
    let key = PKey::from_rsa(Rsa::generate(2048)?)?;
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, spec.name)?;
    let name = name.build();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let day = |days: i64| Asn1Time::from_unix(now.as_secs() as i64 + days * 86_400);
    let mut certificate = X509::builder()?;
    certificate.set_version(2)?;
    certificate.set_subject_name(&name)?;
    certificate.set_issuer_name(&name)?;
    certificate.set_not_before(&*day(spec.from)?)?;
    certificate.set_not_after(&*day(spec.to)?)?;
    certificate.set_pubkey(&key)?;
    if spec.authority {
        certificate.append_extension(BasicConstraints::new().critical().ca().build()?)?;
    }
    certificate.sign(&key, MessageDigest::sha256())?;
    Ok((certificate.build(), key))
}

/// A key pair as nanodep and others make it for Apple's portal: PEM, and the same serial number every time.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) private_key: String,
    key: PKey<Private>,
}

impl Pair {
    pub(crate) fn new(name: &'static str) -> Self {
        let (certificate, key) = identity(Spec { name, from: 0, to: 1, authority: false });
        let text = |pem: Vec<u8>| String::from_utf8(pem).expect("PEM is text");
        let private_key = key.rsa().and_then(|key| key.private_key_to_pem()).expect("an RSA key");
        let certificate = text(certificate.to_pem().expect("a certificate"));
        Self { certificate, private_key: text(private_key), key }
    }

    /// The private key with a password.
    pub(crate) fn locked(&self) -> Vec<u8> {
        let cipher = openssl::symm::Cipher::aes_256_cbc();
        self.key.private_key_to_pem_pkcs8_passphrase(cipher, b"password").expect("it can be locked")
    }
}

/// An authority of a test's own.
pub(crate) struct Authority {
    certificate: X509,
    key: PKey<Private>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let spec = Spec { name: "an authority for a test", from: -1, to: 2, authority: true };
        let (certificate, key) = identity(spec);
        Self { certificate, key }
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> Vec<u8> {
        self.certificate.to_pem().expect("PEM")
    }

    /// A certificate of a server, and its key.
    pub(crate) fn certificate(&self, host: &str) -> (X509, PKey<Private>) {
        self.issue(host).expect("OpenSSL makes certificates")
    }

    fn issue(&self, host: &str) -> Result<(X509, PKey<Private>), ErrorStack> {
        let key = PKey::from_rsa(Rsa::generate(2048)?)?;
        let mut name = X509NameBuilder::new()?;
        name.append_entry_by_nid(Nid::COMMONNAME, host)?;
        let mut certificate = X509::builder()?;
        certificate.set_version(2)?;
        certificate.set_subject_name(&name.build())?;
        certificate.set_issuer_name(self.certificate.subject_name())?;
        certificate.set_not_before(self.certificate.not_before())?;
        certificate.set_not_after(self.certificate.not_after())?;
        certificate.set_pubkey(&key)?;
        let mut names = SubjectAlternativeName::new();
        match host.parse::<std::net::IpAddr>() {
            Ok(_) => names.ip(host),
            Err(_) => names.dns(host),
        };
        let names = names.build(&certificate.x509v3_context(Some(&self.certificate), None))?;
        certificate.append_extension(names)?;
        certificate.sign(&self.key, MessageDigest::sha256())?;
        Ok((certificate.build(), key))
    }
}
