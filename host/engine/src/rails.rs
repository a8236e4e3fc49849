//! Rails as they are when a plan is made: with the devices that a file protects.
//!
//! The file is read each time. One that cannot be read stops the plan: devices that somebody wanted to
//! protect are not moved because a file was misnamed.

use domain::rails::Rails;
use domain::serials;

use crate::failure::Error;

/// The largest file of protected devices that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// The rails with the devices that a file protects.
pub async fn whole(mut rails: Rails) -> Result<Rails, Error> {
    let Some(path) = rails.protect_file.take() else { return Ok(rails) };
    let file = path.clone();
    let read = tokio::task::spawn_blocking(move || {
        let size = std::fs::metadata(&file).map_err(|error| error.to_string())?.len();
        if size > LARGEST {
            return Err(format!("it has {size} bytes, more than {LARGEST}"));
        }
        let bytes = std::fs::read(&file).map_err(|error| error.to_string())?;
        serials::parse(&bytes).map_err(|error| error.to_string())
    });
    let read = read.await.unwrap_or_else(|panicked| Err(panicked.to_string()));
    rails.protect_serials.extend(read.map_err(|why| Error::Protected { path, why })?);
    Ok(rails)
}
