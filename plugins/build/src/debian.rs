//! A private compiler from Debian's packages: for machines that rustup cannot serve.
//!
//! Debian ships a recent compiler with its library's source (`rustc-web`, `rust-web-src`), made
//! for its browsers. We download the packages without installing them, unpack them into a folder of
//! our own, and build the library once for the target. That needs no root and changes nothing of the
//! system: apt works on lists, a cache and a configuration of our own, since a machine's lists may
//! be months old.
//!
//! The folder gets its name by a rename when it is complete, under a lock, so that an interrupted
//! preparation is never taken for a compiler and two build scripts do not prepare at once.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use crate::process::{progress, run};
use crate::toolchain::{TARGET, Toolchain, holds_core};
use crate::{Error, io};

/// What a prepared folder's name starts with; the version follows.
const PREFIX: &str = "wasm-toolchain-";
/// The packages asked for; what they need besides comes with them.
const PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

const A_MOMENT: Duration = Duration::from_secs(60);
const A_DOWNLOAD: Duration = Duration::from_secs(15 * 60);

/// The newest private compiler that was prepared before.
pub(crate) fn prepared() -> Option<PathBuf> {
    let entries = fs::read_dir(cache()?).ok()?;
    let roots = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let version = path.file_name()?.to_str()?.strip_prefix(PREFIX)?.to_owned();
        holds_core(&target_libraries(&path)).then(|| (numbers(&version), path))
    });
    roots.max().map(|(_, root)| root)
}

/// How to use the private compiler in `root`. `rustc` is the compiler that cannot do it alone, but
/// whose distribution has a linker.
pub(crate) fn toolchain(root: &Path, rustc: &Path) -> Result<Toolchain, Error> {
    Ok(Toolchain {
        rustc: root.join("usr/bin/rustc"),
        libraries: Some(libraries(root)?),
        linker: Some(linker(rustc)?),
    })
}

/// Makes the private compiler and returns its folder.
pub(crate) fn prepare(rustc: &Path) -> Result<PathBuf, Error> {
    let cache = cache().ok_or_else(|| Error::Command {
        command: "apt-get".to_owned(),
        outcome: "has nowhere to put its packages: set HOME or XDG_CACHE_HOME".to_owned(),
    })?;
    fs::create_dir_all(&cache).map_err(io("create", &cache))?;
    let lock_file = cache.join("wasm-toolchain.lock");
    let lock = File::create(&lock_file).map_err(io("create", &lock_file))?;
    lock.lock().map_err(io("lock", &lock_file))?;
    // Another build script may have done it while we waited for the lock.
    if let Some(root) = prepared() {
        return Ok(root);
    }
    progress(&format!(
        "preparing a private compiler for {TARGET} in {}: about 140 MB to download, then a few minutes; \
         this happens once",
        cache.display()
    ));
    let work = tempfile::Builder::new()
        .prefix("preparing-")
        .tempdir_in(&cache)
        .map_err(io("create a folder in", &cache))?;
    let apt = Apt::new(work.path())?;
    let packages = apt.packages()?;
    let root = work.path().join("root");
    for file in apt.download(&packages)? {
        run(Command::new("dpkg-deb").arg("-x").arg(&file).arg(&root), A_DOWNLOAD)?;
    }
    build_library(&root, work.path(), rustc)?;
    remove_source(&root)?;
    let compiler = packages.iter().find(|package| package.name == PACKAGES[0]);
    let version = compiler.map_or("unknown", |package| package.version.as_str());
    let finished = cache.join(format!("{PREFIX}{version}"));
    if finished.exists() {
        // Not found by `prepared` above, so it is not whole.
        fs::remove_dir_all(&finished).map_err(io("remove", &finished))?;
    }
    fs::rename(&root, &finished).map_err(io("rename the new compiler to", &finished))?;
    progress(&format!("the private compiler is ready: {}", finished.display()));
    Ok(finished)
}

/// A package of one version.
#[derive(Debug, PartialEq, Eq)]
struct Package {
    name: String,
    version: String,
}

/// apt, working in a folder of its own.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn new(work: &Path) -> Result<Self, Error> {
        let apt = Self { folder: work.join("apt") };
        for name in ["lists/partial", "archives/partial", "parts", "packages"] {
            let path = apt.folder.join(name);
            fs::create_dir_all(&path).map_err(io("create", &path))?;
        }
        let system = run(Command::new("apt-config").arg("dump"), A_MOMENT)?;
        let path = apt.folder.join("apt.conf");
        fs::write(&path, configuration(&system, &apt.folder)).map_err(io("write", &path))?;
        Ok(apt)
    }

    /// The packages that installing [`PACKAGES`] would bring to this machine.
    fn packages(&self) -> Result<Vec<Package>, Error> {
        // One broken source of somebody else's must not stop us; what we need shows next.
        if let Err(error) = run(self.command("apt-get").args(["-q", "update"]), A_DOWNLOAD) {
            progress(&format!(
                "apt-get update complained, going on: {}",
                crate::process::one_line(&error.to_string())
            ));
        }
        let mut simulate = self.command("apt-get");
        simulate.args(["-q", "-s", "--no-install-recommends", "install"]).args(PACKAGES);
        let packages = simulated(&run(&mut simulate, A_MOMENT)?);
        match packages.iter().any(|package| package.name == PACKAGES[0]) {
            true => Ok(packages),
            false => Err(Error::Command {
                command: format!("apt-get install {}", PACKAGES[0]),
                outcome: "would bring nothing: this system has the package, and no copy can be made of it"
                    .to_owned(),
            }),
        }
    }

    fn download(&self, packages: &[Package]) -> Result<Vec<PathBuf>, Error> {
        let folder = self.folder.join("packages");
        let mut download = self.command("apt-get");
        download.args(["-q", "download"]).current_dir(&folder);
        download.args(packages.iter().map(|package| format!("{}={}", package.name, package.version)));
        run(&mut download, A_DOWNLOAD)?;
        let entries = fs::read_dir(&folder).map_err(io("read", &folder))?;
        Ok(entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.folder.join("apt.conf")).env("LC_ALL", "C");
        command
    }
}

/// The system's way to its archives (proxies, certificates, checks), and nothing else of it: no
/// hooks, which may touch the system, and no folders of the system's.
fn configuration(system: &str, folder: &Path) -> String {
    let kept = system.lines().filter(|line| line.starts_with("Acquire::") && !line.contains("IndexTargets"));
    let mut text = kept.collect::<Vec<_>>().join("\n");
    let at = |name: &str| folder.join(name).display().to_string();
    for (key, value) in [
        ("Dir::Etc::Parts", at("parts")),
        ("Dir::Etc::Main", at("none")),
        ("Dir::State", at("")),
        ("Dir::State::lists", at("lists")),
        ("Dir::State::status", "/var/lib/dpkg/status".to_owned()),
        ("Dir::Cache", at("")),
        ("Dir::Cache::archives", at("archives")),
        // Our folders are ours alone: apt's own user could not write there.
        ("APT::Sandbox::User", String::new()),
        ("Debug::NoLocking", "true".to_owned()),
    ] {
        text.push_str(&format!("\n{key} \"{value}\";"));
    }
    text.push('\n');
    text
}

/// The packages in the output of a simulated installation: `Inst NAME [OLD] (VERSION …)`. What
/// would only be upgraded is there already and stays as it is.
fn simulated(output: &str) -> Vec<Package> {
    let added = output.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("Inst ")?.split_once(' ')?;
        let version = rest.strip_prefix('(')?.split(' ').next()?;
        Some(Package { name: name.to_owned(), version: version.to_owned() })
    });
    added.collect()
}

/// Compiles the standard library for the target with the private compiler, and puts it where that
/// compiler looks for it.
fn build_library(root: &Path, work: &Path, rustc: &Path) -> Result<(), Error> {
    let empty = work.join("empty");
    let source = empty.join("src");
    fs::create_dir_all(&source).map_err(io("create", &source))?;
    let manifest = "[package]\nname = \"empty\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[workspace]\n";
    for (name, text) in [("Cargo.toml", manifest), ("src/lib.rs", "")] {
        let path = empty.join(name);
        fs::write(&path, text).map_err(io("write", &path))?;
    }
    // Guests are optimised together with the library, and tell nobody where it was built.
    let source = root.join("usr/lib/rustlib/src/rust");
    let flags = format!("-Cembed-bitcode=yes\x1f{}", crate::guest::remap_paths(&source, "rust"));
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    crate::guest::forget_outer_cargo(&mut cargo);
    let private = toolchain(root, rustc)?;
    private.apply(&mut cargo);
    cargo
        .current_dir(&empty)
        .args([
            "build",
            "--release",
            "--target",
            TARGET,
            "-Zbuild-std=std,panic_abort",
            "--target-dir",
            "target",
        ])
        // Building the library is unstable and always will be, in a compiler we have just fixed.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags);
    run(&mut cargo, Duration::from_secs(30 * 60))?;
    let built = empty.join("target").join(TARGET).join("release/deps");
    let wanted = target_libraries(root);
    fs::create_dir_all(&wanted).map_err(io("create", &wanted))?;
    for entry in fs::read_dir(&built).map_err(io("read", &built))?.flatten() {
        let is_library = entry.path().extension().is_some_and(|extension| extension == "rlib");
        if is_library && !entry.file_name().to_string_lossy().starts_with("libempty-") {
            let path = wanted.join(entry.file_name());
            fs::copy(entry.path(), &path).map_err(io("copy a library to", &path))?;
        }
    }
    Ok(())
}

/// The source has served its purpose; it is two thirds of everything.
fn remove_source(root: &Path) -> Result<(), Error> {
    for name in ["usr/src", "usr/lib/rustlib/src", "usr/share"] {
        let path = root.join(name);
        if path.exists() {
            fs::remove_dir_all(&path).map_err(io("remove", &path))?;
        }
    }
    Ok(())
}

/// The folder for what can be made again, shared by everything of Deputy's; none if nobody says where home is.
pub fn cache() -> Option<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = base.or_else(|| env::home_dir().map(|home| home.join(".cache")))?;
    Some(base.join("deputy"))
}

fn target_libraries(root: &Path) -> PathBuf {
    root.join("usr/lib/rustlib").join(TARGET).join("lib")
}

/// Where Debian puts shared libraries: `usr/lib/x86_64-linux-gnu` and the like.
fn libraries(root: &Path) -> Result<PathBuf, Error> {
    let folder = root.join("usr/lib");
    let entries = fs::read_dir(&folder).map_err(io("read", &folder))?;
    let found = entries.flatten().find(|entry| entry.file_name().to_string_lossy().contains("-linux-gnu"));
    Ok(found.map_or(folder, |entry| entry.path()))
}

/// rustup's compilers bring a linker for every target; a system's may have one of its own.
fn linker(rustc: &Path) -> Result<PathBuf, Error> {
    let sysroot = run(Command::new(rustc).args(["--print", "sysroot"]), A_MOMENT)?;
    let version = run(Command::new(rustc).arg("-vV"), A_MOMENT)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
    let brought = Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin/rust-lld");
    if brought.exists() {
        return Ok(brought);
    }
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    let mut installed =
        ["rust-lld", "wasm-ld"].iter().flat_map(|name| folders.iter().map(move |f| f.join(name)));
    installed.find(|path| path.exists()).ok_or_else(|| Error::Command {
        command: "wasm-ld".to_owned(),
        outcome: "was not found: install the package `lld`".to_owned(),
    })
}

/// The numbers in a version, in order, to tell which is newer.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_simulated_installation_names_what_is_missing_and_leaves_upgrades_alone() {
        let output = "\
Reading package lists...
The following NEW packages will be installed:
  libllvm22 rustc-web
Inst libc6 [2.36-9] (2.36-9+deb12u10 Debian:12/oldstable [amd64])
Inst libllvm22 (1:22.1.8-1~deb12u1 Debian-Security:12/oldstable-security [amd64])
Inst rustc-web (1.96.0+dfsg1-1~deb12u2 Debian-Security:12/oldstable-security [amd64])
Conf rustc-web (1.96.0+dfsg1-1~deb12u2 Debian-Security:12/oldstable-security [amd64])
";
        expect![[r#"
            [
                Package {
                    name: "libllvm22",
                    version: "1:22.1.8-1~deb12u1",
                },
                Package {
                    name: "rustc-web",
                    version: "1.96.0+dfsg1-1~deb12u2",
                },
            ]
        "#]]
        .assert_debug_eq(&simulated(output));
    }

    #[test]
    fn apt_keeps_the_systems_proxy_and_loses_its_hooks_and_folders() {
        let system =
            "Acquire::http::Proxy \"proxy:3128\";\nAPT::Update::Post-Invoke:: \"rm -rf\";\nDir \"/\";\n";
        expect![[r#"
            Acquire::http::Proxy "proxy:3128";
            Dir::Etc::Parts "/w/parts";
            Dir::Etc::Main "/w/none";
            Dir::State "/w/";
            Dir::State::lists "/w/lists";
            Dir::State::status "/var/lib/dpkg/status";
            Dir::Cache "/w/";
            Dir::Cache::archives "/w/archives";
            APT::Sandbox::User "";
            Debug::NoLocking "true";
        "#]]
        .assert_eq(&configuration(system, Path::new("/w")));
    }

    #[test]
    fn ten_is_newer_than_nine() {
        assert!(numbers("1.100.0+dfsg1-1") > numbers("1.96.0+dfsg1-1~deb12u2"));
    }
}
