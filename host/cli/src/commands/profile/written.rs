//! Where `pull` and `import` write: a file that is not overwritten unawares, or standard output.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::apple_profile::to_file::Converted;
use domain::id::ProfileName;
use domain::property_list::MOST_BYTES;
use serde_json::json;

use crate::Common;
use crate::exit::{Exit, Outcome, Problem};
use crate::out_file::OutFile;
use crate::output::{print, print_json};

/// Where a file goes.
pub(super) struct Target {
    /// None for standard output.
    path: Option<PathBuf>,
    force: bool,
    stem: String,
}

impl Target {
    /// `-` is standard output; `otherwise` is what a file there would be called.
    pub(super) fn new(out: &Path, force: bool, otherwise: &str) -> Outcome<Self> {
        if out == Path::new("-") {
            return Ok(Self { path: None, force, stem: otherwise.to_owned() });
        }
        if !force && out.exists() {
            return Err(Problem::usage(format!("{} is there already; nothing was changed", out.display()))
                .hint("`--force` puts the new file in its place; `--out -` only shows it"));
        }
        let stem = out.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        // A file of another name would never be read, or keep everything else from being read.
        if out.extension().is_none_or(|it| it != "toml") {
            return Err(Problem::usage(format!("{} does not end in .toml, as profiles do", out.display())));
        }
        if let Err(error) = stem.parse::<ProfileName>() {
            return Err(Problem::usage(format!("no profile can be called `{stem}`: {error}")));
        }
        Ok(Self { path: Some(out.to_owned()), force, stem: stem.to_owned() })
    }

    /// The file's name without its end.
    pub(super) fn stem(&self) -> &str {
        &self.stem
    }
}

/// Writes what a profile became, and tells what has no counterpart. A file that Deputy would refuse
/// is only shown: one such file keeps the whole configuration from being read.
pub(super) fn write(common: &Common, target: &Target, made: &Converted) -> Outcome {
    let shown = target.path.as_ref().map_or_else(|| "-".to_owned(), |path| path.display().to_string());
    let mistakes = made.check(&shown).err().map(|mistakes| mistakes.to_string());
    let files: Vec<&String> = made.certificates.iter().map(|(name, _)| name).collect();
    for line in &made.left_out {
        eprintln!("left out: {line}");
    }
    if common.json {
        print_json(
            "file",
            &json!({
                "path": target.path, "text": made.text, "certificates": files, "left_out": made.left_out,
                "mistakes": mistakes,
            }),
        );
    }
    if let Some(mistakes) = mistakes {
        return refused(common, target, made, &mistakes);
    }
    match &target.path {
        None if common.json => {}
        None => {
            print(&made.text);
            if !files.is_empty() {
                eprintln!("the certificates it names are written only with `--out FILE`");
            }
        }
        Some(path) => {
            let folder = path.parent().unwrap_or(Path::new(""));
            let certificates: Vec<_> = made
                .certificates
                .iter()
                .map(|(name, content)| decoded(folder.join(name), content))
                .collect::<Outcome<_>>()?;
            for (path, der) in &certificates {
                certificate(path, der)?;
            }
            put(path, made.text.as_bytes(), target.force)?;
            if !common.json {
                print(&format!("wrote {}", path.display()));
            }
        }
    }
    Ok(Exit::Success)
}

fn refused(common: &Common, target: &Target, made: &Converted, mistakes: &str) -> Outcome {
    let problem = Problem::usage(mistakes);
    if target.path.is_some() {
        return Err(problem.hint(
            "nothing was written, since Deputy would refuse the file; `--out -` shows it, to be corrected by hand",
        ));
    }
    if !common.json {
        print(&made.text);
    }
    Err(problem.hint("correct this before it goes into profiles/"))
}

/// A certificate and where it goes. All are looked at before the first is written.
fn decoded(path: PathBuf, content: &str) -> Outcome<(PathBuf, Vec<u8>)> {
    let wrong = |what: &str| {
        Problem::new(Exit::Failure, format!("the certificate for {} is {what}", path.display()))
            .hint("nothing was written; `--out -` shows the file without it")
    };
    let der = STANDARD.decode(content).map_err(|_| wrong("not Base64"))?;
    if openssl::x509::X509::from_der(&der).is_err() {
        return Err(wrong("none: Deputy would refuse the file"));
    }
    if read_bounded(&path).is_ok_and(|there| there != der) {
        let problem = Problem::usage(format!("{} is there already and holds something else", path.display()));
        return Err(problem.hint("nothing was written; move it away, or choose another name with `--out`"));
    }
    Ok((path, der))
}

/// Writes a certificate. The same one may be there already.
fn certificate(path: &Path, der: &[u8]) -> Outcome<()> {
    if path.exists() {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| Problem::file("make", folder, &error))?;
    }
    put(path, der, false)
}

/// Writes a file whole: what was there before stays until the new one is complete.
fn put(path: &Path, content: &[u8], force: bool) -> Outcome<()> {
    if force {
        return OutFile::open(path)?.write(|file| file.write_all(content));
    }
    let written = File::create_new(path).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    written.map_err(|error| Problem::file("write", path, &error))
}

/// The bytes of a file that is not larger than any profile.
pub(super) fn read_bounded(path: &Path) -> Outcome<Vec<u8>> {
    let cannot = |error| Problem::file("read", path, &error);
    let file = File::open(path).map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() > MOST_BYTES {
        return Err(Problem::usage(format!("{} is larger than 1 MiB; no profile is", path.display())));
    }
    Ok(bytes)
}
