//! What a certificate made for the portal says of itself.

use domain::token_facts::Certificate;
use jiff::Timestamp;
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::nid::Nid;
use openssl::x509::{X509, X509Ref};

/// What is told of a certificate (PEM). None if it is none.
pub fn certificate(pem: &str) -> Option<Certificate> {
    let certificate = X509::from_pem(pem.as_bytes()).ok()?;
    let name = certificate.subject_name().entries_by_nid(Nid::COMMONNAME).next();
    let name = name.and_then(|entry| entry.data().to_string().ok()).map(|text| text.to_string());
    Some(Certificate {
        common_name: name.unwrap_or_default(),
        serial_number: certificate.serial_number().to_bn().ok()?.to_hex_str().ok()?.to_string(),
        not_before: time(certificate.not_before())?,
        not_after: time(certificate.not_after())?,
    })
}

/// What people call a certificate (its common name, else its organisation), and when it ends.
pub fn name_and_end(certificate: &X509Ref) -> Option<(String, Timestamp)> {
    let entry = |nid| certificate.subject_name().entries_by_nid(nid).next()?.data().to_string().ok();
    let name = entry(Nid::COMMONNAME).or_else(|| entry(Nid::ORGANIZATIONNAME));
    Some((name.map_or("without a name".to_owned(), |it| it.to_string()), time(certificate.not_after())?))
}

fn time(time: &Asn1TimeRef) -> Option<Timestamp> {
    let since = Asn1Time::from_unix(0).ok()?.diff(time).ok()?;
    Timestamp::from_second(i64::from(since.days) * 86_400 + i64::from(since.secs)).ok()
}
