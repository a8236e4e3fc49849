//! Version 1: plans and opinions.

use domain::review::{ACTIONS, Context, Decision, Opinion, Plan};

use crate::bindings::v1::exports::deputy::policy::review as wit;
use crate::convert::{NO_REASON, clean_lines, or, seconds};

/// The longest reason, in bytes.
const REASON_BYTES: usize = 1 << 10;

pub(crate) fn context(context: &Context) -> wit::Context<'_> {
    wit::Context {
        now: seconds(context.now),
        utc_offset: context.utc_offset.seconds(),
        token: context.token.as_str(),
        workflow: context.workflow.as_str(),
    }
}

/// A plan, ready to be lent to a guest: its lists have to be somewhere.
pub(crate) struct Lent<'a> {
    plan: &'a Plan,
    moves: Vec<wit::Move<'a>>,
    actions: Vec<wit::Action<'a>>,
}

impl<'a> Lent<'a> {
    pub(crate) fn new(plan: &'a Plan) -> Self {
        let moves = plan.moves.iter().map(|it| wit::Move {
            from: it.from.as_deref(),
            to: &it.to,
            devices: it.devices,
        });
        let actions = plan.actions.iter().take(ACTIONS).map(|it| wit::Action {
            serial_number: it.serial_number.as_str(),
            from: it.from.as_deref(),
            to: &it.to,
            reason: &it.reason,
        });
        Self { plan, moves: moves.collect(), actions: actions.collect() }
    }

    pub(crate) fn view(&'a self) -> wit::Plan<'a> {
        let plan = self.plan;
        wit::Plan {
            devices: plan.devices,
            first_assignments: plan.first_assignments,
            reassignments: plan.reassignments,
            already_right: plan.already_right,
            held: plan.held,
            faults: plan.faults,
            ignored: plan.ignored,
            waiting: plan.waiting,
            moves: &self.moves,
            actions: &self.actions,
        }
    }
}

pub(crate) fn opinion(answer: wit::Opinion) -> Opinion {
    Opinion {
        decision: match answer.decision {
            wit::Decision::Approve => Decision::Approve,
            wit::Decision::Ask => Decision::Ask,
            wit::Decision::Refuse => Decision::Refuse,
        },
        reason: or(clean_lines(&answer.reason, REASON_BYTES), NO_REASON),
    }
}
