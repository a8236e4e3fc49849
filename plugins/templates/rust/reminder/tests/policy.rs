use policy::{DAY, Fact, Policy};

const NOW: i64 = 1_800_000_000;

#[track_caller]
fn check(fact: Fact<'_>, expected: &str) {
    let said = Policy::default().remind(NOW, "emea", &Fact { kind: "token", ..fact });
    let said = said.map(|it| {
        let days = it.threshold.map_or("well".to_owned(), |seconds| (seconds / DAY).to_string());
        format!("{days} {:?} {}", it.severity, it.subject)
    });
    assert_eq!(said.unwrap_or_default(), expected);
}

#[track_caller]
fn check_problems(settings: &str, expected: &[&str]) {
    let problems = Policy::read(settings).unwrap_err();
    let said: Vec<String> = problems.iter().map(|it| format!("{}: {}", it.pointer, it.message)).collect();
    assert_eq!(said, expected);
}

fn ends(ends: i64) -> Fact<'static> {
    Fact { ends: Some(ends), ..Fact::default() }
}

#[test]
fn an_end_is_told_at_the_smallest_threshold_that_has_come() {
    check(ends(NOW + 31 * DAY), "");
    check(ends(NOW + 30 * DAY), "30 Info emea: token ends in 30 days");
    check(ends(NOW + 6 * DAY), "7 Warning emea: token ends in 6 days");
    check(ends(NOW - DAY), "1 Critical emea: token has ended");
}

#[test]
fn trouble_is_told_at_once() {
    let trouble = Some(("the terms are not signed", "sign them"));
    check(Fact { trouble, ..Fact::default() }, "0 Critical emea: the terms are not signed");
}

#[test]
fn what_was_told_is_told_to_be_well_again() {
    check(Fact { told: true, ..Fact::default() }, "well Info emea: token is well again");
}

#[test]
fn all_that_is_wrong_with_the_settings_is_said_at_once_with_its_place() {
    check_problems(
        r#"{ "day": 1, "days": [30, "7"] }"#,
        &["/day: there is no setting `day`", "/days/1: not a whole number from 0"],
    );
}
