//! Makes a component by hand: `cargo run -p plugin-build --example component -- CRATE_DIR FILE.wasm`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let (Some(crate_dir), Some(file)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: component CRATE_DIR FILE.wasm");
        return ExitCode::from(2);
    };
    let written = plugin_build::build_policy(&crate_dir, Path::new("target/guests"))
        .map_err(|error| error.to_string())
        .and_then(|bytes| fs::write(&file, &bytes).map(|()| bytes.len()).map_err(|error| error.to_string()));
    match written {
        Ok(size) => {
            println!("{}: {size} bytes", file.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
