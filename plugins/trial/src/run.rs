//! Case files against a policy's own functions.

use std::path::Path;
use std::{env, fs};

use cases::{Answer, Case, Difference, File, Question};
use deputy_policy::condition::Field;
use deputy_policy::{Assignment, Policy, Reminder, Review, Tables, configure};

use crate::convert;

/// What asks a policy the question of a case.
pub type Ask<P> = fn(&P, &Case) -> Answer;

/// Runs every case of every file in a folder. With `UPDATE_EXPECT=1`, rewrites the expectations.
///
/// # Panics
///
/// If an answer is not what a case expects, or a file cannot be read.
#[track_caller]
pub fn check_cases<P: Policy>(folder: &str, ask: Ask<P>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("the folder can be read").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    assert!(!files.is_empty(), "{folder} has no case files");
    let differences: String = files.iter().map(|file| differences(file, ask)).collect();
    assert!(differences.is_empty(), "\n{differences}UPDATE_EXPECT=1 writes what was found into the files");
}

fn differences<P: Policy>(path: &Path, ask: Ask<P>) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = File::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut differences, mut found) = (String::new(), Vec::new());
    for (index, case) in file.cases.iter().enumerate() {
        let words = answer(case, ask).in_words(case);
        if let Some(difference) = Difference::between(&case.expect, &words) {
            differences += &format!("{}: {}\n{difference}\n", path.display(), case.name);
            found.push((index, words));
        }
    }
    if env::var_os("UPDATE_EXPECT").is_none() {
        return differences;
    }
    fs::write(path, cases::update(&text, &found)).expect("the case file can be written");
    String::new()
}

fn answer<P: Policy>(case: &Case, ask: Ask<P>) -> Answer {
    match configure(case.settings.to_string(), &convert::setup(&case.setup)) {
        Err(problems) => Answer::Problems(problems.into_iter().map(convert::problem).collect()),
        Ok(policy) => ask(&policy, case),
    }
}

/// Asks for verdicts. However the devices are put into batches, they must come out the same.
pub fn ask_assignment<P: Assignment>(policy: &P, case: &Case) -> Answer {
    let uses = policy.tables();
    let tables = CaseTables { case, uses: &uses };
    let devices = match &case.question {
        Question::Assignment(devices) => devices,
        Question::Settings => {
            let reads = Field::asked_for(policy.reads()).into_iter().map(str::to_owned).collect();
            let tables = uses.into_iter().map(|table| (table.table, table.columns)).collect();
            return Answer::Asks { reads, tables };
        }
        _ => return Answer::Fault("this policy is asked about devices".to_owned()),
    };
    let context = convert::assignment_context(case);
    let devices: Vec<_> = devices.iter().map(|device| convert::device(device, &context.profiles)).collect();
    let decide = |devices: &[_]| convert::verdicts(policy.decide(&context, devices, &tables), &context);
    let together = decide(&devices);
    let alone: Vec<_> = devices.chunks(1).flat_map(decide).collect();
    assert_eq!(together, alone, "{}: verdicts depend on the batch", case.name);
    Answer::Verdicts(together)
}

/// Asks for reminders.
pub fn ask_reminder<P: Reminder>(policy: &P, case: &Case) -> Answer {
    let uses = policy.tables();
    let tables = CaseTables { case, uses: &uses };
    match &case.question {
        Question::Reminder(tokens) => {
            let tokens: Vec<_> = tokens.iter().map(convert::token).collect();
            let context = convert::reminder_context(case);
            let lists = policy.remind(&context, &tokens, &tables);
            Answer::Reminders(lists.into_iter().map(|list| convert::reminders(list, &context)).collect())
        }
        Question::Settings => asks_only_tables(uses),
        _ => Answer::Fault("this policy is asked about tokens".to_owned()),
    }
}

/// Asks for an opinion.
pub fn ask_review<P: Review>(policy: &P, case: &Case) -> Answer {
    let uses = policy.tables();
    let tables = CaseTables { case, uses: &uses };
    match &case.question {
        Question::Review(plan) => {
            let opinion = policy.review(&convert::review_context(case), &convert::plan(plan), &tables);
            Answer::Opinion(convert::opinion(opinion))
        }
        Question::Settings => asks_only_tables(uses),
        _ => Answer::Fault("this policy is asked about plans".to_owned()),
    }
}

fn asks_only_tables(uses: Vec<deputy_policy::TableUse>) -> Answer {
    let tables = uses.into_iter().map(|table| (table.table, table.columns)).collect();
    Answer::Asks { reads: Vec::new(), tables }
}

/// The tables of a case, as the policy asked for them.
struct CaseTables<'a> {
    case: &'a Case,
    uses: &'a [deputy_policy::TableUse],
}

impl Tables for CaseTables<'_> {
    fn lookup(&self, table: u32, key: &str) -> Option<Vec<String>> {
        let wanted = &self.uses[table as usize];
        let table = self.case.tables.get(&wanted.table);
        let table = table.unwrap_or_else(|| panic!("{}: no table `{}`", self.case.name, wanted.table));
        table.lookup(key, &wanted.columns)
    }
}
