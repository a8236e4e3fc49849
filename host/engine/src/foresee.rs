//! What workflows would do, at their next runs, to devices that a person puts somewhere.
//!
//! A person who moves a device by hand should know that a policy moves it back within the quarter of an hour.
//! So the policies are asked about the devices as they will be; nothing they say is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::device::ProfileStatus;
use domain::id::{PluginName, ProfileId, ProfileName, SerialNumber, TokenName, WorkflowName};
use domain::plan::{Target, Wish};
use domain::policy::{Policy, Question};
use domain::verdict::{Context, Decision, Verdict};
use domain::workflow::{Mode, Uses, Workflow};
use jiff::Timestamp;

use crate::engine::Engine;
use crate::failure::Error;

/// About as many devices policies are asked; the first of them stand for the others.
pub const ASKED: usize = 1_000;

/// A workflow that would move devices on from where a person puts them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    /// The workflow.
    pub workflow: WorkflowName,
    /// When it runs next; none if only by hand.
    pub next: Option<Timestamp>,
    /// How many of the devices.
    pub devices: u64,
    /// One of them.
    pub example: SerialNumber,
    /// What that one would get.
    pub wants: ProfileName,
    /// Who says so.
    pub policy: PluginName,
    /// And why.
    pub reason: Arc<str>,
}

/// Which workflows would take back what is wished, at their next runs. A policy that cannot be asked says
/// nothing.
pub async fn undone(engine: &Engine, token: &TokenName, wishes: &[Wish]) -> Result<Vec<Undone>, Error> {
    let wishes = &wishes[..wishes.len().min(ASKED)];
    let defined = engine.store.defined_profiles(token).await?;
    let mut devices = Vec::new();
    for wish in wishes {
        let found = engine.store.find_device(&wish.serial_number).await?;
        let Some(stored) = found.into_iter().find(|it| it.token == *token && !it.known.gone) else {
            continue;
        };
        let mut device = stored.known.present();
        device.profile_uuid = match &wish.to {
            Target::Exactly { id, .. } => Some(id.clone()),
            Target::Ours(name) => match engine.settings.profiles.get(name) {
                Some(definition) => engine.store.profile_id(token, name, &definition.digest).await?,
                None => None,
            },
        };
        device.profile_status = ProfileStatus::Assigned;
        devices.push((device, wish));
    }
    let names: BTreeMap<ProfileId, ProfileName> =
        defined.iter().map(|(id, (name, _))| (id.clone(), name.clone())).collect();
    // Where a profile of Apple's is one of ours and says what its file says now, it is as good as that.
    let is_there = |to: &Target, wanted: &ProfileName| match to {
        Target::Ours(name) => name == wanted,
        Target::Exactly { id, .. } => defined.get(id).is_some_and(|(name, digest)| {
            name == wanted
                && engine.settings.profiles.get(name).is_some_and(|definition| definition.digest == *digest)
        }),
    };
    let (mut all, now, pauses) = (Vec::new(), engine.now(), engine.store.pauses().await?);
    for workflow in engine.settings.workflows.values().filter(|workflow| changes(workflow, token)) {
        let from = match pauses.get(&workflow.name).map(|pause| pause.until) {
            None => now,
            Some(Some(until)) => until.max(now),
            // Until somebody ends it, and that is who is asking.
            Some(None) => continue,
        };
        let verdicts = verdicts(engine, workflow, token, &names, &devices).await;
        let mut undone: Option<Undone> = None;
        for ((_, wish), found) in devices.iter().zip(verdicts) {
            let Some((policy, Verdict { decision: Decision::Assign { profile }, reason, fault: false })) =
                found
            else {
                continue;
            };
            if is_there(&wish.to, &profile) {
                continue;
            }
            let first = undone.get_or_insert_with(|| Undone {
                workflow: workflow.name.clone(),
                next: workflow.next_start(from),
                devices: 0,
                example: wish.serial_number.clone(),
                wants: profile,
                policy,
                reason,
            });
            first.devices += 1;
        }
        all.extend(undone);
    }
    Ok(all)
}

/// A workflow that assigns devices of this token by itself.
fn changes(workflow: &Workflow, token: &TokenName) -> bool {
    workflow.enabled
        && workflow.mode == Mode::Live
        && workflow.tokens.as_ref().is_none_or(|tokens| tokens.contains(token))
        && workflow.steps.iter().any(|step| matches!(step.uses, Uses::Apply { .. }))
}

/// What the policies of a workflow say of each device, and which said it: the first that does not ignore it.
async fn verdicts(
    engine: &Engine,
    workflow: &Workflow,
    token: &TokenName,
    names: &BTreeMap<ProfileId, ProfileName>,
    devices: &[(domain::device::Device, &Wish)],
) -> Vec<Option<(PluginName, Verdict)>> {
    let mut found: Vec<Option<(PluginName, Verdict)>> = devices.iter().map(|_| None).collect();
    for step in &workflow.steps {
        let Uses::Decide { policy: name, .. } = &step.uses else { continue };
        let Some(Ok(policy)) = engine.settings.policies.get(name) else { continue };
        if !policy.questions().contains(&Question::Assignment) {
            continue;
        }
        let open: Vec<usize> = (0..devices.len()).filter(|index| found[*index].is_none()).collect();
        let asked = open.iter().map(|index| devices[*index].0.clone()).collect();
        let answers = ask(engine, workflow, token, names.clone(), policy.clone(), asked).await;
        for (index, verdict) in open.into_iter().zip(answers) {
            if verdict.decision != Decision::Ignore {
                found[index] = Some((name.clone(), verdict));
            }
        }
    }
    found
}

/// What a policy says of devices; nothing if it breaks off.
async fn ask(
    engine: &Engine,
    workflow: &Workflow,
    token: &TokenName,
    defined: BTreeMap<ProfileId, ProfileName>,
    policy: Arc<dyn Policy>,
    devices: Vec<domain::device::Device>,
) -> Vec<Verdict> {
    let (settings, token, now) = (engine.settings.clone(), token.clone(), engine.now());
    let utc_offset = workflow.utc_offset(now);
    // Policies compute and never wait, and tables are files: not for a thread that serves others.
    let asked = tokio::task::spawn_blocking(move || {
        let tables = settings.tables_now([policy.name()]);
        let context = Context {
            now,
            utc_offset,
            token,
            profiles: settings.profiles.keys().cloned().collect(),
            defined,
            tables: Arc::new(settings.granted(policy.name(), &tables)),
        };
        policy.decide(&context, &devices).answer
    });
    asked.await.unwrap_or_default()
}
