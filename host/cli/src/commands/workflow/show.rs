//! `deputy workflow show`: what a workflow will do, in words, with everything that its file leaves out.

use domain::duration::Span;
use domain::id::{PluginName, TokenName, WorkflowName};
use domain::rails::Rails;
use domain::workflow::{Condition, Full, Missed, Mode, OnFault, Overlap, Retry, Step, Uses, When, Workflow};
use serde_json::{Value, json};

use crate::Common;
use crate::app::{App, Policies};
use crate::exit::{Exit, Outcome};
use crate::output::{print, print_json, time};

/// Carries the command out.
pub(super) async fn run(common: &Common, name: &WorkflowName) -> Outcome {
    let app = App::open(&common.config, Policies::Unused).await?;
    let workflow = app.workflow(name)?;
    let steps: Vec<(String, Vec<String>)> =
        workflow.steps.iter().map(|step| (step.id.to_string(), of_step(&app, step))).collect();
    let about = about(&app, &workflow);
    if common.json {
        let steps: Vec<Value> = workflow
            .steps
            .iter()
            .zip(&steps)
            .map(|(step, (id, lines))| {
                json!({ "id": id, "uses": step.uses.as_str(), "when": step.when.to_string(), "does": lines })
            })
            .collect();
        let value = json!({
            "name": workflow.name, "description": workflow.description, "enabled": workflow.enabled,
            "about": about.iter().map(|(word, text)| json!({ "what": word, "text": text })).collect::<Vec<_>>(),
            "steps": steps,
        });
        print_json("workflow", &value);
        return Ok(Exit::Success);
    }
    let mut text = workflow.name.to_string();
    if !workflow.description.is_empty() {
        text += &format!(": {}", workflow.description);
    }
    for (word, line) in about {
        text += &format!("\n  {word:<9} {line}");
    }
    text += "\n";
    for (nth, (id, lines)) in steps.iter().enumerate() {
        text += &format!("\n  {}. {id}", nth + 1);
        for line in lines {
            text += &format!("\n     {line}");
        }
    }
    print(&text);
    Ok(Exit::Success)
}

/// What holds for all of it: a word and a line each.
fn about(app: &App, workflow: &Workflow) -> Vec<(&'static str, String)> {
    let mut about = Vec::new();
    if !workflow.enabled {
        about.push(("disabled", "its file says `enabled = false`: it does not run by itself".to_owned()));
    }
    if workflow.mode == Mode::Shadow {
        about.push(("shadow", "it decides, plans and records, and sends nothing".to_owned()));
    }
    let tokens: Vec<&str> = match &workflow.tokens {
        Some(tokens) => tokens.iter().map(TokenName::as_str).collect(),
        None => app.config.tokens.keys().map(TokenName::as_str).collect(),
    };
    let all = match (&workflow.tokens, tokens.is_empty()) {
        (Some(_), _) => "",
        (None, false) => "all: ",
        (None, true) => "all, and deputy.toml has none yet",
    };
    about.push(("tokens", format!("{all}{}", tokens.join(", "))));
    match &workflow.timing {
        None => about.push(("runs", "only by hand".to_owned())),
        Some(timing) => {
            let zone = timing.schedule.timezone().iana_name().unwrap_or("the machine's time zone").to_owned();
            let expression = timing.schedule.expression();
            about.push((
                "runs",
                match timing.schedule.in_words() {
                    Some(words) => format!("{words}, in {zone} (`{expression}`)"),
                    None => format!("`{expression}` in {zone}"),
                },
            ));
            if !timing.jitter.is_zero() {
                about.push(("jitter", format!("up to {} later", Span(timing.jitter))));
            }
            about.push((
                "missed",
                match timing.missed {
                    Missed::RunOnce => "times that went by while Deputy was off: one run makes up for them",
                    Missed::Skip => "times that went by while Deputy was off: skipped",
                }
                .to_owned(),
            ));
            about.push((
                "overlap",
                match timing.overlap {
                    Overlap::Skip => "a time that comes during a run is skipped",
                    Overlap::Queue => "a time that comes during a run is made up for when it ends",
                }
                .to_owned(),
            ));
            if let Some(next) = workflow.next_start(app.engine.now()) {
                about.push(("next", time(next)));
            }
        }
    }
    about.push(("timeout", format!("a run is stopped after {}", Span(workflow.timeout))));
    if let Some(within) = workflow.promises.fresh_within {
        about.push(("promise", format!("no device is without its profile for longer than {}", Span(within))));
    }
    if let Some(ping) = &workflow.promises.ping {
        about.push((
            "ping",
            match ping.failures {
                true => "an address is called after each run, with `/fail` behind it after a bad one",
                false => "an address is called after each good run",
            }
            .to_owned(),
        ));
    }
    about
}

fn of_step(app: &App, step: &Step) -> Vec<String> {
    let mut lines = Vec::new();
    match &step.uses {
        Uses::Sync { full, retry } => {
            lines.push("asks Apple what changed and stores it".to_owned());
            if let Full::Every(every) = full {
                lines.push(format!("every device, if the last complete list is {} old", Span(*every)));
            }
            lines.push(tries(*retry));
        }
        Uses::Decide { policy, on_fault } => {
            lines.push(format!("asks {}", plugin(app, policy)));
            lines.push(match on_fault {
                OnFault::Hold => "a device that it fails on is left as it is".to_owned(),
                OnFault::Fail => "if it fails on a device, nothing is done for the token".to_owned(),
                OnFault::Assign(profile) => {
                    format!("a device that it fails on gets `{profile}` if it has no profile")
                }
            });
        }
        Uses::Plan { rails, review, approve_within } => {
            lines.push("works out what to do, and records it".to_owned());
            lines.extend(limits(rails));
            if let Some(review) = review {
                lines.push(format!("asks {} whether it may go ahead", plugin(app, review)));
            }
            lines.push(format!("what has to wait for a person lapses after {}", Span(*approve_within)));
        }
        Uses::Apply { retry, read_back } => {
            lines.push("carries the plan out".to_owned());
            lines.push(tries(*retry));
            if *read_back {
                lines.push("asks Apple about the devices that it says are assigned".to_owned());
            }
        }
        Uses::Remind { policy, channels, look_at_servers } => {
            let whom = match policy {
                Some(policy) => plugin(app, policy),
                None => "the policy `reminders` that comes with Deputy".to_owned(),
            };
            lines.push(format!("asks {whom} who is told what of tokens"));
            if *look_at_servers {
                lines.push("looks at the certificates of the web servers that profiles point to".to_owned());
            }
            lines.push(write_to(app, channels.as_deref()));
        }
        Uses::Notify { when, channels } => {
            lines.push(
                match when {
                    When::Always if step.when != Condition::Always => "tells people of the run",
                    When::Always => "tells people of every run",
                    When::Changed => {
                        "tells people of a run that changed something, failed, or needs somebody"
                    }
                    When::Failed => "tells people of a run in which something failed, or that needs somebody",
                    When::NeedsAttention => "tells people of a run that cannot go on without somebody",
                }
                .to_owned(),
            );
            lines.push(write_to(app, channels.as_deref()));
        }
        other => lines.push(other.as_str().to_owned()),
    }
    let usual = if step.uses.is_per_token() { Condition::Succeeded } else { Condition::Always };
    if step.when != usual {
        lines.push(format!("done {}", step.when));
    }
    if let Some(limit) = step.timeout {
        lines.push(format!("stopped after {}", Span(limit)));
    }
    lines
}

/// A plugin and its digest.
fn plugin(app: &App, name: &PluginName) -> String {
    let Some(plugin) = app.config.plugins.get(name) else { return format!("the list `{name}`") };
    let digest = match &plugin.sha256 {
        Some(digest) => format!("component {}…", &digest.as_str()[..12]),
        None => "not pinned".to_owned(),
    };
    let tables: Vec<&str> = plugin.tables.iter().map(|table| table.as_str()).collect();
    let tables = if tables.is_empty() {
        String::new()
    } else {
        format!(", which may look into {}", tables.join(", "))
    };
    format!("the policy `{name}` ({digest}){tables}")
}

fn limits(rails: &Rails) -> Vec<String> {
    let mut lines = vec![format!(
        "at most {} first assignments and {} reassignments for each token",
        rails.first_assignments, rails.reassignments
    )];
    if !rails.protect_profiles.is_empty() {
        let names: Vec<String> = rails.protect_profiles.iter().map(|name| format!("`{name}`")).collect();
        lines.push(format!("no device on {} is moved", names.join(", ")));
    }
    if !rails.protect_serials.is_empty() {
        lines.push(format!("devices by serial number that are not moved: {}", rails.protect_serials.len()));
    }
    if let Some(file) = &rails.protect_file {
        lines.push(format!("no device listed in {} is moved", file.display()));
    }
    lines
}

fn tries(retry: Retry) -> String {
    match retry.attempts {
        1 => "tries once".to_owned(),
        attempts => {
            format!(
                "tries {attempts} times; {} before the second try, then twice as long",
                Span(retry.backoff)
            )
        }
    }
}

fn write_to(app: &App, channels: Option<&[domain::id::ChannelName]>) -> String {
    let names: Vec<&str> = match channels {
        Some(channels) => channels.iter().map(|it| it.as_str()).collect(),
        None => app.config.channels.keys().map(|it| it.as_str()).collect(),
    };
    match (names.is_empty(), channels) {
        (true, _) => "there is no channel, so nobody is told".to_owned(),
        (false, Some(_)) => format!("by {}", names.join(", ")),
        (false, None) => format!("by all channels: {}", names.join(", ")),
    }
}
