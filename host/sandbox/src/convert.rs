//! Between the contract's types and ours: the only files where both appear, one for each version and question.
//!
//! What goes in is borrowed. What comes out is believed nothing: counted, its indices checked, its
//! text cleaned.

pub(crate) mod v0_1;
pub(crate) mod v1;

mod text;

use std::sync::Arc;

use domain::id::ProfileName;
use domain::verdict::{Decision, Verdict};
use jiff::Timestamp;

use crate::error::SettingsProblem;
use crate::fault::Fault;

pub(crate) use text::{clean, clean_lines};

/// The longest reason of a verdict, in bytes.
const REASON_BYTES: usize = 256;
/// The longest text about settings, and the most problems shown.
const PROBLEM_BYTES: usize = 1_024;
const PROBLEMS: usize = 100;

/// What stands where a policy should have given a reason.
const NO_REASON: &str = "no reason given";

/// Problems with settings, each as pointer, message and hint.
fn problems(problems: impl Iterator<Item = (String, String, Option<String>)>) -> Vec<SettingsProblem> {
    let cleaned = problems.take(PROBLEMS).map(|(pointer, message, hint)| SettingsProblem {
        pointer: clean(&pointer, PROBLEM_BYTES),
        message: clean(&message, PROBLEM_BYTES),
        hint: hint.map(|hint| clean(&hint, PROBLEM_BYTES)),
    });
    cleaned.collect()
}

/// A decision as a policy gives it, in every version so far.
enum Raw {
    Assign(u32),
    Hold(Option<u64>),
    Ignore,
}

/// Verdicts that keep to the contract, or what is wrong with them. Each comes with the index of its reason.
fn verdicts(
    verdicts: impl ExactSizeIterator<Item = (Raw, u32)>,
    reasons: &[String],
    profiles: &[ProfileName],
    devices: usize,
) -> Result<Vec<Verdict>, Fault> {
    if verdicts.len() != devices {
        let given = verdicts.len();
        return broken(format!("the number of verdicts ({given}) is not that of the devices ({devices})"));
    }
    // Only the reasons that somebody names are worth the copy.
    let mut shared: Vec<Option<Arc<str>>> = vec![None; reasons.len()];
    let mut checked = Vec::with_capacity(devices);
    for (decision, reason) in verdicts {
        let decision = match decision {
            Raw::Assign(index) => match profiles.get(index as usize) {
                Some(profile) => Decision::Assign { profile: profile.clone() },
                None => {
                    return broken(format!("it assigned profile {index}, and there are {}", profiles.len()));
                }
            },
            Raw::Hold(None) => Decision::Hold { until: None },
            Raw::Hold(Some(until)) => match i64::try_from(until).map(Timestamp::from_second) {
                Ok(Ok(until)) => Decision::Hold { until: Some(until) },
                _ => return broken(format!("it held a device until second {until}, which no calendar has")),
            },
            Raw::Ignore => Decision::Ignore,
        };
        let (Some(text), Some(place)) = (reasons.get(reason as usize), shared.get_mut(reason as usize))
        else {
            return broken(format!("it gave reason {reason}, and there are {}", reasons.len()));
        };
        let reason = place.get_or_insert_with(|| or(clean(text, REASON_BYTES), NO_REASON).into());
        checked.push(Verdict { decision, reason: Arc::clone(reason), fault: false });
    }
    Ok(checked)
}

fn broken<T>(reason: String) -> Result<T, Fault> {
    Err(Fault::Contract { reason })
}

/// The text, or another if there is nothing in it.
fn or(text: String, otherwise: &str) -> String {
    if text.trim().is_empty() { otherwise.to_owned() } else { text }
}

/// Times before 1970 are no times of Apple's.
fn seconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_second()).unwrap_or(0)
}
