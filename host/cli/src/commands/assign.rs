//! `deputy assign`: gives a profile to devices, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::id::{ProfileName, SerialNumber, TokenName};
use domain::plan::{Given, Origin, Target, Wish};

use super::given::Wanted;
use super::run::RailsArguments;
use super::serials::Serials;
use crate::Common;
use crate::app::{App, Policies, unknown};
use crate::commands::freeze::Freezing;
use crate::exit::{Outcome, Problem};
use crate::reason;

/// What `deputy assign` takes.
#[derive(clap::Args)]
#[command(
    after_help = "Shows what would be done, and which workflow would undo it at its next run; then asks. The rails of \
`[defaults.rails]` in deputy.toml hold.

  deputy assign lab-ipad DMPXK1 DMPXK2
  deputy assign standard --file returned.csv --yes
  some-tool | deputy assign standard --file - --yes"
)]
pub(crate) struct Arguments {
    /// The profile: the name of its file in profiles/ without `.toml`
    profile: ProfileName,
    #[command(flatten)]
    serials: Serials,
    /// The token that has them [default: whichever has the device]
    #[arg(long, value_name = "NAME")]
    token: Option<TokenName>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Do it without asking; without this and without a terminal, only show what would be done
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    freezing: Freezing,
    #[command(flatten)]
    rails: RailsArguments,
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let serials = arguments.serials.read()?;
    let app = App::open(&common.config, Policies::All).await?;
    if let Some(token) = &arguments.token {
        app.tokens(std::slice::from_ref(token))?;
    }
    let Some(definition) = app.engine.settings.profiles.get(&arguments.profile) else {
        let names: Vec<&str> = app.engine.settings.profiles.keys().map(ProfileName::as_str).collect();
        return Err(unknown("profile", arguments.profile.as_str(), &names));
    };
    let reason: Arc<str> = match &arguments.reason {
        None => "by hand".into(),
        Some(reason) => format!("by hand: {}", reason::one_line(reason)?).into(),
    };
    let contents = BTreeMap::from([(arguments.profile.clone(), definition.digest.clone())]);
    let mut given: BTreeMap<TokenName, Given> = BTreeMap::new();
    for (token, serial, on) in find_all(&app, arguments.token.as_ref(), &serials).await? {
        let of_token = given.entry(token).or_insert_with(|| Given {
            origin: Origin::Serials,
            server: None,
            made_at: None,
            contents: contents.clone(),
            wishes: Vec::new(),
        });
        of_token.wishes.push(Wish {
            serial_number: serial,
            from: on,
            to: Target::Ours(arguments.profile.clone()),
            reason: reason.clone(),
        });
    }
    let wanted = Wanted {
        name: "assign-by-hand",
        given,
        rails: app.config.defaults.rails.clone(),
        typed: arguments.rails.meant(),
        review: None,
        freezing: arguments.freezing,
        left_alone: None,
    };
    wanted.confirm_and_carry_out(common, &app, arguments.yes).await
}

/// Each device, whose it is and what it is on; one that is nobody's stops it all.
async fn find_all(
    app: &App,
    token: Option<&TokenName>,
    serials: &[SerialNumber],
) -> Outcome<Vec<(TokenName, SerialNumber, Option<domain::id::ProfileId>)>> {
    let (mut found, mut missing, mut several) = (Vec::new(), Vec::new(), Vec::new());
    for serial in serials {
        let devices = app.engine.store.find_device(serial).await?;
        let mut here = devices.into_iter().filter(|it| {
            !it.known.gone
                && token.is_none_or(|token| it.token == *token)
                && app.config.tokens.contains_key(&it.token)
        });
        match (here.next(), here.next()) {
            (Some(one), None) => found.push((one.token, serial.clone(), one.known.on().cloned())),
            (None, _) => missing.push(serial.as_str()),
            (Some(_), Some(_)) => several.push(serial.as_str()),
        }
    }
    if !missing.is_empty() {
        let whose =
            token.map_or("no token has".to_owned(), |token| format!("the token {token} does not have"));
        return Err(Problem::usage(format!("{whose} {}; nothing was changed", a_few(&missing))).hint(
            "if it is new, `deputy sync` fetches it; if it is on another server, Apple's portal says so",
        ));
    }
    if !several.is_empty() {
        return Err(Problem::usage(format!("several tokens list {}; nothing was changed", a_few(&several)))
            .hint("say which is meant: `--token NAME`"));
    }
    Ok(found)
}

/// The first of them by name.
fn a_few(serials: &[&str]) -> String {
    let more = serials.len().saturating_sub(5);
    let named = serials.iter().take(5).copied().collect::<Vec<_>>().join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}
