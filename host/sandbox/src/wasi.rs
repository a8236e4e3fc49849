//! The empty world: what a component gets that was built for WASI, because its toolchain knows no other way.
//!
//! The runtimes of languages import files, sockets, clocks and randomness whether or not the policy uses them.
//! They get them, and find nothing there: no files, no arguments, no environment, a clock that stands
//! still at the call's `now`, and randomness that is always the same. Nothing in here leads out of
//! the store: every function is an answer made of what the call itself knows.
//!
//! Which functions a component imports, and of which types, is read off the component, so that any version
//! 0.2 of WASI is served by the same few lines; what is handed back is checked against those
//! types by the engine.

mod functions;
mod world;

use wasmtime::Engine;
use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Component, Linker, ResourceType};

pub(crate) use world::{Refused, Seed, World};

use crate::call::Guest;

/// The interfaces of the empty world.
const INTERFACES: [&str; 28] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/timezone",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// The kinds of resource in these interfaces; the place in this list is what the engine knows a kind by.
const RESOURCES: [&str; 14] = [
    "error",
    "pollable",
    "input-stream",
    "output-stream",
    "network",
    "descriptor",
    "directory-entry-stream",
    "incoming-datagram-stream",
    "outgoing-datagram-stream",
    "resolve-address-stream",
    "tcp-socket",
    "terminal-input",
    "terminal-output",
    "udp-socket",
];

/// Whether a component may import this: an interface of WASI 0.2, of the shape that interfaces have.
pub(crate) fn is_served(engine: &Engine, name: &str, item: &ComponentItem) -> bool {
    let ComponentItem::ComponentInstance(instance) = item else { return false };
    interface(name).is_some()
        && instance.exports(engine).all(|(name, item)| match item.ty {
            ComponentItem::ComponentFunc(function) => !function.async_(),
            ComponentItem::Resource(_) => resource(name).is_some(),
            ComponentItem::Type(_) => true,
            _ => false,
        })
}

/// Defines what the component imports of the empty world.
pub(crate) fn link(
    linker: &mut Linker<Guest>,
    engine: &Engine,
    component: &Component,
) -> wasmtime::Result<()> {
    for (name, item) in component.component_type().imports(engine) {
        if let (Some(interface), ComponentItem::ComponentInstance(instance)) = (interface(name), &item.ty) {
            link_interface(linker, engine, name, interface, instance)?;
        }
    }
    Ok(())
}

fn link_interface(
    linker: &mut Linker<Guest>,
    engine: &Engine,
    name: &str,
    interface: &'static str,
    instance: &ComponentInstance,
) -> wasmtime::Result<()> {
    let mut linked = linker.instance(name)?;
    for (name, item) in instance.exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(_) => {
                let function = format!("{interface}#{name}");
                linked.func_new(name, move |store, ty, arguments, results| {
                    functions::call(store, &function, &ty, arguments, results)
                })?;
            }
            ComponentItem::Resource(_) => {
                if let Some(kind) = resource(name) {
                    linked.resource(name, ResourceType::host_dynamic(kind), |_, _| Ok(()))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// `wasi:cli/exit@0.2.3` as `wasi:cli/exit`, if it is of the empty world.
fn interface(name: &str) -> Option<&'static str> {
    let (name, version) = name.split_once('@')?;
    let patch = version.strip_prefix("0.2.")?;
    let known = INTERFACES.into_iter().find(|known| *known == name);
    known.filter(|_| patch.bytes().all(|byte| byte.is_ascii_digit()))
}

fn resource(name: &str) -> Option<u32> {
    RESOURCES.iter().position(|known| *known == name).and_then(|kind| u32::try_from(kind).ok())
}
