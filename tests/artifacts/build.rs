//! Makes the components that tests run: some from Rust, the others from text.

use std::path::Path;
use std::{env, fs};

fn main() {
    plugin_build::component_of("../guests/misbehave", "misbehave");
    plugin_build::component_of("../guests/three-questions", "three-questions");
    plugin_build::component_of("../guests/lasting", "lasting");

    let texts = Path::new("../guests/wat");
    println!("cargo::rerun-if-changed={}", texts.display());
    let out_dir = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
    for entry in fs::read_dir(texts).expect("the folder is there") {
        let text = entry.expect("and can be read").path();
        let bytes = wat::parse_file(&text).unwrap_or_else(|error| panic!("{error}"));
        let name = text.with_extension("wasm");
        let name = name.file_name().expect("a file has a name");
        fs::write(Path::new(&out_dir).join(name), bytes).expect("OUT_DIR can be written");
    }
}
