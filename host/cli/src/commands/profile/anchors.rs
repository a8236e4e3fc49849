//! `deputy profile anchors`: the certificate that a server's own comes from, for `anchor_certificates`.

use std::path::PathBuf;

use openssl::hash::MessageDigest;
use openssl::x509::{X509, X509Ref, X509VerifyResult};
use serde_json::{Value, json};
use url::Url;

use super::tls::{Seen, look};
use crate::Common;
use crate::config::certificates::{is_authority, name, time};
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json, print_table};

/// What `deputy profile anchors` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The server, as in `url`
    url: Url,
    /// Write the anchor to this file (PEM), for `anchor_certificates`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Carries the command out.
pub(super) async fn run(common: &Common, arguments: Arguments) -> Outcome {
    let Arguments { url, out } = arguments;
    if url.scheme() != "https" {
        return Err(Problem::usage(format!("{url} is no https URL")));
    }
    if let Some(file) = out.as_ref().filter(|file| file.exists()) {
        return Err(Problem::usage(format!("{} is there already; nothing was changed", file.display())));
    }
    let host = url.host_str().unwrap_or_default().to_owned();
    let seen = tokio::task::spawn_blocking(move || look(&url, &[])).await;
    let Seen { chain, distrust, .. } = seen
        .unwrap_or_else(|_| Err("looking at it failed".to_owned()))
        .map_err(|why| Problem::new(Exit::Unavailable, why))?;
    let Some(anchor) = chain.last() else {
        return Err(Problem::new(Exit::Failure, format!("{host} shows no certificate")));
    };
    if let Some(file) = &out {
        let pem = anchor.to_pem().map_err(|error| Problem::new(Exit::Failure, error))?;
        std::fs::File::create_new(file)
            .and_then(|mut new| std::io::Write::write_all(&mut new, &pem))
            .map_err(|error| Problem::file("write", file, &error))?;
    }
    if common.json {
        let trust = json!({ "by_this_system": distrust.is_none(), "why_not": distrust });
        let chain: Vec<Value> = chain.iter().map(|certificate| in_json(certificate)).collect();
        print_json("anchors", &json!({ "host": host, "trusted": trust, "chain": chain, "written": out }));
        return Ok(Exit::Success);
    }
    print_table(
        ["subject", "issuer", "valid until", "sha-256"],
        chain.iter().map(|certificate| row(certificate)).collect(),
        "",
    );
    let trust = distrust
        .map_or("trusted by this system".to_owned(), |why| format!("not trusted by this system: {why}"));
    print(&format!("\n{host} is {trust}."));
    eprintln!("{}", warning(anchor, &host));
    match out {
        Some(file) => print(&format!("Wrote `{}` to {}.", name(anchor.subject_name()), file.display())),
        None => print("With `--out FILE` the last of these is written, for `anchor_certificates`."),
    }
    Ok(Exit::Success)
}

fn warning(anchor: &X509, host: &str) -> String {
    let mut text = format!(
        "warning: this trusts whoever answers as {host} now; compare the last SHA-256 with one you got another way"
    );
    if !is_authority(anchor) {
        text += "\nwarning: the server shows no authority, only its own certificate; a renewed one would not be trusted";
    } else if anchor.issued(anchor) != X509VerifyResult::OK {
        text += "\nwarning: the server does not show its root; the last is an authority below it";
    }
    text
}

fn row(certificate: &X509Ref) -> [String; 4] {
    let until = time(certificate.not_after()).map(crate::output::time).unwrap_or_default();
    [name(certificate.subject_name()), name(certificate.issuer_name()), until, fingerprint(certificate)]
}

fn in_json(certificate: &X509Ref) -> Value {
    json!({
        "subject": name(certificate.subject_name()),
        "issuer": name(certificate.issuer_name()),
        "not_before": time(certificate.not_before()).ok(),
        "not_after": time(certificate.not_after()).ok(),
        "authority": is_authority(certificate),
        "sha256": fingerprint(certificate),
    })
}

fn fingerprint(certificate: &X509Ref) -> String {
    let digest = certificate.digest(MessageDigest::sha256());
    digest.map(|digest| digest.iter().map(|byte| format!("{byte:02x}")).collect()).unwrap_or_default()
}
