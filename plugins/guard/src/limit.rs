//! How many are too many: `{ ask = 25, refuse = "5 %" }`.

use deputy_policy::review::Decision;
use deputy_policy::settings::{At, Value};

/// From which number on a person is asked, and from which on nobody can.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limit {
    ask: Option<Amount>,
    refuse: Option<Amount>,
}

/// More than so many.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Amount {
    Devices(u64),
    /// Of all devices of the token.
    Percent(f64),
}

impl Limit {
    pub(crate) fn read(at: &At) -> Self {
        let table = at.table(&["ask", "refuse"]);
        if matches!(at.value(), Value::Table(keys) if keys.is_empty()) {
            at.problem_with_hint("this limits nothing", HINT);
        }
        let amount = |key| Amount::read(&table.get(key)?);
        let limit = Self { ask: amount("ask"), refuse: amount("refuse") };
        let never = match (limit.ask, limit.refuse) {
            (Some(Amount::Devices(ask)), Some(Amount::Devices(refuse))) => ask >= refuse,
            (Some(Amount::Percent(ask)), Some(Amount::Percent(refuse))) => ask >= refuse,
            _ => false,
        };
        if never {
            at.problem("`ask` is not below `refuse`, so nobody is ever asked");
        }
        limit
    }

    /// What is to be done about a number, and the words for it, if it is too large.
    pub(crate) fn breaks(&self, number: u64, of: u64, words: &str) -> Option<(Decision, String)> {
        let amounts = [(Decision::Refuse, self.refuse), (Decision::Ask, self.ask)];
        let broken = amounts.into_iter().find_map(|(decision, amount)| {
            let amount = amount.filter(|amount| amount.is_exceeded(number, of))?;
            Some((decision, amount))
        });
        broken.map(|(decision, amount)| {
            let more = if decision == Decision::Refuse { "more than" } else { "a person is asked above" };
            let limit = match amount {
                Amount::Devices(most) => format!("{more} {most}"),
                Amount::Percent(most) => format!("{more} {most} % of {of}"),
            };
            (decision, format!("{words}: {number}, {limit}"))
        })
    }
}

const HINT: &str = "such as `{ ask = 25, refuse = \"5 %\" }`";

impl Amount {
    fn read(at: &At) -> Option<Self> {
        let percent = |text: &'static str| {
            let number = text.strip_suffix('%')?;
            let number = number.strip_suffix(' ').unwrap_or(number);
            // As the schema has it: no signs, exponents or blanks, which the standard library takes.
            let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
                && number.starts_with(|first: char| first.is_ascii_digit())
                && !number.ends_with('.');
            if plain { number.parse::<f64>().ok() } else { None }
        };
        let amount = match at.value() {
            Value::Number(devices) if *devices >= 0.0 && devices.fract() == 0.0 => {
                Some(Self::Devices(*devices as u64))
            }
            Value::Text(text) => percent(text).filter(|it| (0.0..=100.0).contains(it)).map(Self::Percent),
            _ => None,
        };
        if amount.is_none() {
            let message = format!("{} is neither a number of devices nor a percentage of them", at.value());
            at.problem_with_hint(message, HINT);
        }
        amount
    }

    fn is_exceeded(self, number: u64, of: u64) -> bool {
        match self {
            Self::Devices(most) => number > most,
            Self::Percent(most) => number as f64 * 100.0 > most * of as f64,
        }
    }
}
