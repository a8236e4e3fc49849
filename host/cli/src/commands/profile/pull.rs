//! `deputy profile pull`: Apple's copy of a profile as a file of ours.

use std::path::PathBuf;

use domain::apple_profile::to_file::{Origin, to_file};
use domain::id::{ProfileId, TokenName};
use engine::profiles::apples_copy;

use super::written::{self, Target};
use crate::Common;
use crate::app::App;
use crate::exit::{Outcome, Problem};

/// What `deputy profile pull` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Apple's id of the profile; `deputy profile show NAME` and `deputy device explain` tell it
    #[arg(value_name = "UUID")]
    id: ProfileId,
    /// The token that has it
    #[arg(long, value_name = "NAME")]
    token: TokenName,
    /// Where to write it: a file, or - for standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
    /// Put it in the place of a file that is there
    #[arg(long)]
    force: bool,
}

/// Carries the command out.
pub(super) async fn run(common: &Common, app: &App, arguments: &Arguments) -> Outcome {
    let Arguments { id, token, out, force } = arguments;
    app.tokens(std::slice::from_ref(token))?;
    let target = Target::new(out, *force, &id.as_str().to_ascii_lowercase())?;
    let profile = apples_copy(&app.engine, token, id).await?.ok_or_else(|| {
        Problem::usage(format!("Apple knows no profile {id} for the token {token}"))
            .hint("a profile belongs to the server it was defined for; look at another token")
    })?;
    let from = format!("Apple's copy of {id}, from the token {token}.");
    let made = to_file(&profile, Origin { from: &from, stem: target.stem() });
    written::write(common, &target, &made)
}
