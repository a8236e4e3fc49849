//! Version 1: for how long verdicts last.

use domain::verdict::{Context, Lasting};
use jiff::Timestamp;

use crate::bindings::v1::exports::deputy::policy::lasting as wit;
use crate::convert::{broken, seconds};
use crate::fault::Fault;

pub(crate) fn context<'a>(context: &'a Context, profiles: &'a [&'a str]) -> wit::Context<'a> {
    wit::Context {
        now: seconds(context.now),
        utc_offset: context.utc_offset.seconds(),
        token: context.token.as_str(),
        profiles,
    }
}

pub(crate) fn lasting(answer: wit::Lasting) -> Result<Lasting, Fault> {
    match answer {
        wit::Lasting::NotSaid => Ok(Lasting::NotSaid),
        wit::Lasting::Until(end) => match i64::try_from(end).map(Timestamp::from_second) {
            Ok(Ok(end)) => Ok(Lasting::Until(end)),
            _ => broken(format!("its verdicts last until second {end}, which no calendar has")),
        },
        wit::Lasting::Always => Ok(Lasting::Always),
    }
}
