//! `deputy runs replay`: a policy is asked again about what a run decided on.
//!
//! It is told what the run's own policy was told: the devices as they were, worked out from their histories, the
//! tables by their private copies, the settings, the profiles, the time. Nothing is sent or stored. What is not
//! kept any more is said, never made up.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use domain::device::Device;
use domain::difference::{Change, Difference};
use domain::expected::ExpectedPolicy;
use domain::id::{Digest, PluginName, ProfileName, TableName, TokenName};
use domain::policy::{Policy, Question, Setup};
use domain::run::Decided;
use domain::table::{Table, Tables};
use domain::verdict::{Context, Verdict};
use engine::copies::Copies;
use engine::store::{Asking, DeviceId};
use engine::table;
use jiff::tz::Offset;
use sandbox::{PluginSpec, Sandbox};
use serde_json::{Value, json};

use crate::Common;
use crate::app::{App, cache_folder, sandbox, setup, unknown};
use crate::commands::plugin::bounds::Bounds;
use crate::commands::plugin::diff;
use crate::commands::plugin::subject::Settings;
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{bar, print, print_json, time};

/// What `deputy runs replay` takes.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  deputy runs replay 20260201-091500-k3f9wq       the same policy: nothing changes
  deputy runs replay last --policy site-policy    as deputy.toml has it now
  deputy runs replay last --policy build/policy.wasm --all --exit-code

Nothing is sent to Apple, and nothing is stored. With --json: run, tokens, old
and new (of each policy: policy, digest, settings), devices, changed, reworded,
moves (old, new, devices, examples), forgotten.")]
pub(crate) struct Arguments {
    /// The run, or `last`
    run: String,
    /// Who is asked: a plugin of deputy.toml as it is now, or a component file [default: the very component of the run]
    #[arg(long, value_name = "NAME|FILE")]
    policy: Option<PathBuf>,
    /// Its settings: a TOML or JSON file [default: for a plugin those in deputy.toml, for a file those of the run]
    #[arg(long, value_name = "FILE", requires = "policy")]
    settings: Option<PathBuf>,
    /// Only about the devices of this token; may be repeated
    #[arg(long = "token", value_name = "NAME")]
    tokens: Vec<TokenName>,
    /// How many devices to name for each kind of change
    #[arg(long, default_value_t = 3, value_name = "N")]
    examples: usize,
    /// Name every device whose verdict changes, one a line, with both reasons
    #[arg(long)]
    all: bool,
    /// End with 1 if a verdict changes, for scripts
    #[arg(long)]
    exit_code: bool,
}

/// The most devices a policy is asked about at once, as in a run.
const BATCH: u32 = 1_000;

/// Carries the command out.
pub(super) async fn run(common: &Common, app: &App, arguments: &Arguments) -> Outcome {
    let run = super::find(app, &arguments.run).await?;
    if run.shadow {
        let what =
            format!("run {} was in shadow mode: what it said is kept only until it says otherwise", run.id);
        return Err(
            Problem::usage(what).hint("`deputy plugin diff` compares two policies on the devices of now")
        );
    }
    let tokens: BTreeSet<&TokenName> = run.steps.iter().filter_map(|step| step.token.as_ref()).collect();
    let mut asked: BTreeMap<TokenName, Vec<Asking>> = BTreeMap::new();
    for token in tokens {
        let wanted = arguments.tokens.is_empty() || arguments.tokens.contains(token);
        let mut askings =
            if wanted { app.engine.store.askings_of(token, &run.id).await? } else { Vec::new() };
        if arguments.policy.is_some() {
            // One policy in place of all of them.
            askings.drain(..askings.len().saturating_sub(1));
        }
        if !askings.is_empty() {
            asked.insert(token.clone(), askings);
        }
    }
    if asked.is_empty() {
        let of = if arguments.tokens.is_empty() { "" } else { " of these tokens" };
        return Err(Problem::usage(format!("run {} asked no policy about devices{of}", run.id))
            .hint(format!("`deputy runs show {}` tells what it did", run.id)));
    }
    let sandbox =
        sandbox(Some(cache_folder(&app.config))).map_err(|error| Problem::new(Exit::Failure, error))?;
    let mut replay = Replay {
        app,
        arguments,
        json: common.json,
        sandbox,
        difference: Difference::new(arguments.examples),
        forgotten: 0,
        notes: BTreeSet::new(),
        new: BTreeMap::new(),
    };
    for (token, askings) in &asked {
        for asking in askings {
            replay.ask_again(token, asking).await?;
        }
    }
    let Replay { difference, forgotten, notes, new, .. } = replay;
    let old: BTreeMap<_, _> = asked
        .values()
        .flatten()
        .filter_map(|Asking { decided, .. }| Some((decided.policy.clone()?, decided)))
        .collect();
    if common.json {
        let mut value = diff::counted(&difference);
        value["run"] = json!(run.id);
        value["tokens"] = json!(asked.keys().collect::<Vec<_>>());
        let old = old.values().map(|decided| {
            json!({ "policy": decided.policy, "digest": decided.digest, "settings": decided.settings })
        });
        value["old"] = old.collect();
        value["new"] = new.iter().map(|(name, asked)| asked.json(name)).collect();
        value["forgotten"] = forgotten.into();
        if arguments.all {
            print(&json!({ "version": 1, "replay": value }).to_string());
        } else {
            print_json("replay", &value);
        }
    } else {
        let old = old.iter().map(|(name, decided)| {
            format!("{name} {}…", decided.digest.as_ref().map_or("-", |digest| digest.short()))
        });
        let new = new.iter().map(|(name, asked)| format!("{name} {}…", asked.digest.short()));
        let (old, new) = (old.collect::<Vec<_>>().join(", "), new.collect::<Vec<_>>().join(", "));
        print(&format!("run {} of {}, {}: {old} beside {new}", run.id, run.workflow, time(run.started_at)));
        print(&difference.to_string());
        if forgotten > 0 {
            print(&format!(
                "{forgotten} left out: what they were then, or what was said of them, is not kept any more"
            ));
        }
        notes.iter().for_each(|note| eprintln!("note: {note}"));
    }
    let changed = arguments.exit_code && difference.changed > 0;
    Ok(if changed { Exit::Failure } else { Exit::Success })
}

/// Who is asked, for the report.
struct Asked {
    digest: Digest,
    settings: Digest,
}

impl Asked {
    fn json(&self, name: &PluginName) -> Value {
        json!({ "policy": name, "digest": self.digest, "settings": self.settings })
    }
}

struct Replay<'a> {
    app: &'a App,
    arguments: &'a Arguments,
    json: bool,
    sandbox: Sandbox,
    difference: Difference,
    /// Devices of which too little is kept.
    forgotten: u64,
    notes: BTreeSet<String>,
    new: BTreeMap<PluginName, Asked>,
}

impl Replay<'_> {
    /// What one policy was asked about the devices of one token.
    async fn ask_again(&mut self, token: &TokenName, asking: &Asking) -> Outcome<()> {
        let store = &self.app.engine.store;
        let whole = store.whole_since().await?;
        if asking.at < whole {
            let what = format!(
                "run {} is of before {}: what devices were then was not kept whole",
                asking.run,
                time(whole)
            );
            return Err(Problem::usage(what).hint("a run since then can be replayed: `deputy runs list`"));
        }
        let (plugin, profiles, tables) = self.plugin(asking).await?;
        if !plugin.questions().contains(&Question::Assignment) {
            return Err(Problem::usage(format!("`{}` does not decide about devices", plugin.name())));
        }
        let defined = store.defined_profiles_by(token, asking.at).await?;
        let context = Arc::new(Context {
            now: asking.now,
            utc_offset: Offset::from_seconds(asking.decided.utc_offset.unwrap_or(0)).unwrap_or(Offset::UTC),
            token: token.clone(),
            profiles,
            defined: defined.into_iter().map(|(id, (name, _))| (id, name)).collect(),
            tables: Arc::new(tables),
        });
        let bar = bar(self.json, token.as_str(), Some(asking.decided.devices));
        let mut place: Option<DeviceId> = None;
        loop {
            let own = Some(asking.run.clone());
            let found = store.devices_as_of(token, asking.at, own, place, BATCH).await?;
            if found.last.is_none() {
                break;
            }
            place = found.last;
            self.forgotten += found.forgotten;
            let (ids, devices): (Vec<DeviceId>, Vec<Device>) = found.here.into_iter().unzip();
            let old = store.verdicts_as_of(ids, asking.now).await?;
            let (asked, told) = (plugin.clone(), context.clone());
            // Policies compute and never wait: not for a thread that serves others.
            let answered = tokio::task::spawn_blocking(move || {
                let new = asked.decide(&told, &devices).answer;
                (devices, new)
            });
            let (devices, new) = answered
                .await
                .map_err(|error| Problem::new(Exit::Failure, format!("the policy broke off: {error}")))?;
            // Of several policies each answers for the devices that it decided about.
            let by = asking.decided.policy.as_ref().filter(|_| self.arguments.policy.is_none());
            self.compare(&devices, old, by, new, &bar);
            bar.set_position(self.difference.devices);
        }
        bar.finish_and_clear();
        Ok(())
    }

    fn compare(
        &mut self,
        devices: &[Device],
        old: Vec<Option<(Verdict, PluginName)>>,
        by: Option<&PluginName>,
        new: Vec<Verdict>,
        bar: &indicatif::ProgressBar,
    ) {
        let (all, json) = (self.arguments.all, self.json);
        for ((device, old), new) in devices.iter().zip(old).zip(new) {
            let old = match old {
                Some((old, policy)) if by.is_none_or(|by| *by == policy) => old,
                Some(_) => continue,
                None => {
                    self.forgotten += 1;
                    continue;
                }
            };
            let tell = |change: Change<'_>| {
                if all {
                    bar.suspend(|| {
                        print(&if json { diff::as_json(change).to_string() } else { diff::words(change) })
                    });
                }
            };
            self.difference.add(std::slice::from_ref(device), &[old], &[new], tell);
        }
    }

    /// Who is asked, loaded, with the profiles it may assign and the tables it may look into.
    async fn plugin(&mut self, asking: &Asking) -> Outcome<(Arc<dyn Policy>, Vec<ProfileName>, Tables)> {
        let Decided { policy, digest, settings, profiles, .. } = &asking.decided;
        let (Some(name), Some(digest), Some(settings), Some(profiles)) = (policy, digest, settings, profiles)
        else {
            let what = format!("run {} is of before it was kept what its policy was told", asking.run);
            return Err(Problem::usage(what).hint("a later run can be replayed: `deputy runs list`"));
        };
        let mut profiles: Vec<ProfileName> =
            serde_json::from_str(&self.kept(profiles, "list of profiles").await?).map_err(|error| {
                Problem::new(Exit::Failure, format!("the list of profiles is damaged: {error}"))
            })?;
        let config = &self.app.config;
        let list = config.expected.iter().find(|(list, _)| list.as_str() == name.as_str());
        if let Some((list, known)) = list.filter(|_| self.arguments.policy.is_none()) {
            let policy = ExpectedPolicy::new(name.clone(), list.clone(), known.token.clone());
            self.asked(name, policy.digest(), settings);
            return Ok((Arc::new(policy), profiles, self.tables(name, &asking.decided.tables)?));
        }
        let (name, bytes, settings) = match &self.arguments.policy {
            None => {
                let settings = self.kept(settings, "text of the settings").await?;
                let settings = serde_json::from_str(&settings).unwrap_or(Value::Null);
                (name.clone(), self.component(name, digest)?, settings)
            }
            Some(which) => {
                let named: Option<PluginName> = which.to_str().and_then(|name| name.parse().ok());
                let plugin = named.filter(|_| !which.exists()).map(|name| (config.plugins.get(&name), name));
                let (name, file, settings) = match plugin {
                    Some((Some(plugin), name)) => (name, plugin.path.clone(), plugin.settings.clone()),
                    Some((None, name)) => {
                        let names: Vec<&str> = config.plugins.keys().map(PluginName::as_str).collect();
                        return Err(unknown("file or plugin", name.as_str(), &names));
                    }
                    None => {
                        let settings = self.kept(settings, "text of the settings").await?;
                        (name.clone(), which.clone(), serde_json::from_str(&settings).unwrap_or(Value::Null))
                    }
                };
                let settings = match &self.arguments.settings {
                    Some(file) => Settings::read(file)?.value,
                    None => settings,
                };
                // Another policy may know profiles that came later.
                profiles.extend(config.profiles.keys().cloned());
                profiles.sort();
                profiles.dedup();
                let bytes = std::fs::read(&file).map_err(|error| Problem::file("read", &file, &error))?;
                (name, bytes, settings)
            }
        };
        let tables = self.tables(&name, &asking.decided.tables)?;
        let configured = config.plugins.get(&name).map(|plugin| (&name, plugin));
        self.asked(&name, &Digest::of(&bytes), &Digest::of(settings.to_string().as_bytes()));
        let spec = PluginSpec {
            limits: Bounds::of(None, configured, bytes.len()).limits,
            name: name.clone(),
            bytes,
            expected_digest: None,
            settings,
            setup: Setup { profiles: profiles.clone(), ..setup(config) },
            tables: tables.0.iter().map(|(name, table)| (name.clone(), table.columns().to_vec())).collect(),
        };
        let plugin = self.sandbox.load(spec).map_err(|error| {
            let problem = Problem::usage(format!("`{name}` cannot be asked: {error}"));
            problem.hint("`--settings FILE` gives it other settings; `deputy plugin check` tells more")
        })?;
        Ok((Arc::new(plugin), profiles, tables))
    }

    fn asked(&mut self, name: &PluginName, digest: &Digest, settings: &Digest) {
        let asked = Asked { digest: digest.clone(), settings: settings.clone() };
        self.new.insert(name.clone(), asked);
    }

    /// The very component that was asked.
    fn component(&self, name: &PluginName, digest: &Digest) -> Outcome<Vec<u8>> {
        let config = &self.app.config;
        let copy = Copies::of_plugins(&config.store).read(digest).ok().flatten();
        let file = config.plugins.get(name).and_then(|plugin| std::fs::read(&plugin.path).ok());
        copy.or_else(|| file.filter(|bytes| Digest::of(bytes) == *digest)).ok_or_else(|| {
            Problem::usage(format!("the component {}… of `{name}` is not kept any more", digest.short()))
                .hint(format!("`--policy {name}` asks the one of today, `--policy FILE` any other"))
        })
    }

    /// The tables as they were; one that the run did not look into, as it is now.
    fn tables(&mut self, name: &PluginName, then: &BTreeMap<TableName, Digest>) -> Outcome<Tables> {
        let (config, mut tables) = (&self.app.config, Tables::default());
        let granted = match config.plugins.get(name) {
            Some(plugin) if self.arguments.policy.is_some() => plugin.tables.clone(),
            _ => then.keys().cloned().collect(),
        };
        let copies = Copies::of_tables(&config.store);
        for table in granted {
            let Some(digest) = then.get(&table) else {
                if let Some(now) = self.app.engine.settings.tables.get(&table).and_then(|file| file.now()) {
                    self.notes
                        .insert(format!("the run did not look into the table `{table}`; it is as it is now"));
                    tables.0.insert(table, now as Arc<dyn Table>);
                }
                continue;
            };
            let Some(source) = config.tables.get(&table) else {
                let what = format!("the table `{table}` is not in deputy.toml any more");
                return Err(Problem::usage(what)
                    .hint(format!("write `[tables.{table}]` again: it says how the copy of it is read")));
            };
            let was = table::of_copy(&copies, digest, source).map_err(|wrong| {
                Problem::usage(format!("the copy of the table `{table}` cannot be read\n{wrong}"))
            })?;
            let was = was.ok_or_else(|| {
                Problem::usage(format!("the table `{table}` as it was then is not kept any more"))
                    .hint("copies of tables are kept for 30 days after they were used last")
            })?;
            tables.0.insert(table, was);
        }
        Ok(tables)
    }

    async fn kept(&self, digest: &Digest, what: &str) -> Outcome<String> {
        let kept = self.app.engine.store.kept_text(digest).await?;
        kept.ok_or_else(|| {
            Problem::usage(format!("the {what} of then is not kept any more"))
                .hint("how long they are kept, `[keep]` in deputy.toml says")
        })
    }
}
