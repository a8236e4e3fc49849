//! `deputy token import` and `restore`: another token in the place of the one there is.

use std::path::PathBuf;

use domain::id::TokenName;
use domain::token::{Token, from_now};
use engine::lifecycle::moving_in::{self, KeyFiles};
use engine::lifecycle::{self, Imported, Was};
use serde_json::json;

use super::known;
use crate::Common;
use crate::app::App;
use crate::exit::{Exit, Outcome};
use crate::output::{print, print_json, time};

/// What `deputy token import` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A token of deputy.toml
    name: TokenName,
    /// The file from Apple's portal, `…_smime.p7m`; or what another program has kept, see --help
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Which token, where FILE holds several
    #[arg(long)]
    entry: Option<String>,
    /// The certificate another program made for the token (PEM)
    #[arg(long, value_name = "FILE", requires = "private_key")]
    certificate: Option<PathBuf>,
    /// Its private key (PEM, without a password)
    #[arg(long, value_name = "FILE", requires = "certificate")]
    private_key: Option<PathBuf>,
}

pub(super) const SOURCES: &str = "\
The file from Apple's portal is decrypted with whichever key of `token request` fits, also an earlier one.
Nothing is replaced before Apple has taken the new token and named the same server and organisation; the
token before is kept until the new one has worked in a run or a check (`token restore` goes back to it).

To move in from another program, FILE can also be
  a token as JSON          what nanodep's GET /v1/tokens/NAME, deptokens, depy and others print
  MicroMDM's answer        to GET /v1/dep-tokens
  micromdm.db              MicroMDM's database, a copy made while MicroMDM is stopped; its key comes along
  a folder of nanodep      what -storage-dsn names for its storages filekv and file; the keys come along
With --certificate and --private-key, the key pair of another program comes along, or opens a file from the
portal that was made for it. Then stop the other program: two that use one token end each other's sessions.";

/// Carries the command out.
pub(super) async fn run(common: &Common, app: &App, arguments: &Arguments) -> Outcome {
    let Arguments { name, file, entry, certificate, private_key } = arguments;
    known(app, name)?;
    let keys = certificate.clone().zip(private_key.clone());
    let keys = keys.map(|(certificate, private_key)| KeyFiles { certificate, private_key });
    let found = moving_in::read(file, entry.as_deref(), keys.as_ref()).map_err(lifecycle::Error::from)?;
    let Imported { token, was } = lifecycle::import(&app.engine, name, found.incoming).await?;
    let (verb, previous) = match &was {
        Was::New => ("Imported", None),
        Was::Renewed(previous) => ("Renewed", Some(previous)),
        Was::ThereAlready => ("Unchanged:", None),
    };
    if common.json {
        let value = json!({
            "token": token, "renewed": previous.is_some(), "unchanged": matches!(was, Was::ThereAlready),
            "from": found.from,
        });
        print_json("import", &value);
        return Ok(Exit::Success);
    }
    print(&told(app, verb, &token));
    if let Was::ThereAlready = was {
        print("It is the token in use already.");
    }
    if let Some(from) = &found.from {
        print(&format!(
            "It was {from}. If another program still uses it, stop that: two with one token end each other's sessions."
        ));
    }
    if previous.is_some() {
        print(&format!(
            "The token before is kept until this one has worked in a run or a check: deputy token check {name}"
        ));
    }
    if let Was::New = was {
        print("Next: `deputy sync` fetches its devices, `deputy plan` shows what would be done.");
    }
    Ok(Exit::Success)
}

/// Goes back to the token before.
pub(super) async fn restore(common: &Common, app: &App, name: &TokenName) -> Outcome {
    known(app, name)?;
    let token = lifecycle::restore(&app.engine, name).await?;
    if common.json {
        print_json("restored", &json!({ "token": token }));
        return Ok(Exit::Success);
    }
    print(&told(app, "Restored", &token));
    Ok(Exit::Success)
}

fn told(app: &App, verb: &str, token: &Token) -> String {
    let Token { name, server_name, org_name, admin_id, expires_at, .. } = token;
    format!(
        "{verb} `{name}`: server \"{server_name}\" of {org_name}, made by {admin_id}.\n\
         Apple accepts it; it expires {} ({}).",
        from_now(*expires_at, app.engine.now()),
        time(*expires_at),
    )
}
