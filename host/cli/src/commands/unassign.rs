//! `deputy unassign`: takes the profile from devices, by name.

use domain::id::{SerialNumber, TokenName};
use domain::removal::Removal;

use crate::Common;
use crate::app::{App, Policies};
use crate::commands::removal::{Wanted, each_once, remove};
use crate::exit::Outcome;

/// What `deputy unassign` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The devices
    #[arg(required = true, value_name = "SERIAL")]
    serials: Vec<SerialNumber>,
    /// The token that has them
    #[arg(long, value_name = "NAME")]
    token: TokenName,
    /// Do it without asking; without this and without a terminal, only show what would be done
    #[arg(long)]
    yes: bool,
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let app = App::open(&common.config, Policies::Unused).await?;
    let wanted = Wanted {
        what: Removal::Unassign,
        token: &arguments.token,
        serials: each_once(&arguments.serials),
        confirmed: arguments.yes,
        flag: "`--yes` confirms it".to_owned(),
    };
    remove(common, &app, wanted).await
}
