//! The calls of a run, and the ways in which each can fail.

use sim::{Endpoint, Fault};

/// A call of a run. Its token and its server have its name.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) endpoint: Endpoint,
    /// As many calls of the endpoint come before it.
    pub(crate) after: u32,
}

/// The token whose assignment gets no answer, so that Apple is asked what became of it.
pub(crate) const LOST: &str = "lost-answer";
/// The token that has an assignment in flight since an earlier run.
pub(crate) const IN_FLIGHT: &str = "in-flight";

pub(crate) const PLACES: [Place; 12] = [
    Place { name: "session", endpoint: Endpoint::Session, after: 0 },
    Place { name: "account", endpoint: Endpoint::Account, after: 0 },
    Place { name: "first-page", endpoint: Endpoint::Fetch, after: 0 },
    Place { name: "later-page", endpoint: Endpoint::Fetch, after: 1 },
    Place { name: "last-page", endpoint: Endpoint::Fetch, after: 2 },
    Place { name: "sync", endpoint: Endpoint::Sync, after: 0 },
    Place { name: "define", endpoint: Endpoint::Define, after: 0 },
    Place { name: "first-batch", endpoint: Endpoint::Assign, after: 0 },
    Place { name: "later-batch", endpoint: Endpoint::Assign, after: 1 },
    Place { name: "read-back", endpoint: Endpoint::Details, after: 0 },
    Place { name: LOST, endpoint: Endpoint::Details, after: 0 },
    Place { name: IN_FLIGHT, endpoint: Endpoint::Details, after: 0 },
];

/// Dates as `Retry-After` has them: one that has passed, and one that nobody here lives to see.
const PAST: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const FUTURE: &str = "Fri, 06 Nov 2099 08:49:37 GMT";

/// Every fault, with what it is called.
pub(crate) fn faults() -> Vec<(String, Fault)> {
    let mut faults = Vec::new();
    for status in [500, 502, 503, 429] {
        let fault = Fault::status(status, "");
        faults.push((format!("{status}"), fault.clone()));
        for (called, value) in
            [("0", "0"), ("3600", "3600"), ("a date past", PAST), ("a date to come", FUTURE)]
        {
            faults.push((format!("{status}, retry after {called}"), fault.clone().retry_after(value)));
        }
    }
    let refusals = [
        (400, "SOMETHING_NEW"),
        (401, ""),
        (403, "FORBIDDEN"),
        (403, "T_C_NOT_SIGNED"),
        (403, "token_expiredForbidden"),
        (403, "ACCESS_DENIED"),
        (403, "SERVER_INACTIVE"),
        (404, ""),
        (405, ""),
        (400, "EXPIRED_CURSOR"),
        (400, "INVALID_CURSOR"),
        (400, "EXHAUSTED_CURSOR"),
    ];
    faults.extend(
        refusals.map(|(status, body)| {
            (format!("{status} {body}").trim().to_owned(), Fault::status(status, body))
        }),
    );
    let others = [
        ("hangs up", Fault::hang_up()),
        ("hangs up after", Fault::hang_up_after()),
        ("hangs", Fault::hang()),
        ("slow", Fault::slow(20)),
        ("truncated", Fault::new(sim::FaultKind::Truncate)),
        ("same cursor", Fault::new(sim::FaultKind::SameCursor)),
        ("reset in the body", Fault::reset_in_body()),
        ("other JSON", Fault::wrong_json()),
        ("a page for people", Fault::answer("<html>Please sign in</html>")),
        ("403 a page for people", Fault::status(403, "<html>FORBIDDEN by the firewall</html>")),
        ("unknown fields", Fault::unknown_fields()),
        ("missing fields", Fault::missing_fields()),
        ("null fields", Fault::null_fields(&[])),
        ("without devices", Fault::without_fields(&["devices"])),
        ("without a cursor", Fault::without_fields(&["cursor"])),
        ("without more_to_follow", Fault::without_fields(&["more_to_follow"])),
        ("session ended", Fault::end_session()),
        ("devices FAILED", Fault::device_status("FAILED")),
        ("devices THROTTLED", Fault::device_status("THROTTLED")),
        ("devices NOT_ACCESSIBLE", Fault::device_status("NOT_ACCESSIBLE")),
        ("devices SOMETHING_NEW", Fault::device_status("SOMETHING_NEW")),
    ];
    faults.extend(others.map(|(name, fault)| (name.to_owned(), fault)));
    faults
}
