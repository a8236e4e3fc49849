//! `deputy profile`: the enrolment profiles, here and at Apple.

use domain::id::{ProfileName, TokenName};
use engine::profiles::{Pushed, push};
use serde_json::json;

use crate::Common;
use crate::app::{App, Policies, unknown};
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json, print_table};

/// What `deputy profile` can do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show the profiles in profiles/, and how many devices are on each
    List,
    /// Define profiles at Apple that are new or have changed; others are left alone
    Push {
        /// Only these profiles [default: all]
        names: Vec<ProfileName>,
        /// Only for this token; may be repeated [default: all]
        #[arg(long = "token", value_name = "NAME")]
        tokens: Vec<TokenName>,
    },
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, command: Command) -> Outcome {
    let app = App::open(&common.config, Policies::Unused).await?;
    match command {
        Command::List => list(common, &app).await,
        Command::Push { names, tokens } => push_all(common, &app, &names, &tokens).await,
    }
}

async fn list(common: &Common, app: &App) -> Outcome {
    let (mut rows, mut data) = (Vec::new(), Vec::new());
    for (name, (profile, definition)) in &app.config.profiles {
        let (mut devices, mut outdated, mut at_apple) = (0, 0, 0);
        for token in app.config.tokens.keys() {
            let defined = app.engine.store.defined_profiles(token).await?;
            at_apple +=
                u64::from(defined.values().any(|(it, digest)| it == name && *digest == definition.digest));
            for (id, count) in app.engine.store.devices_by_profile(token).await? {
                match id.and_then(|id| defined.get(&id)) {
                    Some((it, digest)) if it == name && *digest == definition.digest => devices += count,
                    Some((it, _)) if it == name => outdated += count,
                    _ => {}
                }
            }
        }
        let tokens = app.config.tokens.len();
        rows.push([
            name.to_string(),
            profile.title.clone(),
            format!("{at_apple} of {tokens}"),
            devices.to_string(),
            outdated.to_string(),
        ]);
        data.push(json!({
            "name": name, "title": profile.title, "description": profile.description,
            "digest": definition.digest, "defined_for_tokens": at_apple,
            "devices": devices, "devices_on_an_older_content": outdated,
        }));
    }
    if common.json {
        print_json("profiles", &data.into());
    } else {
        let headings = ["profile", "name at Apple", "defined for tokens", "devices", "on older content"];
        print_table(headings, rows, "no profiles; put one into profiles/");
    }
    Ok(Exit::Success)
}

async fn push_all(common: &Common, app: &App, names: &[ProfileName], tokens: &[TokenName]) -> Outcome {
    let known: Vec<&str> = app.config.profiles.keys().map(ProfileName::as_str).collect();
    if let Some(stranger) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(unknown("profile", stranger.as_str(), &known));
    }
    let tokens = app.tokens(tokens)?;
    let names: Vec<ProfileName> =
        if names.is_empty() { app.config.profiles.keys().cloned().collect() } else { names.to_vec() };
    let (mut data, mut worst) = (Vec::new(), Exit::Success);
    for token in &tokens {
        for (profile, pushed) in push(&app.engine, token, &names).await {
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
