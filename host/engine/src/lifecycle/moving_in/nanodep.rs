//! The folder of nanodep's file storages.
//!
//! `filekv` has a file for each value, in `dep_names/`: `consumer_key.NAME`, or, in its first releases,
//! `NAME.consumer_key`. The older `file` has `NAME.tokens.json` and PEM in `NAME.tokenpki.*.txt`.
//! (micromdm/nanodep: storage/kv/kv.go, storage/file/file.go)

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;
use serde_json::json;

use super::{Entry, Error, json, text};
use crate::apple::token_file::KeyPair;

const MEMBERS: [&str; 5] =
    ["consumer_key", "consumer_secret", "access_token", "access_secret", "access_token_expiry"];

/// Every token in the folder; of several only the one that is wanted, if it is there: what is wrong with
/// another is no matter.
pub(super) fn read(folder: &Path, wanted: Option<&str>) -> Result<Vec<Entry>, Error> {
    let inner = folder.join("dep_names");
    let values = if inner.is_dir() { inner } else { folder.to_owned() };
    let files = names(&values)?;
    let mut entries = Vec::new();
    let (mut before, mut behind, mut whole) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for file in &files {
        if let Some(name) = file.strip_prefix("consumer_key.") {
            before.insert(name);
        } else if let Some(name) = file.strip_suffix(".consumer_key") {
            behind.insert(name);
        } else if let Some(name) = file.strip_suffix(".tokens.json") {
            whole.insert(name);
        }
    }
    if let Some(wanted) =
        wanted.filter(|it| [&before, &behind, &whole].iter().any(|names| names.contains(it)))
    {
        for names in [&mut before, &mut behind, &mut whole] {
            names.retain(|name| *name == wanted);
        }
    }
    for name in before {
        entries.push(from_values(&values, name, |key| format!("{key}.{name}"))?);
    }
    for name in behind {
        entries.push(from_values(&values, name, |key| format!("{name}.{key}"))?);
    }
    for name in whole {
        let path = values.join(format!("{name}.tokens.json"));
        let content = text(&path)?;
        let entry = json::entry(content.as_bytes()).map_err(|source| Error::NotAToken { path, source })?;
        let pair = |kind: &str| {
            let file = |what: &str| values.join(format!("{name}.tokenpki.{kind}{what}.txt"));
            pair(&file("cert"), &file("key"))
        };
        entries.push(with_pairs(entry, name, pair("")?, pair("staging.")?));
    }
    if entries.is_empty() { Err(Error::NotNanodep(folder.to_owned())) } else { Ok(entries) }
}

/// Each value in a file of its own.
fn from_values(folder: &Path, name: &str, file: impl Fn(&str) -> String) -> Result<Entry, Error> {
    let mut members = json!({});
    for member in MEMBERS {
        let path = folder.join(file(member));
        if path.exists() {
            members[member] = text(&path)?.trim().into();
        }
    }
    let entry = json::entry(members.to_string().as_bytes())
        .map_err(|source| Error::NotAToken { path: folder.join(file("consumer_key")), source })?;
    let pair = |kind: &str| {
        let path = |what: &str| folder.join(file(&format!("{what}{kind}")));
        pair(&path("cert"), &path("key"))
    };
    Ok(with_pairs(entry, name, pair("")?, pair("_staging")?))
}

/// nanodep leaves the pair that was staged where it was when it comes into use.
fn with_pairs(entry: Entry, name: &str, pair: Option<KeyPair>, staged: Option<KeyPair>) -> Entry {
    let is_new = |staged: &KeyPair| {
        pair.as_ref().is_none_or(|pair| pair.certificate_pem.trim() != staged.certificate_pem.trim())
    };
    let pending = staged.filter(is_new);
    Entry { name: name.to_owned(), pair, pending, ..entry }
}

/// A key pair in two files, if both are there.
fn pair(certificate: &Path, private_key: &Path) -> Result<Option<KeyPair>, Error> {
    if !certificate.exists() || !private_key.exists() {
        return Ok(None);
    }
    let key = SecretString::from(text(private_key)?);
    let pair = KeyPair::from_pem(text(certificate)?, &key);
    let what = || format!("{} and {}", certificate.display(), private_key.display());
    pair.map(Some).map_err(|source| Error::KeyPair { what: what(), source })
}

fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let unreadable =
        |source: io::Error| Error::Unreadable { path: PathBuf::from(folder), source: Arc::new(source) };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        names.push(entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
