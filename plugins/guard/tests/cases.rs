//! The case files, and the schema beside what the policy accepts.

use guard::Guard;

#[test]
fn every_case_has_the_answer_it_expects() {
    trial::check_cases::<Guard>("cases", trial::ask_review);
}

#[test]
fn the_schema_says_what_the_policy_accepts() {
    trial::check_schema::<Guard>(
        "README.md",
        "cases",
        &[
            "reassignments = 25",
            "reassignments = {}",
            "reassignments = { ask = -1 }",
            "reassignments = { ask = 'many' }",
            "reassignments = { warn = 1 }",
            "reasignments = { ask = 1 }",
            "protect = [{ then = 'ask' }]",
            "protect = [{ from = 'kiosk', then = 'approve' }]",
            "hours = { days = [] }",
            "hours = { days = ['Monday'] }",
            "hours = { from = '8:00' }",
            "hours = { from = '25:00' }",
            "hours = { from = '+8:00' }",
            "held = { ask = '+5 %' }",
            "held = { ask = '101 %' }",
            "held = { ask = '.5 %' }",
            "held = { ask = '5  %' }",
            "protect = ['kiosk']",
        ],
    );
}
