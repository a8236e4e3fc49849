//! The zoo in the real program: whatever is hostile about one plugin, the others and their devices go on.

use artifacts::zoo;
use domain::id::Digest;
use expect_test::expect;

use crate::env::TestEnv;

/// Every component of the zoo is a plugin in `deputy.toml`, and each policy of it decides in a workflow of its name.
fn with_the_zoo() -> TestEnv {
    let env = TestEnv::with_tokens(&["main", "other"]);
    env.add("main", &["LIB1", "MAC1"]);
    env.add("other", &["LIB2"]);
    let mut tables = String::new();
    for hostile in zoo::files().into_iter().chain(zoo::policies()) {
        let (name, digest) = (hostile.name, Digest::of(&hostile.component));
        tables += &format!("\n[plugins.{name}]\npath = \"plugins/{name}.wasm\"\nsha256 = \"{digest}\"\n");
        env.write(&format!("plugins/{name}.wasm"), &hostile.component);
        env.write(&format!("workflows/{name}.toml"), workflow(name));
    }
    env.append("deputy.toml", &tables);
    env
}

fn workflow(policy: &str) -> String {
    let steps = ["uses = \"sync\"", &format!("uses = \"decide\"\npolicy = \"{policy}\""), "uses = \"plan\""];
    let steps: String = steps.iter().map(|step| format!("\n[[steps]]\n{step}\n")).collect();
    format!("version = 1\nname = \"{policy}\"\n{steps}")
}

#[test]
fn a_good_policy_decides_although_the_whole_zoo_is_loaded_beside_it() {
    let env = with_the_zoo();
    env.run(&["run", "auto-assign"]).succeeds(expect![[r#"
        run RUN of auto-assign, by hand: succeeded
          sync     main: 2 devices: 2 new, 0 changed, 0 gone (every device, 2 pages)
          decide   main: 2 devices by rules: lab-ipad 1, standard 1
          plan     main: define lab-ipad, standard, 2 first assignments
          apply    main: defined lab-ipad, standard, 2 assigned, 2 calls
          sync     other: 1 device: 1 new, 0 changed, 0 gone (every device, 2 pages)
          decide   other: 1 device by rules: lab-ipad 1
          plan     other: define lab-ipad, 1 first assignment
          apply    other: defined lab-ipad, 1 assigned, 1 call
    "#]]);
    assert_eq!((env.with_profile("main"), env.with_profile("other")), (2, 1));

    // What cannot be used is named, all of it, and costs only the workflows that ask it.
    let checked = env.run(&["workflow", "check"]);
    checked.ends_with(2);
    let text = checked.text();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("hint:"));
    let unusable: Vec<&str> = lines.filter_map(|line| line.split('`').nth(1)).collect();
    expect!["bit-flipped core-module empty-file future-contract lies-in-configure loops-at-start loops-in-configure other-world oversize realloc-beyond-memory realloc-loops realloc-misaligned realloc-traps second-memory-inside text-file traps-at-start traps-in-configure truncated two-memories unknown-host-function wants-a-huge-table wants-http wants-huge-memory wrong-shape"].assert_eq(&unusable.join(" "));

    let mut reports = String::new();
    for name in ["loops", "recurses", "grows-in-steps", "million-reasons", "exits", "traps-in-configure"] {
        let ran = env.run(&["run", name]);
        let text = ran.text();
        let told = text.lines().filter(|line| line.contains("such as") || line.contains("failed"));
        reports += &told.map(|line| format!("{name}: {}\n", line.trim())).collect::<String>();
    }
    expect![[r#"
        loops: 2 devices held, such as LIB1: plugin `loops` ran out of fuel (N for one device)
        loops: plan     main: nothing to do, 2 held because the policy failed
        loops: 1 device held, such as LIB2: plugin `loops` ran out of fuel (N for one device)
        loops: plan     other: nothing to do, 1 held because the policy failed
        recurses: 2 devices held, such as LIB1: plugin `recurses` trapped: call stack exhausted
        recurses: plan     main: nothing to do, 2 held because the policy failed
        recurses: 1 device held, such as LIB2: plugin `recurses` trapped: call stack exhausted
        recurses: plan     other: nothing to do, 1 held because the policy failed
        grows-in-steps: 2 devices held, such as LIB1: plugin `grows-in-steps` wanted more than its 64 MiB of memory
        grows-in-steps: plan     main: nothing to do, 2 held because the policy failed
        grows-in-steps: 1 device held, such as LIB2: plugin `grows-in-steps` wanted more than its 64 MiB of memory
        grows-in-steps: plan     other: nothing to do, 1 held because the policy failed
        million-reasons: 2 devices held, such as LIB1: plugin `million-reasons` broke the contract: too much data is being copied between the host and the guest: fuel allocated for hostcalls has been exhausted
        million-reasons: plan     main: nothing to do, 2 held because the policy failed
        million-reasons: 1 device held, such as LIB2: plugin `million-reasons` broke the contract: too much data is being copied between the host and the guest: fuel allocated for hostcalls has been exhausted
        million-reasons: plan     other: nothing to do, 1 held because the policy failed
        exits: 2 devices held, such as LIB1: plugin `exits` called `wasi:cli/exit#exit`; a policy ends by answering
        exits: plan     main: nothing to do, 2 held because the policy failed
        exits: 1 device held, such as LIB2: plugin `exits` called `wasi:cli/exit#exit`; a policy ends by answering
        exits: plan     other: nothing to do, 1 held because the policy failed
        traps-in-configure: decide   main: failed: plugin `traps-in-configure` cannot be used: plugin `traps-in-configure` failed while it was configured: it trapped: wasm `unreachable` instruction executed
        traps-in-configure: decide   other: failed: plugin `traps-in-configure` cannot be used: plugin `traps-in-configure` failed while it was configured: it trapped: wasm `unreachable` instruction executed
    "#]].assert_eq(&reports);
}

#[test]
#[cfg(target_os = "linux")]
fn without_address_space_for_a_pool_policies_run_all_the_same() {
    let env = TestEnv::new();
    env.add("main", &["LIB1", "MAC1"]);
    // 4 GiB: less than one guest's memory has reserved in the pool.
    let ran = env.run_with_address_space(4 << 20, &["run", "auto-assign", "--verbose"]);
    ran.ends_with(0);
    let warnings = ran.text().matches("no address space to pool the memory of plugins").count();
    assert_eq!(warnings, 1, "{}", ran.text());
    assert_eq!(env.with_profile("main"), 2);
}

#[test]
fn where_a_policy_failed_is_in_the_log_once_and_not_in_the_reasons() {
    let env = with_the_zoo();
    let ran = env.run(&["run", "recurses", "--verbose"]);
    let text = ran.text();
    let places: Vec<&str> =
        text.lines().filter_map(|line| Some(line.split_once("exhausted, in ")?.1)).collect();
    // One line for both tokens; sixteen calls of however many there were.
    assert_eq!(places, ["deeper <- deeper at 0xf0 (15 times) plugin=recurses"], "{text}");
    let explained = env.run(&["device", "explain", "LIB1"]);
    assert!(!explained.text().contains("deeper"), "{}", explained.text());
}
