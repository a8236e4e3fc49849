//! `deputy token request`: a key pair, and what to do with its certificate.

use std::path::PathBuf;

use domain::id::TokenName;
use domain::token::Token;
use domain::token_facts::PendingKey;
use engine::lifecycle;
use serde_json::json;

use super::known;
use crate::Common;
use crate::app::App;
use crate::exit::{Exit, Outcome, Problem};
use crate::out_file::OutFile;
use crate::output::{print, print_json, time};

/// Carries the command out.
pub(super) async fn run(common: &Common, app: &App, name: &TokenName, out: Option<PathBuf>) -> Outcome {
    known(app, name)?;
    let file = out.unwrap_or_else(|| PathBuf::from(format!("{name}.pem")));
    // Nobody is to make a key for a certificate that cannot be written.
    let out = OutFile::open(&file)?;
    if out.is_standard_output() {
        return Err(Problem::usage("the certificate is uploaded from a file").hint("name one: `--out FILE`"));
    }
    let requested = lifecycle::request(&app.engine, name).await?;
    out.write(|out| out.write_all(requested.certificate_pem.as_bytes()))?;
    if common.json {
        let renews = requested.renews.map(|token| token.server_name);
        let value = json!({
            "token": name, "certificate": file, "renews": renews, "open_requests": requested.open,
        });
        print_json("request", &value);
        return Ok(Exit::Success);
    }
    let file = file.display();
    let steps = match &requested.renews {
        None => format!(
            "In Apple Business Manager or Apple School Manager:\n  \
             1. open Preferences, then Your MDM Servers, and choose Add;\n  \
             2. give the server a name and upload {file};\n  \
             3. save, and choose Download Token."
        ),
        Some(Token { server_name, admin_id, .. }) => format!(
            "In Apple Business Manager or Apple School Manager, signed in as {admin_id} if you can:\n  \
             1. open Preferences, then the server \"{server_name}\", and choose Edit;\n  \
             2. upload {file};\n  \
             3. save, and choose Download Token. That ends the old token: import the new one at once."
        ),
    };
    print(&format!(
        "Wrote the certificate to {file}; its key stays here, sealed.\n\n{steps}\n\n\
         Then type\n  deputy token import {name} FILE.p7m"
    ));
    if !requested.open.is_empty() {
        print(&format!(
            "\nRequests made before are still open, and a token for one of them can be imported as well:\n{}\n\
             `deputy token forget {name} --pending` forgets all of them, this one too.",
            open_requests(&requested.open)
        ));
    }
    Ok(Exit::Success)
}

/// One a line: since when, and which certificate.
pub(super) fn open_requests(open: &[PendingKey]) -> String {
    let line = |key: &PendingKey| {
        format!("  {}  certificate {}", time(key.requested_at), key.certificate.serial_number)
    };
    open.iter().map(line).collect::<Vec<_>>().join("\n")
}
