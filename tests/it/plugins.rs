//! Plugins in operation: tables and grants, trust, reviews that ask. What becomes of those that fail is in
//! `failing.rs`.

use domain::id::Digest;
use expect_test::expect;

use crate::env::TestEnv;

/// A plugin `guest` that behaves so, beside `rules`.
pub(crate) fn with_guest(behaviour: &str, keys: &str) -> TestEnv {
    with_guest_in(TestEnv::new(), behaviour, keys)
}

pub(crate) fn with_guest_in(env: TestEnv, behaviour: &str, keys: &str) -> TestEnv {
    env.write("plugins/guest.wasm", artifacts::THREE_QUESTIONS);
    let digest = Digest::of(artifacts::THREE_QUESTIONS);
    env.append(
        "deputy.toml",
        &format!(
            "\n[plugins.guest]\npath = \"plugins/guest.wasm\"\nsha256 = \"{digest}\" # ours\n{keys}\nsettings = {{ behaviour = \"{behaviour}\" }}\n"
        ),
    );
    env
}

/// The same, asked about devices, with the tables it looks into.
pub(crate) fn that_looks(grants: &str) -> TestEnv {
    that_looks_and(grants, "look")
}

pub(crate) fn that_looks_and(grants: &str, behaviour: &str) -> TestEnv {
    let env = with_guest(behaviour, grants);
    std::fs::create_dir_all(env.file("tables")).unwrap();
    env.write("tables/assets.csv", "serial,site,room\nMAC1,Lyon,12\nmac2,\"Paris, 8e\",\n");
    env.write("tables/people.csv", "serial;mail\nMAC3;ann@example.com\n");
    env.append("deputy.toml", "\n[tables.assets]\ncsv = \"tables/assets.csv\"\nkey = \"serial\"\n");
    env.append(
        "deputy.toml",
        "\n[tables.people]\ncsv = \"tables/people.csv\"\nkey = \"serial\"\ndelimiter = \";\"\n",
    );
    env.edit("workflows/auto-assign.toml", "policy = \"rules\"", "policy = \"guest\"");
    env
}

/// A workflow whose plan `guest` reviews.
fn that_reviews(behaviour: &str) -> TestEnv {
    let env = with_guest(behaviour, "");
    env.edit("workflows/auto-assign.toml", "uses = \"plan\"", "uses = \"plan\"\nreview = \"guest\"");
    env.add("main", &["MAC1", "MAC2"]);
    env
}

pub(crate) const GRANTED: &str = "grants = { tables = [\"assets\", \"people\"] }";

#[test]
fn a_policy_gets_the_rows_of_tables_that_it_was_granted() {
    let env = that_looks(GRANTED);
    env.add("main", &["MAC1", "MAC2", "MAC3"]);
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     3 devices: 3 new, 0 changed, 0 gone (every device, 2 pages)
          decide   3 devices by guest: held 3
          plan     nothing to do, 3 held by the policy
          apply    nothing to do
    "#]]);
    let because =
        |serial: &str| env.json(&["device", "explain", serial])["device"][0]["verdict"]["reason"].clone();
    assert_eq!(because("MAC1"), "12|Lyon|12");
    assert_eq!(because("MAC2"), "|Paris, 8e|");
    assert_eq!(because("MAC3"), "no row; Some([\"ann@example.com\"])");
    let run = env.json(&["runs", "show", "last"]);
    let tables = &run["run"]["steps"][1]["outcome"]["tables"];
    assert_eq!(tables["assets"], Digest::of(env.read("tables/assets.csv").as_bytes()).as_str());

    // A change counts in the next run, a mistake does not.
    env.write("tables/assets.csv", "serial,site,room\nMAC1,Rome,1\n");
    env.run(&["run", "auto-assign"]).is_done();
    assert_eq!(because("MAC1"), "1|Rome|1");
    env.run(&["runs", "show", "last", "--policies"]).is_done();
    env.run(&["table", "list"]).succeeds(expect![[r#"
        TABLE   FILE               KEY     ROWS  GRANTED TO
        assets  tables/assets.csv  serial  1     guest
        people  tables/people.csv  serial  1     guest
    "#]]);
    env.run(&["table", "show", "assets", "mac1"]).succeeds(expect![[r#"
        COLUMN  CELL
        serial  MAC1
        site    Rome
        room    1
    "#]]);
    env.run(&["table", "show", "assets", "mac9"]).fails(
        1,
        expect![[r#"
        error: the table `assets` has no row `mac9`
        hint: rows are looked up by the column `serial`
    "#]],
    );
}

#[test]
fn mistakes_of_a_table_are_told_with_their_lines_before_anything_is_done() {
    let env = that_looks(GRANTED);
    env.write("tables/assets.csv", "serial,site,room\nMAC1,Lyon,12\nMAC2,Paris\nmac1,Rome,1\n");
    env.run(&["table", "check"]).fails(
        2,
        expect![[r#"
        people: no mistakes; rows: 1, columns: 2
        error: 2 cells, and the first line names 3 columns
         --> tables/assets.csv:3
          = help: an empty cell needs its delimiter all the same
    "#]],
    );
    env.run(&["run", "auto-assign"]).fails(
        4,
        expect![[r#"
        run RUN of auto-assign, by hand: needs a person
          sync     0 devices: 0 new, 0 changed, 0 gone (every device, 2 pages)
          decide   failed: plugin `guest` cannot be used: the table `assets`, which it is granted, is wrong
        error: 2 cells, and the first line names 3 columns
         --> tables/assets.csv:3
          = help: an empty cell needs its delimiter all the same
                   hint: mend the file; a daemon looks again when it reloads, on SIGHUP
    "#]],
    );
}

#[test]
fn what_a_policy_asks_for_and_is_not_granted_is_told_with_the_line_to_write() {
    let env = that_looks("");
    env.run(&["workflow", "check"]).fails(2, expect![[r#"
        error: plugin `guest` cannot be used: plugin `guest` looks into the tables `assets`, `people` and was not granted that; if it may, write under [plugins.guest]: grants = { tables = ["assets", "people"] }
    "#]]);
    env.edit("deputy.toml", "\nsettings = { beh", "\ngrants = { tables = [\"asets\"] }\nsettings = { beh");
    env.run(&["workflow", "check"]).fails(
        2,
        expect![[r#"
            error: deputy.toml has no table `asets`
               --> deputy.toml:118:22
                |
            118 | grants = { tables = ["asets"] }
                |                      ^^^^^^^
                |
                = help: did you mean `assets`?
        "#]],
    );
    env.edit("deputy.toml", "\"asets\"", "\"assets\", \"people\"");
    env.write("tables/people.csv", "serial;phone\nMAC3;1\n");
    env.run(&["workflow", "check"]).fails(2, expect![[r#"
        error: plugin `guest` cannot be used: plugin `guest` looks at the column `mail` of the table `people`, which has `serial`, `phone`
    "#]]);
}

#[test]
fn a_delimiter_that_is_none_is_a_mistake_of_the_configuration() {
    let env = that_looks(GRANTED);
    env.edit("deputy.toml", "\"serial\"\ndelimiter = \";\"", "\"serial\"\ndelimiter = \"semicolon\"");
    env.run(&["table", "list"]).fails(
        2,
        expect![[r#"
            error: `semicolon` cannot separate cells
               --> deputy.toml:127:13
                |
            127 | delimiter = "semicolon"
                |             ^^^^^^^^^^^
                |
                = help: one character, such as `;`, `|` or `\t`
        "#]],
    );
}

#[test]
fn trusting_another_component_shows_what_is_different_and_changes_one_line() {
    let env = with_guest("spread", "");
    env.edit("workflows/auto-assign.toml", "policy = \"rules\"", "policy = \"guest\"");
    env.add("main", &["MAC1", "MAC2", "MAC3"]);
    env.run(&["run", "auto-assign"]).is_done();
    env.run(&["plugin", "trust", "guest"]).succeeds(expect![[r#"
        guest is trusted already: DIGEST
    "#]]);
    let before = env.read("deputy.toml");
    env.write("plugins/guest.wasm", artifacts::MISBEHAVE);
    let shown = env.run(&["plugin", "trust", "plugins/guest.wasm"]);
    shown.ends_with(4);
    let said: String = shown
        .text()
        .lines()
        .filter(|line| !line.contains(" bytes"))
        .map(|line| format!("{line}\n"))
        .collect();
    expect![[r#"
        guest
          is        answers every question, also as it should not  ->  it does not say
          version   1.2.3  ->  it does not say
          sha256    DIGEST  ->  DIGEST
          contract  1.0.0  ->  0.1.0
          answers   assignment, reminder, review  ->  assignment
          lasting   it does not say for how long its verdicts last (as before)
          imports   deputy:policy/log@1.0.0, deputy:policy/tables@1.0.0  ->  deputy:policy/log@0.1.0
          settings  accepted (as before)
          reads     serial_number, model, description, color, asset_tag, os, device_family, profile_uuid, current_profile, profile_assign_time, profile_push_time, device_assigned_by, device_assigned_date, mdm_migration_deadline, is_replacement_device, imei, meid, eid, wifi_mac_address, bluetooth_mac_address, ethernet_mac_address, extra  ->  serial_number, model, description, color, asset_tag, os, device_family, profile_uuid, profile_assign_time, profile_push_time, device_assigned_by, device_assigned_date, extra
          tables    nothing (as before)
          decides   the verdict changes for 2 of 3 devices; 1 gets the same verdict for another reason
                          1  assign standard -> hold: MAC3
                          1  ignore -> hold: MAC2
        error: guest is not trusted; nothing was changed
        hint: if the file is the one you mean: `deputy plugin trust guest --yes`
    "#]].assert_eq(&said);
    assert_eq!(env.read("deputy.toml"), before);

    let value = env.json(&["plugin", "trust", "guest", "--yes"]);
    assert_eq!(value["trust"]["written"], true);
    let (old, new) = (Digest::of(artifacts::THREE_QUESTIONS), Digest::of(artifacts::MISBEHAVE));
    assert_eq!(env.read("deputy.toml"), before.replace(old.as_str(), new.as_str()));
    env.run(&["workflow", "check"]).is_done();
}

#[test]
fn a_new_plugin_is_pinned_by_trusting_it() {
    let env = with_guest("none", "");
    let digest = Digest::of(artifacts::THREE_QUESTIONS);
    env.edit("deputy.toml", &format!("sha256 = \"{digest}\" # ours\n"), "");
    env.run(&["plugin", "list"]).succeeds(expect![[r#"
        PLUGIN  SHA256         VERSION  ANSWERS     STATE       LAST USED  DEVICES  FAULTS
        guest   -              -        -           not pinned  never      0        0
        rules   DIGEST…  1.0.0    assignment  pinned      never      0        0

        guest: `deputy plugin trust guest` shows what it is
    "#]]);
    env.run(&["plugin", "trust", "guest", "--yes"]).is_done();
    env.run(&["workflow", "check"]).is_done();
    env.write("elsewhere.wasm", artifacts::MISBEHAVE);
    env.run(&["plugin", "trust", "elsewhere.wasm"]).fails(
        2,
        expect![[r#"
        error: no plugin in deputy.toml has the file elsewhere.wasm
        hint: add these lines, then type the command again:

        [plugins.elsewhere]
        path = "elsewhere.wasm"
    "#]],
    );
    env.run(&["plugin", "inspect", "guest"]).is_done();
}

#[test]
fn a_plan_that_its_review_asks_about_goes_ahead_when_a_person_approves_this_very_plan() {
    let env = that_reviews("none");
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     2 devices: 2 new, 0 changed, 0 gone (every device, 2 pages)
          decide   2 devices by rules: standard 2
          plan     define standard, 2 first assignments
                   guest approves: only first assignments
          apply    defined standard, 2 assigned, 1 call
    "#]]);
    // The pool gets another profile: two devices would be moved.
    env.edit(
        "deputy.toml",
        "default = { assign = \"standard\", reason",
        "default = { assign = \"lab-ipad\", reason",
    );
    env.run(&["plan", "auto-assign"]).fails(4, expect![[r#"
        run RUN of auto-assign (dry run), by hand: needs a person
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by rules: lab-ipad 2
          plan     would wait for a person: define lab-ipad, 2 reassignments
                   guest asks for a person: 2 devices change:
                     [31msee
                   hint: `deputy run auto-assign` asks in earnest; `deputy approve RUN --yes` carries out this very plan

        SERIAL  TOKEN  GETS      HAS       BECAUSE
        MAC1    main   lab-ipad  standard  everybody else
        MAC2    main   lab-ipad  standard  everybody else
    "#]]);
    env.run(&["run", "auto-assign"]).fails(4, expect![[r#"
        run RUN of auto-assign, by hand: waits for a person
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by rules: lab-ipad 2
          plan     waits for a person: define lab-ipad, 2 reassignments
                   guest asks for a person: 2 devices change:
                     [31msee
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
        TIME ERROR run RUN of auto-assign, by hand: waits for a person
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by rules: lab-ipad 2
          plan     waits for a person: define lab-ipad, 2 reassignments
                   guest asks for a person: 2 devices change:
                     [31msee
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
    "#]]);
    env.run(&["status"]).ends_with(4);
    // One device more: another plan, which is asked about again.
    env.add("main", &["MAC3"]);
    env.run(&["approve", "last", "--yes"]).fails(4, expect![[r#"
        run RUN of auto-assign, by hand: waits for a person
          sync     3 devices: 1 new, 0 changed, 0 gone (the changes, 1 page)
          decide   3 devices by rules: lab-ipad 3
          plan     waits for a person: define lab-ipad, 1 first assignment, 2 reassignments
                   guest asks for a person: 2 devices change:
                     [31msee
                   it is not the plan of run RUN, which it takes the place of: 1 device more, such as MAC3
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
        TIME ERROR run RUN of auto-assign, by hand: waits for a person
          sync     3 devices: 1 new, 0 changed, 0 gone (the changes, 1 page)
          decide   3 devices by rules: lab-ipad 3
          plan     waits for a person: define lab-ipad, 1 first assignment, 2 reassignments
                   guest asks for a person: 2 devices change:
                     [31msee
                   it is not the plan of run RUN, which it takes the place of: 1 device more, such as MAC3
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
    "#]]);
    env.run(&["approve", "last", "--yes"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     3 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   3 devices by rules: lab-ipad 3
          plan     define lab-ipad, 1 first assignment, 2 reassignments
                   approved by anna, after run RUN had asked
          apply    defined lab-ipad, 3 assigned, 1 call
    "#]]);
    expect![[r#"
        MAC1: Lab iPad
        MAC2: Lab iPad
        MAC3: Lab iPad
    "#]]
    .assert_eq(&env.at_apple("main"));
    env.run(&["approve", "last", "--yes"]).fails(
        2,
        expect![[r#"
        error: run RUN of auto-assign has no plan that waits for a person
        hint: `deputy runs show RUN` shows what came of it
    "#]],
    );
}

#[test]
fn a_review_has_its_say_when_a_person_has_let_the_plan_pass_the_rails() {
    let env = that_reviews("none");
    env.run(&["run", "auto-assign"]).is_done();
    env.edit("profiles/standard.toml", "department = \"IT\"", "department = \"Workplace\"");
    env.edit("workflows/auto-assign.toml", "reassignments = 25", "reassignments = 1");
    env.run(&["run", "auto-assign"]).ends_with(4);
    env.run(&["approve", "last", "--yes"]).fails(4, expect![[r#"
        run RUN of auto-assign, by hand: waits for a person
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by rules: standard 2
          plan     waits for a person: define standard, 2 reassignments
                   rail: 2 reassignments, 1 allowed
                   guest asks for a person: 2 devices change:
                     [31msee
                   approved by anna, after run RUN had asked
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
        TIME ERROR run RUN of auto-assign, by hand: waits for a person
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by rules: standard 2
          plan     waits for a person: define standard, 2 reassignments
                   rail: 2 reassignments, 1 allowed
                   guest asks for a person: 2 devices change:
                     [31msee
                   approved by anna, after run RUN had asked
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
    "#]]);
    // Now the person has heard both.
    env.run(&["approve", "last", "--yes"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     2 devices: 0 new, 0 changed, 0 gone (the changes, 1 page)
          decide   2 devices by rules: standard 2
          plan     define standard, 2 reassignments
                   rail: 2 reassignments, 1 allowed
                   approved by anna, after run RUN had asked
          apply    defined standard, 2 assigned, 1 call
    "#]]);
}

#[test]
fn a_plan_that_its_review_refuses_changes_nothing() {
    let env = that_reviews("refuse");
    env.run(&["run", "auto-assign"]).fails(3, expect![[r#"
        run RUN of auto-assign, by hand: refused by its review; nothing was changed
          sync     2 devices: 2 new, 0 changed, 0 gone (every device, 2 pages)
          decide   2 devices by rules: standard 2
          plan     refused: define standard, 2 first assignments
                   guest refuses: not today
                   hint: `deputy plan auto-assign` shows the devices; change what `guest` objects to, or its settings
    "#]]);
    assert_eq!(env.with_profile("main"), 0);
}

#[test]
fn a_review_that_fails_asks_a_person() {
    let env = that_reviews("trap");
    env.edit("workflows/auto-assign.toml", "policy = \"rules\"", "policy = \"rules\"\non_fault = \"fail\"");
    env.run(&["run", "auto-assign"]).fails(4, expect![[r#"
        run RUN of auto-assign, by hand: waits for a person
          sync     2 devices: 2 new, 0 changed, 0 gone (every device, 2 pages)
          decide   2 devices by rules: standard 2
          plan     waits for a person: define standard, 2 first assignments
                   guest could not say: plugin `guest` trapped: wasm `unreachable` instruction executed
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
        TIME ERROR run RUN of auto-assign, by hand: waits for a person
          sync     2 devices: 2 new, 0 changed, 0 gone (every device, 2 pages)
          decide   2 devices by rules: standard 2
          plan     waits for a person: define standard, 2 first assignments
                   guest could not say: plugin `guest` trapped: wasm `unreachable` instruction executed
                   hint: `deputy runs show RUN --actions 1000` shows the devices; if it is right, `deputy approve RUN` does it, else `deputy approve RUN --refuse` ends it
                   it lapses TIME
    "#]]);
    assert_eq!(env.with_profile("main"), 0);
}
