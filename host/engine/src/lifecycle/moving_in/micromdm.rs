//! MicroMDM's database: a Bolt file, in it the bucket `mdm.DEPToken` with a token as JSON under each
//! consumer key, and one key pair for all of them. (micromdm/micromdm: platform/config/builtin)

use std::fs::File;
use std::path::Path;

use secrecy::zeroize::Zeroizing;

use super::{Entry, Error, bolt, json};
use crate::apple::token_file::KeyPair;

const BUCKET: &[u8] = b"mdm.DEPToken";

pub(super) fn read(path: &Path, file: File) -> Result<Vec<Entry>, Error> {
    let broken = |why| Error::Bolt { path: path.to_owned(), why };
    let values = bolt::bucket(&file, BUCKET).map_err(broken)?;
    let values = values.ok_or_else(|| Error::NoTokenInside(path.to_owned()))?;
    let value = |name: &[u8]| values.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let pair = match (value(b"certificate"), value(b"key")) {
        (Some(certificate), Some(key)) => {
            let pair = KeyPair::from_der(certificate, &Zeroizing::new(key.clone()));
            let what = format!("in {}", path.display());
            Some(pair.map_err(|source| Error::KeyPair { what, source })?)
        }
        _ => None,
    };
    let mut entries = Vec::new();
    for (_, value) in values.iter().filter(|(key, _)| key.starts_with(b"CK_")) {
        let entry =
            json::entry(value).map_err(|source| Error::NotAToken { path: path.to_owned(), source })?;
        entries.push(Entry { pair: pair.clone(), ..entry });
    }
    if entries.is_empty() { Err(Error::NoTokenInside(path.to_owned())) } else { Ok(entries) }
}
