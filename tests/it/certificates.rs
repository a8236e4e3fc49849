//! Certificates made for a test: of authorities and of servers, valid and not.

use openssl::asn1::Asn1Time;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::BasicConstraints;
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
