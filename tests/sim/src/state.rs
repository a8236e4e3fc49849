//! Everything the simulated Apple knows: servers, their tokens and sessions, the log, the faults.
//!
//! One plain struct behind one lock. Nothing here does IO or reads a clock; `now` is an argument, so that
//! a test can move time. What a client may ask is `service`'s business, what the portal may is `control`'s.

use crate::dice::Dice;
use crate::faults::Faults;
use crate::log::Log;
use crate::portal::{hex, random};
use crate::server::{Server, ServerOptions};
use crate::settings::Settings;
use jiff::{SignedDuration, Timestamp};
use std::collections::{HashMap, VecDeque};

#[derive(Debug)]
pub(crate) struct Session {
    key: String,
    /// The key before this one: requests that were under way at the change still carry it.
    previous: Option<String>,
    /// Calls with this key.
    calls: u32,
    /// Calls since the session began.
    calls_in_all: u32,
    issued: i64,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) dice: Dice,
    pub(crate) servers: Vec<Server>,
    pub(crate) faults: Faults,
    pub(crate) log: Log,
    /// How far the simulator's clock is ahead of the real one.
    pub(crate) ahead: SignedDuration,
    /// Every session key given out lately, so that an ended one is told from an unknown one.
    keys: HashMap<String, usize>,
    keys_in_order: VecDeque<String>,
}

/// Why a session key is not accepted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadSession {
    /// It was good once.
    Ended,
    /// We never gave it out.
    Unknown,
}

const KEYS_REMEMBERED: usize = 10_000;

impl State {
    pub(crate) fn now(&self, real: Timestamp) -> Timestamp {
        real.checked_add(self.ahead).unwrap_or(real)
    }

    /// Changes how the service behaves; another seed, and the dice begin anew.
    pub(crate) fn set_settings(&mut self, settings: Settings) {
        if settings.seed != self.dice.seed() {
            self.dice = Dice::new(settings.seed);
        }
        for server in &mut self.servers {
            server.inventory.delay = settings.visible_after_seconds.max(0);
        }
        self.settings = settings;
    }

    /// Puts a new server entry into the portal.
    pub(crate) fn add_server(&mut self, options: ServerOptions) -> &Server {
        let mut server = Server::new(options);
        server.inventory.delay = self.settings.visible_after_seconds.max(0);
        self.servers.push(server);
        &self.servers[self.servers.len() - 1]
    }

    pub(crate) fn server(&self, name: &str) -> Option<&Server> {
        self.servers.iter().find(|server| server.name == name)
    }

    pub(crate) fn server_mut(&mut self, name: &str) -> Option<&mut Server> {
        self.servers.iter_mut().find(|server| server.name == name)
    }

    /// The server that gave out this access token, if the token was not replaced since.
    pub(crate) fn server_of_token(&self, access_token: &str) -> Option<usize> {
        let owns =
            |server: &Server| server.token.as_ref().is_some_and(|token| token.access_token == access_token);
        self.servers.iter().position(owns)
    }

    /// The server that a session key was given out for, good or not.
    pub(crate) fn server_of_session(&self, key: &str) -> Option<usize> {
        self.keys.get(key).copied()
    }

    /// Opens the one session of a server; an earlier one ends.
    pub(crate) fn open_session(&mut self, server: usize, now: i64) -> String {
        let key = self.new_key(server);
        self.servers[server].session =
            Some(Session { key: key.clone(), previous: None, calls: 0, calls_in_all: 0, issued: now });
        key
    }

    /// Accepts or refuses a session key, and says which server it is for and which key to use next.
    pub(crate) fn use_session(&mut self, key: &str, now: i64) -> Result<(usize, Option<String>), BadSession> {
        let server = self.server_of_session(key).ok_or(BadSession::Unknown)?;
        let Settings { rotate_every, session_lifetime_seconds, session_calls, .. } = self.settings;
        let session = self.servers[server].session.as_mut().ok_or(BadSession::Ended)?;
        let is_previous = session.previous.as_deref() == Some(key);
        let worn_out = session_calls > 0 && session.calls_in_all >= session_calls;
        let too_old = now - session.issued > session_lifetime_seconds;
        if !(session.key == key || is_previous) || too_old || worn_out {
            return Err(BadSession::Ended);
        }
        session.calls += 1;
        session.calls_in_all = session.calls_in_all.saturating_add(1);
        if rotate_every == 0 || session.calls < rotate_every {
            return Ok((server, is_previous.then(|| session.key.clone())));
        }
        let next = self.new_key(server);
        if let Some(session) = &mut self.servers[server].session {
            let previous = Some(std::mem::replace(&mut session.key, next.clone()));
            (session.previous, session.calls, session.issued) = (previous, 0, now);
        }
        Ok((server, Some(next)))
    }

    /// Forgets every session, as a restart of the service would: their keys are unknown from now on.
    pub(crate) fn forget_sessions(&mut self) {
        self.keys.clear();
        self.keys_in_order.clear();
        self.servers.iter_mut().for_each(|server| server.session = None);
    }

    fn new_key(&mut self, server: usize) -> String {
        let key = hex(&random::<24>().unwrap_or_default());
        self.keys.insert(key.clone(), server);
        self.keys_in_order.push_back(key.clone());
        if self.keys_in_order.len() > KEYS_REMEMBERED {
            self.keys_in_order.pop_front().map(|old| self.keys.remove(&old));
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    /// Uses keys by their number in the order they were given out; `open` opens a session, `+9` lets
    /// seconds pass, `forget` forgets.
    fn check(story: &str, expect: Expect) {
        check_with(0, story, expect);
    }

    fn check_with(session_calls: u32, story: &str, expect: Expect) {
        let mut state = State::default();
        (state.settings.rotate_every, state.settings.session_calls) = (3, session_calls);
        state.servers.push(Server::new(ServerOptions::new("emea")));
        let (mut keys, mut now) = (Vec::new(), 0);
        let mut said = Vec::new();
        for step in story.split(' ') {
            match step {
                "open" => keys.push(state.open_session(0, now)),
                "forget" => state.forget_sessions(),
                step if step.starts_with('+') => now += step[1..].parse::<i64>().unwrap(),
                step => {
                    let key = &keys[step.parse::<usize>().unwrap()].clone();
                    said.push(match state.use_session(key, now) {
                        Err(bad) => format!("{bad:?}"),
                        Ok((_, None)) => "ok".into(),
                        Ok((_, Some(next))) => {
                            let number = keys.iter().position(|key| *key == next).unwrap_or_else(|| {
                                keys.push(next);
                                keys.len() - 1
                            });
                            format!("next:{number}")
                        }
                    });
                }
            }
        }
        expect.assert_eq(&said.join(" "));
    }

    #[test]
    fn a_key_is_replaced_every_n_calls_and_good_until_the_next_replacement() {
        check("open 0 0 0 0 1 0 0 2", expect!["ok ok next:1 next:1 ok next:2 Ended ok"]);
    }

    #[test]
    fn a_session_can_be_good_for_so_many_calls_whatever_its_key() {
        check_with(4, "open 0 0 0 1 1 0 open 2", expect!["ok ok next:1 ok Ended Ended ok"]);
    }

    #[test]
    fn a_new_session_ends_the_one_before() {
        check("open 0 open 0 1", expect!["ok Ended ok"]);
    }

    #[test]
    fn a_session_lives_three_minutes() {
        check("open +180 0 +1 0", expect!["ok Ended"]);
    }

    #[test]
    fn after_a_restart_keys_are_unknown() {
        check("open forget 0", expect!["Unknown"]);
    }
}
