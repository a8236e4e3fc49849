use policy::Policy;

fn profiles() -> Vec<String> {
    ["standard", "lab-ipad", "kiosk"].map(str::to_owned).to_vec()
}

#[track_caller]
fn check(family: Option<&str>, asset_tag: Option<&str>, expected: &str) {
    let settings = r#"{
        "families": { "Mac": "standard", "iPad": "lab-ipad" },
        "prefixes": { "LIB-": "lab-ipad", "LIB-K": "kiosk" }
    }"#;
    let (profile, reason) = Policy::read(settings, &profiles()).unwrap().decide(asset_tag, family);
    let name = profile.map_or("hold".to_owned(), |profile| profiles()[profile as usize].clone());
    assert_eq!(format!("{name}: {reason}"), expected);
}

#[track_caller]
fn check_problems(settings: &str, expected: &[&str]) {
    let problems = Policy::read(settings, &profiles()).unwrap_err();
    let said: Vec<String> = problems.iter().map(|it| format!("{}: {}", it.pointer, it.message)).collect();
    assert_eq!(said, expected);
}

#[test]
fn the_longest_prefix_decides_before_the_family() {
    check(Some("Mac"), Some("LIB-1"), "lab-ipad: the asset tag begins with LIB-");
    check(Some("Mac"), Some("LIB-K1"), "kiosk: the asset tag begins with LIB-K");
}

#[test]
fn without_a_prefix_that_fits_the_family_decides() {
    check(Some("Mac"), None, "standard: the family is Mac");
    check(Some("iPad"), Some("POOL-1"), "lab-ipad: the family is iPad");
}

#[test]
fn what_cannot_be_decided_is_held() {
    check(Some("Vision"), None, "hold: no profile is set for the family of the device");
    check(None, Some(""), "hold: Apple does not say which family the device is of");
}

#[test]
fn all_that_is_wrong_with_the_settings_is_said_at_once_with_its_place() {
    check_problems(
        r#"{ "familys": {}, "families": { "Mac": "sandard" }, "prefixes": { "a/b": 1 } }"#,
        &[
            "/familys: there is no setting `familys`",
            "/families/Mac: there is no profile `sandard`",
            "/prefixes/a~1b: the name of a profile is a text",
        ],
    );
}

#[test]
fn settings_that_would_decide_nothing_are_a_problem() {
    check_problems("{}", &[": nothing is set, so no device would get a profile"]);
}
