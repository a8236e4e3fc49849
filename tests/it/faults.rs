//! Every way in which a call to Apple can fail, in every call that a run makes: what the run comes to,
//! and that the next one heals it.
//!
//! A world has a token for each call of a run, and a fault befalls that call of that token's server
//! alone. So one run shows a fault everywhere at once, and that one token's trouble stays its own.

mod table;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use expect_test::{Expect, expect};
use sim::Fault;

use table::faults;
use world::World;

/// Worlds side by side; most of their time they wait.
const WORLDS: usize = 2;

/// Plays each fault everywhere, `how_often`, and compares what came of it, a fault a line.
fn check(how_often: impl Fn(Fault) -> Fault + Sync, expected: Expect) {
    let faults = faults();
    let (next, lines) = (AtomicUsize::new(0), Mutex::new(vec![String::new(); faults.len()]));
    std::thread::scope(|scope| {
        for _ in 0..WORLDS {
            scope.spawn(|| {
                let world = World::new();
                while let Some((name, fault)) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let came_to = world.play(name, &how_often(fault.clone()));
                    let place = faults.iter().position(|(other, _)| other == name).expect("it is there");
                    lines.lock().expect("nobody panicked")[place] = format!("{name}: {came_to}\n");
                }
            });
        }
    });
    expected.assert_eq(&lines.into_inner().expect("nobody panicked").concat());
}

#[test]
fn a_fault_that_passes_is_healed_in_the_same_run_or_the_next() {
    check(
        |fault| fault.times(1),
        expect![[r#"
            500: succeeded
            500, retry after 0: succeeded
            500, retry after 3600: unavailable; succeeded: read-back; failed: define
            500, retry after a date past: succeeded
            500, retry after a date to come: unavailable; succeeded: read-back; failed: define
            502: succeeded
            502, retry after 0: succeeded
            502, retry after 3600: unavailable; succeeded: read-back
            502, retry after a date past: succeeded
            502, retry after a date to come: unavailable; succeeded: read-back
            503: succeeded
            503, retry after 0: succeeded
            503, retry after 3600: unavailable; succeeded: read-back
            503, retry after a date past: succeeded
            503, retry after a date to come: unavailable; succeeded: read-back
            429: succeeded
            429, retry after 0: succeeded
            429, retry after 3600: unavailable; succeeded: read-back
            429, retry after a date past: succeeded
            429, retry after a date to come: unavailable; succeeded: read-back
            400 SOMETHING_NEW: needs-person; succeeded: read-back; failed: define
            401: succeeded
            403 FORBIDDEN: succeeded; needs-person: session
            403 T_C_NOT_SIGNED: needs-person; succeeded: read-back
            403 token_expiredForbidden: needs-person; succeeded: read-back
            403 ACCESS_DENIED: needs-person; succeeded: read-back
            403 SERVER_INACTIVE: needs-person; succeeded: read-back
            404: needs-person; succeeded: first-batch later-batch read-back
            405: needs-person; succeeded: read-back
            400 EXPIRED_CURSOR: unavailable; succeeded: read-back
            400 INVALID_CURSOR: unavailable; succeeded: read-back
            400 EXHAUSTED_CURSOR: unavailable; succeeded: later-page last-page sync read-back
            hangs up: succeeded
            hangs up after: succeeded
            hangs: succeeded
            slow: succeeded
            truncated: succeeded
            same cursor: succeeded; unavailable: later-page last-page sync
            reset in the body: succeeded
            other JSON: succeeded
            a page for people: succeeded
            403 a page for people: succeeded
            unknown fields: succeeded
            missing fields: succeeded; first-page: 7 assignments for 5 devices; later-page: 6 assignments for 5 devices
            null fields: succeeded; first-page: 7 assignments for 5 devices; later-page: 6 assignments for 5 devices
            without devices: succeeded
            without a cursor: succeeded; unavailable: first-page later-page
            without more_to_follow: succeeded
            session ended: succeeded
            devices FAILED: succeeded; failed: first-batch later-batch
            devices THROTTLED: succeeded
            devices NOT_ACCESSIBLE: succeeded
            devices SOMETHING_NEW: succeeded; failed: first-batch later-batch
        "#]],
    );
}

#[test]
fn a_fault_that_stays_ends_the_run_as_it_should_and_the_next_heals_it() {
    check(
        Fault::always,
        expect![[r#"
            500: unavailable; succeeded: read-back; failed: define
            500, retry after 0: unavailable; succeeded: read-back; failed: define
            500, retry after 3600: unavailable; succeeded: read-back; failed: define
            500, retry after a date past: unavailable; succeeded: read-back; failed: define
            500, retry after a date to come: unavailable; succeeded: read-back; failed: define
            502: unavailable; succeeded: read-back
            502, retry after 0: unavailable; succeeded: read-back
            502, retry after 3600: unavailable; succeeded: read-back
            502, retry after a date past: unavailable; succeeded: read-back
            502, retry after a date to come: unavailable; succeeded: read-back
            503: unavailable; succeeded: read-back
            503, retry after 0: unavailable; succeeded: read-back
            503, retry after 3600: unavailable; succeeded: read-back
            503, retry after a date past: unavailable; succeeded: read-back
            503, retry after a date to come: unavailable; succeeded: read-back
            429: unavailable; succeeded: read-back
            429, retry after 0: unavailable; succeeded: read-back
            429, retry after 3600: unavailable; succeeded: read-back
            429, retry after a date past: unavailable; succeeded: read-back
            429, retry after a date to come: unavailable; succeeded: read-back
            400 SOMETHING_NEW: needs-person; succeeded: read-back; failed: define
            401: unavailable; succeeded: read-back; needs-person: session
            403 FORBIDDEN: unavailable; succeeded: read-back; needs-person: session
            403 T_C_NOT_SIGNED: needs-person; succeeded: read-back
            403 token_expiredForbidden: needs-person; succeeded: read-back
            403 ACCESS_DENIED: needs-person; succeeded: read-back
            403 SERVER_INACTIVE: needs-person; succeeded: read-back
            404: needs-person; failed: first-batch later-batch; succeeded: read-back
            405: needs-person; succeeded: read-back
            400 EXPIRED_CURSOR: unavailable; succeeded: read-back
            400 INVALID_CURSOR: unavailable; succeeded: read-back
            400 EXHAUSTED_CURSOR: unavailable; succeeded: sync read-back
            hangs up: unavailable; succeeded: read-back
            hangs up after: unavailable; succeeded: first-batch later-batch read-back
            hangs: unavailable; succeeded: read-back
            slow: succeeded
            truncated: unavailable; succeeded: first-batch later-batch read-back
            same cursor: succeeded; unavailable: first-page later-page last-page sync
            reset in the body: unavailable; succeeded: first-batch later-batch read-back
            other JSON: unavailable; succeeded: first-batch later-batch read-back
            a page for people: unavailable; succeeded: first-batch later-batch read-back
            403 a page for people: unavailable; succeeded: read-back
            unknown fields: succeeded
            missing fields: succeeded; first-page: 8 assignments for 5 devices; later-page: 6 assignments for 5 devices
            null fields: succeeded; first-page: 8 assignments for 5 devices; later-page: 6 assignments for 5 devices
            without devices: succeeded; unavailable: first-page later-page last-page sync lost-answer in-flight
            without a cursor: succeeded; unavailable: first-page later-page
            without more_to_follow: succeeded; unavailable: first-page later-page last-page sync
            session ended: unavailable; succeeded: read-back; needs-person: session
            devices FAILED: succeeded; failed: first-batch later-batch
            devices THROTTLED: succeeded
            devices NOT_ACCESSIBLE: succeeded
            devices SOMETHING_NEW: succeeded; failed: first-batch later-batch
        "#]],
    );
}
