//! What people type that would change something at Apple is refused while a freeze is on.

use domain::freeze::{Freeze, Frozen, frozen};
use domain::id::TokenName;

use crate::app::App;
use crate::exit::{Exit, Outcome, Problem};
use crate::output::time;

/// What commands take that change something at Apple.
#[derive(clap::Args, Clone, Copy, Default)]
pub(crate) struct Freezing {
    /// Do it although a freeze of deputy.toml says that nothing is changed now
    #[arg(long)]
    pub(crate) despite_freeze: bool,
}

/// Refuses if nothing may be changed for any of these tokens. If some are not frozen it goes on, and the
/// report tells of the others.
pub(crate) fn refuse(app: &App, tokens: &[TokenName], freezing: Freezing) -> Outcome<()> {
    let Some(first) = on(app, tokens, freezing) else { return Ok(()) };
    Err(Problem::new(Exit::Refused, format!("nothing is changed at Apple now; {}", first.in_words())).hint(
        "wait until then, or do it all the same with `--despite-freeze`; `deputy plan` shows what it would be",
    ))
}

/// That nothing may be changed for any of these tokens, until the first of them may be.
pub(crate) fn on(app: &App, tokens: &[TokenName], freezing: Freezing) -> Option<Frozen> {
    let (freezes, now) = (&app.engine.settings.freezes, app.engine.now());
    let each = tokens.iter().map(|token| frozen(freezes, token, now));
    let all: Option<Vec<Frozen>> = each.collect();
    all.filter(|_| !freezing.despite_freeze).and_then(|all| all.into_iter().min_by_key(|it| it.until))
}

/// The freezes that are on now, for people.
pub(crate) fn open(app: &App) -> Vec<String> {
    let now = app.engine.now();
    let line = |freeze: &Freeze| {
        let until = freeze.open_until(now)?;
        let whose = freeze.tokens.as_ref().map_or_else(String::new, |tokens| {
            let names: Vec<&str> = tokens.iter().map(TokenName::as_str).collect();
            format!(" for {}", names.join(", "))
        });
        Some(format!("nothing is changed at Apple{whose} until {}: {}", time(until), freeze.reason))
    };
    app.engine.settings.freezes.iter().filter_map(line).collect()
}
