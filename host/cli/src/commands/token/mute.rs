//! `deputy token acknowledge` and `deputy token snooze`: somebody knows, or wants peace for a while.

use std::time::Duration;

use domain::duration::Span;
use domain::id::TokenName;
use domain::reminder::{Fact, FactName};
use engine::lifecycle;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use serde_json::json;

use crate::Common;
use crate::app::{App, unknown};
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json, time};

/// What `deputy token acknowledge` is told.
#[derive(clap::Args)]
pub(crate) struct Acknowledge {
    /// A token
    name: TokenName,
    /// What you know of: a kind such as `terms`, or KIND:NAME [default: all that `token show` lists]
    fact: Option<FactName>,
    /// Why, or who: shown beside it
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// Take it back
    #[arg(long)]
    undo: bool,
}

/// What `deputy token snooze` is told.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("end").required(true).args(["for_", "until", "undo"]))]
pub(crate) struct Snooze {
    /// A token
    name: TokenName,
    /// What you want to hear nothing of: a kind such as `terms`, or KIND:NAME [default: everything]
    fact: Option<FactName>,
    /// Until this day begins, or this moment: 2027-03-01, 2027-03-01T09:00:00Z
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
    /// For so long, such as 7d
    #[arg(long = "for", id = "for_", value_name = "TIME")]
    for_: Option<Span>,
    /// Why, or who: shown beside it
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// Take it back
    #[arg(long)]
    undo: bool,
}

/// Carries out `deputy token acknowledge`.
pub(super) async fn acknowledge(common: &Common, app: &App, arguments: &Acknowledge) -> Outcome {
    let Acknowledge { name, fact, note, undo } = arguments;
    let facts = facts(app, name, fact.as_ref()).await?;
    // What is well and has no end is nothing to know of.
    let meant: Vec<Option<&Fact>> =
        facts.iter().filter(|it| *undo || it.trouble.is_some() || it.ends.is_some()).map(Some).collect();
    if meant.is_empty() {
        let what = in_words(name, fact.as_ref());
        return Err(Problem::usage(format!(
            "nothing is wrong with {what}, and it has no end: there is nothing to know"
        ))
        .hint(format!("`deputy token snooze {name} --for 7d` holds back what is still to come")));
    }
    lifecycle::mute(&app.engine, name, &meant, |fact, muted| {
        muted.acknowledged = fact.filter(|_| !undo).map(Fact::instance);
        muted.note.clone_from(note);
    })
    .await?;
    let said = match undo {
        true => format!("Reminders of `{name}` come again as if nobody knew."),
        false => format!(
            "Noted that you know. Of `{name}` only the last threshold and the end are told, until something changes."
        ),
    };
    told(common, name, &meant, said)
}

/// Carries out `deputy token snooze`.
pub(super) async fn snooze(common: &Common, app: &App, arguments: &Snooze) -> Outcome {
    let Snooze { name, fact, until, for_, note, undo: _ } = arguments;
    let now = app.engine.now();
    let until = match (until, for_) {
        (Some(text), _) => moment(text)?,
        (None, Some(Span(span))) => later(now, *span),
        (None, None) => return unsnooze(common, app, name, fact.as_ref()).await,
    };
    if until <= now {
        return Err(Problem::usage("that moment has passed").hint(format!(
            "write one that is still to come; `{}` ends what is snoozed",
            undo_of(name, fact.as_ref())
        )));
    }
    let facts = facts(app, name, fact.as_ref()).await?;
    let meant: Vec<Option<&Fact>> = match fact {
        Some(_) => facts.iter().map(Some).collect(),
        None => vec![None],
    };
    lifecycle::mute(&app.engine, name, &meant, |_, muted| {
        muted.snoozed_until = Some(until);
        muted.note.clone_from(note);
    })
    .await?;
    let said = format!(
        "No reminders of {} before {}, but that all is well again. Then the most urgent one comes.",
        in_words(name, fact.as_ref()),
        time(until)
    );
    told(common, name, &meant, said)
}

/// Ends the snoozes of the facts that are meant, and says what is snoozed nevertheless.
async fn unsnooze(common: &Common, app: &App, name: &TokenName, fact: Option<&FactName>) -> Outcome {
    let facts = facts(app, name, fact).await?;
    let still = lifecycle::unsnooze(&app.engine, name, fact).await?;
    let meant: Vec<Option<&Fact>> = match fact {
        Some(_) => facts.iter().map(Some).collect(),
        None => vec![None],
    };
    let said = match still {
        None => format!("Reminders of {} come again.", in_words(name, fact)),
        Some(until) => format!(
            "Of {} nothing is snoozed by itself, but everything of `{name}` is, until {}.\nhint: `{}` ends that",
            in_words(name, fact),
            time(until),
            undo_of(name, None)
        ),
    };
    told(common, name, &meant, said)
}

/// `main`, or `terms` of `main`.
fn in_words(name: &TokenName, fact: Option<&FactName>) -> String {
    fact.map_or_else(|| format!("`{name}`"), |fact| format!("`{fact}` of `{name}`"))
}

fn undo_of(name: &TokenName, fact: Option<&FactName>) -> String {
    let fact = fact.map_or_else(String::new, |fact| format!(" {fact}"));
    format!("deputy token snooze {name}{fact} --undo")
}

/// The facts of a token that are meant.
async fn facts(app: &App, name: &TokenName, which: Option<&FactName>) -> Outcome<Vec<Fact>> {
    let about = lifecycle::about(&app.engine, std::slice::from_ref(name), None).await?.pop();
    let Some(about) = about else {
        let stored = app.engine.store.tokens().await?;
        let names: Vec<&str> = stored.iter().map(|it| it.token.name.as_str()).collect();
        if app.config.tokens.contains_key(name) {
            return Err(Problem::usage(format!("the token `{name}` is not imported"))
                .hint(format!("type `deputy token request {name}` and follow what it says")));
        }
        return Err(unknown("token", name.as_str(), &names));
    };
    let all = about.subject.facts;
    let Some(which) = which else { return Ok(all) };
    let meant: Vec<Fact> = all.iter().filter(|fact| which.means(&fact.which())).cloned().collect();
    if meant.is_empty() {
        let names: Vec<String> = all.iter().map(|it| it.which().to_string()).collect();
        let problem = Problem::usage(format!("nothing is known of `{which}` of the token `{name}`"));
        return Err(problem.hint(format!("known are: {}", names.join(", "))));
    }
    Ok(meant)
}

fn later(now: Timestamp, span: Duration) -> Timestamp {
    now.checked_add(span).unwrap_or(Timestamp::MAX)
}

/// A moment, or the beginning of a day where the machine is.
fn moment(text: &str) -> Outcome<Timestamp> {
    if let Ok(moment) = text.parse() {
        return Ok(moment);
    }
    // With a time of day it is that time where the machine is; jiff takes a day alone for its beginning.
    let local = text.parse::<civil::DateTime>().ok().and_then(|it| it.to_zoned(TimeZone::system()).ok());
    local.map(|local| local.timestamp()).ok_or_else(|| {
        Problem::usage(format!("`{text}` is no date")).hint("write 2027-03-01 or 2027-03-01T09:00:00Z")
    })
}

fn told(common: &Common, name: &TokenName, meant: &[Option<&Fact>], said: String) -> Outcome {
    if common.json {
        let facts: Vec<String> = meant
            .iter()
            .map(|fact| fact.map_or_else(|| "everything".to_owned(), |it| it.which().to_string()))
            .collect();
        print_json("muted", &json!({ "token": name, "facts": facts }));
    } else {
        print(&said);
    }
    Ok(Exit::Success)
}
