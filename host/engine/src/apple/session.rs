//! The one session of a token, shared by every clone of its client.
//!
//! Sessions of one token can end each other, so there is never more than one: whoever finds none
//! opens it while the others wait, and they share what came of it, good or bad. Apple may replace
//! the session in any answer; the replacement is adopted unless the session was renewed since the
//! request went out.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use reqwest::header::HeaderValue;

use super::error::Error;

/// The session of a token, or the lack of one.
#[derive(Default)]
pub(super) struct Session {
    state: Mutex<State>,
    opening: tokio::sync::Mutex<Opening>,
}

/// The session a request was sent with.
#[derive(Clone)]
pub(super) struct Held {
    /// Marked as sensitive, so that it is not printed.
    pub(super) value: HeaderValue,
    /// How often a session was opened before this one.
    opened: u64,
}

#[derive(Default)]
struct State {
    current: Option<Held>,
    /// How many attempts to open a session have ended.
    attempts: u64,
}

/// What came of the last attempt. Locked for as long as one lasts.
#[derive(Default)]
struct Opening {
    failure: Option<Error>,
}

impl Session {
    /// The session there is, or else the one that `open` brings. Of several callers at a time,
    /// one opens and the others get what it got.
    pub(super) async fn get(
        &self,
        open: impl Future<Output = Result<HeaderValue, Error>>,
    ) -> Result<Held, Error> {
        let seen = {
            let state = self.state();
            if let Some(held) = &state.current {
                return Ok(held.clone());
            }
            state.attempts
        };
        let mut opening = self.opening.lock().await;
        {
            let state = self.state();
            if let Some(held) = &state.current {
                return Ok(held.clone());
            }
            if state.attempts != seen
                && let Some(failure) = &opening.failure
            {
                return Err(failure.clone());
            }
        }
        let outcome = open.await;
        let mut state = self.state();
        state.attempts += 1;
        match outcome {
            Ok(mut value) => {
                value.set_sensitive(true);
                let held = Held { value, opened: state.attempts };
                state.current = Some(held.clone());
                opening.failure = None;
                Ok(held)
            }
            Err(error) => {
                opening.failure = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Takes over the session that came with the answer to a request sent with `held`.
    pub(super) fn adopt(&self, held: &Held, mut value: HeaderValue) {
        let mut state = self.state();
        if let Some(current) = &mut state.current
            && current.opened == held.opened
            && !value.is_empty()
        {
            value.set_sensitive(true);
            current.value = value;
        }
    }

    /// Forgets the session that Apple refused, unless another has taken its place meanwhile.
    pub(super) fn forget(&self, refused: &Held) {
        let mut state = self.state();
        if state.current.as_ref().is_some_and(|current| current.value == refused.value) {
            state.current = None;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, and a half-written state cannot be.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::error::Call;
    use super::*;

    fn value(text: &'static str) -> HeaderValue {
        HeaderValue::from_static(text)
    }

    fn expired() -> Error {
        Error::TokenExpired { call: Call::Session, token: "emea".parse().unwrap() }
    }

    async fn get(session: &Session, open: Result<&'static str, Error>) -> Result<String, String> {
        let held = session.get(async { open.map(value) }).await.map_err(|error| error.to_string())?;
        Ok(held.value.to_str().unwrap().to_owned())
    }

    /// How often ten callers at a time open a session, when each attempt ends like this.
    async fn check(open: Result<&'static str, Error>, expected: usize) {
        let session = Arc::new(Session::default());
        let opened = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..10)
            .map(|_| {
                let (session, opened, open) = (session.clone(), opened.clone(), open.clone());
                tokio::spawn(async move {
                    let attempt = async {
                        opened.fetch_add(1, Ordering::Relaxed);
                        // Everyone else gets to wait before this ends.
                        for _ in 0..100 {
                            tokio::task::yield_now().await;
                        }
                        open.map(value)
                    };
                    session.get(attempt).await.is_ok()
                })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
        assert_eq!(opened.load(Ordering::Relaxed), expected);
    }

    #[tokio::test]
    async fn callers_at_the_same_time_open_one_session() {
        check(Ok("one"), 1).await;
    }

    #[tokio::test]
    async fn callers_at_the_same_time_share_a_failure() {
        check(Err(expired()), 1).await;
    }

    #[tokio::test]
    async fn a_failure_does_not_outlive_those_who_waited_for_it() {
        let session = Session::default();
        get(&session, Err(expired())).await.unwrap_err();
        assert_eq!(get(&session, Ok("two")).await.unwrap(), "two");
    }

    #[tokio::test]
    async fn a_session_that_comes_with_an_answer_replaces_the_one_sent() {
        let session = Session::default();
        let held = session.get(async { Ok(value("one")) }).await.unwrap();
        session.adopt(&held, value("two"));
        session.adopt(&held, value(""));
        assert_eq!(get(&session, Ok("never")).await.unwrap(), "two");
    }

    #[tokio::test]
    async fn a_late_answer_does_not_bring_back_a_session_from_before_the_renewal() {
        let session = Session::default();
        let old = session.get(async { Ok(value("old")) }).await.unwrap();
        session.forget(&old);
        assert_eq!(get(&session, Ok("new")).await.unwrap(), "new");
        session.adopt(&old, value("older"));
        session.forget(&old);
        assert_eq!(get(&session, Ok("never")).await.unwrap(), "new");
    }

    #[tokio::test]
    async fn an_attempt_that_is_given_up_leaves_the_next_caller_free_to_try() {
        let session = Session::default();
        let stuck = session.get(std::future::pending());
        let stuck = tokio::time::timeout(std::time::Duration::from_millis(1), stuck).await;
        assert!(stuck.is_err());
        assert_eq!(get(&session, Ok("two")).await.unwrap(), "two");
    }
}
