//! What people do themselves: assign devices by name, take a run back; and the rails that hold for them.

use expect_test::expect;
use sim::Endpoint;

use crate::env::TestEnv;

/// Four devices on what the policy wants for them.
fn assigned() -> TestEnv {
    let env = TestEnv::new();
    env.add("main", &["EXEC1", "LIB1", "MAC1", "MAC2"]);
    env.run(&["run", "auto-assign"]).is_done();
    env.apple().clear_calls();
    env
}

#[test]
fn devices_are_assigned_by_name_after_a_look_and_a_yes() {
    let env = assigned();
    // Without a terminal nobody can say yes.
    env.run(&["assign", "executive-mac", "mac1", "EXEC1"]).fails(4, expect![[r#"
        changes 1 device of main:
        SERIAL  HAS       GETS
        MAC1    standard  executive-mac
        1 device left alone: already right
        note: auto-assign would move 1 device on at its next run, TIME: MAC1 to standard, since rules says: everybody else
        hint: change the policy, or `deputy workflow pause auto-assign --reason TEXT` first
        error: it was not confirmed, so nothing was changed
        hint: `--yes` confirms it
    "#]]);
    assert_eq!(env.apple().calls(), []);
    env.run(&["assign", "executive-mac", "mac1", "EXEC1", "--yes", "--reason", "ticket 4711"])
        .succeeds(expect![[r#"
            changes 1 device of main:
            SERIAL  HAS       GETS
            MAC1    standard  executive-mac
            1 device left alone: already right
            note: auto-assign would move 1 device on at its next run, TIME: MAC1 to standard, since rules says: everybody else
            hint: change the policy, or `deputy workflow pause auto-assign --reason TEXT` first
            run RUN of assign-by-hand, by hand: succeeded
              sync     4 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
              plan     1 reassignment, 1 already right
              apply    1 assigned, 1 call

            SERIAL  TOKEN  GETS           HAS       BECAUSE
            MAC1    main   executive-mac  standard  by hand: ticket 4711
        "#]]);
    expect![[r#"
        EXEC1: Executive Mac
        LIB1: Lab iPad
        MAC1: Executive Mac
        MAC2: Standard
    "#]]
    .assert_eq(&env.at_apple("main"));
    env.run(&["runs", "list"]).succeeds(expect![[r#"
        RUN                     WORKFLOW        BY    DUE  STARTED               STATE
        RUN  assign-by-hand  hand  -    TIME  succeeded
        RUN  auto-assign     hand  -    TIME  succeeded
    "#]]);
    // As was said, the next run of the workflow takes it back.
    env.run(&["run", "auto-assign"]).is_done();
    expect![[r#"
        EXEC1: Executive Mac
        LIB1: Lab iPad
        MAC1: Standard
        MAC2: Standard
    "#]]
    .assert_eq(&env.at_apple("main"));
}

#[test]
fn a_list_can_come_from_a_file_or_a_pipe() {
    let env = assigned();
    env.write("list.csv", "owner;Serial Number\nJo;MAC1\nAnn;MAC2\n");
    env.run(&["assign", "lab-ipad", "--file", "list.csv", "--yes"]).is_done();
    env.write("wrong.csv", "owner,serial_number\nJo,MAC 1\nAnn\n");
    env.run(&["assign", "lab-ipad", "--file", "wrong.csv"]).fails(2, expect![[r#"
        error: wrong.csv: line 2: `MAC 1` is not a serial number: letters and digits, at most 64; line 3: the cell of the serial number is missing; nothing was changed
        hint: a line for each device, or a CSV file whose first line names a column `serial_number`
    "#]]);
    env.write("columns.csv", "MAC1,MAC2\n");
    env.run(&["assign", "lab-ipad", "--file", "columns.csv"]).fails(
        2,
        expect![[r#"
        error: columns.csv: line 1: of several columns none is called `serial_number`; nothing was changed
        hint: a line for each device, or a CSV file whose first line names a column `serial_number`
    "#]],
    );
    env.run(&["assign", "lab-ipad", "--file", "nowhere.csv"]).fails(
        2,
        expect![[r#"
        error: cannot read nowhere.csv
          caused by: No such file or directory (os error 2)
    "#]],
    );
    // The standard input of a test is empty.
    env.run(&["assign", "lab-ipad", "--file", "-"]).fails(
        2,
        expect![[r#"
        error: no device is named
        hint: name serial numbers, or a list of them: `--file FILE`, `--file -` for standard input
    "#]],
    );
    env.run_in_pipe("MAC1\nMAC2\n", &["assign", "standard", "--file", "-", "--yes"]).is_done();
    expect![[r#"
        EXEC1: Executive Mac
        LIB1: Lab iPad
        MAC1: Standard
        MAC2: Standard
    "#]]
    .assert_eq(&env.at_apple("main"));
}

#[test]
fn wrong_names_are_told_before_anything_is_asked() {
    let env = assigned();
    env.run(&["assign", "lab-pad", "MAC1"]).fails(
        2,
        expect![[r#"
        error: there is no profile `lab-pad`
        hint: did you mean `lab-ipad`?
    "#]],
    );
    env.run(&["assign", "lab-ipad", "MAC9", "MAC1"]).fails(
        2,
        expect![[r#"
        error: no token has MAC9; nothing was changed
        hint: if it is new, `deputy sync` fetches it; if it is on another server, Apple's portal says so
    "#]],
    );
    env.run(&["assign", "lab-ipad", "MAC1", "--token", "mian"]).fails(
        2,
        expect![[r#"
        error: there is no token `mian`
        hint: did you mean `main`?
    "#]],
    );
    env.run(&["assign", "lab-ipad"]).fails(
        2,
        expect![[r#"
        error: no device is named
        hint: name serial numbers, or a list of them: `--file FILE`, `--file -` for standard input
    "#]],
    );
    env.run(&["assign", "lab-ipad", "MAC1", "--reassignments", "many"]).fails(2, expect![[r#"
        error: invalid value 'many' for '--reassignments <N>': `many` is neither a number of devices nor a percentage of them, such as `25` or `"10%"`

        For more information, try '--help'.
    "#]]);
    assert_eq!(env.apple().calls(), []);
}

#[test]
fn what_is_where_it_should_be_needs_nobody() {
    let env = assigned();
    env.run(&["assign", "standard", "MAC1"]).succeeds(expect![[r#"
        nothing to do for main
        1 device left alone: already right
    "#]]);
    assert_eq!(env.apple().calls(), []);
}

#[test]
fn the_rails_of_all_workflows_hold_for_people_too() {
    let env = assigned();
    env.append(
        "deputy.toml",
        "\n[defaults.rails]\nreassignments = \"25%\"\nremovals = 1\nprotect_profiles = [\"executive-mac\"]\nprotect_serials = \"board.txt\"\n",
    );
    env.write("board.txt", "# of the board\nLIB1\n");
    env.run(&["assign", "lab-ipad", "MAC1", "MAC2"]).fails(3, expect![[r#"
        changes 2 devices of main:
        SERIAL  HAS       GETS
        MAC1    standard  lab-ipad
        MAC2    standard  lab-ipad
        note: auto-assign would move 2 devices on at its next run, TIME: MAC1 to standard, since rules says: everybody else
        hint: change the policy, or `deputy workflow pause auto-assign --reason TEXT` first
        error: it breaks a rail: 2 reassignments, 1 allowed (25% of 4 devices)
        hint: if it is right, `--reassignments 2` lets it through, this once
    "#]]);
    env.run(&["assign", "standard", "EXEC1", "LIB1", "--reassignments", "2", "--yes"]).fails(3, expect![[r#"
        changes 2 devices of main:
        SERIAL  HAS            GETS
        EXEC1   executive-mac  standard
        LIB1    lab-ipad       standard
        note: auto-assign would move 2 devices on at its next run, TIME: EXEC1 to executive-mac, since rules says: a Mac of the executive pool
        hint: change the policy, or `deputy workflow pause auto-assign --reason TEXT` first
        error: it breaks a rail: 1 on the protected profile `executive-mac`, such as EXEC1; 1 protected device, such as LIB1
        hint: leave them out, or take them out of `protect_profiles` and `protect_serials`
    "#]]);
    env.run(&["unassign", "--token", "main", "MAC1", "MAC2", "--yes"]).fails(3, expect![[r#"
        takes the profile from 2 devices of main:
        SERIAL  MODEL        ASSET TAG  PROFILE   FETCHED
        MAC1    MacBook Pro  POOL-1     standard  no
        MAC2    MacBook Pro  POOL-1     standard  no
        They get no profile when they are set up. A device that has fetched its profile keeps it until it is erased. A workflow whose policy wants them on a profile assigns it again at its next run.
        error: it breaks a rail: 2 removals, 1 allowed
        hint: if it is right, `--removals 2` lets it through, this once
    "#]]);
    env.run(&["unassign", "--token", "main", "LIB1", "--yes"]).fails(3, expect![[r#"
        takes the profile from 1 device of main:
        SERIAL  MODEL        ASSET TAG  PROFILE   FETCHED
        LIB1    MacBook Pro  LIB-1      lab-ipad  no
        They get no profile when they are set up. A device that has fetched its profile keeps it until it is erased. A workflow whose policy wants them on a profile assigns it again at its next run.
        error: it breaks a rail: 1 protected device, such as LIB1
        hint: leave them out, or take them out of `protect_profiles` and `protect_serials`
    "#]]);
    let disown = ["device", "disown", "--token", "main", "EXEC1", "--confirm", "EXEC1"];
    env.run(&disown).fails(3, expect![[r#"
        releases 1 device of main from the organisation:
        SERIAL  MODEL        ASSET TAG  PROFILE        FETCHED
        EXEC1   MacBook Pro  EXEC-1     executive-mac  no
        They leave the organisation for good, and no later sync brings them back. Only their seller or Apple Configurator can add them again; then their user may leave management for 30 days.
        error: it breaks a rail: 1 on the protected profile `executive-mac`, such as EXEC1
        hint: leave them out, or take them out of `protect_profiles` and `protect_serials`
    "#]]);
    assert_eq!(env.apple().calls(), []);
    env.run(&["unassign", "--token", "main", "MAC1", "MAC2", "--yes", "--removals", "50%"]).is_done();
    // A file that is not there protects nobody, and so nothing is moved.
    std::fs::remove_file(env.file("board.txt")).unwrap();
    env.run(&["workflow", "check"]).fails(
        2,
        expect![[r#"
        error: the protected devices cannot be read from board.txt: No such file or directory (os error 2)
        hint: mend the file, or change `protect_serials`; until then nothing is planned
    "#]],
    );
    env.run(&["assign", "lab-ipad", "MAC1"]).fails(
        4,
        expect![[r#"
        error: the protected devices cannot be read from board.txt: No such file or directory (os error 2)
        hint: mend the file, or change `protect_serials`; until then nothing is planned
    "#]],
    );
    env.run(&["run", "auto-assign"]).fails(4, expect![[r#"
        run RUN of auto-assign, by hand: needs a person
          sync     4 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   4 devices by rules: executive-mac 1, lab-ipad 1, standard 2
          plan     failed: the protected devices cannot be read from board.txt: No such file or directory (os error 2)
                   hint: mend the file, or change `protect_serials`; until then nothing is planned
    "#]]);
}

#[test]
fn a_workflow_leaves_protected_devices_where_they_are() {
    let env = assigned();
    env.edit(
        "workflows/auto-assign.toml",
        "reassignments = 25",
        "reassignments = 25, protect_serials = [\"mac1\"]",
    );
    env.edit("profiles/standard.toml", "department = \"IT\"", "department = \"Workplace\"");
    env.run(&["run", "auto-assign"]).fails(4, expect![[r#"
        run RUN of auto-assign, by hand: waits for a person
          sync     4 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   4 devices by rules: executive-mac 1, lab-ipad 1, standard 2
          plan     waits for a person: define standard, 2 reassignments, 2 already right
                   rail: 1 protected device, such as MAC1
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
        TIME ERROR run RUN of auto-assign, by hand: waits for a person
          sync     4 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   4 devices by rules: executive-mac 1, lab-ipad 1, standard 2
          plan     waits for a person: define standard, 2 reassignments, 2 already right
                   rail: 1 protected device, such as MAC1
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
    "#]]);
    assert_eq!(env.calls(Endpoint::Assign), []);
}

#[test]
fn mistakes_in_rails_are_told_with_their_place() {
    let env = TestEnv::new();
    env.append("deputy.toml", "\n[defaults.rails]\nreassignments = -1\nprotect_serials = 5\n");
    env.run(&["workflow", "check"]).fails(
        2,
        expect![[r#"
            error: must be at least 0
               --> deputy.toml:115:17
                |
            115 | reassignments = -1
                |                 ^^

            error: must be a list or a string, not a whole number
               --> deputy.toml:116:19
                |
            116 | protect_serials = 5
                |                   ^
        "#]],
    );
    let env = TestEnv::new();
    env.edit(
        "workflows/auto-assign.toml",
        "first_assignments = 5000, reassignments = 25",
        "first_assignments = \"a tenth\", removals = 5, protect_serials = [\"MAC 1\"]",
    );
    env.append(
        "deputy.toml",
        "\n[defaults]\napprove_within = \"0s\"\n[defaults.rails]\nreassignments = \"200%\"\n",
    );
    env.run(&["workflow", "check"]).fails(
        2,
        expect![[r#"
            error: nobody approves in no time
               --> deputy.toml:115:18
                |
            115 | approve_within = "0s"
                |                  ^^^^
                |
                = help: write `3d`, or leave the key out

            error: `200%` is neither a number of devices nor a percentage of them, such as `25` or `"10%"`
               --> deputy.toml:117:17
                |
            117 | reassignments = "200%"
                |                 ^^^^^^

            error: `a tenth` is neither a number of devices nor a percentage of them, such as `25` or `"10%"`
              --> workflows/auto-assign.toml:28:31
               |
            28 | rails = { first_assignments = "a tenth", removals = 5, protect_serials = ["MAC 1"] }
               |                               ^^^^^^^^^

            error: only people take something away: this limit is none of a workflow's
              --> workflows/auto-assign.toml:28:53
               |
            28 | rails = { first_assignments = "a tenth", removals = 5, protect_serials = ["MAC 1"] }
               |                                                     ^
               |
               = help: write it under `[defaults.rails]` in deputy.toml

            error: `MAC 1` is not a serial number: letters and digits, at most 64
              --> workflows/auto-assign.toml:28:75
               |
            28 | rails = { first_assignments = "a tenth", removals = 5, protect_serials = ["MAC 1"] }
               |                                                                           ^^^^^^^
        "#]],
    );
}

#[test]
fn a_run_is_taken_back_device_by_device_where_it_can_be() {
    let env = assigned();
    env.edit("profiles/standard.toml", "department = \"IT\"", "department = \"Workplace\"");
    env.add("main", &["MAC3", "MAC4"]);
    env.apple()
        .change_device("main", "LIB1", &serde_json::json!({ "asset_tag": "EXEC-9", "device_family": "Mac" }))
        .unwrap();
    env.run(&["run", "auto-assign"]).is_done();
    let run = env.json(&["runs", "list"])["runs"][0]["id"].as_str().unwrap().to_owned();
    // Meanwhile one is moved on, and one leaves.
    env.run(&["assign", "executive-mac", "MAC2", "--yes"]).is_done();
    env.apple().remove_device("main", "LIB1", true).unwrap();
    env.run(&["sync"]).is_done();
    env.run(&["runs", "rollback", &run]).fails(4, expect![[r#"
        changes 1 device of main:
        SERIAL  HAS       GETS
        MAC1    standard  an older standard
        note: auto-assign would move 1 device on at its next run, TIME: MAC1 to standard, since rules says: everybody else
        hint: change the policy, or `deputy workflow pause auto-assign --reason TEXT` first
        2 devices of main left alone: MAC3, MAC4: each had no profile before, and only a person takes one away
        hint: `deputy unassign --token main MAC3 MAC4` takes their profile from them
        1 device of main left alone: LIB1: each is not the token's any more
        1 device of main left alone: MAC2: each is on something else by now
        error: it was not confirmed, so nothing was changed
        hint: `--yes` confirms it
    "#]]);
    env.run(&["runs", "rollback", &run, "--yes"]).succeeds(expect![[r#"
        changes 1 device of main:
        SERIAL  HAS       GETS
        MAC1    standard  an older standard
        note: auto-assign would move 1 device on at its next run, TIME: MAC1 to standard, since rules says: everybody else
        hint: change the policy, or `deputy workflow pause auto-assign --reason TEXT` first
        2 devices of main left alone: MAC3, MAC4: each had no profile before, and only a person takes one away
        hint: `deputy unassign --token main MAC3 MAC4` takes their profile from them
        1 device of main left alone: LIB1: each is not the token's any more
        1 device of main left alone: MAC2: each is on something else by now
        run RUN of rollback-by-hand, by hand: succeeded
          sync     5 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          plan     run RUN taken back: 1 reassignment
          apply    1 assigned, 1 call

        SERIAL  TOKEN  GETS               HAS       BECAUSE
        MAC1    main   an older standard  standard  takes run RUN back
    "#]]);
    let standard: Vec<_> = env
        .apple()
        .profiles("main")
        .unwrap()
        .into_iter()
        .map(|it| (it.content["department"].clone(), it.devices))
        .collect();
    expect![[r#"[(String("Office of the CEO"), 2), (String("Library"), 0), (String("IT"), 1), (String("Workplace"), 2)]"#]].assert_eq(&format!("{standard:?}"));
    // A second time there is nothing left to take back.
    env.run(&["runs", "rollback", &run]).fails(
        4,
        expect![[r#"
        2 devices of main left alone: MAC3, MAC4: each had no profile before, and only a person takes one away
        hint: `deputy unassign --token main MAC3 MAC4` takes their profile from them
        1 device of main left alone: LIB1: each is not the token's any more
        1 device of main left alone: MAC2: each is on something else by now
        1 device of main left alone: MAC1: each has what it had before
    "#]],
    );
    // The rollback is a run like others, and can be taken back itself.
    env.run(&["runs", "rollback", "last", "--yes"]).is_done();
}

#[test]
fn many_first_assignments_are_taken_back_by_a_list() {
    let env = TestEnv::with_tokens(&["amer", "emea"]);
    let serials: Vec<String> = (1..=12).map(|nth| format!("MAC{nth:02}")).collect();
    let serials: Vec<&str> = serials.iter().map(String::as_str).collect();
    env.add("amer", &serials);
    env.add("emea", &["MAC21"]);
    env.run(&["run", "auto-assign"]).is_done();
    env.run(&["runs", "rollback", "last"]).fails(4, expect![[r#"
        12 devices of amer left alone, such as MAC01, MAC02, MAC03, MAC04, MAC05, MAC06, MAC07, MAC08, MAC09, MAC10: each had no profile before, and only a person takes one away
        hint: `deputy runs rollback RUN --token amer --unassign-list FILE` lists them all; then `deputy unassign --token amer --file FILE` takes their profile from them
        1 device of emea left alone: MAC21: each had no profile before, and only a person takes one away
        hint: `deputy unassign --token emea MAC21` takes their profile from them
    "#]]);
    env.run(&["runs", "rollback", "last", "--unassign-list", "list.txt"]).fails(
        2,
        expect![[r#"
        error: a list is of one token, and the run gave devices of several their first profile
        hint: `--token amer` or `--token emea` says whose
    "#]],
    );
    let list = ["runs", "rollback", "last", "--token", "amer", "--unassign-list", "list.txt"];
    env.run(&list).succeeds(expect![[r#"
        wrote 12 devices to list.txt
        hint: `deputy unassign --token amer --file list.txt` takes their profile from them
    "#]]);
    assert_eq!(env.read("list.txt").lines().count(), 1 + 12);
    env.run(&["unassign", "--token", "amer", "--file", "list.txt", "--yes"]).is_done();
    let without = |token: &str| {
        let found = env.json(&["device", "list", "--without-profile", "--token", token]);
        found["devices"].as_array().unwrap().len()
    };
    assert_eq!((without("amer"), without("emea")), (12, 0));
    let run = env.json(&["runs", "list"])["runs"][1]["id"].as_str().unwrap().to_owned();
    env.run(&["runs", "rollback", &run, "--token", "amer", "--unassign-list", "list.txt"]).fails(
        2,
        expect![[r#"
            error: no device has its first profile from run RUN and no other since
            hint: `deputy runs rollback RUN` shows what can be taken back
        "#]],
    );
    env.run(&["runs", "rollback", &run, "--token", "apac"]).ends_with(2);
}

#[test]
fn an_unassignment_can_be_taken_back_and_a_release_cannot() {
    let env = assigned();
    env.run(&["unassign", "--token", "main", "MAC1", "--yes"]).is_done();
    env.run(&["runs", "rollback", "last", "--yes"]).succeeds(expect![[r#"
        changes 1 device of main:
        SERIAL  HAS   GETS
        MAC1    none  standard
        run RUN of rollback-by-hand, by hand: succeeded
          sync     4 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          plan     run RUN taken back: 1 first assignment
          apply    1 assigned, 1 call

        SERIAL  TOKEN  GETS      HAS  BECAUSE
        MAC1    main   standard  -    takes run RUN back
    "#]]);
    env.run(&["device", "disown", "--token", "main", "MAC2", "--confirm", "MAC2"]).is_done();
    env.run(&["runs", "rollback", "last"]).succeeds(expect![[r#"
        1 device of main left alone: MAC2: each was released from the organisation, for good
    "#]]);
    expect![[r#"
        EXEC1: Executive Mac
        LIB1: Lab iPad
        MAC1: Standard
    "#]]
    .assert_eq(&env.at_apple("main"));
}

#[test]
fn what_changed_nothing_cannot_be_taken_back() {
    let env = assigned();
    env.run(&["plan"]).is_done();
    env.run(&["runs", "rollback", "last"]).fails(
        2,
        expect![[r#"
        error: run RUN was a dry run: there is nothing to take back
    "#]],
    );
    env.run(&["sync"]).is_done();
    env.run(&["runs", "rollback", "last"]).fails(
        2,
        expect![[r#"
        error: run RUN changed no device: there is nothing to take back
        hint: `deputy runs show RUN` shows what came of it
    "#]],
    );
    env.run(&["runs", "rollback", "first"]).fails(
        2,
        expect![[r#"
        error: `first` is not a run id: like RUN
    "#]],
    );
}
