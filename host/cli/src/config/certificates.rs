//! Certificates in files: PEM, DER and PKCS#12.
//!
//! Neither a password nor a private key gets into a message.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::profile::{Certificate, CertificateFile};
use jiff::Timestamp;
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkcs12::Pkcs12;
use openssl::x509::{X509, X509NameRef, X509Ref};

/// The largest file that is read, in bytes.
const MOST_BYTES: u64 = 1 << 20;

/// The certificates in a file, of a PKCS#12 file first that of its key; or why there are none.
pub(super) fn certificates(file: &CertificateFile, folder: &Path) -> Result<Vec<Certificate>, String> {
    let mut bytes = Vec::new();
    File::open(folder.join(&file.file))
        .and_then(|opened| opened.take(MOST_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file in the folder of the profiles".to_owned(),
            _ => error.to_string(),
        })?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err("it is larger than 1 MiB".to_owned());
    }
    let found = match &file.password_env {
        Some(variable) => sealed(&bytes, variable)?,
        None => open(&bytes)?,
    };
    let facts: Result<Vec<_>, ErrorStack> = found.iter().map(|certificate| facts(certificate)).collect();
    facts.map_err(|_| "a certificate in it cannot be read".to_owned())
}

fn open(bytes: &[u8]) -> Result<Vec<X509>, String> {
    if let Ok(found) = X509::stack_from_pem(bytes)
        && !found.is_empty()
    {
        return Ok(found);
    }
    match X509::from_der(bytes) {
        Ok(one) => Ok(vec![one]),
        Err(_) if Pkcs12::from_der(bytes).is_ok() => Err("it is a PKCS#12 file; write \
            { file = \"…\", password_env = \"VARIABLE\" } with the variable that holds its password"
            .to_owned()),
        Err(_) => Err("it is no certificate, neither PEM nor DER".to_owned()),
    }
}

fn sealed(bytes: &[u8], variable: &str) -> Result<Vec<X509>, String> {
    let sealed = Pkcs12::from_der(bytes).map_err(|_| "it is no PKCS#12 file".to_owned())?;
    let password = match std::env::var(variable) {
        Ok(password) => password,
        Err(std::env::VarError::NotPresent) => {
            return Err(format!("${variable}, which holds its password, is not set"));
        }
        Err(_) => return Err(format!("${variable}, which holds its password, is not text")),
    };
    let opened = sealed.parse2(&password).map_err(|errors| why_shut(&errors, variable))?;
    let chain = opened.ca.into_iter().flatten();
    let found: Vec<X509> = opened.cert.into_iter().chain(chain).collect();
    if found.is_empty() { Err("it holds no certificate".to_owned()) } else { Ok(found) }
}

/// An old cipher looks like a wrong password at first sight, and needs another remedy.
fn why_shut(errors: &ErrorStack, variable: &str) -> String {
    let said =
        |text: &str| errors.errors().iter().any(|error| error.reason().is_some_and(|it| it.contains(text)));
    if said("unsupported") {
        return "it is sealed with a cipher that is out of use (RC2), as macOS does; take the certificate out with \
            `openssl pkcs12 -in FILE -clcerts -nokeys -out FILE.pem` (with OpenSSL 3, add `-legacy`) and name the \
            PEM file"
            .to_owned();
    }
    if said("mac verify") {
        return format!("the password in ${variable} is not that of the file");
    }
    "it cannot be opened".to_owned()
}

fn facts(certificate: &X509Ref) -> Result<Certificate, ErrorStack> {
    Ok(Certificate {
        base64: STANDARD.encode(certificate.to_der()?),
        subject: name(certificate.subject_name()),
        not_before: time(certificate.not_before())?,
        not_after: time(certificate.not_after())?,
        authority: is_authority(certificate),
    })
}

/// What people call it: the common name, else the organisation.
pub(crate) fn name(name: &X509NameRef) -> String {
    let entry = |nid| name.entries_by_nid(nid).next().and_then(|entry| entry.data().to_string().ok());
    [Nid::COMMONNAME, Nid::ORGANIZATIONNAME, Nid::ORGANIZATIONALUNITNAME]
        .into_iter()
        .find_map(entry)
        .unwrap_or_else(|| "without a name".to_owned())
}

pub(crate) fn time(time: &Asn1TimeRef) -> Result<Timestamp, ErrorStack> {
    let since = Asn1Time::from_unix(0)?.diff(time)?;
    let seconds = i64::from(since.days) * 86_400 + i64::from(since.secs);
    Ok(Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX))
}

/// Its own extension says so; a root older than such extensions issued itself.
pub(crate) fn is_authority(certificate: &X509Ref) -> bool {
    let text = certificate.to_text().unwrap_or_default();
    let says = String::from_utf8_lossy(&text).contains("CA:TRUE");
    says || (certificate.version() == 0
        && certificate.issued(certificate) == openssl::x509::X509VerifyResult::OK)
}
