//! Devices that are expected and not here yet: which profile each gets the moment it appears, and when it is late.
//!
//! A list is a table of the operator's, with a row for each device. Asked about devices, it is a policy like any
//! other, and it knows nothing of those it does not name: a workflow asks it first, and another policy about
//! the rest. So what it says is checked, recorded and explained as any verdict is.

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::device::Device;
use crate::id::{Digest, PluginName, ProfileName, SerialNumber, TableName, TokenName};
use crate::policy::{Answered, Policy, Question, Unanswered, Usage};
use crate::reminder::{self, Reminder};
use crate::review::{self, Opinion};
use crate::table::Table;
use crate::verdict::{Context, Decision, Lasting, Verdict};

/// One device that is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Which.
    pub serial_number: SerialNumber,
    /// What it gets when it appears; without one, the policies that are asked later decide.
    pub profile: Option<ProfileName>,
    /// The day by which it should be here.
    pub due: Option<Date>,
    /// Whatever the operator wants to remember.
    pub note: String,
}

impl Expected {
    /// What a row says, given the names of its columns; or what is wrong with it.
    pub fn read(columns: &[String], row: &[String]) -> Result<Self, String> {
        let cell = |name: &str| {
            let place = columns.iter().position(|column| column.eq_ignore_ascii_case(name));
            place.and_then(|place| row.get(place)).map(|cell| cell.trim()).filter(|cell| !cell.is_empty())
        };
        let serial_number = cell("serial_number").unwrap_or_default();
        let serial_number = serial_number.parse().map_err(|error| format!("{error}"))?;
        let profile = match cell("profile") {
            Some(name) => Some(name.parse().map_err(|error| format!("{serial_number}: {error}"))?),
            None => None,
        };
        let due = match cell("due") {
            Some(day) => Some(day.parse().map_err(|_| {
                format!(
                    "{serial_number}: `{day}` is no day; write one such as 2026-02-01 into the column `due`"
                )
            })?),
            None => None,
        };
        Ok(Self { serial_number, profile, due, note: cell("note").unwrap_or_default().to_owned() })
    }

    /// Since how many days it should be here; none if it is not late, or has no date.
    pub fn late_by(&self, today: Date) -> Option<i32> {
        let days = today.since(self.due?).ok()?.get_days();
        (days > 0).then_some(days)
    }
}

/// A list, asked about devices.
#[derive(Clone, Debug)]
pub struct ExpectedPolicy {
    name: PluginName,
    table: TableName,
    token: Option<TokenName>,
    digest: Digest,
}

impl ExpectedPolicy {
    /// The list that is this table; about the devices of one token, or of any.
    pub fn new(name: PluginName, table: TableName, token: Option<TokenName>) -> Self {
        // What decides is this code; what the list held is recorded with the run, as of any table.
        let of = token.as_ref().map_or_else(String::new, |token| format!(" at {token}"));
        let digest = Digest::of(format!("expected devices of {table}{of}, 1").as_bytes());
        Self { name, table, token, digest }
    }

    fn verdict(&self, table: &dyn Table, profiles: &BTreeSet<&ProfileName>, device: &Device) -> Verdict {
        let list = &self.table;
        let row = match table.row(device.serial_number.as_str()) {
            Ok(Some(row)) => row,
            Ok(None) => return ignored("not expected"),
            Err(unreadable) => return Verdict::fault(format!("the list `{list}`: {unreadable}")),
        };
        let expected = match Expected::read(table.columns(), &row) {
            Ok(expected) => expected,
            Err(wrong) => return Verdict::fault(format!("the list `{list}`: {wrong}")),
        };
        let Some(profile) = expected.profile else { return ignored("expected, without a profile") };
        if !profiles.contains(&profile) {
            return Verdict::fault(format!(
                "the list `{list}` names `{profile}`, and no profile is called so"
            ));
        }
        let note = if expected.note.is_empty() { String::new() } else { format!(": {}", expected.note) };
        Verdict {
            decision: Decision::Assign { profile },
            reason: format!("expected by `{list}`{note}").into(),
            fault: false,
        }
    }
}

fn ignored(reason: &str) -> Verdict {
    Verdict { decision: Decision::Ignore, reason: reason.into(), fault: false }
}

impl Policy for ExpectedPolicy {
    fn name(&self) -> &PluginName {
        &self.name
    }

    fn digest(&self) -> &Digest {
        &self.digest
    }

    fn questions(&self) -> &[Question] {
        &[Question::Assignment]
    }

    fn fields(&self) -> Option<Vec<String>> {
        Some(vec!["serial_number".to_owned()])
    }

    fn decide(&self, context: &Context, devices: &[Device]) -> Answered<Vec<Verdict>> {
        let profiles = context.profiles.iter().collect();
        let is_about = self.token.as_ref().is_none_or(|token| *token == context.token);
        let answer = match context.tables.0.get(&self.table) {
            _ if !is_about => devices.iter().map(|_| ignored("expected elsewhere, if at all")).collect(),
            Some(table) => devices.iter().map(|device| self.verdict(&**table, &profiles, device)).collect(),
            None => {
                let why = format!("the list `{}` cannot be read", self.table);
                devices.iter().map(|_| Verdict::fault(why.as_str())).collect()
            }
        };
        Answered { answer, usage: Usage::default() }
    }

    /// A list may say when a device should be here. What the device gets does not depend on that.
    fn lasting(&self, _: &Context) -> Answered<Lasting> {
        Answered { answer: Lasting::Always, usage: Usage::default() }
    }

    fn remind(
        &self,
        _: &reminder::Context,
        tokens: &[reminder::Subject],
    ) -> Answered<Vec<Result<Vec<Reminder>, Unanswered>>> {
        let answer = tokens.iter().map(|_| Err(self.cannot())).collect();
        Answered { answer, usage: Usage::default() }
    }

    fn review(&self, _: &review::Context, _: &review::Plan) -> Answered<Result<Opinion, Unanswered>> {
        Answered { answer: Err(self.cannot()), usage: Usage::default() }
    }
}

impl ExpectedPolicy {
    fn cannot(&self) -> Unanswered {
        Unanswered(format!("the list `{}` says which profile devices get, and nothing else", self.table))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use expect_test::{Expect, expect};
    use jiff::Timestamp;
    use jiff::tz::Offset;

    use super::*;
    use crate::difference::Said;
    use crate::table::{Tables, Unreadable, key};

    #[derive(Debug)]
    struct List(Vec<String>, Vec<Vec<String>>, Digest);

    impl Table for List {
        fn columns(&self) -> &[String] {
            &self.0
        }
        fn digest(&self) -> &Digest {
            &self.2
        }
        fn row(&self, wanted: &str) -> Result<Option<Vec<String>>, Unreadable> {
            Ok(self.1.iter().find(|row| key(&row[0]) == key(wanted)).cloned())
        }
    }

    /// What a list of `serial_number,profile,due,note` says of a device A when there is a profile `lab`, and by
    /// how many days A is late on the fifth of January.
    #[track_caller]
    fn check(row: &str, expected: Expect) {
        let cells = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
        let (columns, row) = (cells("Serial_Number,profile,due,note"), cells(row));
        let table: TableName = "expected.spring".parse().unwrap();
        let list = List(columns.clone(), vec![row.clone()], Digest::of(b""));
        let tables = BTreeMap::from([(table.clone(), Arc::new(list) as Arc<dyn Table>)]);
        let context = Context {
            now: Timestamp::UNIX_EPOCH,
            utc_offset: Offset::UTC,
            token: "emea".parse().unwrap(),
            profiles: vec!["lab".parse().unwrap()],
            defined: BTreeMap::new(),
            tables: Arc::new(Tables(tables)),
        };
        let policy = ExpectedPolicy::new("expected.spring".parse().unwrap(), table, None);
        let devices = [Device::new("A".parse().unwrap())];
        let verdict = policy.decide(&context, &devices).answer.remove(0);
        let years_later = Context { now: Timestamp::MAX, ..context.clone() };
        assert_eq!(policy.lasting(&context).answer, Lasting::Always);
        assert_eq!(policy.decide(&years_later, &devices).answer, std::slice::from_ref(&verdict));
        let late = Expected::read(&columns, &row).ok();
        let late = late.and_then(|it| it.late_by("2026-01-05".parse().unwrap()));
        let late = late.map_or(String::new(), |days| format!("; late by {days}"));
        expected.assert_eq(&format!("{}: {}{late}", Said::of(&verdict), verdict.reason));
    }

    #[test]
    fn a_device_in_the_list_gets_what_the_list_says() {
        check(
            "a,lab,2026-01-03,order 7",
            expect!["assign lab: expected by `expected.spring`: order 7; late by 2"],
        );
        check("a,lab,2026-01-05,", expect!["assign lab: expected by `expected.spring`"]);
    }

    #[test]
    fn what_it_does_not_name_or_names_without_a_profile_is_left_to_others() {
        check("b,lab,,", expect!["ignore: not expected"]);
        check("a,,,only a date", expect!["ignore: expected, without a profile"]);
    }

    #[test]
    fn a_row_that_is_wrong_holds_its_device_and_says_so() {
        check(
            "a,kiosk,,",
            expect!["fault: the list `expected.spring` names `kiosk`, and no profile is called so"],
        );
        check(
            "a,lab,soon,",
            expect![
                "fault: the list `expected.spring`: A: `soon` is no day; write one such as 2026-02-01 into the column `due`"
            ],
        );
    }
}
