//! `deputy unassign`: takes the profile from devices, by name.

use domain::id::TokenName;
use domain::rails::Limit;
use domain::removal::Removal;

use crate::Common;
use crate::app::{App, Policies};
use crate::commands::freeze::Freezing;
use crate::commands::removal::{Wanted, remove};
use crate::commands::serials::Serials;
use crate::exit::Outcome;

/// What `deputy unassign` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    serials: Serials,
    /// The token that has them
    #[arg(long, value_name = "NAME")]
    token: TokenName,
    /// Do it without asking; without this and without a terminal, only show what would be done
    #[arg(long)]
    yes: bool,
    /// In place of the rail `removals` of `[defaults.rails]`: the most devices, a number or a part such as 10%
    #[arg(long, value_name = "N")]
    removals: Option<Limit>,
    #[command(flatten)]
    freezing: Freezing,
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let app = App::open(&common.config, Policies::Unused).await?;
    let wanted = Wanted {
        what: Removal::Unassign,
        token: &arguments.token,
        serials: arguments.serials.read()?,
        confirmed: arguments.yes,
        freezing: arguments.freezing,
        flag: "`--yes` confirms it".to_owned(),
        most: arguments.removals,
    };
    remove(common, &app, wanted).await
}
