//! Compiled code is kept, and believed only when it is exactly what was kept.

use std::fs;
use std::path::{Path, PathBuf};

use domain::policy::Policy as _;
use expect_test::expect;
use sandbox::{Compiler, Error, Limits, PluginSpec, Sandbox};

use crate::help::{compiler, context, devices, shown, spec};

/// Loads the shipped rules through a cache and asks them about a device, as a new program would.
fn run(cache: &Path) {
    let sandbox = Sandbox::new(compiler(), Some(cache.to_owned())).unwrap();
    let plugin =
        sandbox.load(spec(shipped::RULES, serde_json::json!({ "default": { "assign": "kiosk" } }))).unwrap();
    let devices = devices("C1");
    expect![[r#"
        C1 assign kiosk: no rule matched
    "#]]
    .assert_eq(&shown(&devices, &plugin.decide(&context(), &devices).answer));
}

/// The one file of compiled code.
fn code(cache: &Path) -> PathBuf {
    let files = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path());
    let mut code: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|e| e == "cwasm")).collect();
    assert_eq!(code.len(), 1, "{code:?}");
    code.remove(0)
}

/// Which file it is, not what it is called: a file that was written again is another one.
#[cfg(unix)]
fn identity(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).unwrap().ino()
}

#[test]
#[cfg(unix)]
fn a_second_start_uses_what_the_first_compiled() {
    let cache = tempfile::tempdir().unwrap();
    run(cache.path());
    // Held open, so that its number is not given to a new file.
    let file = fs::File::open(code(cache.path())).unwrap();
    let first = identity(&code(cache.path()));
    run(cache.path());
    assert_eq!(identity(&code(cache.path())), first, "it was compiled again");
    drop(file);
}

#[test]
fn a_file_that_was_tampered_with_is_made_again() {
    let cache = tempfile::tempdir().unwrap();
    run(cache.path());
    let good = fs::read(code(cache.path())).unwrap();
    for tampered in [
        // One bit of the code, of the checksum; half of it; nothing; code without its checksum.
        flipped(&good, good.len() / 2),
        flipped(&good, 0),
        good[..good.len() / 2].to_vec(),
        Vec::new(),
        good[32..].to_vec(),
    ] {
        fs::write(code(cache.path()), &tampered).unwrap();
        run(cache.path());
        assert_ne!(fs::read(code(cache.path())).unwrap(), tampered, "the file was believed");
    }
}

#[test]
fn code_of_another_component_under_this_ones_name_is_not_believed() {
    let (cache, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run(cache.path());
    // The same key, so that only the name tells the two apart.
    fs::copy(cache.path().join("key"), other.path().join("key")).unwrap();
    Sandbox::new(compiler(), Some(other.path().to_owned()))
        .unwrap()
        .inspect(artifacts::MISBEHAVE, &Limits::default())
        .unwrap();
    fs::copy(code(other.path()), code(cache.path())).unwrap();
    run(cache.path());
}

#[test]
#[cfg(unix)]
fn nobody_else_can_read_the_cache() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = tempfile::tempdir().unwrap();
    let cache = parent.path().join("state/plugins");
    run(&cache);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&cache), 0o700);
    for entry in fs::read_dir(&cache).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[test]
fn what_cannot_be_compiled_is_not_tried_again_by_the_next_start_unless_that_is_wanted() {
    let cache = tempfile::tempdir().unwrap();
    let load = |compiler: Compiler, limits: Limits| {
        let sandbox = Sandbox::new(compiler, Some(cache.path().to_owned())).unwrap();
        let broken = b"\0asm\x0d\0\x01\0 and no component";
        let spec = PluginSpec { limits, ..spec(broken, serde_json::json!({})) };
        let error = sandbox.load(spec).unwrap_err();
        match error {
            Error::NotCompiled { .. } => "tried",
            Error::NotCompiledLately { .. } => "not tried",
            Error::Engine { .. } => "tried, without a compiler",
            _ => panic!("{error}"),
        }
    };
    let more = Limits { compile_bytes: 2 << 30, ..Limits::default() };
    let next_start = || Compiler { retry: false, ..compiler() };
    let none = || Compiler { program: "/nowhere/at/all".into(), ..compiler() };
    assert_eq!(load(next_start(), Limits::default()), "tried");
    assert_eq!(load(next_start(), Limits::default()), "not tried");
    assert_eq!(load(Compiler { retry: false, ..none() }, Limits::default()), "not tried");
    assert_eq!(load(next_start(), more.clone()), "tried", "with other limits");
    assert_eq!(load(compiler(), Limits::default()), "tried");
    // That there is no compiler says nothing of the component.
    assert_eq!(load(none(), more.clone()), "tried, without a compiler");
    assert_eq!(load(next_start(), more), "not tried");
}

#[test]
fn without_a_usable_folder_plugins_are_compiled() {
    let file = tempfile::NamedTempFile::new().unwrap();
    run(file.path());
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}
