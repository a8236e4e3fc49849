//! A compiler for WebAssembly: which one, and how to get it.
//!
//! In this order, the first that works:
//! 1. the target is installed beside the compiler in use;
//! 2. a private compiler was prepared before;
//! 3. rustup adds the target;
//! 4. a private compiler is made from Debian's packages, see `debian`.
//!
//! Once one of them has worked, the next call needs no network.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use crate::process::{one_line, progress, run};
use crate::{Error, debian};

/// The target policies are compiled for: nothing but the language's own core, so that a policy's
/// imports are exactly those of its world.
pub const TARGET: &str = "wasm32-unknown-unknown";

pub(crate) const INSTALL: &str = "install Rust 1.88 or newer as https://rustup.rs says, then open a new terminal: \
     `curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh`";

/// A compiler that has the target, and what it needs to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// The compiler.
    pub rustc: PathBuf,
    /// Where the compiler's own shared libraries are, if not where the system looks.
    pub libraries: Option<PathBuf>,
    /// The linker for the target, if the compiler does not bring one.
    pub linker: Option<PathBuf>,
}

impl Toolchain {
    /// Makes a cargo use this compiler.
    pub(crate) fn apply(&self, cargo: &mut Command) {
        cargo.env("RUSTC", &self.rustc);
        if let Some(libraries) = &self.libraries {
            cargo.env("LD_LIBRARY_PATH", libraries);
        }
        if let Some(linker) = &self.linker {
            cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
    }
}

/// Finds or fetches a compiler.
pub(crate) fn find() -> Result<Toolchain, Error> {
    let rustc = PathBuf::from(env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc")));
    let mut known = Known {
        installed: has_target(&rustc),
        prepared: debian::prepared(),
        rustup: Attempt::NotMade,
        debian: Attempt::NotMade,
    };
    loop {
        match next(&known) {
            Next::Installed => return Ok(Toolchain { rustc, libraries: None, linker: None }),
            Next::Private(root) => return debian::toolchain(&root, &rustc),
            Next::AddTarget => match add_target() {
                Ok(()) if has_target(&rustc) => known.installed = true,
                Ok(()) => known.rustup = Attempt::Failed("rustup serves another compiler".to_owned()),
                Err(error) => known.rustup = Attempt::Failed(one_line(&error.to_string())),
            },
            Next::Prepare => match debian::prepare(&rustc) {
                Ok(root) => known.prepared = Some(root),
                Err(error) => known.debian = Attempt::Failed(one_line(&error.to_string())),
            },
            Next::GiveUp { rustup, debian } => return Err(Error::NoToolchain { rustup, debian }),
        }
    }
}

/// What is known when the next step is chosen.
#[derive(Clone, Debug)]
struct Known {
    installed: bool,
    prepared: Option<PathBuf>,
    rustup: Attempt,
    debian: Attempt,
}

#[derive(Clone, Debug)]
enum Attempt {
    NotMade,
    Failed(String),
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    Installed,
    Private(PathBuf),
    AddTarget,
    Prepare,
    GiveUp { rustup: String, debian: String },
}

fn next(known: &Known) -> Next {
    match known {
        Known { installed: true, .. } => Next::Installed,
        Known { prepared: Some(root), .. } => Next::Private(root.clone()),
        Known { rustup: Attempt::NotMade, .. } => Next::AddTarget,
        Known { debian: Attempt::NotMade, .. } => Next::Prepare,
        Known { rustup: Attempt::Failed(rustup), debian: Attempt::Failed(debian), .. } => {
            Next::GiveUp { rustup: rustup.clone(), debian: debian.clone() }
        }
    }
}

/// Whether this compiler has a core library for the target.
pub(crate) fn has_target(rustc: &Path) -> bool {
    let question = ["--print", "target-libdir", "--target", TARGET];
    run(Command::new(rustc).args(question), Duration::from_secs(30))
        .is_ok_and(|folder| holds_core(Path::new(folder.trim())))
}

/// Whether a folder of libraries for the target holds the core library.
pub(crate) fn holds_core(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| {
        entries.any(|entry| {
            let name = entry.map(|entry| entry.file_name()).unwrap_or_default();
            let name = name.to_string_lossy();
            name.starts_with("libcore-") && name.ends_with(".rlib")
        })
    })
}

fn add_target() -> Result<(), Error> {
    progress(&format!("the compiler has no {TARGET} yet: asking rustup for it"));
    // A slow network gets its chance, a dead one does not hold up the build for long.
    run(Command::new("rustup").args(["target", "add", TARGET]), Duration::from_secs(120)).map(drop)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// `known` lists what is so: `installed`, `prepared`, `rustup failed`, `debian failed`.
    #[track_caller]
    fn check(known: &str, expected: Expect) {
        let attempt = |name| match known.contains(&format!("{name} failed")) {
            true => Attempt::Failed(format!("{name} said no")),
            false => Attempt::NotMade,
        };
        let known = Known {
            installed: known.contains("installed"),
            prepared: known.contains("prepared").then(|| PathBuf::from("private")),
            rustup: attempt("rustup"),
            debian: attempt("debian"),
        };
        expected.assert_eq(&format!("{:?}", next(&known)));
    }

    #[test]
    fn an_installed_target_is_used_even_if_a_private_compiler_is_there() {
        check("installed, prepared", expect!["Installed"]);
    }

    #[test]
    fn a_private_compiler_that_is_there_is_used_before_the_network_is_asked() {
        check("prepared", expect![[r#"Private("private")"#]]);
    }

    #[test]
    fn rustup_is_asked_before_anything_is_prepared() {
        check("nothing", expect!["AddTarget"]);
    }

    #[test]
    fn a_private_compiler_is_prepared_when_rustup_fails() {
        check("rustup failed", expect!["Prepare"]);
        check("rustup failed, prepared", expect![[r#"Private("private")"#]]);
    }

    #[test]
    fn when_both_fail_both_are_named() {
        check(
            "rustup failed, debian failed",
            expect![[r#"GiveUp { rustup: "rustup said no", debian: "debian said no" }"#]],
        );
    }
}
