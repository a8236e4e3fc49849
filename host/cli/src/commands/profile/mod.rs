//! `deputy profile`: the enrolment profiles, here and at Apple.

mod anchors;
mod check;
mod diff;
mod import;
mod list;
mod panes;
mod pull;
mod push;
mod record;
mod show;
mod tls;
mod written;

use std::sync::LazyLock;

use domain::id::{ProfileName, TokenName};
use domain::profile::{Definition, Profile};
use serde_json::{Map, Value};

use crate::Common;
use crate::app::{App, Policies, unknown};
use crate::commands::freeze::Freezing;
use crate::exit::Outcome;

/// What `deputy profile` can do.
#[derive(clap::Subcommand)]
#[command(after_help = FORMAT)]
pub(crate) enum Command {
    /// Show the profiles in profiles/, and how many devices are on each
    List,
    /// Tell all that is wrong or doubtful with the profiles; errors exit with 2, warnings with 0
    Check(check::Arguments),
    /// Show the panes of Setup Assistant that `skip` may name, and where each exists
    Panes(panes::Arguments),
    /// Fetch the certificate to trust a server by, for `anchor_certificates`
    ///
    /// Connects with TLS, directly, and shows the certificates. That trusts whoever answers now: compare the fingerprint.
    Anchors(anchors::Arguments),
    /// Define profiles at Apple that are new or have changed; others are left alone
    Push {
        /// Only these profiles [default: all]
        names: Vec<ProfileName>,
        /// Only for this token; may be repeated [default: all]
        #[arg(long = "token", value_name = "NAME")]
        tokens: Vec<TokenName>,
        #[command(flatten)]
        freezing: Freezing,
    },
    /// Show one profile: in words, as Apple is sent it, and where it is defined and used
    Show {
        /// The profile
        name: ProfileName,
    },
    /// Compare the file, what was sent when it was defined, and Apple's copy; exits with 1 if they differ
    Diff {
        /// The profile
        name: ProfileName,
        /// Only for this token; may be repeated [default: all]
        #[arg(long = "token", value_name = "NAME")]
        tokens: Vec<TokenName>,
    },
    /// Turn Apple's copy of a profile into a file
    Pull(pull::Arguments),
    /// Turn a profile of another tool into a file: Apple's JSON, or a property list
    Import(import::Arguments),
    /// Compare what a Mac keeps of its enrolment with the profile it should have; exits with 1 if they differ
    Record(record::Arguments),
}

const FORMAT: &str = "\
A profile is a file in profiles/, and goes by the name of the file:
  version = 1
  extends = \"base\"                   # optional: the keys of profiles/base.toml, where this has none
  name = \"Lab iPad\"                  # its name at Apple
  url = \"https://mdm.example.com/enroll\"
  department = \"Library\"
  [setup_assistant]
  skip = \"all\"                       # or a list of panes, see `deputy profile panes`
  show = [\"Passcode\"]

A changed file is a new profile: Apple cannot change one. Check, push, then plan.";

/// Carries the command out.
pub(crate) async fn run(common: &Common, command: Command) -> Outcome {
    let open = || App::open(&common.config, Policies::Unused);
    match command {
        Command::List => list::run(common, &open().await?).await,
        Command::Check(arguments) => check::run(common, arguments).await,
        Command::Panes(arguments) => panes::run(common, &arguments),
        Command::Anchors(arguments) => anchors::run(common, arguments).await,
        Command::Show { name } => show::run(common, &open().await?, &name).await,
        Command::Diff { name, tokens } => diff::run(common, &open().await?, &name, &tokens).await,
        Command::Pull(arguments) => pull::run(common, &open().await?, &arguments).await,
        // It reads one file and writes another: nobody needs a configuration for that.
        Command::Import(arguments) => import::run(common, &arguments),
        Command::Record(arguments) => record::run(common, &open().await?, &arguments).await,
        Command::Push { names, tokens, freezing } => {
            push::run(common, &open().await?, &names, &tokens, freezing).await
        }
    }
}

/// The profile of this name, and what Apple is sent for it.
fn known<'a>(app: &'a App, name: &ProfileName) -> Outcome<&'a (Profile, Definition)> {
    app.config.profiles.get(name).ok_or_else(|| {
        let names: Vec<&str> = app.config.profiles.keys().map(ProfileName::as_str).collect();
        unknown("profile", name.as_str(), &names)
    })
}

/// The members of a body that Apple is sent.
fn object(body: &Value) -> &Map<String, Value> {
    static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    body.as_object().unwrap_or(&NONE)
}
