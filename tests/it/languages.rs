//! The way of a policy's author, in every language there is a template for, by the commands of its README: new, build, the
//! project's own tests, test, check, try, inspect, and then 10,000 devices, about which all languages must say the same.
//!
//! The tools are fetched as an author's are, by the commands under test, and kept below cargo's
//! target folder for the next time: without a network the first time fails, and says why.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock, PoisonError};

use domain::id::Digest;
use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::env::{TestEnv, masked};

/// A language, and what its author types to test the decision.
struct Language {
    name: &'static str,
    test: &'static [&'static str],
    /// Where the project keeps what is fetched or compiled, if that is worth keeping.
    kept: &'static [&'static str],
    limits: &'static str,
    /// What was built, once for all tests.
    component: OnceLock<Vec<u8>>,
    /// Held while a project of it is built: several share what is kept, and would take each other's components.
    building: Mutex<()>,
}

static LANGUAGES: [Language; 4] = [
    Language {
        name: "rust",
        test: &["cargo", "test", "--quiet"],
        kept: &["target"],
        limits: "",
        component: OnceLock::new(),
        building: Mutex::new(()),
    },
    Language {
        name: "typescript",
        test: &["npm", "test"],
        kept: &["node_modules"],
        limits: "limits = { preset = \"interpreter\" }",
        component: OnceLock::new(),
        building: Mutex::new(()),
    },
    Language {
        name: "python",
        test: &["python3", "-m", "unittest", "discover", "-s", "tests"],
        kept: &[".venv"],
        limits: "limits = { preset = \"interpreter\" }",
        component: OnceLock::new(),
        building: Mutex::new(()),
    },
    Language {
        name: "c",
        test: &["make", "test"],
        kept: &[],
        limits: "",
        component: OnceLock::new(),
        building: Mutex::new(()),
    },
];

impl Language {
    fn named(name: &str) -> &'static Self {
        LANGUAGES.iter().find(|language| language.name == name).expect("there is a template for it")
    }

    /// Types `deputy plugin build` in a project.
    fn build(&self, folder: &Path) -> Output {
        let _alone = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        ran(folder, &[env!("CARGO_BIN_EXE_deputy"), "plugin", "build"])
    }

    /// What its template becomes, by the commands of its README.
    fn component(&self) -> &[u8] {
        self.component.get_or_init(|| {
            let folder = scratch().join(self.name);
            let kept = scratch().join(format!("{}-kept", self.name));
            fs::create_dir_all(&kept).unwrap();
            // What a run that failed has left in the project stays there for the next.
            let keep = |from: &Path, to: &Path| {
                for name in self.kept.iter().filter(|name| from.join(name).exists()) {
                    if !to.join(name).exists() {
                        fs::rename(from.join(name), to.join(name)).unwrap();
                    }
                }
            };
            keep(&folder, &kept);
            let _ = fs::remove_dir_all(&folder);
            deputy(&scratch(), &["plugin", "new", "site-policy", "--language", self.name, self.name]);
            keep(&kept, &folder);
            // In TypeScript the tests need what the build fetches, so the build comes first.
            let output = self.build(&folder);
            assert!(output.status.success(), "{}", said(&output));
            typed(&folder, self.test);
            as_the_readme_says(&folder);
            fs::read(folder.join("site-policy.wasm")).unwrap()
        })
    }
}

/// Types every command about the component that a project's README has in its `sh` blocks, joined lines and all.
#[track_caller]
fn as_the_readme_says(folder: &Path) {
    let readme = fs::read_to_string(folder.join("README.md")).unwrap().replace("\\\n", " ");
    let mut typed = 0;
    for line in readme.lines().filter(|line| line.starts_with("deputy plugin ")) {
        let line = line.split(" #").next().unwrap_or(line);
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        if words.contains(&"site-policy.wasm") {
            deputy(folder, &words);
            typed += 1;
        }
    }
    assert_eq!(typed, 4, "test, inspect, check and try:\n{readme}");
}

/// Where projects are made and tools are kept.
fn scratch() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("author");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Types `deputy …` and returns what it said.
#[track_caller]
fn deputy(folder: &Path, arguments: &[&str]) -> String {
    let program = env!("CARGO_BIN_EXE_deputy");
    typed(folder, &[&[program], arguments].concat())
}

#[track_caller]
fn typed(folder: &Path, words: &[&str]) -> String {
    let output = ran(folder, words);
    let said = said(&output);
    assert!(output.status.success(), "{} in {}:\n{said}", words.join(" "), folder.display());
    said
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// Types something in a folder and waits for its end.
fn ran(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(folder);
    if folder.file_name().is_some_and(|name| name == "c" || name.to_string_lossy().starts_with("c-")) {
        // The compiler that is fetched for C, where there is none, is for this test alone.
        command.env("XDG_CACHE_HOME", scratch().join("cache"));
    }
    command.output().unwrap_or_else(|error| panic!("{}: {error}", words.join(" ")))
}

/// What a component of every language says of itself.
const SAME: &str = "\
site-policy.wasm
  is         a profile by asset tag, else by family
  version    0.1.0
  sha256     DIGEST
  contract   1.1.0
  answers    assignment
  lasting    it does not say for how long its verdicts last
";

/// The way in this language: `inspect` says this of what comes of it, besides what is the same in all of them.
#[track_caller]
fn check(language: &str, expected: Expect) {
    let language = Language::named(language);
    language.component();
    let said = deputy(&scratch().join(language.name), &["plugin", "inspect", "site-policy.wasm"]);
    // What is in a preset is told elsewhere; which preset it is, here.
    let other = ["size ", "a call ", "fuel ", "made of ", "says ", "compiles "];
    let said = said.lines().filter(|line| !other.iter().any(|what| line.trim_start().starts_with(what)));
    let said = masked(&said.map(|line| format!("{line}\n")).collect::<String>());
    let own = said.strip_prefix(SAME).unwrap_or_else(|| panic!("{said}"));
    expected.assert_eq(&own.lines().map(|line| format!("{}\n", line.trim_start())).collect::<String>());
}

#[test]
fn a_policy_in_rust_imports_the_log_alone() {
    check(
        "rust",
        expect![[r#"
        imports    deputy:policy/log@1.1.0
        exports    deputy:policy/plugin@1.1.0, deputy:policy/assignment@1.1.0
        limits     the preset `compiled`, which is the default
    "#]],
    );
}

#[test]
fn a_policy_in_c_imports_nothing() {
    check(
        "c",
        expect![[r#"
        imports    none
        exports    deputy:policy/plugin@1.1.0, deputy:policy/assignment@1.1.0
        limits     the preset `compiled`, which is the default
    "#]],
    );
}

#[test]
fn a_policy_in_typescript_imports_the_contract_alone() {
    check(
        "typescript",
        expect![[r#"
        imports    deputy:policy/log@1.1.0, deputy:policy/tables@1.1.0
        exports    deputy:policy/plugin@1.1.0, deputy:policy/assignment@1.1.0
        limits     the preset `interpreter`, for its size; in deputy.toml: limits = { preset = "interpreter" }
    "#]],
    );
}

#[test]
fn a_policy_in_python_imports_the_contract_alone() {
    check(
        "python",
        expect![[r#"
        imports    deputy:policy/log@1.1.0, deputy:policy/tables@1.1.0
        exports    exports, deputy:policy/plugin@1.1.0, deputy:policy/assignment@1.1.0
        limits     the preset `interpreter`, for its size; in deputy.toml: limits = { preset = "interpreter" }
    "#]],
    );
}

/// A project like that of its language, with the tools that are there, and with these pieces of its files replaced.
fn changed(language: &Language, name: &str, changes: &[(&str, &str, &str)]) -> PathBuf {
    let folder = scratch().join(format!("{}-{name}", language.name));
    let _ = fs::remove_dir_all(&folder);
    language.component();
    let folder_name = folder.file_name().and_then(|name| name.to_str()).unwrap();
    deputy(&scratch(), &["plugin", "new", "site-policy", "--language", language.name, folder_name]);
    lend(language, &folder);
    for (file, from, to) in changes {
        let path = folder.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {file}:\n{text}");
        fs::write(&path, text.replace(from, to)).unwrap();
    }
    folder
}

/// Has a project use what another of its language has fetched.
fn lend(language: &Language, folder: &Path) {
    for kept in language.kept {
        std::os::unix::fs::symlink(scratch().join(language.name).join(kept), folder.join(kept)).unwrap();
    }
}

/// A policy that takes the department in the table `assets` for the tag, as the README says it is looked up, and fails on
/// devices of nobody. Returns its folder.
#[track_caller]
fn check_lookup(language: &str, changes: &[(&str, &str, &str)]) -> PathBuf {
    let language = Language::named(language);
    let folder = changed(language, "looks-up", changes);
    let output = language.build(&folder);
    assert!(output.status.success(), "{}", said(&output));
    fs::write(folder.join("assets.csv"), "serial_number,department\nB,LIB-9\nC,nobody\n").unwrap();
    let device =
        |serial: &str| json!({ "serial_number": serial, "device_family": "Mac", "asset_tag": "POOL" });
    fs::write(folder.join("devices.json"), json!(["A", "B", "C"].map(device)).to_string()).unwrap();
    let profiles = "standard,lab-ipad,kiosk";
    let given = ["--settings", "settings.toml", "--profile", profiles, "--table", "assets=assets.csv"];
    let about = ["plugin", "try", "site-policy.wasm", "--devices", "devices.json", "--json"];
    let output = ran(&folder, &[&[env!("CARGO_BIN_EXE_deputy")], &about[..], &given].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let tried: Value = serde_json::from_slice(&output.stdout).unwrap();
    let totals = json!({ "assign standard": 1, "assign kiosk": 1, "fault": 1 });
    assert_eq!(tried["tried"]["totals"], totals, "{tried:#}");
    assert_eq!(tried["tried"]["faults"][0]["example"], "C");
    // What it said of it comes once, however often it was asked.
    let log = tried["tried"]["log"].as_array().unwrap();
    assert_eq!(log.len(), 1, "{tried:#}");
    assert!(log[0]["text"].as_str().unwrap().contains("nobody has C"), "{tried:#}");
    folder
}

/// A component says, as the README shows, that its verdicts do not look at the time.
#[track_caller]
fn check_lasting(folder: &Path, given: &[&str]) {
    let about = ["plugin", "check", "site-policy.wasm", "--settings", "settings.toml"];
    let profiles = ["--profile", "standard,lab-ipad,kiosk"];
    let said = deputy(folder, &[&about[..], &profiles, given].concat());
    assert!(said.contains("  ok       lasting    its verdicts do not look at the time\n"), "{said}");
}

#[test]
fn a_policy_in_rust_looks_things_up_says_why_it_panics_and_for_how_long_its_verdicts_last() {
    let glue = "src/component.rs";
    let folder = check_lookup(
        "rust",
        &[
            (glue, "policy::log;", "policy::{log, tables};"),
            (glue, "policy::{assignment, plugin};", "policy::{assignment, lasting, plugin};"),
            (glue, "world: \"assignment-policy\"", "world: \"lasting-assignment-policy\""),
            (
                glue,
                "impl assignment::Guest for Component {",
                "impl lasting::Guest for Component {
    fn how_long(_context: lasting::Context) -> lasting::Lasting {
        lasting::Lasting::Always
    }
}

impl assignment::Guest for Component {",
            ),
            (
                glue,
                "Vec::new()\n    }",
                "vec![plugin::TableUse { table: \"assets\".to_owned(), columns: vec![\"department\".to_owned()] }]\n    }",
            ),
            (
                glue,
                "DeviceFields::ASSET_TAG |",
                "DeviceFields::SERIAL_NUMBER | assignment::DeviceFields::ASSET_TAG |",
            ),
            (
                glue,
                "policy.decide(device.asset_tag.as_deref(), ",
                "{ let row = tables::lookup(0, &device.serial_number);
                   let department = row.as_ref().map(|row| row[0].as_str());
                   assert_ne!(department, Some(\"nobody\"), \"nobody has {}\", device.serial_number);
                   policy.decide(department.or(device.asset_tag.as_deref()), ",
            ),
            (glue, "device.device_family.as_deref());", "device.device_family.as_deref()) };"),
        ],
    );
    check_lasting(&folder, &["--table", "assets=assets.csv"]);
}

#[test]
fn a_policy_in_python_looks_things_up_says_what_it_raises_and_for_how_long_its_verdicts_last() {
    let glue = "src/component.py";
    let folder = check_lookup(
        "python",
        &[
            (
                glue,
                "import assignment, plugin\n",
                "import assignment, lasting, plugin\nfrom wit_world.imports import tables\n",
            ),
            ("plugin.toml", "world = \"assignment-policy\"", "world = \"lasting-assignment-policy\""),
            (
                glue,
                "class Assignment:",
                "class Lasting:
    def how_long(self, context: lasting.Context) -> lasting.Lasting:
        return lasting.Lasting_Always()


class Assignment:",
            ),
            (glue, "return []", "return [plugin.TableUse(\"assets\", [\"department\"])]"),
            (
                glue,
                "DeviceFields.ASSET_TAG |",
                "DeviceFields.SERIAL_NUMBER | assignment.DeviceFields.ASSET_TAG |",
            ),
            (
                glue,
                "            profile, reason = policy.decide(configured, device.asset_tag, ",
                "            row = tables.lookup(0, device.serial_number)
            department = row[0] if row else None
            if department == \"nobody\":
                raise ValueError(f\"nobody has {device.serial_number}\")
            profile, reason = policy.decide(configured, department or device.asset_tag, ",
            ),
        ],
    );
    check_lasting(&folder, &["--table", "assets=assets.csv"]);
}

#[test]
fn a_policy_in_typescript_looks_things_up_says_what_it_throws_and_for_how_long_its_verdicts_last() {
    let glue = "src/component.ts";
    let folder = check_lookup(
        "typescript",
        &[
            ("package.json", "--quiet -n assignment-policy", "--quiet -n lasting-assignment-policy"),
            ("package.json", "-w wit -n assignment-policy", "-w wit -n lasting-assignment-policy"),
            (
                glue,
                "import type * as Plugin ",
                "import type * as Lasting from \"deputy:policy/lasting@1.1.0\";\nimport type * as Plugin ",
            ),
            (
                glue,
                "export const assignment:",
                "export const lasting: typeof Lasting = {
  howLong(_context) {
    return { tag: \"always\" };
  },
};

export const assignment:",
            ),
            (
                glue,
                "import { log } from \"deputy:policy/log@1.1.0\";",
                "import { log } from \"deputy:policy/log@1.1.0\";\nimport { lookup } from \"deputy:policy/tables@1.1.0\";",
            ),
            (glue, "return [];", "return [{ table: \"assets\", columns: [\"department\"] }];"),
            (glue, "assetTag: true,", "serialNumber: true, assetTag: true,"),
            (
                glue,
                "told(() => decide(policy, device));",
                "told(() => {
                   const row = lookup(0, device.serialNumber);
                   const department = row?.[0];
                   if (department === \"nobody\") throw new Error(`nobody has ${device.serialNumber}`);
                   return decide(policy, { ...device, assetTag: department ?? device.assetTag });
                 });",
            ),
        ],
    );
    check_lasting(&folder, &["--table", "assets=assets.csv"]);
}

#[test]
fn a_policy_in_c_looks_things_up_and_can_say_why_it_fails() {
    let glue = "src/component.c";
    check_lookup(
        "c",
        &[
            (
                glue,
                "    ret->ptr = NULL;\n    ret->len = 0;\n",
                "    ret->ptr = calloc(1, sizeof *ret->ptr);
                 ret->len = 1;
                 assignment_policy_string_set(&ret->ptr[0].table, \"assets\");
                 ret->ptr[0].columns.ptr = calloc(1, sizeof *ret->ptr[0].columns.ptr);
                 ret->ptr[0].columns.len = 1;
                 assignment_policy_string_set(&ret->ptr[0].columns.ptr[0], \"department\");\n",
            ),
            (
                glue,
                "return EXPORTS_DEPUTY_POLICY_ASSIGNMENT_DEVICE_FIELDS_ASSET_TAG |",
                "return EXPORTS_DEPUTY_POLICY_ASSIGNMENT_DEVICE_FIELDS_SERIAL_NUMBER | EXPORTS_DEPUTY_POLICY_ASSIGNMENT_DEVICE_FIELDS_ASSET_TAG |",
            ),
            (
                glue,
                "        struct verdict verdict =\n            policy_decide(&policy, text_or_empty(device->asset_tag), ",
                "        assignment_policy_list_string_t row;
        assignment_policy_string_t key = device->serial_number;
        bool found = deputy_policy_tables_lookup(0, &key, &row);
        struct text department = found ? text(row.ptr[0]) : text_or_empty(device->asset_tag);
        if (department.length == 6 && department.start[0] == 'n') {
            assignment_policy_string_t line;
            assignment_policy_string_set(&line, \"nobody has C\");
            deputy_policy_log_log(DEPUTY_POLICY_LOG_LEVEL_ERROR, &line);
            __builtin_trap();
        }
        struct verdict verdict =
            policy_decide(&policy, department, ",
            ),
        ],
    );
}

#[test]
fn a_policy_in_c_says_for_how_long_its_verdicts_last() {
    let language = Language::named("c");
    let folder = changed(
        language,
        "lasts",
        &[("plugin.toml", "world = \"assignment-policy\"", "world = \"lasting-assignment-policy\"")],
    );
    let glue = folder.join("src/component.c");
    let text = fs::read_to_string(&glue).unwrap().replace("assignment_policy_", "lasting_assignment_policy_");
    let text = text.replace("\"assignment_policy.h\"", "\"lasting_assignment_policy.h\"");
    let lasting = "
void exports_deputy_policy_lasting_how_long(exports_deputy_policy_lasting_context_t *context,
                                            exports_deputy_policy_lasting_lasting_t *ret) {
    (void)context;
    ret->tag = EXPORTS_DEPUTY_POLICY_LASTING_LASTING_ALWAYS;
}
";
    fs::write(&glue, text + lasting).unwrap();
    let output = language.build(&folder);
    assert!(output.status.success(), "{}", said(&output));
    check_lasting(&folder, &[]);
}

/// What a build says to a mistake in the source, and that an earlier component is no longer what the source says.
#[track_caller]
fn check_source(language: &str, change: (&str, &str, &str), said: &[&str], not: &[&str]) {
    let language = Language::named(language);
    let folder = changed(language, "mistaken", &[change]);
    fs::write(folder.join("site-policy.wasm"), "of an earlier build").unwrap();
    let output = language.build(&folder);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    let hint = "hint: site-policy.wasm is still the one of an earlier build";
    for said in said.iter().chain(&["cannot build the policy in ", hint]) {
        assert!(text.contains(said), "{said:?} is not in:\n{text}");
    }
    for not in not {
        assert!(!text.contains(not), "{not:?} is in:\n{text}");
    }
}

#[test]
fn a_mistake_in_the_source_is_told_by_its_place_in_every_language() {
    let python = ("src/policy.py", "KEYS = (", "KEYS = ((");
    check_source(
        "python",
        python,
        &["File \"src/policy.py\", line 11", "SyntaxError: '(' was never closed"],
        &["Stack backtrace", "exit status"],
    );
    let rust = ("src/lib.rs", "pub fn decide(", "pub fn decide decide(");
    check_source("rust", rust, &["--> src/lib.rs:", "error: "], &["\"reason\"", "Compiling"]);
    let typescript = ("src/policy.ts", "const KEYS = [", "const KEYS = [[");
    check_source("typescript", typescript, &["src/policy.ts("], &["npm warn", "guest-types"]);
    let c = ("src/policy.c", "#include \"policy.h\"", "#include \"policy.h\"\nthis is no C;");
    check_source("c", c, &["src/policy.c:", "error: "], &["-nostdlib"]);
}

/// What every policy of this test is told.
const SETTINGS: &str = r#"
[plugins.NAME.settings.families]
Mac = "standard"
iPad = "lab-ipad"
"Apple TV/4K~" = "standard"

[plugins.NAME.settings.prefixes]
"EXEC-" = "executive-mac"
LIB = "lab-ipad"
"LIB-K" = "standard"
"É~/" = "executive-mac"
"#;

/// Devices of every kind that matters to the template, in an order that only looks random.
fn devices(count: u64) -> Vec<Value> {
    const FAMILIES: [&str; 6] = ["Mac", "iPad", "Vision", "Apple TV/4K~", "iPhone", "mac"];
    const TAGS: [&str; 10] =
        ["EXEC-", "EXEC", "LIB", "LIB-", "LIB-K", "LIB-KIOSK 7", "lib-k", "É~/1", "E\u{301}~/", "POOL"];
    let device = |number: u64| {
        let mut seed = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut choose = |of: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from((seed >> 33) % of).unwrap()
        };
        let mut device = json!({ "serial_number": format!("S{number:06}"), "model": "whatever it is" });
        // The simulator would make a Mac of a device without the field.
        device["device_family"] = json!(FAMILIES.get(choose(7)).unwrap_or(&""));
        if let Some(tag) = TAGS.get(choose(13)) {
            device["asset_tag"] = json!(format!("{tag}{}", choose(3)));
        }
        device
    };
    (0..count).map(device).collect()
}

#[test]
fn ten_thousand_devices_get_the_same_verdicts_in_every_language() {
    const DEVICES: u64 = 10_000;
    let env = TestEnv::new();
    env.edit("workflows/auto-assign.toml", "first_assignments = 5000", "first_assignments = 20000");
    env.apple().add_devices("main", &devices(DEVICES)).expect("the devices are new");
    let mut policy = "rules".to_owned();
    let mut first: Option<Vec<String>> = None;
    for language in &LANGUAGES {
        let component = language.component();
        let name = format!("in-{}", language.name);
        env.write(&format!("plugins/{name}.wasm"), component);
        let (digest, limits) = (Digest::of(component), language.limits);
        let table =
            format!("\n[plugins.{name}]\npath = \"plugins/{name}.wasm\"\nsha256 = \"{digest}\"\n{limits}\n");
        env.append("deputy.toml", &(table + &SETTINGS.replace("NAME", &name)));
        let from = format!("policy = \"{policy}\"");
        env.edit("workflows/auto-assign.toml", &from, &format!("policy = \"{name}\""));
        env.run(&["plan", "auto-assign"]).is_done();
        let verdicts = verdicts(&env, &name);
        assert_eq!(verdicts.len() as u64, DEVICES, "{name}");
        assert!(!verdicts.iter().any(|line| line.ends_with("fault 1")), "{name}");
        match &first {
            None => {
                // They are worth comparing: every rule of the template decides some.
                expect![[r#"
                    771 assign executive-mac the asset tag begins with EXEC-
                    768 assign executive-mac the asset tag begins with É~/
                    1532 assign lab-ipad the asset tag begins with LIB
                    744 assign lab-ipad the family is iPad
                    1545 assign standard the asset tag begins with LIB-K
                    792 assign standard the family is Apple TV/4K~
                    775 assign standard the family is Mac
                    797 hold - Apple does not say which family the device is of
                    2276 hold - no profile is set for the family of the device
                "#]]
                .assert_eq(&summary(&verdicts));
                first = Some(verdicts);
            }
            Some(first) => {
                let other = first.iter().zip(&verdicts).find(|(a, b)| a != b);
                assert_eq!(other, None, "the first verdict of {name} that differs from that of Rust");
            }
        }
        policy = name;
    }
}

/// What a policy said of each device, in the order of their serial numbers.
fn verdicts(env: &TestEnv, policy: &str) -> Vec<String> {
    let store = env.store();
    let query = "SELECT serial_number, decision, coalesce(profile, '-'), reason, fault
         FROM verdict JOIN device ON device.id = verdict.device WHERE policy = ?1 ORDER BY serial_number";
    let mut query = store.prepare(query).expect("the store has verdicts");
    let text = |row: &rusqlite::Row<'_>, index| row.get::<_, String>(index);
    let line = |row: &rusqlite::Row<'_>| {
        let fault: bool = row.get(4)?;
        Ok(format!(
            "{} {} {} {} fault {}",
            text(row, 0)?,
            text(row, 1)?,
            text(row, 2)?,
            text(row, 3)?,
            u8::from(fault)
        ))
    };
    let rows = query.query_map([policy], line).expect("the verdicts can be read");
    rows.collect::<Result<_, _>>().expect("the verdicts can be read")
}

/// How many devices got each verdict for each reason.
fn summary(verdicts: &[String]) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for verdict in verdicts {
        let (_, said) = verdict.split_once(' ').expect("a serial number comes first");
        *counts.entry(said.trim_end_matches(" fault 0")).or_insert(0) += 1;
    }
    counts.iter().map(|(said, count)| format!("{count} {said}\n")).collect()
}

/// The other questions there is a template for, in this language: what `inspect` says they answer.
#[track_caller]
fn check_question(language: &str, question: &str) {
    let language = Language::named(language);
    // Its tools are there, and what they keep is lent to this project.
    language.component();
    let name = format!("{}-{question}", language.name);
    let folder = scratch().join(&name);
    let _ = fs::remove_dir_all(&folder);
    let words = ["plugin", "new", "site-policy", "--language", language.name, "--question", question, &name];
    deputy(&scratch(), &words);
    lend(language, &folder);
    let output = language.build(&folder);
    assert!(output.status.success(), "{}", said(&output));
    typed(&folder, language.test);
    as_the_readme_says(&folder);
    let said = deputy(&folder, &["plugin", "inspect", "site-policy.wasm", "--json"]);
    let inspected: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(inspected["plugin"]["questions"], json!([question]), "{said}");
}

#[test]
fn a_review_in_rust_builds_and_passes_its_tests() {
    check_question("rust", "review");
}

#[test]
fn a_reminder_in_rust_builds_and_passes_its_tests() {
    check_question("rust", "reminder");
}

/// What `new` and `build` say to a mistake.
#[track_caller]
fn check_mistake(arguments: &[&str], expected: Expect) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("full")).unwrap();
    fs::write(folder.path().join("full/plugin.toml"), "version = 1\nname = \"x\"\nlanguge = \"c\"\n")
        .unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_deputy"))
        .args(["plugin"])
        .args(arguments)
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    expected.assert_eq(&String::from_utf8_lossy(&output.stderr));
}

#[test]
fn nobodys_files_are_mixed_with_a_new_project() {
    check_mistake(
        &["new", "x", "--language", "c", "full"],
        expect![[r#"
        error: full is not empty; nothing was written
        hint: choose another folder: `deputy plugin new NAME --language LANGUAGE DIR`
    "#]],
    );
}

#[test]
fn a_name_must_do_for_a_package_in_every_language() {
    check_mistake(
        &["new", "Site Policy", "--language", "rust"],
        expect![[r#"
        error: `Site Policy` is no name for a policy: lower-case letters, digits and `-`, starting with a letter, at most 64
    "#]],
    );
}

#[test]
fn what_is_no_project_is_not_built() {
    check_mistake(
        &["build"],
        expect![[r#"
            error: cannot read plugin.toml
              caused by: No such file or directory (os error 2)
            hint: a policy's folder has a plugin.toml; `deputy plugin new NAME --language LANGUAGE` makes one
        "#]],
    );
    check_mistake(
        &["build", "full"],
        expect![[r#"
        error: missing key `language`
         --> full/plugin.toml:1:1
          |
        1 | version = 1
          | ^

        error: unknown key `languge`
         --> full/plugin.toml:3:1
          |
        3 | languge = "c"
          | ^^^^^^^
          |
          = help: did you mean `language`?
    "#]],
    );
}
