//! What is different between the component that is trusted and the one that is to be.

use std::fmt::Write as _;

use domain::difference::{Difference as Compared, Tally};
use domain::id::{Digest, PluginName};
use domain::policy::{Policy as _, Question};
use sandbox::{Inspection, Plugin, TableUse};
use serde_json::{Value, json};

use super::super::devices::{Devices, From};
use super::super::surroundings::Surroundings;
use super::super::{diff, in_the_background, inspect, r#try};
use crate::app::{App, cache_folder, load, sandbox};
use crate::exit::{Outcome, Problem};
use crate::output::{bar, grouped};

/// So many devices are named for each change.
const EXAMPLES: usize = 3;

/// What somebody looks at before they trust a component.
pub(super) struct Difference {
    name: PluginName,
    before: Option<Side>,
    after: Side,
    /// Why there is nothing to compare with, although something was trusted.
    lost: Option<Digest>,
    decided: Option<Decided>,
}

/// What is decided about the devices there are.
enum Decided {
    /// Beside what the trusted component decides.
    Differently(Compared),
    /// By itself, where none is trusted or what is cannot be asked any more.
    First(Tally),
}

/// One of the two components.
struct Side {
    inspection: Inspection,
    /// As it works with the settings of now; or why it does not.
    loaded: Result<Plugin, String>,
}

/// Compares the trusted component, if there is a copy of it, with these bytes.
pub(super) async fn between(
    app: &App,
    name: &PluginName,
    before: Option<(Digest, Vec<u8>)>,
    after: &[u8],
) -> Outcome<Difference> {
    let sandbox = sandbox(Some(cache_folder(&app.config))).map_err(Problem::usage)?;
    let pinned = app.config.plugins[name].sha256.clone();
    let lost = if before.is_none() { pinned } else { None };
    let side = |bytes: &[u8]| -> Outcome<Side> {
        let path = app.config.plugins[name].path.display();
        let inspection = sandbox
            .inspect(bytes, &app.config.plugins[name].limits)
            .map_err(|error| Problem::usage(format!("{path}: {error}")))?;
        let loaded = load(&app.config, &app.engine.settings, &sandbox, name, bytes.to_vec());
        // Which plugin this is about stands above it.
        let itself = format!("plugin `{name}` cannot be used: ");
        let why = |error: String| error.strip_prefix(&itself).map_or(error.clone(), str::to_owned);
        Ok(Side { inspection, loaded: loaded.map_err(|unusable| why(unusable.error)) })
    };
    let after = side(after)?;
    // A trusted component that is broken now is no reason not to look at the new one.
    let before = before.and_then(|(_, bytes)| side(&bytes).ok());
    let decided = decide(app, name, before.as_ref(), &after).await?;
    Ok(Difference { name: name.clone(), before, after, lost, decided })
}

/// Has them decide, if the new one can: on a thread that may compute.
async fn decide(
    app: &App,
    name: &PluginName,
    before: Option<&Side>,
    after: &Side,
) -> Outcome<Option<Decided>> {
    let decides = |side: &Side| {
        let plugin = side.loaded.as_ref().ok()?;
        plugin.questions().contains(&Question::Assignment).then(|| plugin.clone())
    };
    let (then, Some(now)) = (before.and_then(decides), decides(after)) else { return Ok(None) };
    let devices = From::default().inventory(app).await?;
    let surroundings = Surroundings::of_plugin(app, name);
    let decided = in_the_background(move || {
        let Some(then) = then else { return first(&now, &surroundings, devices).map(Decided::First) };
        let (then, now, mut devices) = ((&then, &surroundings), (&now, &surroundings), devices);
        diff::between(false, EXAMPLES, then, now, &mut devices, |_| {}).map(Decided::Differently)
    });
    decided.await.map(Some)
}

/// What the component says of every device there is, where there is nothing to compare it with.
fn first(plugin: &Plugin, surroundings: &Surroundings, devices: Devices) -> Outcome<Tally> {
    let bar = bar(false, "deciding", devices.total);
    let (mut said, mut devices) = (Tally::default(), devices);
    while let Some(batch) = devices.next() {
        let batch = batch?;
        let context = devices.context(&batch.token, surroundings);
        plugin.decide(&context, &batch.devices).answer.iter().for_each(|verdict| said.add(verdict));
        bar.set_position(said.devices());
    }
    bar.finish_and_clear();
    Ok(said)
}

impl Difference {
    /// For a person.
    pub(super) fn words(&self) -> String {
        let mut text = format!("{}\n", self.name);
        let after = facts(&self.after);
        let before = self.before.as_ref().map(facts);
        for (nth, (what, now)) in after.iter().enumerate() {
            let line = match before.as_ref().map(|before| &before[nth].1) {
                Some(then) if then != now => format!("{then}  ->  {now}"),
                Some(_) => format!("{now} (as before)"),
                None => now.clone(),
            };
            let _ = writeln!(text, "  {what:<9} {line}");
        }
        if let Some(lost) = &self.lost {
            let _ =
                writeln!(text, "  before    {}…, of which there is no copy to compare with", lost.short());
        }
        let decided = match &self.decided {
            Some(Decided::Differently(compared)) => compared.to_string(),
            Some(Decided::First(said)) if said.devices() > 0 => {
                format!("about {} devices: {}", grouped(said.devices()), r#try::counted(said))
            }
            Some(Decided::First(_)) => "nothing yet: the inventory has no devices".to_owned(),
            None => return text,
        };
        let _ = writeln!(text, "  decides   {}", decided.replace('\n', "\n          "));
        text
    }

    /// For a program.
    pub(super) fn json(&self) -> Value {
        let (compared, totals) = match &self.decided {
            Some(Decided::Differently(compared)) => (Some(diff::counted(compared)), None),
            Some(Decided::First(said)) => (None, Some(r#try::as_totals(said))),
            None => (None, None),
        };
        json!({
            "plugin": self.name, "before": self.before.as_ref().map(side_json), "after": side_json(&self.after),
            "no_copy_of": self.lost, "decides": compared, "totals": totals,
        })
    }
}

/// What there is to know of a component, under the same headings for every one.
fn facts(side: &Side) -> Vec<(&'static str, String)> {
    let Inspection { digest, size, contract, questions, imports, .. } = &side.inspection;
    let list = |items: Vec<String>| if items.is_empty() { "nothing".to_owned() } else { items.join(", ") };
    let imports = imports.iter().map(|it| it.name.clone()).collect();
    let described = side.inspection.description.as_ref().and_then(|it| it.as_ref().ok());
    let mut facts = vec![
        ("is", described.map_or_else(|| "it does not say".to_owned(), |it| it.summary.clone())),
        ("version", described.map_or_else(|| "it does not say".to_owned(), |it| it.version.clone())),
        ("sha256", digest.to_string()),
        ("size", format!("{size} bytes")),
        ("contract", contract.clone().unwrap_or_else(|| "none".to_owned())),
        ("answers", list(questions.iter().map(|question| question.to_string()).collect())),
        ("lasting", inspect::lasting(&side.inspection).unwrap_or("it gives no verdicts").to_owned()),
        ("imports", list(imports)),
    ];
    facts.push((
        "settings",
        match &side.loaded {
            Ok(_) => "accepted".to_owned(),
            Err(why) => format!("it cannot be used: {}", why.replace('\n', "\n            ")),
        },
    ));
    let unknown = || "unknown".to_owned();
    let plugin = side.loaded.as_ref().ok();
    let reads = plugin.map(|it| list(it.reads().into_iter().map(str::to_owned).collect()));
    let tables = plugin.map(|it| list(it.tables().iter().map(table_words).collect()));
    facts.push(("reads", reads.unwrap_or_else(unknown)));
    facts.push(("tables", tables.unwrap_or_else(unknown)));
    facts
}

fn table_words(table: &TableUse) -> String {
    format!("{} ({})", table.table, table.columns.join(", "))
}

fn side_json(side: &Side) -> Value {
    let Inspection { digest, size, contract, questions, imports, exports, description, .. } =
        &side.inspection;
    let described = description.as_ref().and_then(|it| it.as_ref().ok());
    let imports: Vec<&str> = imports.iter().map(|it| it.name.as_str()).collect();
    let plugin = side.loaded.as_ref().ok();
    json!({
        "sha256": digest, "size": size, "contract": contract, "questions": questions,
        "lasting": side.inspection.lasting, "imports": imports, "exports": exports, "problem": side.loaded.as_ref().err(), "reads": plugin.map(Plugin::reads),
        "summary": described.map(|it| &it.summary), "version": described.map(|it| &it.version),
        "tables": plugin.map(|it| {
            let tables = it.tables().iter();
            tables.map(|it| json!({ "table": it.table, "columns": it.columns })).collect::<Vec<_>>()
        }),
    })
}
