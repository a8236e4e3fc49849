//! The case files, and the schema beside what the policy accepts.

use rollout::Rollouts;

#[test]
fn every_case_has_the_answer_it_expects() {
    trial::check_cases::<Rollouts>("cases", trial::ask_assignment);
}

#[test]
fn the_schema_says_what_the_policy_accepts() {
    trial::check_schema::<Rollouts>(
        "README.md",
        "cases",
        &[
            "",
            "[[rollouts]]\npercent = 10",
            "[[rollouts]]\nto = 'kiosk'",
            "[[rollouts]]\nto = 'kiosk'\npercent = 101",
            "[[rollouts]]\nto = 'kiosk'\npercent = '10 %'",
            "[[rollouts]]\nto = 'kiosk'\npercent = 10\nstages = []",
            "[[rollouts]]\nto = 'kiosk'\nstages = [{ percent = 10 }]",
            "[[rollouts]]\nto = 'kiosk'\nstages = []",
            "[[rollouts]]\nto = 'kiosk'\npercent = 10\npause = true",
        ],
    );
}
