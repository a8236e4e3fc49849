//! Policies in C: headers and glue are made from the contract in process, a compiler that knows
//! WebAssembly makes the module. The project brings the few functions of the C library that it
//! needs, so the module imports nothing but the contract.
//!
//! The compiler is clang with wasm-ld if they are installed, else zig, which is both in one; a zig of
//! our own is fetched if there is neither.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use wit_bindgen_core::Files;
use wit_bindgen_core::wit_parser::Resolve;

use crate::process::{all, build as build_with, find, progress, run};
use crate::{Error, io, python};

const INSTALL: &str = "install clang and lld: `sudo apt install clang lld` (Debian, Ubuntu), `sudo dnf install clang lld` \
     (Fedora), `brew install llvm lld` (macOS); or zig; or Python 3 with `venv`, by which zig can be fetched";

const A_MOMENT: Duration = Duration::from_secs(60);
const A_WHILE: Duration = Duration::from_secs(15 * 60);

/// The zig that is fetched where there is no compiler, with the digests of its packages.
const ZIG: &str = include_str!("zig.txt");

/// Builds the C files in `folder/src` for `world` and returns the component.
pub(crate) fn build(folder: &Path, world: &str) -> Result<Vec<u8>, Error> {
    let compiler = compiler()?;
    let name = compiler.name();
    let bindings = folder.join("build/bindings");
    generate(folder, world, &bindings)?;
    let module = folder.join("build/module.wasm");
    let mut sources = Vec::new();
    for (place, ending) in [("src", "c"), ("libc", "c"), ("build/bindings", "c"), ("build/bindings", "o")] {
        let place = folder.join(place);
        let entries = fs::read_dir(&place).map_err(io("read", &place))?;
        let files = entries.flatten().map(|entry| entry.path());
        sources.extend(files.filter(|path| path.extension().is_some_and(|it| it == ending)));
    }
    // The order of a folder's entries is the file system's; the component's bytes must not be.
    sources.sort();
    progress(&format!("building with {name}"));
    let mut command = compiler.command();
    command.current_dir(folder);
    command.args(["-std=c11", "-O2", "-Wall", "-Wextra", "-nostdlib", "-fno-builtin", "-Wl,--no-entry"]);
    command.args(["-Wl,--strip-all", "-I", "src", "-isystem", "libc", "-isystem", "build/bindings"]);
    build_with(command.args(sources).arg("-o").arg(&module), A_WHILE, (&name, folder), all)?;
    crate::wrap(folder, &module)
}

/// Writes the header, the glue and the world's type for `world` of `folder/wit`.
fn generate(folder: &Path, world: &str, bindings: &Path) -> Result<(), Error> {
    let wit = folder.join("wit");
    let mut files = Files::default();
    let mut resolve = Resolve::default();
    resolve
        .push_path(&wit)
        .and_then(|(package, _)| resolve.select_world(&[package], Some(world)))
        .and_then(|world| wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files))
        .map_err(|error| Error::NotAComponent { folder: wit, reason: format!("{error:#}") })?;
    if bindings.exists() {
        fs::remove_dir_all(bindings).map_err(io("remove", bindings))?;
    }
    fs::create_dir_all(bindings).map_err(io("create", bindings))?;
    for (name, content) in files.iter() {
        let path = bindings.join(name);
        fs::write(&path, content).map_err(io("write", &path))?;
    }
    Ok(())
}

/// A compiler for WebAssembly, and what to tell it first.
struct Compiler {
    program: PathBuf,
    arguments: &'static [&'static str],
}

impl Compiler {
    /// What people call it.
    fn name(&self) -> String {
        self.program.file_name().unwrap_or(self.program.as_os_str()).to_string_lossy().into_owned()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(self.arguments);
        command
    }
}

fn compiler() -> Result<Compiler, Error> {
    // `nostdlibinc`: the system's headers are for the system.
    let clang =
        |program| Compiler { program, arguments: &["--target=wasm32-unknown-unknown", "-nostdlibinc"] };
    let zig = |program| Compiler { program, arguments: &["cc", "-target", "wasm32-freestanding"] };
    if let Some(program) = find("clang").filter(|program| knows_wasm(program)) {
        return Ok(clang(program));
    }
    if let Some(program) = find("zig") {
        return Ok(zig(program));
    }
    fetched_zig().map(zig)
}

/// Whether this clang has the target, and its linker beside it or in the path.
fn knows_wasm(clang: &Path) -> bool {
    let targets = run(Command::new(clang).arg("--print-targets"), A_MOMENT);
    let linker = run(Command::new(clang).args(["--target=wasm32", "--print-prog-name=wasm-ld"]), A_MOMENT);
    targets.is_ok_and(|targets| targets.contains("wasm32"))
        && linker.is_ok_and(|linker| Path::new(linker.trim()).is_absolute())
}

/// The zig of our own, fetched at the first call.
fn fetched_zig() -> Result<PathBuf, Error> {
    let missing = || Error::Missing { program: "clang", install: INSTALL };
    let cache = crate::debian::cache().ok_or_else(missing)?;
    let folder = cache.join("zig");
    fs::create_dir_all(&folder).map_err(io("create", &folder))?;
    // Two builds must not fetch at once.
    let lock_file = folder.join("lock");
    let lock = File::create(&lock_file).map_err(io("create", &lock_file))?;
    lock.lock().map_err(io("lock", &lock_file))?;
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, ZIG).map_err(io("write", &requirements))?;
    let environment = folder.join("environment");
    if !environment.exists() {
        python::python().map_err(|_| missing())?;
        progress("there is no clang for WebAssembly and no zig: fetching zig, about 100 MB");
    }
    python::provide(&environment, &requirements).map_err(|error| match error {
        Error::Missing { .. } => missing(),
        other => other,
    })?;
    let script = "import os, ziglang; print(os.path.dirname(ziglang.__file__))";
    let package = run(Command::new(environment.join("bin/python")).args(["-c", script]), A_MOMENT)?;
    Ok(Path::new(package.trim()).join("zig"))
}
