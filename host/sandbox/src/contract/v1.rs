//! How a policy of version 1 is asked. What its minor does not have, it does not export, and is not asked.

use domain::id::ProfileName;
use domain::policy::{Question, Setup};
use domain::reminder::{self, Reminder, Subject};
use domain::review::{self, Opinion};
use domain::verdict::{self, Lasting, Verdict};
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use super::{Loaded, refused};
use crate::bindings::v1::exports::deputy::policy::review as wit_review;
use crate::bindings::v1::exports::deputy::policy::{assignment, lasting, plugin, reminder as wit_reminder};
use crate::call::{Guest, Stop};
use crate::convert::v1 as convert;
use crate::convert::v1::{Fields, Names};
use crate::error::SettingsProblem;
use crate::fault::Fault;
use crate::inspect::{Description, Inspection};
use crate::lookup::Opened;

/// The version whose names the bindings look for.
pub(super) const NEWEST: &str = "1.1.0";

/// Where the interfaces are, of those that there are.
pub(crate) struct Exports {
    plugin: plugin::GuestIndices,
    assignment: Option<assignment::GuestIndices>,
    lasting: Option<lasting::GuestIndices>,
    reminder: Option<wit_reminder::GuestIndices>,
    review: Option<wit_review::GuestIndices>,
}

/// With what a policy is configured before each question.
#[derive(Clone, Copy)]
pub(crate) struct Configured<'a> {
    pub(crate) settings: &'a str,
    pub(crate) setup: &'a Setup,
    /// Those of the question, whatever the policy was loaded with: what it answers are places among them.
    pub(crate) profiles: &'a [ProfileName],
    pub(crate) tables: &'a Opened,
}

impl Exports {
    pub(super) fn new(inspection: &Inspection, component: &InstancePre<Guest>) -> wasmtime::Result<Self> {
        let answers = |question| inspection.questions.contains(&question);
        Ok(Self {
            plugin: plugin::GuestIndices::new(component)?,
            assignment: answers(Question::Assignment)
                .then(|| assignment::GuestIndices::new(component))
                .transpose()?,
            lasting: inspection.lasting.then(|| lasting::GuestIndices::new(component)).transpose()?,
            reminder: answers(Question::Reminder)
                .then(|| wit_reminder::GuestIndices::new(component))
                .transpose()?,
            review: answers(Question::Review)
                .then(|| wit_review::GuestIndices::new(component))
                .transpose()?,
        })
    }

    pub(super) fn describe(
        &self,
        store: &mut Store<Guest>,
        instance: &Instance,
    ) -> Result<Description, Stop> {
        let plugin = self.plugin.load(&mut *store, instance)?;
        Ok(convert::description(plugin.call_describe(store)?)?)
    }

    pub(super) fn load(
        &self,
        store: &mut Store<Guest>,
        instance: &Instance,
        settings: &str,
        setup: &Setup,
    ) -> Result<Result<Loaded, Vec<SettingsProblem>>, Stop> {
        // What is asked later only is found to be of the right types now.
        self.lasting.as_ref().map(|it| it.load(&mut *store, instance)).transpose()?;
        self.reminder.as_ref().map(|it| it.load(&mut *store, instance)).transpose()?;
        self.review.as_ref().map(|it| it.load(&mut *store, instance)).transpose()?;
        let assignment = self.assignment.as_ref().map(|it| it.load(&mut *store, instance)).transpose()?;
        let plugin = self.plugin.load(&mut *store, instance)?;
        let description = convert::description(plugin.call_describe(&mut *store)?)?;
        if let Err(problems) =
            plugin.call_configure(&mut *store, settings, Names::new(setup, &setup.profiles).view())?
        {
            return Ok(Err(convert::problems(problems)));
        }
        let tables = convert::tables(plugin.call_tables(&mut *store)?)?;
        let reads = match assignment {
            Some(assignment) => assignment.call_reads(store)?,
            None => Fields::empty(),
        };
        Ok(Ok(Loaded { description: Some(description), tables, reads }))
    }

    pub(crate) fn decide(
        &self,
        store: &mut Store<Guest>,
        instance: &Instance,
        configured: Configured,
        context: &verdict::Context,
        devices: &[assignment::Device],
    ) -> Result<Vec<Verdict>, Stop> {
        let found = self.assignment.as_ref().ok_or_else(|| unasked(Question::Assignment))?;
        let assignment = found.load(&mut *store, instance)?;
        self.configure(store, instance, configured)?;
        let profiles: Vec<&str> = context.profiles.iter().map(|name| name.as_str()).collect();
        let told = convert::assignment::context(context, &profiles);
        let answer = assignment.call_decide(store, told, devices)?;
        Ok(convert::assignment::verdicts(answer, context, devices.len())?)
    }

    /// For how long its verdicts last; not said by one that has no answer to that.
    pub(crate) fn lasting(
        &self,
        store: &mut Store<Guest>,
        instance: &Instance,
        configured: Configured,
        context: &verdict::Context,
    ) -> Result<Lasting, Stop> {
        let Some(found) = &self.lasting else { return Ok(Lasting::NotSaid) };
        let lasting = found.load(&mut *store, instance)?;
        self.configure(store, instance, configured)?;
        let profiles: Vec<&str> = context.profiles.iter().map(|name| name.as_str()).collect();
        let answer = lasting.call_how_long(store, convert::lasting::context(context, &profiles))?;
        Ok(convert::lasting::lasting(answer)?)
    }

    /// `tokens` are the subjects as the guest gets them.
    pub(crate) fn remind(
        &self,
        store: &mut Store<Guest>,
        instance: &Instance,
        configured: Configured,
        context: &reminder::Context,
        subjects: &[Subject],
        tokens: &[wit_reminder::Token],
    ) -> Result<Vec<Vec<Reminder>>, Stop> {
        let found = self.reminder.as_ref().ok_or_else(|| unasked(Question::Reminder))?;
        let reminder = found.load(&mut *store, instance)?;
        self.configure(store, instance, configured)?;
        let channels: Vec<&str> = context.channels.iter().map(|name| name.as_str()).collect();
        let answer = reminder.call_remind(store, convert::reminder::context(context, &channels), tokens)?;
        Ok(convert::reminder::reminders(answer, &context.channels, subjects)?)
    }

    pub(crate) fn review(
        &self,
        store: &mut Store<Guest>,
        instance: &Instance,
        configured: Configured,
        context: &review::Context,
        plan: wit_review::Plan,
    ) -> Result<Opinion, Stop> {
        let found = self.review.as_ref().ok_or_else(|| unasked(Question::Review))?;
        let review = found.load(&mut *store, instance)?;
        self.configure(store, instance, configured)?;
        let answer = review.call_review(store, convert::review::context(context), plan)?;
        Ok(convert::review::opinion(answer))
    }

    /// From here on, the policy may look things up.
    fn configure(
        &self,
        store: &mut Store<Guest>,
        instance: &Instance,
        configured: Configured,
    ) -> Result<(), Stop> {
        let plugin = self.plugin.load(&mut *store, instance)?;
        let setup = Names::new(configured.setup, configured.profiles);
        if let Err(problems) = plugin.call_configure(&mut *store, configured.settings, setup.view())? {
            return Err(refused(convert::problems(problems)).into());
        }
        store.data_mut().tables = Some(configured.tables.clone());
        Ok(())
    }
}

/// Asked what it does not answer.
fn unasked(question: Question) -> Stop {
    Stop::Fault(Fault::Contract { reason: format!("it does not answer the question `{question}`") })
}
