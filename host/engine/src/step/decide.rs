//! Asks the policy about every device.
//!
//! Every device, at every run: what is to be done follows from the whole inventory, never from the
//! event that made us look.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::device::Device;
use domain::id::{PluginName, SerialNumber};
use domain::policy::Policy;
use domain::run::{Decided, FaultNote};
use domain::verdict::{Context, Decision, Verdict};
use jiff::tz::Offset;

use super::Lane;
use crate::failure::Error;
use crate::settings::Unusable;
use crate::store::DeviceId;

/// The most devices a policy is asked about at once: part of the contract.
const BATCH: u32 = 1_000;

pub(crate) async fn decide(lane: &Lane<'_>, policy: &PluginName) -> Result<Decided, Error> {
    let policy = find(lane, policy)?;
    let profiles = lane.engine.settings.profiles.keys().cloned().collect();
    let defined = lane.engine.store.defined_profiles(&lane.token).await?;
    let context = Arc::new(Context {
        now: lane.now,
        utc_offset: Offset::UTC,
        token: lane.token.clone(),
        profiles,
        defined: defined.into_iter().map(|(id, (name, _))| (id, name)).collect(),
        tables: Arc::default(),
    });
    let mut decided = Decided { policy: Some(policy.name().clone()), ..Decided::default() };
    let mut faults = BTreeMap::new();
    let mut after: Option<DeviceId> = None;
    loop {
        lane.go_on()?;
        let devices = lane.engine.store.devices_after(&lane.token, after, BATCH).await?;
        let Some((last, _)) = devices.last() else { break };
        after = Some(*last);
        let (asked, told) = (policy.clone(), context.clone());
        // A policy computes and never waits: not for a thread that serves others.
        let answered = tokio::task::spawn_blocking(move || {
            let (ids, devices): (Vec<DeviceId>, Vec<Device>) = devices.into_iter().unzip();
            let verdicts = asked.decide(&told, &devices).answer;
            (ids, devices, verdicts)
        });
        let (ids, devices, verdicts) = answered.await.map_err(|error| {
            let error = format!("the policy `{}` ended unexpectedly: {error}", policy.name());
            Error::Policy(Unusable { error, hint: None })
        })?;
        for (device, verdict) in devices.iter().zip(&verdicts) {
            count(&device.serial_number, verdict, &mut decided, &mut faults);
        }
        let verdicts = ids.into_iter().zip(verdicts).collect();
        let by = (policy.name().clone(), policy.digest().clone());
        lane.engine.store.store_verdicts(lane.run, by, verdicts, lane.now).await?;
        lane.progress("decide", decided.devices, None);
    }
    decided.faults = faults.into_values().collect();
    for fault in &decided.faults {
        let FaultNote { reason, devices, example } = fault;
        tracing::warn!(token = %lane.token, run = %lane.run, "{reason}; {devices} held, such as {example}");
    }
    Ok(decided)
}

fn find(lane: &Lane<'_>, name: &PluginName) -> Result<Arc<dyn Policy>, Error> {
    match lane.engine.settings.policies.get(name) {
        Some(Ok(policy)) => Ok(policy.clone()),
        Some(Err(unusable)) => Err(Error::Policy(unusable.clone())),
        None => Err(Error::Policy(Unusable {
            error: format!("no plugin is called `{name}`"),
            hint: Some(format!("add a table `[plugins.{name}]` to deputy.toml")),
        })),
    }
}

fn count(
    serial: &SerialNumber,
    verdict: &Verdict,
    decided: &mut Decided,
    faults: &mut BTreeMap<Arc<str>, FaultNote>,
) {
    decided.devices += 1;
    match &verdict.decision {
        Decision::Assign { profile } => *decided.assign.entry(profile.clone()).or_default() += 1,
        Decision::Hold { .. } => decided.held += 1,
        Decision::Ignore => decided.ignored += 1,
    }
    if verdict.fault {
        let note = || FaultNote { reason: verdict.reason.to_string(), devices: 0, example: serial.clone() };
        faults.entry(verdict.reason.clone()).or_insert_with(note).devices += 1;
    }
}
