//! The case files, and the schema beside what the policy accepts.

use rules::Rules;

#[test]
fn every_case_has_the_answer_it_expects() {
    trial::check_cases::<Rules>("cases", trial::ask_assignment);
}

#[test]
fn the_schema_says_what_the_policy_accepts() {
    trial::check_schema::<Rules>(
        "README.md",
        "cases",
        &[
            "defualt = { hold = true }",
            "default = 'kiosk'",
            "default = { hold_until = '2026-01-01' }",
            "rules = { assign = 'kiosk' }",
            "[[rules]]\nname = 'nothing'",
            "[[rules]]\nassign = 'kiosk'\nignore = true",
            "[[rules]]\nhold = false",
            "[[rules]]\nwhen = { modle = 'x' }\nassign = 'kiosk'",
            "[[rules]]\nwhen = { model = 1 }\nassign = 'kiosk'",
            "[[rules]]\nwhen = { model = {} }\nassign = 'kiosk'",
            "[[rules]]\nwhen = { device_assigned_date = '2026-01-01' }\nassign = 'kiosk'",
            "[[rules]]\nwhen = { device_assigned_date = { older_than = '30' } }\nassign = 'kiosk'",
            "[[rules]]\nwhen = { device_assigned_date = { min = 1 } }\nassign = 'kiosk'",
            "[[rules]]\nwhen = { device_assigned_date = { not = '2026-01-01' } }\nassign = 'kiosk'",
            "[[rules]]\nwhen = { device_assigned_date = { known = true, after = '2026-01-01' } }\nassign = 'kiosk'",
            "[[rules]]\nwhen = { model = { not = 'x', min = 1 } }\nassign = 'kiosk'",
            "[[rules]]\nwhen = { model = { min = 1, after = '2026-01-01' } }\nassign = 'kiosk'",
            "[[rules]]\nwhen = { extra = { supervised = true } }\nassign = 'kiosk'",
            "[[rules]]\nwhen = { 'table.assets.year' = 2022 }\nassign = 'kiosk'",
            "[[rules]]\nwhen = { table = { assets = 'x' } }\nassign = 'kiosk'",
            "[[rules]]\nwhen = { is_replacement_device = 'yes' }\nassign = 'kiosk'",
            "[[rules]]\nwhen = { is_replacement_device = { min = 1 } }\nassign = 'kiosk'",
            "[[rules]]\nwhen = { in_table = true }\nassign = 'kiosk'",
            "[[rules]]\nhold_until = 'Friday'",
            "lookup = { assets = 1 }",
        ],
    );
}
