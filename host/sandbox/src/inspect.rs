//! What a component is and wants, read off the file, and what it says of itself.

use domain::id::Digest;
use domain::policy::Question;
use jiff::Timestamp;
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use crate::contract::{LASTING, Version};
use crate::error::Error;
use crate::fault::Fault;
use crate::limits::Limits;
use crate::{Shared, cache, wasi};

/// What a component is, what it wants and what it answers. Of its code nothing ran but what describes it.
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
    /// Whether it says for how long its verdicts last. It is asked that only if it gives verdicts.
    pub lasting: bool,
    /// What it says of itself, or how it failed to. Nothing if it was not asked: policies of version
    /// 0.1 cannot be, nor can what could not be loaded.
    pub description: Option<Result<Description, Fault>>,
    /// What it wants of its host.
    pub imports: Vec<Import>,
    /// Everything it exports.
    pub exports: Vec<String>,
    /// The version, if this host knows it.
    pub(crate) version: Option<Version>,
}

/// What a policy says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// What it does, in a line.
    pub summary: String,
    /// Its own version, such as `2.1.0`.
    pub version: String,
    /// A JSON Schema of its settings.
    pub settings_schema: Option<serde_json::Value>,
}

/// What a component wants of its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The name of the interface.
    pub name: String,
    /// Whether this host grants it. Otherwise the component cannot be loaded.
    pub granted: bool,
}

impl Inspection {
    /// Whether the component could be loaded.
    pub fn check(&self) -> Result<(), Error> {
        self.usable()?;
        match &self.description {
            Some(Err(fault)) => Err(Error::NotDescribed { fault: fault.clone() }),
            _ => Ok(()),
        }
    }

    /// The version in which the component can be asked.
    pub(crate) fn usable(&self) -> Result<Version, Error> {
        let refused = self.imports.iter().filter(|import| !import.granted);
        let imports: Vec<String> = refused.map(|import| import.name.clone()).collect();
        if !imports.is_empty() {
            return Err(Error::UngrantedImports { imports });
        }
        match (self.version, &self.contract) {
            (Some(version), _) => Ok(version),
            (None, Some(contract)) => Err(Error::UnknownContract { contract: contract.clone() }),
            (None, None) => Err(Error::NoQuestion { exports: self.exports.clone() }),
        }
    }
}

/// The component in these bytes, from the cache or compiled. One that cannot be compiled is not tried again by
/// each program that starts within the hour.
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
    let cache = shared.cache.as_ref();
    let name = cache::name(&shared.engine, digest);
    let kept = cache.and_then(|cache| cache.load(&name));
    if let Some(component) = kept.and_then(|code| mapped(&shared.engine, &code).ok()) {
        return Ok(component);
    }
    let failure = cache::failure_name(&shared.engine, digest, limits);
    let lately = cache.filter(|_| !shared.compiler.retry);
    if let Some((at, reason)) = lately.and_then(|cache| cache.failure(&failure, Timestamp::now())) {
        return Err(Error::NotCompiledLately { reason, at });
    }
    let compiled = shared.compiler.compile(what, bytes, shared.memory, limits).and_then(|code| {
        let component = mapped(&shared.engine, &code).map_err(|error| Error::NotCompiled {
            reason: crate::convert::clean(&format!("{error:#}"), 1_024),
        })?;
        Ok((component, code))
    });
    match (compiled, cache) {
        (Ok((component, code)), Some(cache)) => {
            cache.store(&name, &code);
            cache.forget(&failure);
            Ok(component)
        }
        (Err(error), Some(cache)) if error.is_of_compiling() => {
            cache.remember(&failure, Timestamp::now(), &error.to_string());
            Err(error)
        }
        (compiled, _) => compiled.map(|(component, _)| component),
    }
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
        granted: is_granted(name)
            || wasi::is_served(engine, name, &item.ty)
            || only_names_types(engine, &item.ty),
    });
    let exports: Vec<String> = ty.exports(engine).map(|(name, _)| name.to_owned()).collect();
    // A component may answer in several versions, for older hosts; it is asked in the newest we know.
    let known = Version::ALL.into_iter().find_map(|version| {
        let export = |question: &Question| {
            exports.iter().find(|name| Version::of(name) == Some((version, question.as_str())))
        };
        let questions: Vec<Question> =
            version.questions().iter().copied().filter(|question| export(question).is_some()).collect();
        let name = questions.first().and_then(export)?.clone();
        Some((version, questions, name))
    });
    let (version, questions, name) = match known {
        Some((version, questions, name)) => (Some(version), questions, Some(name)),
        None => (None, Vec::new(), exports.iter().find(|name| asks_something(name)).cloned()),
    };
    let says_lasting = |name: &String| {
        Version::of(name).is_some_and(|(version, interface)| version.has_lasting() && interface == LASTING)
    };
    Inspection {
        // A component that is asked in an older major has no use for what a newer one asks.
        lasting: version >= Some(Version::V1_0) && exports.iter().any(says_lasting),
        contract: name.and_then(|name| name.split_once('@').map(|(_, version)| version.to_owned())),
        questions,
        description: None,
        imports: imports.collect(),
        digest,
        size,
        exports,
        version,
    }
}

fn is_granted(import: &str) -> bool {
    Version::of(import).is_some_and(|(version, interface)| version.grants().contains(&interface))
}

/// Whether this is one of our questions, in whatever version.
fn asks_something(export: &str) -> bool {
    let interface = export.strip_prefix("deputy:policy/").and_then(|rest| rest.split_once('@'));
    interface.is_some_and(|(name, _)| Question::ALL.iter().any(|question| question.as_str() == name))
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
