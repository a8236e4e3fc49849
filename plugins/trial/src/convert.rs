//! Between a case's words and the contract's.

use cases::{Case, Occasion, Opinion};
use deputy_policy::{assignment, plugin, reminder, review};

pub(crate) fn setup(setup: &cases::Setup) -> plugin::Setup {
    let cases::Setup { profiles, channels, tokens } = setup.clone();
    plugin::Setup { profiles, channels, tokens }
}

pub(crate) fn problem(problem: plugin::SettingsProblem) -> cases::Problem {
    let plugin::SettingsProblem { pointer, message, hint } = problem;
    cases::Problem { pointer, message, hint }
}

pub(crate) fn assignment_context(case: &Case) -> assignment::Context {
    assignment::Context {
        now: case.now,
        utc_offset: case.utc_offset,
        token: case.token.clone(),
        profiles: case.setup.profiles.clone(),
    }
}

pub(crate) fn device(device: &cases::Device, profiles: &[String]) -> assignment::Device {
    let device = device.clone();
    assignment::Device {
        serial_number: device.serial_number,
        model: device.model,
        description: device.description,
        color: device.color,
        asset_tag: device.asset_tag,
        os: device.os,
        device_family: device.device_family,
        profile_status: match device.profile_status {
            cases::ProfileStatus::Empty => assignment::ProfileStatus::Empty,
            cases::ProfileStatus::Assigned => assignment::ProfileStatus::Assigned,
            cases::ProfileStatus::Pushed => assignment::ProfileStatus::Pushed,
            cases::ProfileStatus::Removed => assignment::ProfileStatus::Removed,
        },
        profile_uuid: device.profile_uuid,
        current_profile: device.current_profile.map(|name| {
            let index = profiles.iter().position(|known| *known == name);
            index.expect("the case was checked") as u32
        }),
        profile_assign_time: device.profile_assign_time,
        profile_push_time: device.profile_push_time,
        device_assigned_by: device.device_assigned_by,
        device_assigned_date: device.device_assigned_date,
        mdm_migration_deadline: device.mdm_migration_deadline,
        is_replacement_device: device.is_replacement_device,
        imei: device.imei,
        meid: device.meid,
        eid: device.eid,
        wifi_mac_address: device.wifi_mac_address,
        bluetooth_mac_address: device.bluetooth_mac_address,
        ethernet_mac_address: device.ethernet_mac_address,
        extra: device.extra.into_iter().collect(),
    }
}

pub(crate) fn verdicts(answer: assignment::Verdicts, context: &assignment::Context) -> Vec<cases::Verdict> {
    let verdicts = answer.verdicts.iter().map(|verdict| cases::Verdict {
        decision: match verdict.decision {
            assignment::Decision::Assign(profile) => {
                cases::Decision::Assign(context.profiles[profile as usize].clone())
            }
            assignment::Decision::Hold(until) => cases::Decision::Hold(until),
            assignment::Decision::Ignore => cases::Decision::Ignore,
        },
        reason: answer.reasons[verdict.reason as usize].clone(),
    });
    verdicts.collect()
}

pub(crate) fn reminder_context(case: &Case) -> reminder::Context {
    reminder::Context { now: case.now, utc_offset: case.utc_offset, channels: case.setup.channels.clone() }
}

pub(crate) fn token(token: &cases::Token) -> reminder::Token {
    let cases::Token { name, server_name, org_name, admin_id, contacts, devices, facts } = token.clone();
    let facts = facts.into_iter().map(|fact| {
        let cases::Fact { kind, name, ends, trouble, told, acknowledged } = fact;
        let trouble = trouble.map(|cases::Trouble { code, message, advice, since }| reminder::Trouble {
            code,
            message,
            advice,
            since,
        });
        reminder::Fact { kind, name, ends, trouble, told, acknowledged }
    });
    let facts = facts.collect();
    reminder::Token { name, server_name, org_name, admin_id, contacts, devices, facts }
}

pub(crate) fn reminders(
    reminders: Vec<reminder::Reminder>,
    context: &reminder::Context,
) -> Vec<cases::Reminder> {
    let reminders = reminders.into_iter().map(|reminder| cases::Reminder {
        fact: reminder.fact as usize,
        occasion: match reminder.occasion {
            reminder::Occasion::Threshold(seconds) => Occasion::Threshold(seconds),
            reminder::Occasion::Recovered => Occasion::Recovered,
        },
        severity: match reminder.severity {
            reminder::Severity::Info => "info",
            reminder::Severity::Warning => "warning",
            reminder::Severity::Critical => "critical",
        }
        .to_owned(),
        channels: reminder.channels.iter().map(|index| context.channels[*index as usize].clone()).collect(),
        subject: reminder.subject,
        text: reminder.text,
    });
    reminders.collect()
}

pub(crate) fn review_context(case: &Case) -> review::Context {
    review::Context {
        now: case.now,
        utc_offset: case.utc_offset,
        token: case.token.clone(),
        workflow: case.workflow.clone(),
    }
}

pub(crate) fn plan(plan: &cases::Plan) -> review::Plan {
    let devices = plan.all_devices();
    let cases::Plan { first_assignments, reassignments, already_right, .. } = *plan;
    let cases::Plan { held, faults, ignored, waiting, .. } = *plan;
    let cases::Plan { moves, actions, .. } = plan.clone();
    let moves = moves.into_iter().map(|cases::Move { from, to, devices }| review::Move { from, to, devices });
    let actions = actions.into_iter().map(|cases::Action { serial_number, from, to, reason }| {
        review::Action { serial_number, from, to, reason }
    });
    review::Plan {
        devices,
        first_assignments,
        reassignments,
        already_right,
        held,
        faults,
        ignored,
        waiting,
        moves: moves.collect(),
        actions: actions.collect(),
    }
}

pub(crate) fn opinion(opinion: review::Opinion) -> Opinion {
    let decision = match opinion.decision {
        review::Decision::Approve => "approve",
        review::Decision::Ask => "ask",
        review::Decision::Refuse => "refuse",
    };
    Opinion { decision: decision.to_owned(), reason: opinion.reason }
}
