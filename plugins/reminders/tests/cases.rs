//! The case files, and the schema beside what the policy accepts.

use reminders::Reminders;

#[test]
fn every_case_has_the_answer_it_expects() {
    trial::check_cases::<Reminders>("cases", trial::ask_reminder);
}

#[test]
fn the_schema_says_what_the_policy_accepts() {
    trial::check_schema::<Reminders>(
        "README.md",
        "cases",
        &[
            "language = 'de'",
            "thresholds = '30d'",
            "thresholds = ['30 days']",
            "repeat = 'daily'",
            "severity = { critical = 7 }",
            "severity = { info = '7d' }",
            "channels = { critical = 'it' }",
            "channels = { fatal = ['it'] }",
            "quiet = 1",
            "texts = { message = { ending = { subject = 'x' } } }",
            "texts = { messages = { ending = { subject = 1 } } }",
        ],
    );
}
