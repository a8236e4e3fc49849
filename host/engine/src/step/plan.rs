//! Works out what to do, and records it before any of it is done.
//!
//! A plan that breaks a rail, or about which its review asks, waits for a person's word, unless somebody has
//! given it for this very plan. What a person gives is done at once or refused at once: whoever asks is there.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::id::{Digest, PluginName, ProfileName, RunId, StepId};
use domain::plan::{Drawn, Given, Outdated};
use domain::rails::Rails;
use domain::review::{Decision, Move};
use domain::run::{Differs, Outcome, Planned, Shadowed, Waits};

use super::{Lane, review};
use crate::failure::Error;
use crate::rails;
use crate::runner::Approval;
use crate::store::{Asked, Asker, Maker, Question, RecordedPlan, Verdicts};

/// What came of planning, and the plan, if it may be carried out.
pub(crate) type Made = (Outcome, Option<RecordedPlan>);

/// How a plan is made.
pub(crate) struct Planning<'a> {
    /// The place of the step in the workflow.
    pub(crate) place: u32,
    /// What the workflow calls it.
    pub(crate) step: &'a StepId,
    /// How much the plan may change.
    pub(crate) rails: Rails,
    /// Which plugin is asked whether it may go ahead.
    pub(crate) review: Option<&'a PluginName>,
    /// For so long it waits for a person, if it has to.
    pub(crate) approve_within: Duration,
}

/// A plan from what policies want.
pub(crate) async fn plan(lane: &Lane<'_>, planning: Planning<'_>, verdicts: Verdicts) -> Result<Made, Error> {
    let (store, about) = (&lane.engine.store, lane.about);
    let profiles = lane.engine.profiles(&lane.token).await?;
    let rails = rails::whole(planning.rails.clone()).await?;
    let maker = maker(lane, planning.place);
    let (plan, drawn) = store.record_plan(&maker, &profiles, &rails, verdicts, lane.now).await?;
    let Drawn { totals, breaches, digest, contents } = drawn;
    let asker = asker(lane, planning.step);
    let given = about.approved.get(&(lane.token.clone(), planning.step.clone()));
    let approval = match given.filter(|approval| approval.plan == digest) {
        Some(approval) => Some((approval.clone(), false)),
        None => approval(lane, &asker, &plan, &contents).await?,
    };
    let (approval, rest) = approval.map_or((None, false), |(approval, rest)| (Some(approval), rest));
    let breaks = !breaches.is_empty() && approval.is_none();
    // A review comes after the rails: it is asked when they let the plan pass, or a person did.
    let review = match planning.review {
        Some(policy) if !breaks && !approval.as_ref().is_some_and(|it| it.reviewed) => {
            review::review(lane, policy, &plan).await?
        }
        _ => None,
    };
    let decision = review.as_ref().map(|review| review.opinion.decision);
    let reviewed = review.is_some() || planning.review.is_none();
    let mut planned = Planned {
        totals,
        plan: Some(digest.clone()),
        contents,
        breaches,
        review,
        approved: approval.as_ref().map(|approval| approval.run.clone()),
        answer: approval.as_ref().map(|approval| approval.answer.clone()),
        rest,
        ..Planned::default()
    };
    if decision == Some(Decision::Refuse)
        && let Some(review) = planned.review
    {
        return Ok((Outcome::Objected { totals: planned.totals, review }, None));
    }
    if about.shadow && !about.dry {
        if let Some(before) = store.last_shadow(lane.run, &asker, &digest).await? {
            store.forget_plan(&plan).await?;
            planned.same_as = Some(before);
        }
        return Ok((Outcome::Planned(planned), Some(plan)));
    }
    // Who approves has read one plan: another that would do something asks them again, rails or not.
    let other = given.filter(|_| approval.is_none());
    let not_it = other.is_some() && plan.totals().actions() > 0;
    if let Some(other) = other {
        planned.differs = Some(differs(lane, &asker, &plan, &planned.contents, &other.run).await?);
    }
    if breaks || not_it || decision == Some(Decision::Ask) {
        return Ok((waits(lane, &asker, (&plan, planned), reviewed, &planning).await?, None));
    }
    Ok((Outcome::Planned(planned), Some(plan)))
}

/// What a person wants, held against the inventory.
pub(crate) async fn given(lane: &Lane<'_>, planning: Planning<'_>, given: &Given) -> Result<Made, Error> {
    let store = &lane.engine.store;
    let (profiles, rails) = (lane.engine.profiles(&lane.token).await?, rails::whole(planning.rails).await?);
    let token = store.token(&lane.token).await?;
    let outdated = |how: Outdated| {
        let origin = Some(given.origin.clone());
        Ok((Outcome::Outdated(Outdated { origin, ..how }), None))
    };
    if given.server.is_some() && given.server != token.map(|token| token.server_uuid) {
        return outdated(Outdated { server: true, ..Outdated::default() });
    }
    let recorded =
        store.record_given(&maker(lane, planning.place), &profiles, &rails, given, lane.now).await?;
    let (plan, Drawn { totals, breaches, digest, contents }) = match recorded {
        Ok(recorded) => recorded,
        Err(how) => return outdated(how),
    };
    if !breaches.is_empty() {
        store.forget_plan(&plan).await?;
        return Ok((Outcome::Refused { totals, breaches }, None));
    }
    // A review may refuse. If it asks for a person: that is who wants it.
    let review = match planning.review {
        Some(policy) => review::review(lane, policy, &plan).await?,
        None => None,
    };
    if let Some(review) = review.as_ref().filter(|it| it.opinion.decision == Decision::Refuse) {
        return Ok((Outcome::Objected { totals, review: review.clone() }, None));
    }
    let arrived = match given.made_at {
        Some(then) => store.devices_of(&lane.token, Some(then)).await?,
        None => 0,
    };
    let (plan_digest, origin) = (Some(digest), Some(given.origin.clone()));
    let planned =
        Planned { totals, plan: plan_digest, contents, review, origin, arrived, ..Planned::default() };
    Ok((Outcome::Planned(planned), Some(plan)))
}

/// What a plan in shadow mode comes to, in place of being carried out.
pub(crate) async fn shadowed(
    lane: &Lane<'_>,
    plan: &RecordedPlan,
    planned: &Planned,
) -> Result<Outcome, Error> {
    let run = planned.same_as.as_ref().unwrap_or(lane.run);
    let moves = lane.engine.store.moves(run, plan, lane.engine.profiles(&lane.token).await?).await?;
    let asks = planned.review.as_ref().is_some_and(|review| review.opinion.decision == Decision::Ask);
    Ok(Outcome::Shadowed(Shadowed {
        devices: planned.totals.devices,
        agree: planned.totals.skipped(domain::plan::Skip::AlreadyRight),
        moves: Move::largest_first(moves),
        would_wait: asks || !planned.breaches.is_empty(),
    }))
}

/// A plan has been carried out, or there is nobody to do so: what waited in its place waits no longer. Not before: what
/// Apple did not answer, or a freeze or a stop held back, is still to be done.
pub(crate) async fn went_ahead(
    lane: &Lane<'_>,
    step: &StepId,
    (plan, planned): (&RecordedPlan, &Planned),
) -> Result<(), Error> {
    let which = (plan.digest(), planned.approved.as_ref());
    Ok(lane.engine.store.goes_ahead(lane.run, &asker(lane, step), which, lane.engine.now()).await?)
}

/// A plan is about to be carried out: from now on, what is left of it counts as approved with it.
pub(crate) async fn begins(lane: &Lane<'_>, step: &StepId, planned: &Planned) -> Result<(), Error> {
    if planned.approved.is_some() {
        lane.engine.store.begins(lane.run, &asker(lane, step)).await?;
    }
    Ok(())
}

/// This step, for the token of the lane.
fn asker(lane: &Lane<'_>, step: &StepId) -> Asker {
    Asker { workflow: lane.about.workflow.clone(), token: lane.token.clone(), step: step.clone() }
}

/// The word of a person that lets a plan pass: they have approved it, whichever run that was, and it was not
/// carried out. True if it is what is left of such a plan, of which a part was.
async fn approval(
    lane: &Lane<'_>,
    asker: &Asker,
    plan: &RecordedPlan,
    contents: &BTreeMap<ProfileName, Digest>,
) -> Result<Option<(Approval, bool)>, Error> {
    let Some(waiting) = lane.engine.store.approved(asker).await? else { return Ok(None) };
    let rest = if waiting.plan == *plan.digest() {
        false
    } else {
        let begun = waiting.waited.begun_by.is_some();
        if !begun || !differs(lane, asker, plan, contents, &waiting.run).await?.is_less() {
            return Ok(None);
        }
        true
    };
    let (run, plan, reviewed) = (waiting.run, waiting.plan, waiting.reviewed);
    Ok(waiting.waited.answer.map(|answer| (Approval { plan, run, reviewed, answer }, rest)))
}

/// This step of this run, for the token of the lane.
fn maker(lane: &Lane<'_>, place: u32) -> Maker {
    Maker { run: lane.run.clone(), token: lane.token.clone(), place }
}

/// Has a plan wait for a person.
async fn waits(
    lane: &Lane<'_>,
    asker: &Asker,
    (plan, mut planned): (&RecordedPlan, Planned),
    reviewed: bool,
    planning: &Planning<'_>,
) -> Result<Outcome, Error> {
    let (store, about) = (&lane.engine.store, lane.about);
    if about.dry {
        return Ok(Outcome::Waits(Waits { planned, until: None }));
    }
    let question = Question {
        run: lane.run.clone(),
        place: planning.place,
        plan: plan.digest().clone(),
        reviewed,
        within: planning.approve_within,
    };
    let until = match store.ask(asker, question, lane.engine.now()).await? {
        Asked::Now { until, instead_of } => {
            if let Some(before) = instead_of.filter(|before| before.plan != *plan.digest()) {
                planned.differs = Some(differs(lane, asker, plan, &planned.contents, &before.run).await?);
            }
            until
        }
        Asked::Before(before) => {
            store.forget_plan(plan).await?;
            planned.same_as = Some(before.run);
            before.waited.until
        }
        Asked::Declined(before) => {
            store.forget_plan(plan).await?;
            let (run, answer) = (before.run, before.waited.answer);
            return Ok(Outcome::Declined { totals: planned.totals, run, answer });
        }
    };
    Ok(Outcome::Waits(Waits { planned, until: Some(until) }))
}

/// How a plan differs from the one that another run asked about.
async fn differs(
    lane: &Lane<'_>,
    asker: &Asker,
    plan: &RecordedPlan,
    contents: &BTreeMap<ProfileName, Digest>,
    from: &RunId,
) -> Result<Differs, Error> {
    let store = &lane.engine.store;
    let before = store.run(from).await?.and_then(|run| {
        let of_token = run.steps.into_iter().filter(|step| step.token.as_ref() == Some(&asker.token));
        of_token.filter(|step| step.name() == asker.step.as_str()).find_map(|step| match step.outcome {
            Some(Outcome::Waits(waits)) => Some(waits.planned.contents),
            _ => None,
        })
    });
    let before = before.unwrap_or_default();
    let changed = contents.iter().filter(|(name, digest)| before.get(*name).is_some_and(|it| it != *digest));
    let changed = changed.map(|(name, _)| name.clone()).collect();
    Ok(store.difference(plan, from, changed).await?)
}
