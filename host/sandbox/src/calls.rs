//! Calls in progress: how many there may be at once, and the clock that ends those that take too long.
//!
//! The clock ticks only while there is a call, so a program that waits for its next schedule sleeps. There
//! is one for all calls: two would make everybody's deadline come early.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

use crate::engine::CALLS;

/// How often the clock ticks; deadlines are met to within one tick.
const TICK: Duration = Duration::from_millis(10);

/// The clock, and the turnstile in front of the engine.
pub(crate) struct Calls {
    state: Arc<State>,
    clock: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    now: Mutex<Now>,
    changed: Condvar,
}

#[derive(Default)]
struct Now {
    active: u32,
    closing: bool,
}

/// The right to one call; given back when dropped.
pub(crate) struct Permit<'a>(&'a State);

impl Calls {
    /// Starts the clock.
    pub(crate) fn new(engine: &Engine) -> std::io::Result<Self> {
        let state = Arc::new(State::default());
        let (clock_state, engine) = (Arc::clone(&state), engine.weak());
        let clock = std::thread::Builder::new()
            .name("plugin-clock".to_owned())
            .spawn(move || tick(&clock_state, &engine))?;
        Ok(Self { state, clock: Some(clock) })
    }

    /// Waits for its turn.
    pub(crate) fn enter(&self) -> Permit<'_> {
        let mut now = self.state.lock();
        while now.active >= CALLS {
            now = self.state.changed.wait(now).unwrap_or_else(PoisonError::into_inner);
        }
        now.active += 1;
        self.state.changed.notify_all();
        Permit(&self.state)
    }
}

/// The deadline as ticks from now. One more than it takes: the tick that is under way counts too.
pub(crate) fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u64::MAX / 2) + 1
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.lock().active -= 1;
        self.0.changed.notify_all();
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        self.state.lock().closing = true;
        self.state.changed.notify_all();
        if let Some(clock) = self.clock.take() {
            // It cannot have panicked, and if it had, nobody could do anything about it here.
            let _ = clock.join();
        }
    }
}

impl State {
    /// Nothing between lock and unlock can panic, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tick(state: &State, engine: &EngineWeak) {
    let mut now = state.lock();
    while !now.closing {
        now = if now.active == 0 {
            state.changed.wait(now).unwrap_or_else(PoisonError::into_inner)
        } else {
            drop(now);
            std::thread::sleep(TICK);
            let Some(engine) = engine.upgrade() else { return };
            engine.increment_epoch();
            state.lock()
        };
    }
}
