//! What is different between the component that is trusted and the one that is to be.

use std::fmt::Write as _;
use std::sync::Arc;

use domain::device::Device;
use domain::difference::Difference as Decided;
use domain::id::{Digest, PluginName, ProfileName};
use domain::policy::{Policy, Question};
use domain::verdict::Context;
use engine::engine::Engine;
use engine::store::DeviceId;
use sandbox::{Inspection, Plugin, TableUse};
use serde_json::{Value, json};

use super::super::diff::counted;
use crate::app::{App, cache_folder, load, sandbox};
use crate::exit::{Outcome, Problem};

/// So many devices are named for each change.
const EXAMPLES: usize = 3;
/// The most devices a policy is asked about at once.
const BATCH: u32 = 1_000;

/// What somebody looks at before they trust a component.
pub(super) struct Difference {
    name: PluginName,
    before: Option<Side>,
    after: Side,
    /// Why there is nothing to compare with, although something was trusted.
    lost: Option<Digest>,
    decided: Option<Decided>,
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
        Ok(Side { inspection, loaded: loaded.map_err(|unusable| unusable.error) })
    };
    let after = side(after)?;
    // A trusted component that is broken now is no reason not to look at the new one.
    let before = before.and_then(|(_, bytes)| side(&bytes).ok());
    let decided = match (&before, &after) {
        (Some(Side { loaded: Ok(before), .. }), Side { loaded: Ok(after), .. })
            if [before, after].iter().all(|it| it.questions().contains(&Question::Assignment)) =>
        {
            Some(decide_both(app, before, after).await?)
        }
        _ => None,
    };
    Ok(Difference { name: name.clone(), before, after, lost, decided })
}

async fn decide_both(app: &App, before: &Plugin, after: &Plugin) -> Outcome<Decided> {
    let Engine { store, settings, .. } = &app.engine;
    let mut decided = Decided::new(EXAMPLES);
    let tables = Arc::new(settings.tables_now([before.name()]));
    for token in settings.tokens.keys() {
        let defined = store.defined_profiles(token).await?;
        let context = Arc::new(Context {
            now: app.engine.now(),
            utc_offset: jiff::tz::Offset::UTC,
            token: token.clone(),
            profiles: settings.profiles.keys().cloned().collect::<Vec<ProfileName>>(),
            defined: defined.into_iter().map(|(id, (name, _))| (id, name)).collect(),
            tables: tables.clone(),
        });
        let mut place: Option<DeviceId> = None;
        loop {
            let devices = store.devices_after(token, place, BATCH).await?;
            let Some((last, _)) = devices.last() else { break };
            place = Some(*last);
            let devices: Vec<Device> = devices.into_iter().map(|(_, device)| device).collect();
            let (before, after, context) = (before.clone(), after.clone(), context.clone());
            // Policies compute and never wait: not for a thread that serves others.
            let answers = tokio::task::spawn_blocking(move || {
                let one = before.decide(&context, &devices).answer;
                let other = after.decide(&context, &devices).answer;
                (devices, one, other)
            });
            let (devices, one, other) = answers
                .await
                .map_err(|error| Problem::usage(format!("a policy ended unexpectedly: {error}")))?;
            decided.add(&devices, &one, &other, |_| {});
        }
    }
    Ok(decided)
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
        if let Some(decided) = &self.decided {
            let _ = writeln!(text, "  decides   {}", decided.to_string().replace('\n', "\n          "));
        }
        text
    }

    /// For a program.
    pub(super) fn json(&self) -> Value {
        let decided = self.decided.as_ref().map(counted);
        json!({
            "plugin": self.name, "before": self.before.as_ref().map(side_json), "after": side_json(&self.after),
            "no_copy_of": self.lost, "decides": decided,
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
        "sha256": digest, "size": size, "contract": contract, "questions": questions, "imports": imports,
        "exports": exports, "problem": side.loaded.as_ref().err(), "reads": plugin.map(Plugin::reads),
        "summary": described.map(|it| &it.summary), "version": described.map(|it| &it.version),
        "tables": plugin.map(|it| {
            let tables = it.tables().iter();
            tables.map(|it| json!({ "table": it.table, "columns": it.columns })).collect::<Vec<_>>()
        }),
    })
}
