//! The policy of the benchmarks: the shipped rules, over three fields of a device.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use domain::id::{Digest, PluginName, ProfileName};
use domain::policy::{Policy, Setup};
use domain::profile::Definition;
use sandbox::{Compiler, Limits, PluginSpec, Sandbox};
use serde_json::json;

/// The command of the process that compiles.
pub(crate) const COMPILE: &str = "__compile";

/// A first day, with rails that let it be one.
pub(crate) const WORKFLOW: &str = r#"
version = 1
name = "run"
[[steps]]
uses = "sync"
[[steps]]
uses = "decide"
policy = "rules"
[[steps]]
uses = "plan"
rails = { first_assignments = 100_000_000, reassignments = 1_000 }
[[steps]]
uses = "apply"
"#;

/// The sandbox, in which this very program compiles.
pub(crate) fn sandbox(cache: &Path) -> anyhow::Result<Sandbox> {
    let compiler = Compiler {
        program: std::env::current_exe().context("this program does not know its own file")?,
        arguments: vec![COMPILE.to_owned()],
        notice: |_| (),
        retry: false,
    };
    Ok(Sandbox::new(compiler, Some(cache.to_owned()))?)
}

/// The rules: of the devices with a new asset tag, one profile, and one for each of two kinds of devices.
pub(crate) fn load(cache: &Path) -> anyhow::Result<Arc<dyn Policy>> {
    let settings = json!({ "rules": [
        { "when": { "asset_tag": "BENCH-*" }, "assign": "moved" },
        { "when": { "device_family": "iPad", "os": ["iOS", "iPadOS"] }, "assign": "tablet" },
        { "assign": "other" },
    ] });
    let spec = PluginSpec {
        name: "rules".parse()?,
        bytes: shipped::RULES.to_vec(),
        expected_digest: None,
        limits: Limits::default(),
        settings,
        setup: Setup { profiles: profiles()?.into_keys().collect(), ..Setup::default() },
        tables: BTreeMap::new(),
    };
    Ok(Arc::new(sandbox(cache)?.load(spec)?))
}

/// The name the workflow has for it.
pub(crate) fn name() -> anyhow::Result<PluginName> {
    Ok("rules".parse()?)
}

/// The profiles it assigns.
pub(crate) fn profiles() -> anyhow::Result<BTreeMap<ProfileName, Definition>> {
    ["moved", "other", "tablet"].into_iter().map(profile).collect()
}

fn profile(name: &str) -> anyhow::Result<(ProfileName, Definition)> {
    let body = json!({ "profile_name": name, "url": "https://mdm.example.com/enroll" });
    let digest = Digest::of(body.to_string().as_bytes());
    Ok((name.parse()?, Definition { body, digest }))
}
