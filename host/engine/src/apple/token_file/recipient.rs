//! For which certificate an encrypted message was made.
//!
//! OpenSSL decrypts the message but does not tell us this, so the few outer layers are walked here:
//! BER, with definite and indefinite lengths, nothing copied, nesting bounded.

use std::fmt;

use openssl::asn1::{Asn1Integer, Asn1IntegerRef};
use openssl::bn::BigNum;
use openssl::nid::Nid;
use openssl::x509::{X509, X509Name, X509NameRef};

use super::TokenFileError;

/// The certificates that can open a message; at least one.
pub struct Recipients(Vec<Recipient>);

/// The certificate of one recipient, by what a message names it with.
pub(super) struct Recipient {
    issuer: Option<X509Name>,
    serial: Option<BigNum>,
}

/// Why no recipients were found.
pub(super) enum NoRecipients {
    /// CMS or not, it is no encrypted message.
    NotEncrypted(&'static str),
    /// It begins like one and breaks off.
    Broken,
}

/// The recipients of an encrypted message.
pub(super) fn recipients(ber: &[u8]) -> Result<Recipients, NoRecipients> {
    let other = NoRecipients::NotEncrypted("something else");
    // Into the outermost layer without looking for its end: a file that was cut off is still
    // told from one that is something else.
    let Some((SEQUENCE, _, content)) = (Reader { rest: ber }).head() else { return Err(other) };
    let mut message = Reader { rest: content };
    match message.element(OBJECT_IDENTIFIER).ok_or(other)? {
        ENVELOPED_DATA => {}
        SIGNED_DATA => return Err(NoRecipients::NotEncrypted("a signed message: a profile, perhaps")),
        _ => return Err(NoRecipients::NotEncrypted("a message that is not encrypted for a certificate")),
    }
    envelope(message).filter(|found| !found.is_empty()).map(Recipients).ok_or(NoRecipients::Broken)
}

impl Recipients {
    /// Whether this certificate (PEM) is one of them.
    pub fn include(&self, certificate_pem: &str) -> bool {
        X509::from_pem(certificate_pem.as_bytes()).is_ok_and(|certificate| self.has(&certificate))
    }

    pub(super) fn has(&self, certificate: &X509) -> bool {
        self.0.iter().any(|recipient| recipient.is(certificate))
    }
}

impl fmt::Display for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join(" and "))
    }
}

/// `EnvelopedData`: version, perhaps the originator's certificates, recipients.
fn envelope(mut message: Reader<'_>) -> Option<Vec<Recipient>> {
    let mut envelope = message.enter(CONTEXT_0)?.enter(SEQUENCE)?;
    envelope.element(INTEGER)?;
    if envelope.tag() == Some(CONTEXT_0) {
        envelope.skip()?;
    }
    let mut infos = envelope.enter(SET)?;
    let mut recipients = Vec::new();
    while let Some(tag) = infos.tag() {
        if tag == SEQUENCE {
            recipients.push(key_transport(infos.enter(SEQUENCE)?)?);
        } else {
            infos.skip()?;
        }
    }
    Some(recipients)
}

/// `KeyTransRecipientInfo`: version, then issuer and serial number, or a key's identifier, which
/// Apple does not use.
fn key_transport(mut info: Reader<'_>) -> Option<Recipient> {
    info.element(INTEGER)?;
    if info.tag() != Some(SEQUENCE) {
        return Some(Recipient { issuer: None, serial: None });
    }
    let mut id = info.enter(SEQUENCE)?;
    let before = id.rest;
    id.skip()?;
    let issuer = &before[..before.len() - id.rest.len()];
    let serial = id.element(INTEGER)?;
    Some(Recipient { issuer: X509Name::from_der(issuer).ok(), serial: BigNum::from_slice(serial).ok() })
}

impl Recipient {
    /// The recipient that this certificate would be.
    pub(super) fn of(certificate: &X509) -> Self {
        let issuer = certificate.issuer_name().to_der().ok();
        Self {
            issuer: issuer.and_then(|der| X509Name::from_der(&der).ok()),
            serial: certificate.serial_number().to_bn().ok(),
        }
    }

    /// Whether this is the certificate, by issuer and serial number.
    pub(super) fn is(&self, certificate: &X509) -> bool {
        let issuer =
            |name: &X509NameRef| name.try_cmp(certificate.issuer_name()).is_ok_and(|order| order.is_eq());
        let serial = |number: &Asn1IntegerRef| number == certificate.serial_number();
        self.issuer.as_deref().is_some_and(issuer)
            && self
                .serial
                .as_ref()
                .and_then(|number| Asn1Integer::from_bn(number).ok())
                .is_some_and(|number| serial(&number))
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.issuer.as_ref().and_then(|issuer| {
            let entry = issuer.entries_by_nid(Nid::COMMONNAME).next()?;
            Some(entry.data().to_string().ok()?.to_string())
        });
        match name {
            // Somebody else's text: quoted, and no more than a name has.
            Some(name) => write!(f, "{:?}", name.chars().take(64).collect::<String>())?,
            None => f.write_str("a certificate without a name")?,
        }
        match self.serial.as_ref().and_then(|serial| serial.to_hex_str().ok()) {
            Some(serial) => write!(f, ", serial number {}", serial.chars().take(64).collect::<String>()),
            None => f.write_str(", without a serial number"),
        }
    }
}

impl From<NoRecipients> for TokenFileError {
    fn from(reason: NoRecipients) -> Self {
        match reason {
            NoRecipients::NotEncrypted(what) => Self::NotATokenFile(what),
            NoRecipients::Broken => Self::Damaged("its structure is broken"),
        }
    }
}

const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const CONTEXT_0: u8 = 0xa0;
/// 1.2.840.113549.1.7.3
const ENVELOPED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03];
/// 1.2.840.113549.1.7.2
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];

/// Deeper than any message; a bound on hostile ones.
const DEEPEST: usize = 32;

/// Reads BER elements off the front of `rest`. `None` means that the bytes are no such thing.
#[derive(Clone, Copy)]
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// The tag of the next element; `None` at the end, also at an end-of-contents mark.
    fn tag(&self) -> Option<u8> {
        self.rest.first().copied().filter(|tag| *tag != 0)
    }

    /// The content of the next element, which must be primitive and have this tag.
    fn element(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, length, content) = self.head()?;
        let length = length.filter(|_| found == tag)?;
        self.rest = content.get(length..)?;
        content.get(..length)
    }

    /// Goes into the next element, which must have this tag, and past it here.
    fn enter(&mut self, tag: u8) -> Option<Reader<'a>> {
        let (found, length, content) = self.head()?;
        if found != tag {
            return None;
        }
        match length {
            Some(length) => {
                self.rest = content.get(length..)?;
                Some(Reader { rest: content.get(..length)? })
            }
            None => {
                self.skip()?;
                // Ends with its end-of-contents mark, which `tag` takes for the end.
                let end = content.len() - self.rest.len();
                Some(Reader { rest: content.get(..end)? })
            }
        }
    }

    /// Past the next element, however deep it is.
    fn skip(&mut self) -> Option<()> {
        let mut open = 0;
        loop {
            if open > 0 && self.rest.starts_with(&[0, 0]) {
                self.rest = &self.rest[2..];
                open -= 1;
            } else {
                match self.head()? {
                    (_, Some(length), content) => self.rest = content.get(length..)?,
                    (_, None, content) => {
                        self.rest = content;
                        open += 1;
                    }
                }
            }
            match open {
                0 => return Some(()),
                DEEPEST.. => return None,
                _ => {}
            }
        }
    }

    /// Tag, length (`None` if indefinite) and everything behind them.
    fn head(&self) -> Option<(u8, Option<usize>, &'a [u8])> {
        let [tag, length, rest @ ..] = self.rest else { return None };
        // Tags of more than one byte do not occur here.
        if tag & 0x1f == 0x1f {
            return None;
        }
        match *length {
            0x80 => (tag & 0x20 != 0).then_some((*tag, None, rest)),
            short @ ..0x80 => Some((*tag, Some(usize::from(short)), rest)),
            long => {
                let digits = usize::from(long & 0x7f);
                if digits > 4 {
                    return None;
                }
                let (digits, rest) = rest.split_at_checked(digits)?;
                let length = digits.iter().fold(0_usize, |length, digit| length << 8 | usize::from(*digit));
                Some((*tag, Some(length), rest))
            }
        }
    }
}
