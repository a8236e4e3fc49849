//! The certificates of a profile: readable, valid for a while, and of the kind they are used as.

use jiff::Timestamp;

use super::Given;
use crate::document::Findings;
use crate::profile::certificate::Certificate;
use crate::profile::file::{CertificateEntry, ProfileFile};

/// How long a certificate should be valid still.
const NOTICE_DAYS: i64 = 30;

pub(super) fn check(file: &ProfileFile, given: &Given, findings: &mut Findings<'_>) {
    let lists = [
        ("/anchor_certificates", file.anchor_certificates.as_slice(), true),
        ("/usb_pairing/certificates", file.host_certificates(), false),
    ];
    for (list, entries, anchors) in lists {
        for (index, entry) in entries.iter().enumerate() {
            let pointer = format!("{list}/{index}");
            match given.certificates.get(&entry.file()) {
                Some(Ok(certificates)) => {
                    for certificate in used(entry, certificates, anchors) {
                        check_one(&pointer, certificate, anchors, given.now, findings);
                    }
                }
                Some(Err(why)) => {
                    let message = format!("cannot use {}: {why}", entry.file().file);
                    findings.error("certificate-unreadable", &pointer, message, None);
                }
                None => {}
            }
        }
    }
}

/// The certificates that are sent for these entries.
pub(in crate::profile) fn certificates(
    entries: &[CertificateEntry],
    given: &Given,
    anchors: bool,
) -> Vec<Certificate> {
    let read = |entry: &CertificateEntry| {
        let certificates = given.certificates.get(&entry.file()).and_then(|read| read.as_ref().ok());
        certificates.map(|all| used(entry, all, anchors).to_vec()).unwrap_or_default()
    };
    entries.iter().flat_map(read).collect()
}

/// A PKCS#12 file is the identity of one computer: the rest of its chain is nobody that pairs.
fn used<'c>(entry: &CertificateEntry, all: &'c [Certificate], anchors: bool) -> &'c [Certificate] {
    let only_own = matches!(entry, CertificateEntry::Sealed(sealed) if sealed.password_env.is_some());
    if only_own && !anchors { &all[..all.len().min(1)] } else { all }
}

fn check_one(
    pointer: &str,
    certificate: &Certificate,
    anchor: bool,
    now: Option<Timestamp>,
    findings: &mut Findings<'_>,
) {
    let whose = format!("the certificate `{}`", certificate.subject);
    if anchor && !certificate.authority {
        let message = format!("{whose} is not one of an authority: only itself is trusted with it");
        let help = "`deputy profile anchors URL --out FILE` fetches what a server's certificate comes from";
        findings.warn("anchor-no-authority", pointer, message, Some(help.to_owned()));
    }
    let Some(now) = now else { return };
    let (from, to) = (certificate.not_before, certificate.not_after);
    let day = |time: Timestamp| time.strftime("%Y-%m-%d").to_string();
    let days = (to.as_second() - now.as_second()).div_euclid(86_400);
    if to < now {
        let message = format!("{whose} expired on {}", day(to));
        findings.error("certificate-expired", pointer, message, None);
    } else if days < NOTICE_DAYS {
        let message = format!("{whose} expires on {}, in {days} days", day(to));
        findings.warn("certificate-expires", pointer, message, None);
    } else if from > now {
        let message = format!("{whose} is valid from {} only", day(from));
        findings.warn("certificate-not-yet", pointer, message, None);
    }
}
