//! Apple's device enrolment service, played by a real HTTP server.
//!
//! Written from Apple's documentation and from what implementers saw, never from a client: a client and a
//! simulator that share an author's mistake agree with each other and fail at Apple. It has two sides on
//! one address. Apple's side speaks the protocol, strictly. The control side (`Control`, and `/sim` over
//! HTTP) is everything else: the portal, the suppliers, the devices, bad days, and a log of every call.
//!
//! `Sim` runs inside an async program, `SimHandle` on a thread of its own.

mod control;
mod endpoint;
mod faults;
mod info;
mod log;
mod portal;
mod presets;
mod server;
mod settings;
mod state;
mod world;

mod ber;
mod calls;
mod cursor;
mod device;
mod dice;
mod distort;
mod fleet;
mod hardware;
mod inventory;
mod locks;
mod lookups;
mod oauth;
mod pages;
mod profile;
mod serial;
mod service;
mod sessions;
mod throttle;
mod view;

mod api;
mod api_devices;
mod http;

pub use control::{Control, Error};
pub use device::{BadField, ProfileStatus};
pub use endpoint::Endpoint;
pub use faults::{Fault, FaultKind};
pub use fleet::fleet;
pub use info::{DeviceInfo, ProfileInfo, ServerChange, ServerInfo, TokenFile};
pub use log::{Call, Counters};
pub use portal::{Credentials, Refused, TokenOptions};
pub use server::{AssignStatus, Lock, OrgType, ServerOptions, TokenState};
pub use settings::{ErrorStyle, Settings};

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::thread;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How a simulator starts.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; a free port of this machine if none is given.
    pub listen: SocketAddr,
    /// How the service behaves.
    pub settings: Settings,
}

impl Default for Options {
    fn default() -> Self {
        Self { listen: (Ipv4Addr::LOCALHOST, 0).into(), settings: Settings::default() }
    }
}

/// A simulator on the runtime of its caller. Stops when dropped.
#[derive(Debug)]
pub struct Sim {
    control: Control,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Sim {
    /// Starts listening; calls are answered from now on.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let failed = |source| Error::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let control = Control::default();
        control.set_settings(options.settings);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(http::serve(listener, control.clone(), async {
            // An error means that the sender is gone, and so is the one who wanted us.
            _ = stopped.await;
        }));
        Ok(Self { control, address, stop: Some(stop), task })
    }

    /// Where Apple's side is, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops, and waits until the calls under way are answered.
    pub async fn stop(mut self) {
        self.stop.take();
        _ = (&mut self.task).await;
    }
}

impl Deref for Sim {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.control
    }
}

/// A simulator on a thread of its own, for tests and programs that are not async. Stops when dropped.
#[derive(Debug)]
pub struct SimHandle {
    control: Control,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl SimHandle {
    /// Starts the thread, and returns once it listens.
    pub fn start(options: Options) -> Result<Self, Error> {
        let (stop, stopped) = oneshot::channel::<()>();
        let (started, start) = std::sync::mpsc::channel();
        let run = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => {
                    _ = started.send(Err(Error::Thread(error)));
                    return;
                }
            };
            runtime.block_on(async {
                match Sim::start(options).await {
                    Err(error) => _ = started.send(Err(error)),
                    Ok(sim) => {
                        _ = started.send(Ok((sim.control.clone(), sim.address)));
                        _ = stopped.await;
                        // A call that is being slow on purpose is not worth waiting for.
                        _ = tokio::time::timeout(Duration::from_millis(200), sim.stop()).await;
                    }
                }
            });
            runtime.shutdown_background();
        };
        let thread =
            thread::Builder::new().name("apple-simulator".into()).spawn(run).map_err(Error::Thread)?;
        let gone = || Error::Thread(std::io::ErrorKind::BrokenPipe.into());
        let (control, address) = start.recv().map_err(|_| gone())??;
        Ok(Self { control, address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where Apple's side is, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops the thread and waits for its end; the same as dropping the handle, said aloud.
    pub fn stop(self) {}
}

impl Deref for SimHandle {
    type Target = Control;

    fn deref(&self) -> &Control {
        &self.control
    }
}

impl Drop for SimHandle {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

/// An error and its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    text
}
