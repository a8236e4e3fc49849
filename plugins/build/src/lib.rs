//! Makes WebAssembly components of policies, from source.
//!
//! Build scripts call [`component_of`]; a command can call [`build_policy`]. Both do the whole
//! way: find or fetch a compiler for the target, compile the crate with a cargo of its own, and wrap
//! the module as a component in process. Nothing compiled is ever committed, so what runs can always
//! be read.
//!
//! One invariant: the outer cargo's flags, wrappers and target folder never reach the guest. The
//! same source becomes the same component under `cargo build`, `cargo clippy` and
//! `cargo test --release`.
//!
//! An ordinary machine needs one download, made by rustup, ever; a machine that rustup cannot
//! serve gets a private compiler, see [`toolchain`].

pub mod toolchain;

mod debian;
mod guest;
mod process;

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
    /// The compiled module does not become a component.
    #[error("{crate_dir} does not become a component: {reason}", crate_dir = crate_dir.display())]
    NotAComponent {
        /// The policy's crate.
        crate_dir: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
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
    let target_dir = std::path::absolute(target_dir).map_err(|source| Error::Io {
        doing: "find",
        path: target_dir.to_owned(),
        source,
    })?;
    let module = guest::compile(&toolchain, crate_dir, &target_dir)?;
    let bytes =
        fs::read(&module).map_err(|source| Error::Io { doing: "read", path: module.clone(), source })?;
    wit_component::ComponentEncoder::default()
        .validate(true)
        .module(&bytes)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| Error::NotAComponent {
            crate_dir: crate_dir.to_owned(),
            reason: format!("{error:#}"),
        })
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
        fs::write(&path, bytes).map_err(|source| Error::Io { doing: "write", path: path.clone(), source })?;
        Ok(path)
    });
    written.unwrap_or_else(|error| {
        println!("cargo::error={}", process::one_line(&error.to_string()));
        eprintln!("{error}");
        std::process::exit(1)
    })
}
