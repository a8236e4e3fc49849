//! Compiling a guest: a cargo inside cargo that must not notice the outer one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use crate::Error;
use crate::process::build;
use crate::toolchain::{TARGET, Toolchain};

/// Compiles the crate in `crate_dir` and returns the path of its module.
pub(crate) fn compile(toolchain: &Toolchain, crate_dir: &Path, target_dir: &Path) -> Result<PathBuf, Error> {
    let root = workspace_root(crate_dir);
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    forget_outer_cargo(&mut cargo);
    toolchain.apply(&mut cargo);
    cargo
        .current_dir(crate_dir)
        .args([
            "build",
            // What it compiles tells nobody anything; what it complains about is said all the same.
            "--quiet",
            "--profile",
            "guest",
            "--target",
            TARGET,
            "--message-format",
            "json-render-diagnostics",
        ])
        .arg("--target-dir")
        .arg(target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", remap_paths(root.as_deref().unwrap_or(crate_dir), "policy"));
    let messages = build(&mut cargo, Duration::from_secs(15 * 60), ("cargo", crate_dir), for_people)?;
    module_in(&messages, crate_dir).ok_or_else(|| Error::NotAComponent {
        folder: crate_dir.to_owned(),
        reason: "cargo made no module of it; its manifest needs `crate-type = [\"cdylib\"]`".to_owned(),
    })
}

/// Of what cargo says, what is not for a program.
fn for_people(said: &str) -> String {
    let lines = said.lines().filter(|line| !line.starts_with("{\"reason\":"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Makes a nested cargo, or another tool, work as if it had been started by hand.
pub(crate) fn forget_outer_cargo(cargo: &mut Command) {
    for (name, _) in env::vars_os() {
        if name.to_str().is_none_or(belongs_to_outer_cargo) {
            cargo.env_remove(name);
        }
    }
}

/// Where cargo may keep compiled guests: one folder in the outer cargo's target folder, so that
/// build scripts and profiles share it. The outer cargo locks its profiles' folders, not this one.
pub(crate) fn target_dir(out_dir: &Path) -> PathBuf {
    let target = out_dir.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    target.unwrap_or(out_dir).join("guests")
}

/// What a component is made of: its crate, the contract, and the workspace's versions.
pub(crate) fn sources(crate_dir: &Path) -> Vec<PathBuf> {
    let mut sources = ["src", "Cargo.toml", "build.rs"].map(|name| crate_dir.join(name)).to_vec();
    if let Some(root) = workspace_root(crate_dir) {
        sources.extend(["Cargo.toml", "Cargo.lock", "wit"].map(|name| root.join(name)));
    }
    sources.retain(|path| path.exists());
    sources
}

/// Everything an outer cargo sets for its build scripts, or a person for an outer build, that
/// would change the guest. What says where crates come from (`CARGO_HOME`, `CARGO_NET_…`,
/// `CARGO_HTTP_…`, `CARGO_REGISTR…`, `CARGO_SOURCE_…`) and cargo's pool of processor tokens stay.
fn belongs_to_outer_cargo(name: &str) -> bool {
    const STAY: [&str; 7] = [
        "CARGO_HOME",
        "CARGO_NET_",
        "CARGO_HTTP_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "CARGO_MAKEFLAGS",
        "CARGO_TERM_",
    ];
    const GO: [&str; 12] = [
        "CARGO",
        "__CARGO",
        "RUSTFLAGS",
        "RUSTC",
        "RUSTDOC",
        "RUST_BACKTRACE",
        "CLIPPY_",
        "DEP_",
        "OUT_DIR",
        "TARGET",
        "PROFILE",
        // For the outer build's tools; a private compiler gets its own.
        "LD_LIBRARY_PATH",
    ];
    !STAY.iter().any(|stay| name.starts_with(stay)) && GO.iter().any(|go| name.starts_with(go))
}

/// Flags that keep this machine's folders out of the component: they would say where it was
/// built, and make the same source differ from machine to machine. Beside `folder`, which becomes
/// `name`, that is where crates are unpacked.
pub(crate) fn remap_paths(folder: &Path, name: &str) -> String {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let crates = home.map(|home| format!("--remap-path-prefix={}=cargo\x1f", home.display()));
    format!("{}--remap-path-prefix={}={name}", crates.unwrap_or_default(), folder.display())
}

/// The nearest folder above a crate that has a lock file.
fn workspace_root(crate_dir: &Path) -> Option<PathBuf> {
    let crate_dir = fs::canonicalize(crate_dir).ok()?;
    crate_dir.ancestors().find(|folder| folder.join("Cargo.lock").exists()).map(Path::to_owned)
}

/// The module among cargo's messages that was made of the crate itself.
fn module_in(messages: &str, crate_dir: &Path) -> Option<PathBuf> {
    let manifest = fs::canonicalize(crate_dir.join("Cargo.toml")).ok()?;
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["manifest_path"].as_str().map(Path::new) == Some(&manifest))
        .filter_map(|message| message["filenames"].as_array().cloned())
        .flatten()
        .filter_map(|file| file.as_str().map(PathBuf::from))
        .find(|file| file.extension().is_some_and(|extension| extension == "wasm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_the_guest_does_not_reach_it() {
        for name in [
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "CARGO_BUILD_TARGET",
            "CARGO_TARGET_DIR",
            "CARGO_PROFILE_GUEST_LTO",
            "CARGO_FEATURE_X",
            "__CARGO_DEFAULT_LIB_METADATA",
            "LD_LIBRARY_PATH",
        ] {
            assert!(belongs_to_outer_cargo(name), "{name} must go");
        }
    }

    #[test]
    fn where_crates_come_from_stays() {
        for name in ["CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_HTTP_PROXY", "CARGO_MAKEFLAGS", "PATH", "HOME"]
        {
            assert!(!belongs_to_outer_cargo(name), "{name} must stay");
        }
    }

    #[test]
    fn the_module_is_found_among_the_messages_of_cargo() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = fs::canonicalize(dir.path()).unwrap().join("Cargo.toml");
        fs::write(&manifest, "").unwrap();
        let messages = format!(
            "{}\n{}\nnot json\n",
            r#"{"manifest_path":"/elsewhere/Cargo.toml","filenames":["/elsewhere/other.wasm"]}"#,
            serde_json::json!({ "manifest_path": manifest, "filenames": ["x.rlib", "x.wasm"] }),
        );
        assert_eq!(module_in(&messages, dir.path()), Some(PathBuf::from("x.wasm")));
    }
}
