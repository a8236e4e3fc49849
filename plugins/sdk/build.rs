//! Writes down, for each question, the world of a policy that answers it.
//!
//! A component carries the name and types of its world. They are encoded here, from the contract
//! itself, so that `export!` can put together the worlds of just those questions a policy answers.

use std::path::Path;
use std::{env, error, fs};

use wit_component::{StringEncoding, metadata};
use wit_parser::Resolve;

/// Two folders up, in Deputy's own tree and wherever this crate is copied to.
const CONTRACT: &str = "../../wit/v1.1";

fn main() -> Result<(), Box<dyn error::Error>> {
    println!("cargo::rerun-if-changed={CONTRACT}");
    let mut contract = Resolve::default();
    let (package, _) = contract.push_path(CONTRACT)?;
    let out_dir = env::var("OUT_DIR")?;
    let worlds = [
        ("assignment", "lasting-assignment-policy"),
        ("reminder", "reminder-policy"),
        ("review", "review-policy"),
    ];
    for (question, world) in worlds {
        let world = contract.select_world(&[package], Some(world))?;
        let encoded = metadata::encode(&contract, world, StringEncoding::UTF8, None)?;
        fs::write(Path::new(&out_dir).join(question), encoded)?;
    }
    Ok(())
}
