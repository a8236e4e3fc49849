//! Version 1: tokens and reminders.

use domain::id::ChannelName;
use domain::reminder::{Context, Occasion, Reminder, Subject, Threshold};
use domain::token::Severity;

use crate::bindings::v1::exports::deputy::policy::reminder as wit;
use crate::convert::{broken, clean, clean_lines, or, seconds};
use crate::fault::Fault;

/// The longest subject and text, in bytes.
const SUBJECT_BYTES: usize = 256;
const TEXT_BYTES: usize = 8 << 10;

pub(crate) fn context<'a>(context: &'a Context, channels: &'a [&'a str]) -> wit::Context<'a> {
    wit::Context { now: seconds(context.now), utc_offset: context.utc_offset.seconds(), channels }
}

/// Tokens, ready to be lent to a guest again and again: their lists have to be somewhere.
pub(crate) struct Batch<'a> {
    tokens: &'a [Subject],
    lists: Vec<(Vec<&'a str>, Vec<wit::Fact<'a>>)>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(tokens: &'a [Subject]) -> Self {
        let lists = tokens.iter().map(|token| {
            let contacts = token.contacts.iter().map(String::as_str).collect();
            (contacts, token.facts.iter().map(fact).collect())
        });
        Self { tokens, lists: lists.collect() }
    }

    pub(crate) fn view(&'a self) -> Vec<wit::Token<'a>> {
        let tokens = self.tokens.iter().zip(&self.lists).map(|(token, (contacts, facts))| wit::Token {
            name: token.name.as_str(),
            server_name: &token.server_name,
            org_name: &token.org_name,
            admin_id: &token.admin_id,
            contacts,
            devices: token.devices,
            facts,
        });
        tokens.collect()
    }
}

fn fact(fact: &domain::reminder::Fact) -> wit::Fact<'_> {
    wit::Fact {
        kind: &fact.kind,
        name: &fact.name,
        ends: fact.ends.map(seconds),
        trouble: fact.trouble.as_ref().map(|trouble| wit::Trouble {
            code: &trouble.code,
            message: &trouble.message,
            advice: &trouble.advice,
            since: seconds(trouble.since),
        }),
        told: fact.told.map(|Threshold(seconds)| seconds),
        acknowledged: fact.acknowledged,
    }
}

/// Reminders that keep to the contract, for each token, or what is wrong with them.
pub(crate) fn reminders(
    answer: Vec<Vec<wit::Reminder>>,
    channels: &[ChannelName],
    tokens: &[Subject],
) -> Result<Vec<Vec<Reminder>>, Fault> {
    if answer.len() != tokens.len() {
        let (given, tokens) = (answer.len(), tokens.len());
        return broken(format!("the number of lists ({given}) is not that of the tokens ({tokens})"));
    }
    let about = |(reminders, token): (Vec<wit::Reminder>, &Subject)| {
        reminders.into_iter().map(|it| reminder(it, channels, token)).collect()
    };
    answer.into_iter().zip(tokens).map(about).collect()
}

fn reminder(answer: wit::Reminder, known: &[ChannelName], token: &Subject) -> Result<Reminder, Fault> {
    let wit::Reminder { fact, occasion, severity, channels, subject, text } = answer;
    let name = &token.name;
    if fact as usize >= token.facts.len() {
        let facts = token.facts.len();
        return broken(format!("it reminded of fact {fact} of token `{name}`, and there are {facts}"));
    }
    let mut to: Vec<ChannelName> = Vec::new();
    for index in &channels {
        match known.get(*index as usize) {
            None => {
                return broken(format!("it wrote to channel {index}, and there are {}", known.len()));
            }
            Some(channel) if to.contains(channel) => {}
            Some(channel) => to.push(channel.clone()),
        }
    }
    if channels.is_empty() {
        to = known.to_vec();
    }
    Ok(Reminder {
        fact: fact as usize,
        occasion: match occasion {
            wit::Occasion::Threshold(seconds) => Occasion::Threshold(Threshold(seconds)),
            wit::Occasion::Recovered => Occasion::Recovered,
        },
        severity: match severity {
            wit::Severity::Info => Severity::Info,
            wit::Severity::Warning => Severity::Warning,
            wit::Severity::Critical => Severity::Critical,
        },
        channels: to,
        subject: or(clean(&subject, SUBJECT_BYTES), "no subject given"),
        text: clean_lines(&text, TEXT_BYTES),
    })
}
