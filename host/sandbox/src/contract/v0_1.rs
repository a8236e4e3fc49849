//! How a policy of version 0.1 is asked: about devices, and nothing else.

use domain::policy::Setup;
use domain::verdict::{Context, Verdict};
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use super::{Loaded, refused};
use crate::bindings::v0_1::exports::deputy::policy::assignment as wit;
use crate::call::{Guest, Stop};
use crate::convert::v0_1 as convert;
use crate::error::SettingsProblem;

/// Where the one interface is.
pub(crate) struct Exports {
    assignment: wit::GuestIndices,
}

impl Exports {
    pub(super) fn new(component: &InstancePre<Guest>) -> wasmtime::Result<Self> {
        Ok(Self { assignment: wit::GuestIndices::new(component)? })
    }

    pub(super) fn load(
        &self,
        store: &mut Store<Guest>,
        instance: &Instance,
        settings: &str,
        setup: &Setup,
    ) -> Result<Result<Loaded, Vec<SettingsProblem>>, Stop> {
        let assignment = self.assignment.load(&mut *store, instance)?;
        let profiles: Vec<&str> = setup.profiles.iter().map(|name| name.as_str()).collect();
        if let Err(problems) = assignment.call_configure(&mut *store, settings, &profiles)? {
            return Ok(Err(convert::problems(problems)));
        }
        let reads = convert::fields(assignment.call_reads(store)?);
        Ok(Ok(Loaded { description: None, tables: Vec::new(), reads }))
    }

    pub(crate) fn decide(
        &self,
        store: &mut Store<Guest>,
        instance: &Instance,
        settings: &str,
        context: &Context,
        devices: &[wit::Device],
    ) -> Result<Vec<Verdict>, Stop> {
        let assignment = self.assignment.load(&mut *store, instance)?;
        let profiles: Vec<&str> = context.profiles.iter().map(|name| name.as_str()).collect();
        if let Err(problems) = assignment.call_configure(&mut *store, settings, &profiles)? {
            return Err(refused(convert::problems(problems)).into());
        }
        let answer = assignment.call_decide(store, convert::context(context, &profiles), devices)?;
        Ok(convert::verdicts(answer, context, devices.len())?)
    }
}
