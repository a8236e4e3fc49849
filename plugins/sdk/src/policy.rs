//! What a policy is: settings it reads, and questions it answers.

use crate::settings::{At, Problem, Problems};
use crate::tables::Tables;
use crate::value::Value;
use crate::{Lasting, Setup, TableUse, assignment, reminder, review};

/// A policy, made of its settings once and then asked.
pub trait Policy: Send + Sync + Sized + 'static {
    /// What it does, in a line.
    const SUMMARY: &'static str;
    /// Its own version, such as `1.0.0`.
    const VERSION: &'static str;
    /// A JSON Schema of its settings. [`schema`] puts the shared definitions in.
    const SCHEMA: Option<&'static str>;

    /// Reads the settings. A mistake is told to the place where it stands, and something harmless
    /// returned instead: after a mistake, nobody asks this policy anything.
    fn read(settings: At, setup: &Setup) -> Self;

    /// The tables it looks things up in, with the columns it wants.
    fn tables(&self) -> Vec<TableUse> {
        Vec::new()
    }
}

/// A policy that answers "which profile does each of these devices get?".
pub trait Assignment: Policy {
    /// The fields it looks at with these settings.
    fn reads(&self) -> assignment::DeviceFields;

    /// A verdict for each device, in order.
    fn decide(
        &self,
        context: &assignment::Context,
        devices: &[assignment::Device],
        tables: &dyn Tables,
    ) -> assignment::Verdicts;

    /// For how long these verdicts last where nothing changes but the time; see `lasting` in the contract. One that
    /// does not say is asked about every device in every run.
    fn lasting(&self, context: &assignment::Context, tables: &dyn Tables) -> Lasting {
        let _ = (context, tables);
        Lasting::NotSaid
    }
}

/// A policy that answers "who should hear about this token, and how urgently?".
pub trait Reminder: Policy {
    /// The reminders due for each token, in order.
    fn remind(
        &self,
        context: &reminder::Context,
        tokens: &[reminder::Token],
        tables: &dyn Tables,
    ) -> Vec<Vec<reminder::Reminder>>;
}

/// A policy that answers "may this plan go ahead?".
pub trait Review: Policy {
    /// Whether it may, and why.
    fn review(&self, context: &review::Context, plan: &review::Plan, tables: &dyn Tables) -> review::Opinion;
}

/// A policy from settings in JSON, or everything that is wrong with them.
///
/// What is read stays in memory for good: a component lives for one call, and so texts need not be
/// copied, of which there may be a list of thousands.
pub fn configure<P: Policy>(settings: String, setup: &Setup) -> Result<P, Vec<Problem>> {
    let problems = Problems::default();
    let value = Value::parse(settings.leak()).unwrap_or_else(|error| {
        problems.add(|| Problem {
            pointer: String::new(),
            message: format!("this is not JSON: {error}"),
            hint: None,
        });
        Value::EMPTY
    });
    let policy = P::read(At::root(&value, &problems), setup);
    match problems.into_vec() {
        problems if problems.is_empty() => Ok(policy),
        problems => Err(problems),
    }
}

/// The JSON Schema of a policy's settings, with the definitions of [`crate::condition`] in place of
/// `"$conditions"`.
pub fn schema<P: Policy>() -> Option<String> {
    P::SCHEMA.map(|schema| schema.replace("\"$conditions\"", crate::condition::SCHEMA.trim()))
}
