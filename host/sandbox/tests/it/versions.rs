//! Versions of the contract: those that were released do not change, and components of each go on running.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use domain::id::Digest;
use domain::policy::Policy as _;
use expect_test::expect;

use crate::help::{SANDBOX, context, devices, shown, spec};

/// Every file below a folder with the digest of what is in it, by its path.
fn digests(folder: &Path) -> BTreeMap<PathBuf, Digest> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                // A checkout may have made other line ends of them.
                let text = std::fs::read_to_string(&path).unwrap().replace('\r', "");
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), Digest::of(text.as_bytes()));
            }
        }
    }
    found
}

/// To change what was released is to break what somebody built. Make a new folder instead; see `wit/README.md`.
#[test]
fn released_versions_of_the_contract_never_change() {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let lines = digests(&wit).into_iter().filter(|(path, _)| path.as_os_str() != "README.md");
    let lines: String = lines.map(|(path, digest)| format!("{digest} {}\n", path.display())).collect();
    expect![[r#"
        de2f611fcc126272bdd17083cc5f80f1f9d4048abfeee2cb2345fd63fc61b3a2 v0.1/policy.wit
        39e8da3f7a61ca4d2f07cd592b57206702d25955b69defe63932457ac8d08494 v1.0/policy.wit
    "#]]
    .assert_eq(&lines.replace('\\', "/"));
}

#[test]
fn a_component_of_version_0_1_runs_as_it_did() {
    let inspection = SANDBOX.inspect(artifacts::MISBEHAVE).unwrap();
    assert_eq!((inspection.contract.as_deref(), inspection.description), (Some("0.1.0"), None));
    let plugin =
        SANDBOX.load(spec(artifacts::MISBEHAVE, serde_json::json!({ "behaviour": "none" }))).unwrap();
    let devices = devices("C1 C2");
    expect![[r#"
        C1 hold: fine
        C2 hold: fine
    "#]]
    .assert_eq(&shown(&devices, &plugin.decide(&context(), &devices).answer));
    assert_eq!(plugin.tables(), []);
    expect!["serial_number model description color asset_tag os device_family profile_uuid profile_assign_time profile_push_time device_assigned_by device_assigned_date extra"].assert_eq(&plugin.reads().join(" "));
}
