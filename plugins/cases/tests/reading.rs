//! What is said of case files that cannot be read: the mistake, and the line it is in.

use expect_test::{Expect, expect};

#[track_caller]
fn check(text: &str, expected: Expect) {
    let said = match cases::File::parse(text) {
        Ok(file) => file.cases.iter().map(|case| format!("{:?}\n", case.question)).collect(),
        Err(error) => format!("{}\n", error.to_string().trim_end()),
    };
    expected.assert_eq(&said);
}

/// A case about this.
fn case(about: &str) -> String {
    format!("version = 1\n\n[[cases]]\nname = \"a\"\n{about}\n")
}

#[test]
fn a_wrong_key_is_told_with_its_line_and_with_those_that_there_are() {
    check(
        "version = 1\n[common]\nsetings = {}\n",
        expect![[r#"
        TOML parse error at line 3, column 1
          |
        3 | setings = {}
          | ^^^^^^^
        unknown field `setings`, expected one of `settings`, `setup`, `now`, `utc_offset`, `token`, `workflow`, `tables`
    "#]],
    );
    check(
        &case("device = []"),
        expect![[r#"
        TOML parse error at line 5, column 1
          |
        5 | device = []
          | ^^^^^^
        unknown field `device`, expected one of `name`, `settings`, `setup`, `now`, `utc_offset`, `token`, `workflow`, `tables`, `devices`, `tokens`, `plan`, `texts`, `expect`
    "#]],
    );
    check(
        &case("devices = [{ serial_number = \"C1\", asset = \"LIB-1\" }]"),
        expect![[r#"
        TOML parse error at line 5, column 36
          |
        5 | devices = [{ serial_number = "C1", asset = "LIB-1" }]
          |                                    ^^^^^
        unknown field `asset`, expected one of `serial_number`, `model`, `description`, `color`, `asset_tag`, `os`, `device_family`, `profile_status`, `profile_uuid`, `current_profile`, `profile_assign_time`, `profile_push_time`, `device_assigned_by`, `device_assigned_date`, `mdm_migration_deadline`, `is_replacement_device`, `imei`, `meid`, `eid`, `wifi_mac_address`, `bluetooth_mac_address`, `ethernet_mac_address`, `extra`
    "#]],
    );
    check(
        &case("[cases.plan]\nreasignments = 1"),
        expect![[r#"
        TOML parse error at line 6, column 1
          |
        6 | reasignments = 1
          | ^^^^^^^^^^^^
        unknown field `reasignments`, expected one of `devices`, `first_assignments`, `reassignments`, `already_right`, `held`, `faults`, `ignored`, `waiting`, `moves`, `actions`
    "#]],
    );
    check(
        &case("tokens = [{ name = \"main\", facts = [{ kind = \"token\", end = 2026-01-09 }] }]"),
        expect![[r#"
            TOML parse error at line 5, column 55
              |
            5 | tokens = [{ name = "main", facts = [{ kind = "token", end = 2026-01-09 }] }]
              |                                                       ^^^
            unknown field `end`, expected one of `kind`, `name`, `ends`, `trouble`, `told`, `acknowledged`
        "#]],
    );
    check(
        &case("tables.assets = { key = \"serial\", row = [] }"),
        expect![[r#"
        TOML parse error at line 5, column 35
          |
        5 | tables.assets = { key = "serial", row = [] }
          |                                   ^^^
        unknown field `row`, expected `key` or `rows`
    "#]],
    );
}

#[test]
fn what_is_missing_is_named() {
    check(
        "[[cases]]\nname = \"a\"\n",
        expect![[r#"
        TOML parse error at line 1, column 1
          |
        1 | [[cases]]
          | ^
        missing field `version`
    "#]],
    );
    check(
        "version = 1\n[[cases]]\nexpect = \"\"\n",
        expect![[r#"
        TOML parse error at line 2, column 1
          |
        2 | [[cases]]
          | ^^^^^^^^^
        missing field `name`
    "#]],
    );
    check(
        &case("devices = [{ model = \"iPad\" }]"),
        expect![[r#"
        TOML parse error at line 5, column 12
          |
        5 | devices = [{ model = "iPad" }]
          |            ^^^^^^^^^^^^^^^^^^
        missing field `serial_number`
    "#]],
    );
    check(
        &case("tokens = [{ devices = 1 }]"),
        expect![[r#"
        TOML parse error at line 5, column 11
          |
        5 | tokens = [{ devices = 1 }]
          |           ^^^^^^^^^^^^^^^
        missing field `name`
    "#]],
    );
}

#[test]
fn a_file_of_a_later_version_is_not_guessed_at() {
    check(
        "version = 2\n",
        expect![[r#"
        this is version 2 of the format; this Deputy knows version 1
    "#]],
    );
}

#[test]
fn what_is_no_date_and_no_span_is_told_with_its_line() {
    check(
        &case("now = \"soon\""),
        expect![[r#"
        TOML parse error at line 5, column 7
          |
        5 | now = "soon"
          |       ^^^^^^
        `soon` is not a date such as 2026-02-01 or 2026-02-01T08:00:00+01:00
    "#]],
    );
    check(
        &case("now = 7"),
        expect![[r#"
        TOML parse error at line 5, column 7
          |
        5 | now = 7
          |       ^
        7 is not a date
    "#]],
    );
    check(
        &case("utc_offset = \"CET\""),
        expect![[r#"
        TOML parse error at line 5, column 14
          |
        5 | utc_offset = "CET"
          |              ^^^^^
        `CET` is not an offset such as `+01:00`
    "#]],
    );
    check(
        &case("utc_offset = \"+99:00\""),
        expect![[r#"
        TOML parse error at line 5, column 14
          |
        5 | utc_offset = "+99:00"
          |              ^^^^^^^^
        `+99:00` is not an offset such as `+01:00`
    "#]],
    );
    check(
        &case("tokens = [{ name = \"main\", facts = [{ kind = \"token\", told = \"soon\" }] }]"),
        expect![[r#"
            TOML parse error at line 5, column 62
              |
            5 | tokens = [{ name = "main", facts = [{ kind = "token", told = "soon" }] }]
              |                                                              ^^^^^^
            a threshold is a text such as `30d` or `-1d`, or seconds
        "#]],
    );
    check(
        &case("devices = [{ serial_number = \"C1\", profile_status = \"lost\" }]"),
        expect![[r#"
        TOML parse error at line 5, column 53
          |
        5 | devices = [{ serial_number = "C1", profile_status = "lost" }]
          |                                                     ^^^^^^
        unknown variant `lost`, expected one of `empty`, `assigned`, `pushed`, `removed`
    "#]],
    );
}

#[test]
fn a_case_asks_one_thing_and_names_what_there_is() {
    check(
        &case("devices = []\nplan = {}"),
        expect![[r#"
        case "a": it asks about one of `devices`, `tokens` and `plan`
    "#]],
    );
    check(
        &case("devices = [{ serial_number = \"C1\", current_profile = \"lab\" }]"),
        expect![[r#"
        case "a": `current_profile` is `lab`, which `setup.profiles` lacks
    "#]],
    );
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    check(
        "version = 1\n[[cases]\n",
        expect![[r#"
        TOML parse error at line 2, column 9
          |
        2 | [[cases]
          |         ^
        unclosed array table, expected `]`
    "#]],
    );
}

#[test]
fn tokens_and_plans_of_files_of_their_own_are_read_in_the_same_words() {
    let check = |said: String, expected: Expect| expected.assert_eq(&said);
    let tokens = |text| format!("{:?}", cases::tokens(text).map_err(|error| error.to_string()));
    let plan = |text| format!("{:?}", cases::plan(text).map_err(|error| error.to_string()));
    check(
        tokens("version = 1\n[[tokens]]\nname = \"main\"\n"),
        expect![[
            r#"Ok([Token { name: "main", server_name: "", org_name: "", admin_id: "", contacts: [], devices: 0, facts: [] }])"#
        ]],
    );
    check(
        tokens("version = 2\ntokens = []\n"),
        expect![[r#"Err("this is version 2 of the format; this Deputy knows version 1")"#]],
    );
    check(
        tokens("version = 1\n[[token]]\nname = \"main\"\n"),
        expect![[
            r#"Err("TOML parse error at line 2, column 3\n  |\n2 | [[token]]\n  |   ^^^^^\nunknown field `token`, expected `version` or `tokens`\n")"#
        ]],
    );
    check(
        plan("version = 1\nplan = { held = 3 }\n"),
        expect![
            "Ok(Plan { devices: None, first_assignments: 0, reassignments: 0, already_right: 0, held: 3, faults: 0, ignored: 0, waiting: 0, moves: [], actions: [] })"
        ],
    );
    check(
        plan("version = 1\n"),
        expect![[
            r#"Err("TOML parse error at line 1, column 1\n  |\n1 | version = 1\n  | ^\nmissing field `plan`\n")"#
        ]],
    );
}
