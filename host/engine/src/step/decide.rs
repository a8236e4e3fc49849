//! Asks the policy about every device.
//!
//! Every device, at every run: what is to be done follows from the whole inventory, never from the
//! event that made us look. Where a workflow asks several policies, the first that does not ignore a
//! device decides: each is asked about what those before it left open.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::device::Device;
use domain::id::{Digest, PluginName, ProfileName, SerialNumber};
use domain::policy::{Policy, Question};
use domain::rest::Health;
use domain::run::{Decided, FaultNote, Resting};
use domain::verdict::{Context, Decision, Lasting, Verdict};
use domain::workflow::OnFault;

use super::Lane;
use crate::failure::Error;
use crate::settings::Unusable;
use crate::store::{Book, DeviceId, Fields, Mark, Ranges, Walk, Work};

/// The most devices a policy is asked about at once: part of the contract.
const BATCH: u32 = 1_000;

/// To be raised when policies are told something else of the same device: what was said before then is asked again.
const TOLD: u32 = 1;

/// So many ways in which a policy fails are told apart: one that says something else of each device is
/// not to fill the log and the record of the run.
const WAYS: usize = 20;

/// The other policies that the run asks about the same devices.
#[derive(Clone, Debug, Default)]
pub(crate) struct Others {
    /// Those that have been asked, in vain or not.
    pub(crate) before: Vec<PluginName>,
    /// Those still to be asked.
    pub(crate) later: Vec<PluginName>,
}

/// Returns also which devices were asked about, if not all of them: what was said of the others still holds.
pub(crate) async fn decide(
    lane: &Lane<'_>,
    policy: &PluginName,
    on_fault: &OnFault,
    others: &Others,
) -> Result<(Decided, Option<Ranges>), Error> {
    let policy = find(lane, policy, Question::Assignment)?;
    let (name, digest, store) = (policy.name().clone(), policy.digest().clone(), &lane.engine.store);
    let profiles: Vec<ProfileName> = lane.engine.settings.profiles.keys().cloned().collect();
    let defined = store.defined_profiles(&lane.token).await?;
    let tables = lane.tables(&name);
    // What it is told is kept, once for each wording: whoever asks later why it said this can ask it again.
    let plugin = lane.engine.settings.plugins.get(&name);
    let settings = store.keep_text(plugin.map_or("{}", |plugin| &plugin.settings), lane.now).await?;
    let list = serde_json::to_string(&profiles).expect("names are always JSON");
    let profile_list = store.keep_text(&list, lane.now).await?;
    let context = Arc::new(Context {
        now: lane.now,
        utc_offset: lane.about.utc_offset,
        token: lane.token.clone(),
        profiles,
        defined: defined.into_iter().map(|(id, (name, _))| (id, name)).collect(),
        tables: tables.clone(),
    });
    let mark = lane.engine.settings.mark_with(&name, &tables);
    let basis = basis(&*policy, &mark, &context);
    let changed = match looks_at_changes(lane, others) {
        true => store.changed_since_look(&lane.token, &basis, lane.now).await?,
        false => None,
    };
    let mut deciding = Deciding {
        lane,
        others,
        changed: changed.as_ref().map(|changed| &changed.devices),
        mark,
        health: Health::default(),
        failed_lately: false,
        faults: BTreeMap::new(),
        work: Work::default(),
        decided: Decided {
            policy: Some(name.clone()),
            default: match on_fault {
                OnFault::Assign(profile) => Some(profile.clone()),
                OnFault::Hold | OnFault::Fail => None,
            },
            digest: Some(digest.clone()),
            settings: Some(settings),
            profiles: Some(profile_list),
            utc_offset: Some(lane.about.utc_offset.seconds()),
            fields: policy.fields(),
            tables: tables.0.iter().map(|(name, table)| (name.clone(), table.digest().clone())).collect(),
            ..Decided::default()
        },
        policy,
    };
    // What is said from here on may be on another basis.
    let from = match &changed {
        Some(changed) => changed.mark,
        None if lane.about.book() == Book::Live => store.begin_look(&lane.token).await?,
        None => Mark::default(),
    };
    let all = deciding.all(context.clone(), on_fault).await;
    let Deciding { mut decided, faults, mut work, policy, .. } = deciding;
    let failed_on = faults.values().map(|note| note.devices).sum();
    decided.faults = faults.into_values().collect();
    work.usage = decided.usage;
    // Whatever ended it, what was asked was asked.
    if work.devices > 0 {
        store.plugin_worked(&name, &digest, work, lane.engine.now()).await?;
    }
    for fault in &decided.faults {
        let FaultNote { reason, devices, example } = fault;
        tracing::warn!(token = %lane.token, run = %lane.run, "{reason}; {devices} held, such as {example}");
    }
    all?;
    if lane.about.book() == Book::Live {
        if looks_at_changes(lane, others) && decided.faults.is_empty() && decided.resting.is_none() {
            // Counts fuel, not much; a policy is not asked beside what serves others.
            let lasting = tokio::task::spawn_blocking(move || policy.lasting(&context)).await;
            let lasting = lasting.map_or(Lasting::NotSaid, |answered| answered.answer);
            store.looked(&lane.token, &basis, (lane.now, lasting), from).await?;
        } else {
            store.forget_look(&lane.token).await?;
        }
    }
    if changed.is_some() {
        count_all(lane, &mut decided).await?;
    }
    match decided.faults.first() {
        Some(fault) if *on_fault == OnFault::Fail => Err(Error::PolicyFailed {
            policy: name,
            devices: failed_on,
            example: fault.example.clone(),
            reason: fault.reason.clone(),
        }),
        _ => Ok((decided, changed.map(|changed| changed.devices))),
    }
}

/// Whether it is enough to ask about devices that changed: where one policy decides about all of them. What it says
/// in shadow mode is kept apart, and nobody knows what became of that.
fn looks_at_changes(lane: &Lane<'_>, others: &Others) -> bool {
    lane.about.book() == Book::Live && others.before.is_empty() && others.later.is_empty()
}

/// All that a policy's verdicts follow from, besides the devices and the time.
fn basis(policy: &dyn Policy, mark: &Digest, context: &Context) -> Digest {
    let Context { now: _, utc_offset, token, profiles, defined, tables } = context;
    let tables: BTreeMap<_, _> = tables.0.iter().map(|(name, table)| (name, table.mark())).collect();
    // Its name too: what it said stands under that.
    let policy = (policy.name(), policy.mark(), mark);
    let all = (TOLD, policy, utc_offset.seconds(), token, profiles, defined, tables);
    Digest::of(&serde_json::to_vec(&all).expect("names and digests are always JSON"))
}

/// Counts what is said of all devices, those too that were not asked about.
async fn count_all(lane: &Lane<'_>, decided: &mut Decided) -> Result<(), Error> {
    decided.assign.clear();
    (decided.devices, decided.held, decided.ignored) = (0, 0, 0);
    for (said, devices) in lane.engine.store.said_of(&lane.token).await? {
        decided.devices += devices;
        match said.map(|(verdict, _)| (verdict.fault, verdict.decision)) {
            Some((false, Decision::Assign { profile })) => {
                *decided.assign.entry(profile).or_default() += devices;
            }
            Some((false, Decision::Ignore)) | None => decided.ignored += devices,
            Some(_) => decided.held += devices,
        }
    }
    Ok(())
}

/// What of a device has to be read for a policy: one that looks at nothing which has no column of its own is not
/// told of it either.
fn fields(policy: &dyn Policy) -> Fields {
    const NAMED: [&str; 13] = [
        "serial_number",
        "model",
        "description",
        "color",
        "asset_tag",
        "os",
        "device_family",
        "profile_uuid",
        "current_profile",
        "profile_assign_time",
        "profile_push_time",
        "device_assigned_by",
        "device_assigned_date",
    ];
    match policy.fields() {
        Some(fields) if fields.iter().all(|field| NAMED.contains(&field.as_str())) => Fields::Named,
        _ => Fields::All,
    }
}

/// The plugin of this name, if it answers this question.
pub(crate) fn find(lane: &Lane<'_>, name: &PluginName, question: Question) -> Result<Arc<dyn Policy>, Error> {
    let unusable = |error: String, hint: String| Error::Policy(Unusable { error, hint: Some(hint) });
    match lane.engine.settings.policies.get(name) {
        Some(Ok(policy)) if policy.questions().contains(&question) => Ok(policy.clone()),
        Some(Ok(_)) => Err(unusable(
            format!("the plugin `{name}` does not answer the question `{question}`"),
            format!("`deputy plugin inspect {name}` shows what it answers"),
        )),
        Some(Err(unusable)) => Err(Error::Policy(unusable.clone())),
        None => Err(unusable(
            format!("no plugin is called `{name}`"),
            format!("add a table `[plugins.{name}]` to deputy.toml"),
        )),
    }
}

/// One token's devices on their way through the policy.
struct Deciding<'a> {
    lane: &'a Lane<'a>,
    others: &'a Others,
    /// Only these are asked about.
    changed: Option<&'a Ranges>,
    policy: Arc<dyn Policy>,
    mark: Digest,
    health: Health,
    /// It is on record that it failed, perhaps as it was configured then.
    failed_lately: bool,
    decided: Decided,
    faults: BTreeMap<Arc<str>, FaultNote>,
    /// What became of the devices it was really asked about.
    work: Work,
}

impl Deciding<'_> {
    async fn all(&mut self, context: Arc<Context>, on_fault: &OnFault) -> Result<(), Error> {
        let (lane, store) = (self.lane, &self.lane.engine.store);
        self.failed_lately = store.plugin_failed_lately(self.policy.name()).await?;
        self.health = store.plugin_health(self.policy.name(), Some(&lane.token), &self.mark).await?;
        self.rest(false);
        let others = self.others;
        let walk = Walk {
            among: self.changed.cloned(),
            undecided: (!others.before.is_empty()).then(|| (lane.about.book(), others.before.clone())),
            fields: fields(&*self.policy),
        };
        let by = (self.policy.name().clone(), self.policy.digest().clone());
        let write = |verdicts| {
            let (book, by) = (lane.about.book(), by.clone());
            store.store_verdicts(lane.run, book, by, &others.later, verdicts, lane.now)
        };
        let mut devices = store.devices_after(&lane.token, &walk, None, BATCH).await?;
        let mut verdicts = Vec::new();
        // While a batch is asked about, what was said of the one before is written, and the one after it is read.
        while let Some((last, _)) = devices.last() {
            lane.go_on()?;
            let following = store.devices_after(&lane.token, &walk, Some(*last), BATCH);
            let (differently, following, asked) =
                tokio::join!(write(verdicts), following, self.verdicts(&context, devices));
            self.decided.differently += differently?;
            devices = following?;
            verdicts = asked?.into_iter().map(|(id, verdict)| (id, on_fault.over(verdict))).collect();
            lane.progress("decide", self.decided.devices, None);
            if *on_fault == OnFault::Fail && !self.faults.is_empty() {
                break;
            }
        }
        self.decided.differently += write(verdicts).await?;
        Ok(())
    }

    /// What is said of a batch, as the policy says it.
    async fn verdicts(
        &mut self,
        context: &Arc<Context>,
        devices: Vec<(DeviceId, Device)>,
    ) -> Result<Vec<(DeviceId, Verdict)>, Error> {
        let (ids, devices): (Vec<DeviceId>, Vec<Device>) = devices.into_iter().unzip();
        let (devices, verdicts) = match &self.decided.resting {
            None => self.ask(context, devices).await?,
            Some(resting) => {
                let reason: Arc<str> =
                    format!("{}; it rests, having failed on everything", resting.why).into();
                let verdicts = devices.iter().map(|_| Verdict::fault(reason.clone())).collect();
                (devices, verdicts)
            }
        };
        for (device, verdict) in devices.iter().zip(&verdicts) {
            self.count(&device.serial_number, verdict);
        }
        Ok(ids.into_iter().zip(verdicts).collect())
    }

    /// One batch, and what it says of the plugin.
    async fn ask(
        &mut self,
        context: &Arc<Context>,
        devices: Vec<Device>,
    ) -> Result<(Vec<Device>, Vec<Verdict>), Error> {
        let (asked, told) = (self.policy.clone(), context.clone());
        // A policy computes and never waits: not for a thread that serves others.
        let answered = tokio::task::spawn_blocking(move || {
            let answered = asked.decide(&told, &devices);
            (devices, answered)
        });
        let (devices, answered) = answered.await.map_err(|error| {
            let error = format!("the policy `{}` ended unexpectedly: {error}", self.policy.name());
            Error::Policy(Unusable { error, hint: None })
        })?;
        let verdicts = answered.answer;
        self.work.devices += devices.len() as u64;
        self.work.faults += verdicts.iter().filter(|verdict| verdict.fault).count() as u64;
        self.work.held +=
            verdicts.iter().filter(|verdict| matches!(verdict.decision, Decision::Hold { .. })).count()
                as u64;
        self.decided.usage += answered.usage;
        let (store, name, token) = (&self.lane.engine.store, self.policy.name(), &self.lane.token);
        match verdicts.first() {
            // A batch of one says more about the device than about the plugin.
            Some(first) if verdicts.len() > 1 && verdicts.iter().all(|verdict| verdict.fault) => {
                let now = self.lane.engine.now();
                let (health, news) = store.plugin_failed(name, token, &self.mark, &first.reason, now).await?;
                (self.health, self.failed_lately) = (health, true);
                self.rest(news);
            }
            _ if self.failed_lately && verdicts.iter().any(|verdict| !verdict.fault) => {
                store.plugin_forgiven(name, Some(token)).await?;
                self.failed_lately = false;
                if self.health.rests > 0 {
                    tracing::info!(plugin = %name, "the plugin `{name}` works again");
                }
                self.health = Health::default();
            }
            _ => {}
        }
        Ok((devices, verdicts))
    }

    /// Leaves the plugin alone from here on, if it has to rest.
    fn rest(&mut self, news: bool) {
        let Some(until) = self.health.rests_at(self.lane.engine.now()) else { return };
        if news {
            let name = self.policy.name();
            tracing::error!(plugin = %name, "the plugin `{name}` fails on everything and rests until {until}: {}", self.health.why);
        }
        self.decided.resting = Some(Resting { until, why: self.health.why.clone(), news });
    }

    fn count(&mut self, serial: &SerialNumber, verdict: &Verdict) {
        let decided = &mut self.decided;
        decided.devices += 1;
        match &verdict.decision {
            Decision::Assign { profile } => match decided.assign.get_mut(profile) {
                Some(devices) => *devices += 1,
                None => {
                    decided.assign.insert(profile.clone(), 1);
                }
            },
            Decision::Hold { .. } => decided.held += 1,
            Decision::Ignore => decided.ignored += 1,
        }
        if verdict.fault {
            let told = self.faults.len() < WAYS || self.faults.contains_key(&verdict.reason);
            let reason =
                if told { verdict.reason.clone() } else { "the plugin failed in yet other ways".into() };
            let note = || FaultNote { reason: reason.to_string(), devices: 0, example: serial.clone() };
            self.faults.entry(reason.clone()).or_insert_with(note).devices += 1;
        }
    }
}
