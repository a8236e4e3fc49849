//! What a workflow will do, and when, before it does: `workflow show` and `next`, and what editors know.

use expect_test::{expect, expect_file};

use crate::env::TestEnv;

#[test]
fn a_workflow_is_told_in_words_with_all_that_its_file_leaves_out() {
    let env = TestEnv::before_the_exchange(&["main", "second"]);
    env.run(&["workflow", "show", "auto-assign"]).succeeds(expect![[r#"
        auto-assign: Give every device the profile its policy says
          tokens    all: main, second
          runs      every 15 minutes, in Etc/UTC (`*/15 * * * *`)
          missed    times that went by while Deputy was off: one run makes up for them
          overlap   a time that comes during a run is skipped
          next      TIME
          timeout   a run is stopped after 20m

          1. sync
             asks Apple what changed and stores it
             every device, if the last complete list is 1d old
             tries 2 times; 10ms before the second try, then twice as long
          2. decide
             asks the policy `rules` (component DIGEST…)
             a device that it fails on is left as it is
          3. plan
             works out what to do, and records it
             at most 5000 first assignments and 25 reassignments for each token
             what has to wait for a person lapses after 3d
          4. apply
             carries the plan out
             tries 5 times; 10ms before the second try, then twice as long
    "#]]);
    env.append("deputy.toml", "\n[defaults]\ntimezone = \"Europe/Paris\"\nretry = { attempts = 7 }\n");
    env.write(
        "workflows/w.toml",
        "version = 1\nname = \"w\"\nenabled = false\ntokens = [\"second\"]\n[[steps]]\nuses = \"sync\"\nid = \"fetch\"\ntimeout = \"5m\"\n\
         [[steps]]\nuses = \"notify\"\nwhen = { failed = \"fetch\" }\nchannels = [\"log\"]\n",
    );
    env.run(&["workflow", "show", "w"]).succeeds(expect![[r#"
        w
          disabled  its file says `enabled = false`: it does not run by itself
          tokens    second
          runs      only by hand
          timeout   a run is stopped after 1h

          1. fetch
             asks Apple what changed and stores it
             every device, if the last complete list is 1d old
             tries 7 times; 5s before the second try, then twice as long
             stopped after 5m
          2. notify
             tells people of the run
             by log
             done only if `fetch` went wrong
    "#]]);
    env.run(&["workflow", "show", "auto-asign"]).fails(
        2,
        expect![[r#"
        error: there is no workflow `auto-asign`
        hint: did you mean `auto-assign`?
    "#]],
    );
}

#[test]
fn times_to_come_are_told_on_two_clocks() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.write(
        "workflows/w.toml",
        "version = 1\nname = \"w\"\n[schedule]\ncron = \"30 2 28-31 3 *\"\ntimezone = \"Europe/Paris\"\njitter = \"5m\"\n\
         [[steps]]\nuses = \"sync\"\n",
    );
    let told = env.json(&["workflow", "next", "w", "--count", "12"]);
    let times = told["workflows"][0]["times"].as_array().unwrap();
    assert_eq!(times.len(), 12);
    // One of them falls on a last Sunday of March, when there is no half past two.
    assert!(times.iter().any(|time| time["note"].as_str().unwrap().contains("does not exist")), "{told}");
    env.run(&["workflow", "next", "w", "--count", "0"]).ends_with(2);
    env.run(&["workflow", "next", "nobody"]).ends_with(2);
    env.run(&["workflow", "next"]).is_done();
}

#[test]
fn editors_find_the_schema_of_every_file_that_init_writes() {
    let env = TestEnv::before_the_exchange(&["main"]);
    for file in ["deputy.toml", "profiles/standard.toml", "workflows/sync.toml"] {
        let text = env.read(file);
        let path = text.lines().next().and_then(|line| line.strip_prefix("#:schema ")).unwrap().to_owned();
        let schema = env.file(file).parent().unwrap().join(path);
        let schema: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(schema).unwrap()).unwrap();
        assert_eq!(schema["type"], "object", "{file}");
    }
    env.run(&["schema"]).succeeds(expect![[r#"
        FORMAT    FILES
        deputy    deputy.toml
        workflow  workflows/*.toml
        profile   profiles/*.toml
        cases     cases/*.toml of a policy
        plugin    plugin.toml of a policy
        plan      what `deputy plan --out` writes (JSON)
    "#]]);
    env.write("schemas/workflow.json", "{}");
    env.run(&["schema", "--dir", "schemas"]).is_done();
    assert_eq!(env.read("schemas/workflow.json"), env.run(&["schema", "workflow"]).raw());
}

/// The reference pages end with every key, as the program itself knows them.
#[test]
fn the_reference_pages_say_what_the_program_knows() {
    let env = TestEnv::before_the_exchange(&["main"]);
    for (format, page) in [("workflow", "WORKFLOWS.md"), ("deputy", "CONFIGURATION.md"), ("plan", "PLANS.md")]
    {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
        let text = std::fs::read_to_string(&path).unwrap();
        let (said, _) = text.split_once("## Every key\n").unwrap();
        let keys = env.run(&["schema", format, "--keys"]).raw();
        expect_file![path].assert_eq(&format!("{said}## Every key\n\n{keys}"));
    }
}
