//! `deputy device disown`: releases devices from the organisation, for good.

use domain::id::{SerialNumber, TokenName};
use domain::rails::Limit;
use domain::removal::{Removal, is_named_again};

use crate::Common;
use crate::app::App;
use crate::commands::freeze::Freezing;
use crate::commands::removal::{Wanted, each_once, remove};
use crate::exit::{Outcome, Problem};

/// The most devices at a time: what Apple takes in one call.
const MOST: usize = 1_000;

/// What `deputy device disown` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The devices
    #[arg(required = true, value_name = "SERIAL")]
    serials: Vec<SerialNumber>,
    /// The token that has them
    #[arg(long, value_name = "NAME")]
    token: TokenName,
    /// For scripts: the device a second time; once for each
    #[arg(long = "confirm", value_name = "SERIAL")]
    confirm: Vec<SerialNumber>,
    /// In place of the rail `removals` of `[defaults.rails]`: the most devices, a number or a part such as 10%
    #[arg(long, value_name = "N")]
    removals: Option<Limit>,
    #[command(flatten)]
    freezing: Freezing,
}

/// Carries the command out.
pub(super) async fn run(common: &Common, app: &App, arguments: &Arguments) -> Outcome {
    let serials = each_once(&arguments.serials);
    if serials.len() > MOST {
        return Err(Problem::usage(format!(
            "{} devices are more than Apple releases at once",
            serials.len()
        ))
        .hint(format!("name at most {MOST}")));
    }
    let confirmed = is_named_again(&serials, &arguments.confirm);
    if !confirmed && !arguments.confirm.is_empty() {
        return Err(Problem::usage("`--confirm` does not name the same devices; nothing was changed")
            .hint("name each device once as an argument and once with `--confirm`"));
    }
    let flag =
        "in a terminal it is asked for; a script repeats each device with `--confirm SERIAL`".to_owned();
    let Arguments { token, freezing, removals: most, .. } = arguments;
    let (what, freezing, most) = (Removal::Disown, *freezing, *most);
    remove(common, app, Wanted { what, token, serials, confirmed, flag, freezing, most }).await
}
