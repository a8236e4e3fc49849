//! `deputy plugin list`: the policies, whether each may run, and what they did.

use domain::id::Digest;
use domain::policy::Usage;
use engine::copies::Copies;
use engine::store::Work;
use serde_json::json;

use crate::Common;
use crate::app::{App, Policies};
use crate::config::PluginConfig;
use crate::exit::{Exit, Outcome};
use crate::output::{maybe, or_dash, print, print_json, print_table, time};

/// Carries the command out.
pub(crate) async fn run(common: &Common) -> Outcome {
    let app = App::open(&common.config, Policies::All).await?;
    let (settings, now) = (&app.engine.settings, app.engine.now());
    let work = app.engine.store.plugin_work().await?;
    let (mut rows, mut data, mut hints) = (Vec::new(), Vec::new(), Vec::new());
    for (name, plugin) in &app.config.plugins {
        let health = app.engine.plugin_health(name).await?;
        let rests = health.rests_at(now);
        let loaded = settings.policies.get(name);
        let problem = loaded.and_then(|it| it.as_ref().err());
        let (state, hint) = match (state(plugin), rests, problem) {
            (State::Pinned, Some(until), None) => {
                let hint = format!("{name} rests until {}: {}", time(until), health.why);
                ("resting", Some(hint))
            }
            (State::Pinned, None, None) => ("pinned", None),
            (State::Pinned, _, Some(problem)) => ("unusable", Some(problem.error.clone())),
            (State::Changed, _, _) => {
                ("changed", Some(format!("{name}: `deputy plugin trust {name}` shows what changed")))
            }
            (State::Unpinned, _, _) => {
                ("not pinned", Some(format!("{name}: `deputy plugin trust {name}` shows what it is")))
            }
            (State::Missing, _, _) => {
                ("missing", Some(format!("{name}: there is no {}", plugin.path.display())))
            }
        };
        hints.extend(hint);
        let policy = loaded.and_then(|it| it.as_ref().ok());
        let questions: Vec<&str> =
            policy.iter().flat_map(|policy| policy.questions()).map(|question| question.as_str()).collect();
        let mut all = Work::default();
        let own: Vec<_> = work.iter().filter(|record| record.plugin == *name).collect();
        for record in &own {
            add(&mut all, &record.work);
        }
        let last = own.first().map(|record| record.last_at);
        rows.push([
            name.to_string(),
            plugin.sha256.as_ref().map_or_else(|| "-".to_owned(), |digest| format!("{}…", digest.short())),
            or_dash(policy.and_then(|policy| policy.version())),
            or_dash(Some(&questions.join(", "))),
            state.to_owned(),
            maybe(last, "never"),
            all.devices.to_string(),
            all.faults.to_string(),
        ]);
        data.push(json!({
            "name": name, "path": plugin.path, "sha256": plugin.sha256, "version": policy.and_then(|policy| policy.version()), "questions": questions,
            "state": state, "problem": problem.map(|it| &it.error), "tables": plugin.tables,
            "rests_until": rests, "last_used": last,
            "work": own.iter().map(|record| json!({
                "sha256": record.digest, "first_used": record.first_at, "last_used": record.last_at,
                "devices": record.work.devices, "held": record.work.held, "faults": record.work.faults,
                "usage": usage(&record.work.usage),
            })).collect::<Vec<_>>(),
        }));
    }
    if common.json {
        print_json("plugins", &data.into());
        return Ok(Exit::Success);
    }
    let headings = ["plugin", "sha256", "version", "answers", "state", "last used", "devices", "faults"];
    print_table(headings, rows, "no plugins; add `[plugins.NAME]` to deputy.toml");
    if !hints.is_empty() {
        print("");
        hints.iter().for_each(|hint| print(hint));
    }
    Ok(Exit::Success)
}

/// How a plugin's file stands to what the operator has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Pinned,
    Changed,
    Unpinned,
    Missing,
}

fn state(plugin: &PluginConfig) -> State {
    match (std::fs::read(&plugin.path), &plugin.sha256) {
        (Err(_), _) => State::Missing,
        (Ok(_), None) => State::Unpinned,
        (Ok(bytes), Some(pinned)) if Digest::of(&bytes) == *pinned => State::Pinned,
        (Ok(_), Some(_)) => State::Changed,
    }
}

/// What asking took, as data.
pub(crate) fn usage(usage: &Usage) -> serde_json::Value {
    json!({ "calls": usage.calls, "fuel": usage.fuel, "seconds": usage.time.as_secs_f64() })
}

fn add(sum: &mut Work, other: &Work) {
    sum.usage += other.usage;
    sum.devices += other.devices;
    sum.held += other.held;
    sum.faults += other.faults;
}

/// Keeps a copy of a component that is trusted, to compare with what comes after it.
pub(crate) fn keep(copies: &Copies, bytes: &[u8]) {
    if let Err(error) = copies.keep(bytes) {
        tracing::warn!("no copy of a plugin is kept, so a later one cannot be compared with it: {error}");
    }
}
