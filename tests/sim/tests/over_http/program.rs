//! The program `deputy-sim`: what its flags arrange, and what it says to those it does not know.

use crate::check;
use expect_test::{Expect, expect};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_deputy-sim");

fn refused(arguments: &[&str], expect: Expect) {
    let run = Command::new(PROGRAM).args(arguments).env("RUST_BACKTRACE", "0").output().unwrap();
    assert!(!run.status.success());
    let said = String::from_utf8(run.stderr).unwrap();
    // The list of what there is grows with every setting.
    check(said.split(", expected").next().unwrap().trim(), expect);
}

#[test]
fn flags_that_cannot_be_meant_are_refused_before_anything_listens() {
    refused(
        &["--set", "throttle=1"],
        expect![[r#"
            error: `--set` is not right
              caused by: unknown field `throttle`"#]],
    );
    refused(
        &["--set", "throttle_after"],
        expect![[r#"
        error: invalid value 'throttle_after' for '--set <NAME=VALUE>': a setting is written NAME=VALUE

        For more information, try '--help'."#]],
    );
    refused(
        &["--fault", "{}"],
        expect![[r#"
        error: invalid value '{}' for '--fault <JSON>': missing field `kind`

        For more information, try '--help'."#]],
    );
    refused(
        &["--fault", r#"{"name": "bad_day"}"#],
        expect![[r#"
        error: invalid value '{"name": "bad_day"}' for '--fault <JSON>': there is no fault named `bad_day`; there are bad_request_CODE, forbidden_CODE, bad_request, forbidden, unauthorized, invalid_method, too_many_requests, server_error, and of devices success, not_accessible, failed and not_found

        For more information, try '--help'."#]],
    );
}

#[tokio::test]
async fn settings_and_faults_can_be_given_as_flags() {
    let mut program = Command::new(PROGRAM)
        .args(["--listen", "127.0.0.1:0", "--devices", "3", "--server", "emea"])
        .args(["--set", "error_style=quoted", "--set", "throttle_after=3"])
        .args(["--fault", r#"{"name": "too_many_requests", "endpoint": "session", "times": 2}"#])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut greeting = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut greeting).unwrap();
    let url = greeting.trim().rsplit(' ').next().unwrap().to_owned();
    let get = async |path: &str| {
        let answer = reqwest::get(format!("{url}{path}")).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let settings = get("/sim/settings").await.1;
    let session = get("/session").await;
    let (account, servers) = (get("/account").await, get("/sim/servers").await.1);
    program.kill().unwrap();
    program.wait().unwrap();
    assert!(settings.contains(r#""error_style":"quoted""#) && settings.contains(r#""throttle_after":3"#));
    assert_eq!(session, (429, "TOO_MANY_REQUESTS".into()));
    assert_eq!(account, (400, "\"USER_AGENT_MISSING\"".into()));
    assert!(servers.contains(r#""name":"emea""#) && servers.contains(r#""devices":3"#), "{servers}");
}
