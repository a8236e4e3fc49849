//! Makes the shipped policies' components from their source, and a list of the files of the
//! templates that `deputy plugin new` writes.

use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    // What all of them are made with.
    println!("cargo::rerun-if-changed=../sdk");
    for policy in ["rules", "rollout", "reminders", "guard"] {
        plugin_build::component_of(format!("../{policy}"), policy);
    }
    templates(Path::new("../templates"));
}

/// Writes `templates.rs`: an array of paths below `folder`, and their texts.
fn templates(folder: &Path) {
    println!("cargo::rerun-if-changed={}", folder.display());
    let folder = fs::canonicalize(folder).expect("the templates are there");
    let mut files = Vec::new();
    collect(&folder, &mut files);
    files.sort();
    let entries = files.iter().map(|file| {
        let path = file.strip_prefix(&folder).expect("it was found there");
        format!("    ({:?}, include_str!({file:?})),\n", path.to_str().expect("its name is ASCII"))
    });
    let list = format!("&[\n{}]\n", entries.collect::<String>());
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts"));
    fs::write(out.join("templates.rs"), list).expect("OUT_DIR can be written to");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be read").flatten() {
        let path = entry.path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}
