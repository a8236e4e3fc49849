//! Turns the languages from TOML, which people write, into JSON, which the policy reads anyway.

use std::path::Path;
use std::{env, error, fs};

fn main() -> Result<(), Box<dyn error::Error>> {
    let out_dir = env::var("OUT_DIR")?;
    for language in ["en", "fr"] {
        let file = format!("src/texts/{language}.toml");
        println!("cargo::rerun-if-changed={file}");
        let texts: serde_json::Value = toml::from_str(&fs::read_to_string(file)?)?;
        fs::write(Path::new(&out_dir).join(language).with_extension("json"), texts.to_string())?;
    }
    Ok(())
}
