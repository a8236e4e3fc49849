//! The project of a policy: which languages and questions there are templates for, and the file
//! `plugin.toml` that tells `deputy plugin build` what it has before it.

use std::path::{Path, PathBuf};

use domain::document::{Source, Version1};
use plugin_build::Language;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::exit::{Outcome, Problem};

/// The name of the file in a project's folder.
pub(super) const MANIFEST: &str = "plugin.toml";

/// The languages that projects are made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LanguageName {
    /// Small and fast
    Rust,
    /// With npm; about 12 MB, as it brings its interpreter
    #[value(name = "typescript")]
    #[serde(rename = "typescript")]
    TypeScript,
    /// With pip; about 18 MB, as it brings its interpreter
    Python,
    /// Smallest
    C,
}

/// What a policy decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Question {
    /// Which profile does each device get?
    Assignment,
    /// Who should hear about a token, and how urgently?
    Reminder,
    /// May this plan go ahead?
    Review,
}

/// How to build a Deputy policy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Deputy policy project")]
pub(crate) struct ManifestFile {
    #[allow(dead_code, reason = "read for its check alone")]
    version: Version1,
    /// The policy's name: its component is NAME.wasm.
    #[schemars(example = "site-policy")]
    name: String,
    /// Whose tools build it.
    language: LanguageName,
    /// The world of `wit/` it is built for: `assignment-policy`, or one of your own. For Python and
    /// C; in Rust `src/component.rs` names it, in TypeScript `package.json`.
    #[serde(default)]
    world: Option<String>,
}

/// A project, as far as it matters to building it.
pub(super) struct Project {
    /// Its name.
    pub name: String,
    /// Its language, as a person says it.
    pub language_name: LanguageName,
    /// The same, with what its tools need to know.
    pub language: Language,
}

impl LanguageName {
    /// The word for it in files and commands; also the folder of its templates.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::TypeScript => "typescript",
            Self::Python => "python",
            Self::C => "c",
        }
    }

    /// Whether its policies bring an interpreter, which needs more of everything.
    pub(super) fn is_interpreted(self) -> bool {
        matches!(self, Self::TypeScript | Self::Python)
    }

    /// Whether `plugin.toml` names the world. Elsewhere a file of the language's own does.
    pub(super) fn names_world(self) -> bool {
        matches!(self, Self::Python | Self::C)
    }
}

impl Question {
    /// The word for it in files and commands.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Assignment => "assignment",
            Self::Reminder => "reminder",
            Self::Review => "review",
        }
    }
}

/// Reads what is in `folder`.
pub(super) fn read(folder: &Path) -> Outcome<Project> {
    let path = inside(folder, MANIFEST);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Problem::file("read", &path, &error).hint(
            "a policy's folder has a plugin.toml; `deputy plugin new NAME --language LANGUAGE` makes one",
        )
    })?;
    let shown = path.display().to_string();
    let source = Source { path: &shown, text: &text };
    let file: ManifestFile = source.read()?;
    let wrong = |message: String| Problem::usage(format!("{shown}: {message}"));
    check_name(&file.name).map_err(|message| wrong(format!("`name`: {message}")))?;
    let language_name = file.language;
    let world = match (language_name.names_world(), file.world) {
        (true, Some(world)) => world,
        (false, None) => String::new(),
        (true, None) => {
            return Err(wrong("`world` is missing".to_owned()).hint("world = \"assignment-policy\""));
        }
        (false, Some(_)) => {
            let message = format!("`world` is not for {}", language_name.as_str());
            return Err(wrong(message).hint("take it out: src/component.rs (rust) or package.json names it"));
        }
    };
    let language = match language_name {
        LanguageName::Rust => Language::Rust,
        LanguageName::TypeScript => Language::TypeScript,
        LanguageName::Python => Language::Python { world },
        LanguageName::C => Language::C { world },
    };
    Ok(Project { name: file.name, language_name, language })
}

/// A file in a folder, as one would type it.
pub(super) fn inside(folder: &Path, name: &str) -> PathBuf {
    if folder == Path::new(".") { PathBuf::from(name) } else { folder.join(name) }
}

/// What is wrong with a project's name, which becomes that of a file, of a package in every
/// language, and of a plugin in `deputy.toml`.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = name.len() <= 64
        && name.bytes().all(letters)
        && name.bytes().next().is_some_and(|first| first.is_ascii_lowercase());
    if fits {
        return Ok(());
    }
    Err(format!(
        "`{name}` is no name for a policy: lower-case letters, digits and `-`, starting with a letter, at most 64"
    ))
}
