//! `deputy token check`: whether tokens work, and who has to do what about those that do not.

use domain::id::TokenName;
use domain::run::State;
use domain::token::Token;
use engine::lifecycle::{self, Checked};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::Common;
use crate::app::App;
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json};

pub(super) const SHAPE: &str = "\
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
pub(super) async fn run(common: &Common, app: &App, names: &[TokenName]) -> Outcome {
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
