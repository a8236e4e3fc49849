//! Makes WebAssembly components of policies, from source.
//!
//! Build scripts call [`component_of`]; `deputy plugin build` calls [`build_project`], which knows
//! other languages as well. Both do the whole way: find or fetch the language's tools, run them, and,
//! where they make a bare module, wrap that as a component in process. Nothing compiled is ever
//! committed, so what runs can always be read.
//!
//! One invariant: the outer cargo's flags, wrappers and target folder never reach the guest. The
//! same source becomes the same component under `cargo build`, `cargo clippy` and
//! `cargo test --release`.
//!
//! An ordinary machine needs one download, made by rustup, ever; a machine that rustup cannot
//! serve gets a private compiler, see [`toolchain`].

pub mod toolchain;

pub use debian::cache;

mod c;
mod debian;
mod guest;
mod process;
mod python;
mod typescript;

use std::path::{Path, PathBuf};
use std::{env, fs};

use toolchain::Toolchain;

/// What went wrong on the way to a component.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither way to a compiler worked.
    #[error(
        "no compiler for {target}: run `rustup target add {target}` ({rustup}), or use a Debian \
         whose archive has `rustc-web` ({debian})",
        target = toolchain::TARGET
    )]
    NoToolchain {
        /// What came of asking rustup.
        rustup: String,
        /// What came of preparing a private compiler.
        debian: String,
    },
    /// A file could not be read or written.
    #[error("could not {doing} {path}", path = path.display())]
    Io {
        /// What was being done, as a verb.
        doing: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A program could not be started, failed, or took too long.
    #[error("`{command}` {outcome}")]
    Command {
        /// The command as one would type it.
        command: String,
        /// How it ended, and what it printed.
        outcome: String,
    },
    /// The tools of a language do not take the policy, mostly for mistakes in its source.
    #[error("{tool} cannot build the policy in {folder}\n{said}", folder = folder.display())]
    Refused {
        /// The tool.
        tool: String,
        /// The policy's folder.
        folder: PathBuf,
        /// What it has against the policy, in its own words.
        said: String,
    },
    /// A program that the language needs is not on this machine.
    #[error("`{program}` was not found")]
    Missing {
        /// The program.
        program: &'static str,
        /// How to get it, on the systems we know.
        install: &'static str,
    },
    /// What was made does not become a component.
    #[error("{folder} does not become a component: {reason}", folder = folder.display())]
    NotAComponent {
        /// The policy's folder.
        folder: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// What to do about it, where that can be said.
    pub fn advice(&self) -> Option<&str> {
        match self {
            Self::Missing { install, .. } => Some(install),
            _ => None,
        }
    }
}

/// The languages whose tools are known here. Any other that makes components will do for Deputy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Language {
    /// A crate, compiled by cargo.
    Rust,
    /// A package whose script `build` leaves `build/component.wasm`.
    TypeScript,
    /// The module `component` in `src/`, for this world of `wit/`.
    Python {
        /// The world's name.
        world: String,
    },
    /// The C files in `src/`, for this world of `wit/`.
    C {
        /// The world's name.
        world: String,
    },
}

/// Builds the policy in `folder` with the tools of its language and returns its component. Tools
/// that belong to the project are fetched first, which is said on standard error.
pub fn build_project(folder: &Path, language: &Language) -> Result<Vec<u8>, Error> {
    // The tools work inside it.
    let folder = fs::canonicalize(folder).map_err(io("find", folder))?;
    match language {
        Language::Rust => {
            for program in ["cargo", "rustc"] {
                process::find(program).ok_or(Error::Missing { program, install: toolchain::INSTALL })?;
            }
            let target = folder.join("target");
            process::progress(match target.exists() {
                true => "building with cargo",
                false => {
                    "building with cargo: the first time, with all that the policy is made of, about a minute"
                }
            });
            build_policy(&folder, &target)
        }
        Language::TypeScript => typescript::build(&folder),
        Language::Python { world } => python::build(&folder, world),
        Language::C { world } => c::build(&folder, world),
    }
}

/// Makes sure that policies can be compiled, fetching what is missing. The first time this may
/// take minutes; afterwards it only looks.
pub fn prepare() -> Result<Toolchain, Error> {
    toolchain::find()
}

/// Compiles the policy in `crate_dir` and returns its component. `target_dir` is where cargo may
/// keep what it compiles; it must not be the one of a cargo that waits for this call.
pub fn build_policy(crate_dir: &Path, target_dir: &Path) -> Result<Vec<u8>, Error> {
    let toolchain = prepare()?;
    // The nested cargo works elsewhere.
    let target_dir = std::path::absolute(target_dir).map_err(io("find", target_dir))?;
    wrap(crate_dir, &guest::compile(&toolchain, crate_dir, &target_dir)?)
}

/// The component of a module that was compiled with its world inside.
fn wrap(folder: &Path, module: &Path) -> Result<Vec<u8>, Error> {
    let bytes = fs::read(module).map_err(io("read", module))?;
    wit_component::ComponentEncoder::default()
        .validate(true)
        .module(&bytes)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| Error::NotAComponent { folder: folder.to_owned(), reason: format!("{error:#}") })
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { doing, path, source }
}

/// For build scripts: the component of the policy in `crate_dir`, written to `OUT_DIR/NAME.wasm`.
///
/// Tells cargo what the component depends on. Ends the build with words if it cannot be made.
pub fn component_of(crate_dir: impl AsRef<Path>, name: &str) -> PathBuf {
    let crate_dir = crate_dir.as_ref();
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts"));
    for path in guest::sources(crate_dir) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    let written = build_policy(crate_dir, &guest::target_dir(&out_dir)).and_then(|bytes| {
        let path = out_dir.join(name).with_extension("wasm");
        fs::write(&path, bytes).map_err(io("write", &path))?;
        Ok(path)
    });
    written.unwrap_or_else(|error| {
        println!("cargo::error={}", process::one_line(&error.to_string()));
        eprintln!("{error}");
        std::process::exit(1)
    })
}
