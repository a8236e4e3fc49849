//! `deputy status`: tokens, last and next runs, and what needs a person.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::agenda::ON_TIME;
use domain::duration::Span;
use domain::id::WorkflowName;
use domain::report::needs_a_person;
use domain::schedule::Times;
use domain::token::{about_from_now, from_now, in_words};
use domain::workflow::{Mode, Workflow};
use engine::clock::SystemClock;
use engine::engine::Engine;
use engine::freshness::freshness;
use engine::lifecycle;
use engine::settings::Settings;
use engine::store::{Asker, Progress, Store, Waiting};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::Common;
use crate::app::{self, App, Policies};
use crate::commands::run::close_interrupted;
use crate::commands::workflow::pause;
use crate::commands::{approve, channel, freeze, token};
use crate::config;
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{maybe, print, print_json, print_table, time};

/// A token that ends within this many days is worth a word.
const SOON_DAYS: i64 = 30;

/// Carries the command out. Ends with "needs a person" if something does.
pub(crate) async fn run(common: &Common) -> Outcome {
    let app = match App::open(&common.config, Policies::Unused).await {
        Ok(app) => app,
        Err(problem) => return Err(beside_a_daemon(common, problem).await),
    };
    close_interrupted(&app).await?;
    let now = app.engine.now();
    let stored = app.engine.store.tokens().await?;
    let facts = lifecycle::all_facts(&app.engine).await?;
    let names: Vec<_> = app.config.tokens.keys().cloned().collect();
    let about = lifecycle::about(&app.engine, &names, None).await?;
    let mut said = Vec::new();
    let mut attention = Vec::new();

    let (mut tokens, mut token_data) = (Vec::new(), Vec::new());
    for name in app.config.tokens.keys() {
        let Some(stored) = stored.iter().find(|stored| stored.token.name == *name) else {
            attention.push(format!("token `{name}` is not imported: deputy token request {name}"));
            continue;
        };
        let token = &stored.token;
        let days = token.expires_at.duration_since(now).as_hours() / 24;
        if days < SOON_DAYS {
            attention.push(format!(
                "token `{name}` expires {}: download a new one from Apple's portal, then deputy token import {name} FILE",
                from_now(token.expires_at, now)
            ));
        }
        let refusal =
            facts.iter().find(|it| it.token.name == *name).and_then(|it| it.standing.refusal.as_ref());
        if let Some(refusal) = refusal {
            attention.push(format!(
                "token `{name}`: {}, since {}: deputy token check {name}",
                refusal.why.in_words(),
                time(refusal.since)
            ));
        }
        let known = about.iter().find(|it| it.subject.name == *name).map_or(&[][..], |it| &it.known);
        for known in known {
            let (which, ends) = (known.fact.which(), known.fact.ends);
            // Of the token itself it was said above; what it was asked for with harms nobody when it ends.
            if let Some(ends) = ends
                .filter(|ends| !which.name.is_empty() && ends.duration_since(now).as_hours() / 24 < SOON_DAYS)
            {
                let when = from_now(ends, now);
                attention.push(format!("token `{name}`: {which} ends {when}: deputy token show {name}"));
            }
            said.extend(token::said(known).map(|said| format!("token `{name}`: {said}")));
        }
        let next_end = known.iter().filter_map(|it| Some((it.fact.ends?, it.fact.which()))).min();
        let without = stored.devices - stored.with_profile;
        tokens.push([
            name.to_string(),
            token.org_name.clone(),
            stored.devices.to_string(),
            without.to_string(),
            maybe(stored.synced_at, "never"),
            from_now(token.expires_at, now),
        ]);
        token_data.push(json!({
            "name": name, "organisation": token.org_name, "devices": stored.devices,
            "without_profile": without, "synced_at": stored.synced_at, "expires_at": token.expires_at,
            "refusal": refusal, "facts": known,
            "next_end": next_end.map(|(at, which)| json!({ "fact": which.to_string(), "at": at })),
        }));
    }

    for name in app.config.plugins.keys() {
        let health = app.engine.plugin_health(name).await?;
        if let Some(until) = health.rests_at(now) {
            attention.push(format!(
                "plugin `{name}` fails on everything and rests until {}: {}; mend it, its settings or its tables, or type `deputy plugin rest {name} --end`",
                time(until),
                health.why
            ));
        }
    }

    let pauses = app.engine.store.pauses().await?;
    let schedules = Schedules(app.engine.store.progress().await?);
    // Whoever serves holds it.
    let serving = app.engine.hold_daemon()?.is_none();
    let daemon = app.engine.store.daemon_note().await?.filter(|_| serving);
    if let Some((mistakes, since)) = daemon.as_ref().and_then(|note| note.mistakes.as_ref()) {
        attention.push(format!(
            "the daemon goes on with the configuration it read {}: the files have mistakes since {}: {}: \
             deputy workflow check",
            daemon.as_ref().map_or_else(String::new, |note| time(note.read_at)),
            time(*since),
            first_mistake(mistakes)
        ));
    }
    let frozen = freeze::open(&app);
    app.engine.lapse().await?;
    let waiting = app.engine.store.waiting(None).await?;
    let mut waiting_data = Vec::new();
    let mut plans = Vec::new();
    for it in &waiting {
        let Waiting { run, asker, waited, .. } = it;
        let Asker { workflow, token, .. } = asker;
        let why = approve::why(&app, it).await?;
        waiting_data.push(approve::as_json(&app, it, &why));
        let lapses = lapses(waited.until, now);
        if let Some(cannot) = app.engine.orphaned(asker) {
            attention.push(format!(
                "run {run} of {workflow} waits with a plan for {token} that cannot be carried out: {cannot}: deputy approve {run} --refuse"
            ));
        } else if waited.is_approved().is_some() {
            plans.push(format!("run {run} of {workflow}, for {token}: {}, {lapses}", waited.in_words()));
        } else {
            attention.push(format!(
                "run {run} of {workflow} waits for a word on its plan for {token}, {lapses}: {why}: deputy approve {run}"
            ));
        }
    }
    let mut refused_data = Vec::new();
    for it in app.engine.store.refused().await? {
        let Waiting { run, asker, waited, .. } = &it;
        if app.engine.orphaned(asker).is_none() {
            let at = waited.end.as_ref().map_or_else(String::new, |end| format!(", {}", time(end.at)));
            plans.push(format!(
                "run {run} of {}, for {}: {}{at}; every run of the same plan ends so: deputy approve {run} lets it go ahead",
                asker.workflow,
                asker.token,
                waited.in_words()
            ));
            refused_data.push(json!({
                "run": run, "workflow": asker.workflow, "token": asker.token, "step": asker.step, "plan": it.plan,
                "refused": waited.answer, "at": waited.end.as_ref().map(|end| end.at),
            }));
        }
    }

    let (mut workflows, mut workflow_data) = (Vec::new(), Vec::new());
    for workflow in app.engine.settings.workflows.values() {
        let last = app.engine.store.last_run(&workflow.name).await?;
        let next = workflow.next_start(now);
        let pause = pauses.get(&workflow.name).filter(|pause| pause.is_on(now));
        let overdue = schedules.overdue(workflow, now);
        if let Some(times) = overdue.filter(|_| !serving) {
            attention.push(format!(
                "{} should have run at {}, and no `deputy serve` is running: start it",
                workflow.name,
                time(times.last)
            ));
        }
        if let Some(run) = last.as_ref().filter(|run| run.state.needs_attention()) {
            attention.extend(
                needs_a_person(run)
                    .into_iter()
                    .map(|why| format!("run {} of {}: {why}", run.id, run.workflow)),
            );
        }
        let fresh = freshness(&app.engine, workflow).await?;
        for (token, freshness) in fresh.iter().filter(|(_, freshness)| freshness.kind().is_some()) {
            if let Some(within) = workflow.promises.fresh_within {
                let words = freshness.in_words(token, Span(within));
                attention.push(format!("{}: {words}: deputy device list --without-profile", workflow.name));
            }
        }
        let state = last.as_ref().map_or("never run".to_owned(), |run| {
            let jitter = workflow.timing.as_ref().map_or(Duration::ZERO, |timing| timing.jitter);
            let late = run.lateness(jitter).map(|late| format!(", {} late", in_words(late)));
            let late = late.unwrap_or_default();
            format!("{}, {}{late}", run.state.as_str(), from_now(run.started_at, now))
        });
        // What a workflow promises it cannot keep while it rests, and nobody is told so.
        let promise = workflow.promises.fresh_within.map(Span);
        let promise =
            promise.map_or(String::new(), |within| format!("; `fresh_within` of {within} is not watched"));
        let next_words = match pause {
            _ if !workflow.enabled => format!("disabled{promise}"),
            Some(pause) => format!("{}{promise}", pause::in_words(pause)),
            None => next.map_or("by hand".to_owned(), time),
        };
        workflow_data.push(json!({
            "name": workflow.name, "mode": workflow.mode, "next": next,
            "fresh": fresh.iter().map(|(token, freshness)| json!({ "token": token, "state": freshness })).collect::<Vec<_>>(),
            "pause": pause.map(|pause| pause::as_json(&workflow.name, pause)),
            "last": last.map(|run| json!({ "run": run.id, "state": run.state, "started_at": run.started_at })),
        }));
        let shadow = if workflow.mode == Mode::Shadow { " (shadow: sends nothing)" } else { "" };
        workflows.push([format!("{}{shadow}", workflow.name), state, next_words]);
    }

    let states = app.engine.store.channel_states().await?;
    let (mut channels, mut channel_data) = (Vec::new(), Vec::new());
    // Those with something to tell; a channel at peace is in `deputy channel list`.
    for state in
        states.iter().filter(|state| state.waiting + state.set_aside > 0 || state.failing_since.is_some())
    {
        let name = &state.name;
        channels.push([name.to_string(), state.waiting.to_string(), channel::in_words(Some(state), now)]);
        channel_data.push(json!({ "name": name, "state": channel::as_json(state) }));
        if state.set_aside > 0 {
            let what = channel::messages(state.set_aside);
            attention.push(format!("channel `{name}` has {what} set aside: deputy outbox list"));
        }
        // What passes within the hour needs nobody.
        let long = state.failing_since.is_some_and(|since| now.duration_since(since).as_hours() >= 1);
        if let Some(trouble) = state.trouble.as_ref().filter(|_| long) {
            attention.push(format!(
                "channel `{name}` cannot be reached: {}: deputy channel test {name}",
                trouble.why
            ));
        }
    }

    let exit = if attention.is_empty() { Exit::Success } else { Exit::NeedsPerson };
    if common.json {
        let status = json!({ "tokens": token_data, "workflows": workflow_data, "channels": channel_data,
            "serving": serving, "frozen": frozen, "waiting": waiting_data, "refused": refused_data, "needs_a_person": attention });
        print_json("status", &status);
        return Ok(exit);
    }
    let headings = ["token", "organisation", "devices", "without profile", "synced", "expires"];
    print_table(headings, tokens, "no token is imported yet");
    print("");
    print_table(["workflow", "last run", "next run"], workflows, "no workflows; put one into workflows/");
    if !channels.is_empty() {
        print("");
        print_table(["channel", "waiting", "last"], channels, "");
    }
    if !said.is_empty() {
        print("\nreminders held back:");
        said.iter().for_each(|line| print(&format!("  {line}")));
    }
    if !frozen.is_empty() {
        print("\nfrozen:");
        frozen.iter().for_each(|line| print(&format!("  {line}")));
    }
    if !plans.is_empty() {
        print("\nplans:");
        plans.iter().for_each(|line| print(&format!("  {line}")));
    }
    if !attention.is_empty() {
        print("\nneeds a person:");
        attention.iter().for_each(|line| print(&format!("  {line}")));
    }
    Ok(exit)
}

/// The first of the mistakes that were told at length: which file, which line, what; and how many more there are.
fn first_mistake(told: &str) -> String {
    let headings: Vec<(&str, &str)> =
        told.lines().zip(told.lines().skip(1)).filter(|(line, _)| line.starts_with("error")).collect();
    let Some((heading, below)) = headings.first() else {
        return told.lines().next().unwrap_or_default().to_owned();
    };
    let what = heading.split_once(": ").map_or(*heading, |(_, what)| what);
    let place = below.trim_start().strip_prefix("--> ").map_or(String::new(), |place| format!("{place}: "));
    let more = match headings.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    format!("{place}{what}{more}")
}

/// The files are wrong: whoever asks how it goes wants to know as well what the daemon does meanwhile.
async fn beside_a_daemon(common: &Common, problem: Problem) -> Problem {
    let note = async {
        let (path, key) = config::store(&common.config)?;
        let store = Store::open(&path, app::key(&key).ok()?).await.ok()?;
        let engine = Engine::new(store, Settings::default(), Arc::new(SystemClock)).ok()?;
        if engine.hold_daemon().ok()?.is_some() {
            return None;
        }
        engine.store.daemon_note().await.ok()?
    };
    match note.await {
        Some(note) => problem.hint(format!(
            "`deputy serve` goes on with what it read {}; mend the files, then send it SIGHUP",
            time(note.read_at)
        )),
        None => problem,
    }
}

/// How far the schedules are dealt with, by a daemon.
struct Schedules(BTreeMap<WorkflowName, Progress>);

impl Schedules {
    /// The times of a workflow that went by and that nobody has dealt with; none if nobody ever served it.
    fn overdue(&self, workflow: &Workflow, now: Timestamp) -> Option<Times> {
        let (timing, progress) = (workflow.timing.as_ref()?, self.0.get(&workflow.name)?);
        let allowed = SignedDuration::try_from(timing.jitter).ok()?.checked_add(ON_TIME)?;
        timing.schedule.times(progress.upto, now.checked_sub(allowed).ok()?)
    }
}

/// When nobody can approve it any more.
fn lapses(until: Timestamp, now: Timestamp) -> String {
    format!("lapses {}", about_from_now(until, now))
}
