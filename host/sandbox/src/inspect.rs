//! What a component is and wants, read off the file.

use domain::id::Digest;
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use crate::error::Error;
use crate::limits::Limits;
use crate::{Shared, cache, wasi};

/// The interface a policy exports, in the newest version this host knows.
pub(crate) const ASSIGNMENT: &str = "deputy:policy/assignment@0.1.0";
/// The interface a policy may import.
pub(crate) const LOG: &str = "deputy:policy/log@0.1.0";

/// What a component is, what it wants and what it answers. Nothing of it has run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The SHA-256 to trust it by.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: usize,
    /// The version of the contract it was built against, if it is a policy.
    pub contract: Option<String>,
    /// The questions it answers.
    pub questions: Vec<Question>,
    /// What it wants of its host.
    pub imports: Vec<Import>,
    /// Everything it exports.
    pub exports: Vec<String>,
}

/// What a component wants of its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The name of the interface.
    pub name: String,
    /// Whether this host grants it. Otherwise the component cannot be loaded.
    pub granted: bool,
}

/// A question of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Which profile does this device get?
    Assignment,
}

impl Inspection {
    /// Whether the component could be loaded.
    pub fn check(&self) -> Result<(), Error> {
        let refused = self.imports.iter().filter(|import| !import.granted);
        let imports: Vec<String> = refused.map(|import| import.name.clone()).collect();
        if !imports.is_empty() {
            return Err(Error::UngrantedImports { imports });
        }
        match self.questions.is_empty() {
            true => Err(Error::NoQuestion { exports: self.exports.clone() }),
            false => Ok(()),
        }
    }
}

/// The component in these bytes, from the cache or compiled.
pub(crate) fn component(
    shared: &Shared,
    what: &str,
    bytes: &[u8],
    digest: &Digest,
    limits: &Limits,
) -> Result<Component, Error> {
    if bytes.len() > limits.component_bytes {
        return Err(Error::TooLarge { size: bytes.len(), limit: limits.component_bytes });
    }
    check_kind(bytes)?;
    let name = cache::name(&shared.engine, digest);
    let kept = shared.cache.as_ref().and_then(|cache| cache.load(&name));
    if let Some(component) = kept.and_then(|code| mapped(&shared.engine, &code).ok()) {
        return Ok(component);
    }
    let code = shared.compiler.compile(what, bytes, shared.memory, limits)?;
    let component = mapped(&shared.engine, &code).map_err(|error| Error::NotCompiled {
        reason: crate::convert::clean(&format!("{error:#}"), 1_024),
    })?;
    if let Some(cache) = &shared.cache {
        cache.store(&name, &code);
    }
    Ok(component)
}

/// Compiled code, ready to be run.
fn mapped(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    #[allow(unsafe_code, reason = "the one way to code that is compiled already")]
    // SAFETY: these bytes come from our own compiler, in a child that we started, or from the cache, whose
    // checksum shows that they once did; nobody else could have made them.
    unsafe {
        Component::deserialize(engine, code)
    }
}

pub(crate) fn inspection(engine: &Engine, component: &Component, digest: Digest, size: usize) -> Inspection {
    let ty = component.component_type();
    let imports = ty.imports(engine).map(|(name, item)| Import {
        name: name.to_owned(),
        granted: name == LOG || wasi::is_served(engine, name, &item.ty) || only_names_types(engine, &item.ty),
    });
    let exports: Vec<String> = ty.exports(engine).map(|(name, _)| name.to_owned()).collect();
    let policy = exports.iter().find_map(|name| name.strip_prefix("deputy:policy/assignment@"));
    Inspection {
        contract: policy.map(str::to_owned),
        questions: exports.iter().filter(|name| *name == ASSIGNMENT).map(|_| Question::Assignment).collect(),
        imports: imports.collect(),
        digest,
        size,
        exports,
    }
}

/// The first bytes tell what a file is, and make for a better message than a parser's.
fn check_kind(bytes: &[u8]) -> Result<(), Error> {
    let (found, hint) = match bytes {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => return Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => {
            ("a core module", "wrap it as a component, as `wasm-tools component new` does")
        }
        [0, b'a', b's', b'm', ..] => {
            ("WebAssembly of an unknown version", "build it with tools for version 0.2")
        }
        b"" => ("an empty file", "build it again"),
        _ => ("some other kind of file", "give the path of the component that the build made"),
    };
    Err(Error::NotAComponent { found, hint })
}

/// Some toolchains import interfaces for their types only. Nothing can be called through them.
fn only_names_types(engine: &Engine, item: &ComponentItem) -> bool {
    match item {
        ComponentItem::ComponentInstance(instance) => {
            instance.exports(engine).all(|(_, item)| matches!(item.ty, ComponentItem::Type(_)))
        }
        ComponentItem::Type(_) => true,
        _ => false,
    }
}
