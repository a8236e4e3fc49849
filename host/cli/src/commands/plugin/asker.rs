//! A case put to a policy in its sandbox, and its answer in the words of case files.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use cases::{Answer, Case, Question};
use domain::device::{Device, ProfileStatus};
use domain::id::{ChannelName, Digest, ProfileId, ProfileName, TableName};
use domain::policy::{Setup, Usage};
use domain::reminder::{Fact, Occasion, Subject as Token, Threshold, Trouble};
use domain::review;
use domain::table::{Table, Tables, Unreadable, key};
use domain::verdict::{Context, Decision};
use jiff::Timestamp;
use jiff::tz::Offset;
use sandbox::{Plugin, PluginSpec, Sandbox};

use super::subject::{Subject, columns};

/// A case as the policy gets it.
pub(super) struct Asked {
    /// The component with the case's settings.
    pub(super) spec: PluginSpec,
    /// What it is told besides devices.
    pub(super) context: Context,
}

impl Asked {
    /// What this case tells a component; an error if it uses what cannot be a name.
    pub(super) fn new(subject: &Subject, case: &Case) -> Result<Self, String> {
        let setup = Setup {
            profiles: all(&case.setup.profiles)?,
            channels: all(&case.setup.channels)?,
            tokens: all(&case.setup.tokens)?,
        };
        let tables = tables(case)?;
        let context = Context {
            now: time(case.now)?,
            utc_offset: Offset::from_seconds(case.utc_offset).map_err(|error| error.to_string())?,
            token: one(&case.token)?,
            profiles: setup.profiles.clone(),
            // A case names the profile that a device has; this is what Apple would call it.
            defined: setup.profiles.iter().map(|name| (apples(name), name.clone())).collect(),
            tables: Arc::new(tables),
        };
        let spec = PluginSpec {
            settings: case.settings.clone(),
            tables: columns(&context.tables),
            setup,
            ..subject.spec()
        };
        Ok(Self { spec, context })
    }

    /// The policy with the case's settings; or what it says of them.
    pub(super) fn load(&self, sandbox: &Sandbox) -> Result<Plugin, Answer> {
        sandbox.load(self.spec.clone()).map_err(|error| match error {
            sandbox::Error::Settings { problems, .. } => {
                let problem = |it: sandbox::SettingsProblem| cases::Problem {
                    pointer: it.pointer,
                    message: it.message,
                    hint: it.hint,
                };
                Answer::Problems(problems.into_iter().map(problem).collect())
            }
            error => Answer::Fault(error.to_string()),
        })
    }

    /// What the policy answers, and what that took.
    pub(super) fn ask(&self, plugin: &Plugin, case: &Case) -> Result<(Answer, Usage), String> {
        let context = &self.context;
        Ok(match &case.question {
            Question::Settings => (asks(plugin), Usage::default()),
            Question::Assignment(devices) => {
                let devices: Vec<Device> = devices.iter().map(device).collect::<Result<_, _>>()?;
                let answer = plugin.answer_assignment(context, &devices);
                let verdicts = answer.answer.into_iter().map(|verdict| cases::Verdict {
                    decision: match verdict.decision {
                        _ if verdict.fault => cases::Decision::Fault,
                        Decision::Assign { profile } => cases::Decision::Assign(profile.to_string()),
                        Decision::Hold { until } => cases::Decision::Hold(until.map(seconds)),
                        Decision::Ignore => cases::Decision::Ignore,
                    },
                    reason: verdict.reason.to_string(),
                });
                (Answer::Verdicts(verdicts.collect()), answer.usage)
            }
            Question::Reminder(tokens) => {
                let tokens: Vec<Token> = tokens.iter().map(token).collect::<Result<_, _>>()?;
                let context = domain::reminder::Context {
                    now: context.now,
                    utc_offset: context.utc_offset,
                    channels: self.spec.setup.channels.clone(),
                    tables: context.tables.clone(),
                };
                let answer = plugin.answer_reminder(&context, &tokens);
                let reminders: Result<Vec<_>, _> = answer.answer.into_iter().collect();
                let answered = match reminders {
                    Err(unanswered) => Answer::Fault(unanswered.to_string()),
                    Ok(lists) => Answer::Reminders(
                        lists
                            .into_iter()
                            .map(|list| list.into_iter().map(|it| reminder(it, &context.channels)).collect())
                            .collect(),
                    ),
                };
                (answered, answer.usage)
            }
            Question::Review(plan) => {
                let context = review::Context {
                    now: context.now,
                    utc_offset: context.utc_offset,
                    token: context.token.clone(),
                    workflow: one(&case.workflow)?,
                    tables: context.tables.clone(),
                };
                let answer = plugin.answer_review(&context, &self::plan(plan)?);
                let answered = match answer.answer {
                    Err(unanswered) => Answer::Fault(unanswered.to_string()),
                    Ok(said) => Answer::Opinion(opinion(said)),
                };
                (answered, answer.usage)
            }
        })
    }
}

/// A reminder in the words of case files, where there are these channels.
pub(super) fn reminder(reminder: domain::reminder::Reminder, all: &[ChannelName]) -> cases::Reminder {
    // To all channels is how a policy says that it does not care which.
    let channels = if reminder.channels == all { Vec::new() } else { reminder.channels };
    cases::Reminder {
        fact: reminder.fact,
        occasion: match reminder.occasion {
            Occasion::Threshold(Threshold(seconds)) => cases::Occasion::Threshold(seconds),
            Occasion::Recovered => cases::Occasion::Recovered,
        },
        severity: format!("{:?}", reminder.severity).to_lowercase(),
        channels: channels.iter().map(ToString::to_string).collect(),
        subject: reminder.subject,
        text: reminder.text,
    }
}

/// An opinion in the words of case files.
pub(super) fn opinion(review::Opinion { decision, reason }: review::Opinion) -> cases::Opinion {
    let decision = match decision {
        review::Decision::Approve => "approve",
        review::Decision::Ask => "ask",
        review::Decision::Refuse => "refuse",
    };
    cases::Opinion { decision: decision.to_owned(), reason }
}

fn asks(plugin: &Plugin) -> Answer {
    let tables = plugin.tables().iter().map(|it| (it.table.to_string(), it.columns.clone()));
    Answer::Asks { reads: plugin.reads().into_iter().map(str::to_owned).collect(), tables: tables.collect() }
}

/// The device as Apple would have told it.
fn device(typed: &cases::Device) -> Result<Device, String> {
    let mut device = Device::new(one(&typed.serial_number)?);
    let cases::Device { model, description, color, asset_tag, os, device_family, .. } = typed.clone();
    (device.model, device.description, device.color) = (model, description, color);
    (device.asset_tag, device.os, device.device_family) = (asset_tag, os, device_family);
    device.profile_status = match typed.profile_status {
        // A device that has a profile has at least been assigned one.
        cases::ProfileStatus::Empty if typed.current_profile.is_some() => ProfileStatus::Assigned,
        cases::ProfileStatus::Empty => ProfileStatus::Empty,
        cases::ProfileStatus::Assigned => ProfileStatus::Assigned,
        cases::ProfileStatus::Pushed => ProfileStatus::Pushed,
        cases::ProfileStatus::Removed => ProfileStatus::Removed,
    };
    device.profile_uuid = match (&typed.current_profile, &typed.profile_uuid) {
        (Some(name), _) => Some(apples(&one(name)?)),
        (None, Some(id)) => Some(one(id)?),
        (None, None) => None,
    };
    device.profile_assign_time = typed.profile_assign_time.map(time).transpose()?;
    device.profile_push_time = typed.profile_push_time.map(time).transpose()?;
    device.device_assigned_by.clone_from(&typed.device_assigned_by);
    device.device_assigned_date = typed.device_assigned_date.map(time).transpose()?;
    device.extra.clone_from(&typed.extra);
    let list = |numbers: &Vec<String>| (!numbers.is_empty()).then(|| serde_json::json!(numbers).to_string());
    let deadline = typed.mdm_migration_deadline.map(time).transpose()?.map(|time| time.to_string());
    let younger = [
        ("mdm_migration_deadline", deadline),
        ("is_replacement_device", typed.is_replacement_device.map(|flag| flag.to_string())),
        ("imei", list(&typed.imei)),
        ("meid", list(&typed.meid)),
        ("eid", typed.eid.clone()),
        ("wifi_mac_address", typed.wifi_mac_address.clone()),
        ("bluetooth_mac_address", typed.bluetooth_mac_address.clone()),
        ("ethernet_mac_address", typed.ethernet_mac_address.clone()),
    ];
    let younger = younger.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?)));
    device.extra.extend(younger);
    Ok(device)
}

/// The token as the store would have told it.
pub(super) fn token(typed: &cases::Token) -> Result<Token, String> {
    let cases::Token { server_name, org_name, admin_id, contacts, devices, .. } = typed.clone();
    let facts = typed.facts.iter().map(|fact| {
        let trouble = |trouble: &cases::Trouble| -> Result<Trouble, String> {
            let cases::Trouble { code, message, advice, since } = trouble.clone();
            Ok(Trouble { code, message, advice, since: time(since)? })
        };
        Ok(Fact {
            kind: fact.kind.clone(),
            name: fact.name.clone(),
            ends: fact.ends.map(time).transpose()?,
            trouble: fact.trouble.as_ref().map(trouble).transpose()?,
            told: fact.told.map(Threshold),
            acknowledged: fact.acknowledged,
        })
    });
    let facts = facts.collect::<Result<_, String>>()?;
    Ok(Token { name: one(&typed.name)?, server_name, org_name, admin_id, contacts, devices, facts })
}

/// The same token in the words of case files.
pub(super) fn as_typed(token: &Token) -> cases::Token {
    let Token { name, server_name, org_name, admin_id, contacts, devices, facts } = token.clone();
    let trouble = |Trouble { code, message, advice, since }| cases::Trouble {
        code,
        message,
        advice,
        since: seconds(since),
    };
    let facts = facts.into_iter().map(|fact| cases::Fact {
        kind: fact.kind,
        name: fact.name,
        ends: fact.ends.map(seconds),
        trouble: fact.trouble.map(trouble),
        told: fact.told.map(|Threshold(seconds)| seconds),
        acknowledged: fact.acknowledged,
    });
    let facts = facts.collect();
    cases::Token { name: name.to_string(), server_name, org_name, admin_id, contacts, devices, facts }
}

/// The plan as a run would have made it.
pub(super) fn plan(typed: &cases::Plan) -> Result<review::Plan, String> {
    let moves = typed.moves.iter().map(|it| review::Move {
        from: it.from.clone(),
        to: it.to.clone(),
        devices: it.devices,
    });
    let actions = typed.actions.iter().map(|it| {
        Ok(review::Action {
            serial_number: one(&it.serial_number)?,
            from: it.from.clone(),
            to: it.to.clone(),
            reason: it.reason.as_str().into(),
        })
    });
    Ok(review::Plan {
        devices: typed.all_devices(),
        first_assignments: typed.first_assignments,
        reassignments: typed.reassignments,
        already_right: typed.already_right,
        held: typed.held,
        faults: typed.faults,
        ignored: typed.ignored,
        waiting: typed.waiting,
        moves: moves.collect(),
        actions: actions.collect::<Result<_, String>>()?,
    })
}

fn tables(case: &Case) -> Result<Tables, String> {
    let mut tables = BTreeMap::new();
    for (name, table) in &case.tables {
        let name: TableName = one(name)?;
        let columns: Vec<String> = table.columns().into_iter().map(str::to_owned).collect();
        let digest = Digest::of(format!("{table:?}").as_bytes());
        let written: Arc<dyn Table> = Arc::new(Written { table: table.clone(), columns, digest });
        tables.insert(name, written);
    }
    Ok(Tables(tables))
}

/// A table that is written out in a case.
#[derive(Debug)]
struct Written {
    table: cases::Table,
    columns: Vec<String>,
    digest: Digest,
}

impl Table for Written {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn digest(&self) -> &Digest {
        &self.digest
    }

    fn row(&self, wanted: &str) -> Result<Option<Vec<String>>, Unreadable> {
        Ok(self.table.lookup(&key(wanted), &self.columns))
    }
}

/// What Apple would call a profile of this name.
fn apples(name: &ProfileName) -> ProfileId {
    Digest::of(name.as_str().as_bytes()).as_str()[..32].parse().expect("32 hexadecimal digits are an id")
}

fn one<T: FromStr<Err: ToString>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

fn all<T: FromStr<Err: ToString>>(texts: &[String]) -> Result<Vec<T>, String> {
    texts.iter().map(|text| one(text)).collect()
}

fn time(seconds: u64) -> Result<Timestamp, String> {
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.ok_or_else(|| format!("no calendar has second {seconds}"))
}

fn seconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_second()).unwrap_or(0)
}
