//! `deputy profile push`: defines profiles at Apple ahead of the run that needs them.

use domain::id::{ProfileName, TokenName};
use engine::profiles::{Pushed, push};
use serde_json::json;

use super::check::before_sending;
use super::known;
use crate::Common;
use crate::app::App;
use crate::commands::freeze::{self, Freezing};
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json};

/// Carries the command out.
pub(super) async fn run(
    common: &Common,
    app: &App,
    names: &[ProfileName],
    tokens: &[TokenName],
    freezing: Freezing,
) -> Outcome {
    for name in names {
        known(app, name)?;
    }
    before_sending(app, names)?;
    let tokens = app.tokens(tokens)?;
    freeze::refuse(app, &tokens, freezing)?;
    let names: Vec<ProfileName> =
        if names.is_empty() { app.config.profiles.keys().cloned().collect() } else { names.to_vec() };
    let (mut data, mut worst) = (Vec::new(), Exit::Success);
    for token in &tokens {
        for (profile, pushed) in push(&app.engine, token, &names, freezing.despite_freeze).await {
            let (state, words) = match &pushed {
                Ok(Pushed::Defined(id)) => ("defined", format!("defined as {id}")),
                Ok(Pushed::Unchanged(id)) => ("unchanged", format!("unchanged, {id}")),
                Err(error) => {
                    let problem = Problem::from(error);
                    worst = worst.or_worse(problem.exit);
                    problem.print();
                    ("failed", "failed".to_owned())
                }
            };
            let id = pushed.ok().map(|pushed| match pushed {
                Pushed::Defined(id) | Pushed::Unchanged(id) => id,
            });
            data.push(json!({ "token": token, "profile": profile, "state": state, "id": id }));
            if !common.json {
                print(&format!("{token}: {profile} {words}"));
            }
        }
    }
    if common.json {
        print_json("profiles", &data.into());
    }
    Ok(worst)
}
