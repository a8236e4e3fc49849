use policy::{Move, Policy};

#[track_caller]
fn check(moves: &[(Option<&str>, u64)], expected: &str) {
    let settings = r#"{ "ask_above": 50, "protected": ["executive-mac"] }"#;
    let policy = Policy::read(settings, &["standard".to_owned(), "executive-mac".to_owned()]).unwrap();
    let reassignments = moves.iter().filter(|(from, _)| from.is_some()).map(|(_, devices)| devices).sum();
    let moves: Vec<Move> = moves.iter().map(|(from, devices)| Move { from: *from, devices: *devices }).collect();
    let (decision, reason) = policy.review(reassignments, &moves);
    assert_eq!(format!("{decision:?}: {reason}"), expected);
}

#[track_caller]
fn check_problems(settings: &str, expected: &[&str]) {
    let problems = Policy::read(settings, &["standard".to_owned()]).unwrap_err();
    let said: Vec<String> = problems.iter().map(|it| format!("{}: {}", it.pointer, it.message)).collect();
    assert_eq!(said, expected);
}

#[test]
fn a_plan_that_moves_few_is_approved() {
    check(&[(None, 900), (Some("kiosk"), 3)], "Approve: 3 devices would be moved to another profile");
}

#[test]
fn a_plan_that_moves_many_is_for_a_person() {
    check(&[(Some("kiosk"), 51)], "Ask: 51 devices would be moved to another profile, more than 50");
}

#[test]
fn a_plan_that_moves_one_device_away_from_a_protected_profile_is_refused() {
    let expected = "Refuse: 1 devices would be moved away from executive-mac, which is protected";
    check(&[(Some("executive-mac"), 1)], expected);
}

#[test]
fn all_that_is_wrong_with_the_settings_is_said_at_once_with_its_place() {
    check_problems(
        r#"{ "ask": 1, "ask_above": true, "protected": ["standard", "x"] }"#,
        &[
            "/ask: there is no setting `ask`",
            "/ask_above: not a whole number from 0",
            "/protected/1: there is no profile \"x\"",
        ],
    );
}

#[test]
fn settings_that_would_stop_nothing_are_a_problem() {
    check_problems("{}", &[": nothing is set, so every plan would be approved"]);
}
