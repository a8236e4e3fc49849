//! `deputy token`: the exchange with Apple's portal, and what came of it.

use std::path::{Path, PathBuf};

use domain::id::TokenName;
use domain::run::State;
use domain::token::{Token, from_now};
use engine::lifecycle::{self, Checked, Imported};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::Common;
use crate::app::{App, Policies, unknown};
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{maybe, print, print_json, print_table, time};

/// What `deputy token` can do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Make a key pair; prints what to do with the certificate in Apple's portal
    Request {
        /// A token of deputy.toml
        name: TokenName,
        /// Where to write the certificate [default: NAME.pem]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Take over a token downloaded from Apple's portal: decrypts it, checks it with Apple, stores it sealed
    Import {
        /// A token of deputy.toml
        name: TokenName,
        /// The file from Apple's portal, `…_smime.p7m`
        file: PathBuf,
    },
    /// Ask Apple whether tokens work; changes nothing. Says who has to do what about those that do not
    #[command(after_long_help = SHAPE)]
    Check {
        /// Tokens of deputy.toml [default: all that are imported]
        names: Vec<TokenName>,
    },
    /// Show every token: whose, until when, how many devices
    List,
}

const SHAPE: &str = "\
Exit codes: 0 all work, 1 something failed, 4 a person has to do something (also where no token
is imported), 5 Apple or the network did not answer. Of several tokens the most urgent counts.

With --json: { version: 1, tokens: [ {
  name, state, summary, hint,            hint is null where there is nothing to do
  server_name, server_uuid, org_name,    as Apple names them now, or as they were at the import
  admin_id, page_limit,                  null where they are not known
  expires_at, days_left                  null if never imported; negative once it has ended
} ] }

state is one of: fine, not-imported, expired, ended (by its own word, though Apple accepts it),
rejected, replaced (rejected, and a newer one was asked for), session-refused, creator-gone,
terms-not-signed,
server-inactive, access-denied, other-server, clock-wrong, name-not-resolved,
connection-refused, connection-timeout, certificate-not-trusted, no-tls, proxy-refused,
answer-timeout, no-answer, too-many-requests, unavailable, bad-answer, wrong-setup,
unexpected, failed.";

/// Carries the command out.
pub(crate) async fn run(common: &Common, command: Command) -> Outcome {
    let app = App::open(&common.config, Policies::Unused).await?;
    match command {
        Command::Request { name, out } => request(common, &app, &name, out).await,
        Command::Import { name, file } => import(common, &app, &name, &file).await,
        Command::Check { names } => check(common, &app, &names).await,
        Command::List => list(common, &app).await,
    }
}

async fn request(common: &Common, app: &App, name: &TokenName, out: Option<PathBuf>) -> Outcome {
    known(app, name)?;
    let file = out.unwrap_or_else(|| PathBuf::from(format!("{name}.pem")));
    let requested = lifecycle::request(&app.engine, name).await?;
    std::fs::write(&file, &requested.certificate_pem)
        .map_err(|error| Problem::file("write", &file, &error))?;
    if common.json {
        let renews = requested.renews.map(|token| token.server_name);
        print_json("request", &json!({ "token": name, "certificate": file, "renews": renews }));
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
    Ok(Exit::Success)
}

async fn import(common: &Common, app: &App, name: &TokenName, file: &Path) -> Outcome {
    known(app, name)?;
    // A real one has some 2 KiB; whatever this is, it is not read to its end if it is larger.
    const LARGEST: u64 = 1 << 20;
    let size = std::fs::metadata(file).map_err(|error| Problem::file("read", file, &error))?.len();
    if size > LARGEST {
        return Err(Problem::usage(format!(
            "{} has {size} bytes; a token file has some 2,000",
            file.display()
        ))
        .hint("name the `…_smime.p7m` file from Apple's portal"));
    }
    let p7m = std::fs::read(file).map_err(|error| Problem::file("read", file, &error))?;
    let Imported { token, replaced } = lifecycle::import(&app.engine, name, &p7m).await?;
    if common.json {
        print_json("import", &json!({ "token": token, "renewed": replaced.is_some() }));
        return Ok(Exit::Success);
    }
    let verb = if replaced.is_some() { "Renewed" } else { "Imported" };
    let Token { server_name, org_name, admin_id, expires_at, .. } = &token;
    print(&format!(
        "{verb} `{name}`: server \"{server_name}\" of {org_name}, made by {admin_id}.\n\
         Apple accepts it; it expires {} ({}).",
        from_now(*expires_at, app.engine.now()),
        time(*expires_at),
    ));
    if replaced.is_none() {
        print("Next: `deputy sync` fetches its devices, `deputy plan` shows what would be done.");
    }
    Ok(Exit::Success)
}

async fn check(common: &Common, app: &App, names: &[TokenName]) -> Outcome {
    let stored = app.engine.store.tokens().await?;
    let is_imported = |name: &TokenName| stored.iter().any(|stored| stored.token.name == *name);
    let names = app.tokens(names)?.into_iter().filter(|name| !names.is_empty() || is_imported(name));
    // All at once: one that has to wait for an answer keeps no other waiting.
    let ask = |name: TokenName| {
        let engine = app.engine.clone();
        tokio::spawn(async move { lifecycle::check(&engine, &name).await })
    };
    let asking: Vec<_> = names.map(ask).collect();
    let mut checked = Vec::new();
    for asked in asking {
        checked.push(asked.await.map_err(|error| Problem::new(Exit::Failure, error))?);
    }
    if checked.is_empty() && !common.json {
        let problem = Problem::new(Exit::NeedsPerson, "no token is imported");
        return Err(problem.hint("`deputy token request NAME` begins the exchange with Apple's portal"));
    }
    let now = app.engine.now();
    if common.json {
        print_json("tokens", &checked.iter().map(|checked| as_json(checked, now)).collect());
    } else {
        checked.iter().for_each(|checked| print(&as_text(checked)));
    }
    let exits = checked.iter().map(|checked| Exit::from(checked.finding.outcome));
    Ok(exits.reduce(Exit::or_worse).unwrap_or(Exit::NeedsPerson))
}

fn as_text(checked: &Checked) -> String {
    let Checked { name, token, account, finding } = checked;
    let mut lines =
        vec![format!("{name}: {}", finding.state.replace('-', " ")), format!("  {}", finding.summary)];
    if let (Some(account), Some(token), State::Succeeded) = (account, token, finding.outcome) {
        let Token { server_name, org_name, admin_id, .. } = token;
        let limit = account.page_limit.unwrap_or(100);
        let by = account.admin_id.as_ref().unwrap_or(admin_id);
        lines.push(format!(
            "  server \"{server_name}\" of {org_name}, made by {by}; pages of up to {limit} devices"
        ));
    }
    lines.extend(finding.hint.iter().map(|hint| format!("  hint: {hint}")));
    lines.join("\n")
}

/// As `deputy token check --help` describes it.
fn as_json(checked: &Checked, now: Timestamp) -> Value {
    let Checked { name, token, account, finding } = checked;
    let (account, token) = (account.as_ref(), token.as_ref());
    let days = |token: &Token| token.expires_at.duration_since(now).as_secs().div_euclid(86_400);
    json!({
        "name": name,
        "state": finding.state,
        "summary": finding.summary,
        "hint": finding.hint,
        "server_name": account.and_then(|it| it.server_name.as_ref()).or(token.map(|it| &it.server_name)),
        "server_uuid": account.and_then(|it| it.server_uuid.as_ref()).or(token.map(|it| &it.server_uuid)),
        "org_name": account.and_then(|it| it.org_name.as_ref()).or(token.map(|it| &it.org_name)),
        "admin_id": account.and_then(|it| it.admin_id.as_ref()).or(token.map(|it| &it.admin_id)),
        "page_limit": account.and_then(|it| it.page_limit),
        "expires_at": token.map(|it| it.expires_at),
        "days_left": token.map(days),
    })
}

async fn list(common: &Common, app: &App) -> Outcome {
    let now = app.engine.now();
    let stored = app.engine.store.tokens().await?;
    let requested = app.engine.store.requested_tokens().await?;
    if common.json {
        let tokens: Vec<_> = stored
            .iter()
            .map(|stored| {
                json!({
                    "token": stored.token,
                    "synced_at": stored.synced_at,
                    "devices": stored.devices,
                    "with_profile": stored.with_profile,
                })
            })
            .collect();
        let requested: Vec<_> =
            requested.iter().map(|(name, at)| json!({ "name": name, "requested_at": at })).collect();
        print_json("tokens", &json!({ "imported": tokens, "requested": requested }));
        return Ok(Exit::Success);
    }
    let mut rows: Vec<[String; 6]> = Vec::new();
    for name in app.config.tokens.keys() {
        let nothing = || "-".to_owned();
        rows.push(match stored.iter().find(|stored| stored.token.name == *name) {
            Some(stored) => [
                name.to_string(),
                stored.token.server_name.clone(),
                stored.token.org_name.clone(),
                stored.devices.to_string(),
                maybe(stored.synced_at, "never"),
                from_now(stored.token.expires_at, now),
            ],
            None => {
                let asked = requested.iter().any(|(token, _)| token == name);
                let state = if asked { "requested, not imported" } else { "not requested" };
                [name.to_string(), nothing(), nothing(), nothing(), nothing(), state.to_owned()]
            }
        });
    }
    print_table(
        ["token", "server", "organisation", "devices", "synced", "expires"],
        rows,
        "no tokens; add a table `[tokens.NAME]` to deputy.toml",
    );
    Ok(Exit::Success)
}

fn known(app: &App, name: &TokenName) -> Outcome<()> {
    if app.config.tokens.contains_key(name) {
        return Ok(());
    }
    let names: Vec<&str> = app.config.tokens.keys().map(TokenName::as_str).collect();
    let problem = unknown("token", name.as_str(), &names);
    let hint = problem.hint.clone().map_or_else(String::new, |hint| format!("{hint}; otherwise "));
    Err(problem.hint(format!("{hint}add a table `[tokens.{name}]` to deputy.toml")))
}
