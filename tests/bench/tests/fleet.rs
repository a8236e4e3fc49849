//! The benchmark itself, over a fleet small enough for a test: that it measures what it says, not how fast.

use std::process::Command;

use expect_test::{Expect, expect};

#[track_caller]
fn check(arguments: &[&str], shown: fn(&str) -> String, expected: Expect) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deputy-bench"));
    command.args(arguments).args(["--devices", "200", "--page-limit", "90", "--runs", "1"]);
    let output = command.output();
    let output = output.expect("the benchmark starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    expected.assert_eq(&shown(str::from_utf8(&output.stdout).expect("it prints text")));
}

/// The first three columns of the first table, the first four words of the second.
fn without_times(printed: &str) -> String {
    let lines =
        printed.lines().skip(1).map(|line| line.split_whitespace().take(3).collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_part_is_in_the_table_and_every_aim_below_it() {
    check(
        &["sync"],
        without_times,
        expect![[r#"

            DEVICES PART ANSWERS
            200 download 3
            200 decode 3
            200 sync 6
            200 unchanged 2
            200 changed 3

            DEVICES AIM AT
            200 sync: times
            200 all runs:
            200 changed: seconds"#]],
    );
}

#[test]
fn the_json_has_the_same_rows() {
    fn parts(printed: &str) -> String {
        let json: serde_json::Value = serde_json::from_str(printed).expect("it prints JSON");
        let rows = json["rows"].as_array().expect("rows").iter();
        let rows = rows.map(|row| format!("{} {} {}\n", row["devices"], row["part"], row["answers"]));
        format!("{}, {} ms\n{}", json["benchmark"], json["latency_ms"], rows.collect::<String>())
    }
    check(
        &["sync", "--json", "--latency", "1"],
        parts,
        expect![[r#"
            "sync", 1 ms
            200 "download" 3
            200 "decode" 3
            200 "sync" 6
            200 "unchanged" 2
            200 "changed" 3
        "#]],
    );
}

#[test]
fn a_whole_first_run_assigns_every_device_and_a_later_one_what_changed() {
    check(
        &["run"],
        without_times,
        expect![[r#"

            DEVICES PART ANSWERS
            200 download 3
            200 decode 3
            200 run 10
            200 run: sync
            200 run: decide
            200 run: plan
            200 run: apply
            200 echo 4
            200 unchanged 2
            200 changed 5

            DEVICES AIM AT
            200 run: times
            200 run: answers
            200 all runs:
            200 changed: seconds"#]],
    );
}

#[test]
fn a_program_that_is_not_there_is_named_with_what_makes_it() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deputy-bench"));
    let output =
        command.args(["serve", "--deputy", "no/such/deputy"]).output().expect("the benchmark starts");
    expect![[r#"
        this is no release build, so its numbers say little: `cargo run --release -p bench`
        error: there is no program no/such/deputy
        hint: `cargo build --release` makes it, `--deputy FILE` names another
    "#]]
    .assert_eq(&String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success());
}
