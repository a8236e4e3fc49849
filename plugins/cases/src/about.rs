//! What a policy is asked about, in a file of its own: the same words as in a case, without an expectation.

use serde::Deserialize;

use crate::Error;
use crate::input::{Plan, Token};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfTokens {
    version: i64,
    tokens: Vec<Token>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfPlan {
    version: i64,
    plan: Plan,
}

/// The tokens of a file with `version = 1` and `[[tokens]]`.
pub fn tokens(text: &str) -> Result<Vec<Token>, Error> {
    let OfTokens { version, tokens } = toml::from_str(text).map_err(Error::Format)?;
    known(version).map(|()| tokens)
}

/// The plan of a file with `version = 1` and `[plan]`.
pub fn plan(text: &str) -> Result<Plan, Error> {
    let OfPlan { version, plan } = toml::from_str(text).map_err(Error::Format)?;
    known(version).map(|()| plan)
}

fn known(version: i64) -> Result<(), Error> {
    if version == 1 { Ok(()) } else { Err(Error::Version(version)) }
}
