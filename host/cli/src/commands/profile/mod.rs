//! `deputy profile`: the enrolment profiles, here and at Apple.

mod list;
mod push;

use domain::id::{ProfileName, TokenName};
use domain::profile::{Definition, Profile};

use crate::Common;
use crate::app::{App, Policies, unknown};
use crate::exit::Outcome;

/// What `deputy profile` can do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show the profiles in profiles/, and how many devices are on each
    List,
    /// Define profiles at Apple that are new or have changed; others are left alone
    Push {
        /// Only these profiles [default: all]
        names: Vec<ProfileName>,
        /// Only for this token; may be repeated [default: all]
        #[arg(long = "token", value_name = "NAME")]
        tokens: Vec<TokenName>,
    },
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, command: Command) -> Outcome {
    let app = App::open(&common.config, Policies::Unused).await?;
    match command {
        Command::List => list::run(common, &app).await,
        Command::Push { names, tokens } => push::run(common, &app, &names, &tokens).await,
    }
}

/// The profile of this name, and what Apple is sent for it.
fn known<'a>(app: &'a App, name: &ProfileName) -> Outcome<&'a (Profile, Definition)> {
    app.config.profiles.get(name).ok_or_else(|| {
        let names: Vec<&str> = app.config.profiles.keys().map(ProfileName::as_str).collect();
        unknown("profile", name.as_str(), &names)
    })
}
