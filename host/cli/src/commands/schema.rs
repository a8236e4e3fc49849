//! `deputy schema`: what may stand in each kind of file, for editors and for people.
//!
//! The schemas are made from the very types that read the files, so they cannot say something else.

use std::path::{Path, PathBuf};

use domain::document::reference;
use domain::plan_file::PlanFile;
use domain::profile::ProfileFile;
use domain::workflow::WorkflowFile;
use serde_json::{Value, json};

use crate::Common;
use crate::commands::plugin::project::ManifestFile;
use crate::config::ConfigFile;
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json, print_table};

/// What `deputy schema` takes.
#[derive(clap::Args)]
#[command(after_help = EDITORS)]
pub(crate) struct Arguments {
    /// Which kind of file [default: lists them]
    #[arg(value_name = "FORMAT")]
    format: Option<Format>,
    /// Write the schemas of all formats into this folder, over those that are there
    #[arg(long, value_name = "DIR", conflicts_with = "format")]
    dir: Option<PathBuf>,
    /// Print every key in a table (Markdown) instead of the JSON Schema
    #[arg(long, requires = "format")]
    keys: bool,
}

const EDITORS: &str = "\
An editor with support for TOML (Even Better TOML, Taplo and others) completes and checks a file that names its
schema in a comment at the top, relative to the file; `deputy init` writes the schemas and these comments:
  #:schema ./schemas/deputy.json
  #:schema ../schemas/workflow.json";

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// The configuration, `deputy.toml`
    Deputy,
    /// `workflows/*.toml`
    Workflow,
    /// `profiles/*.toml`
    Profile,
    /// What tries a policy: `cases/*.toml` of `deputy plugin test`
    Cases,
    /// What builds a policy: `plugin.toml`
    Plugin,
    /// A plan, as `deputy plan --out` writes it and `deputy apply` reads it (JSON)
    Plan,
}

impl Format {
    pub(crate) const ALL: [Self; 6] =
        [Self::Deputy, Self::Workflow, Self::Profile, Self::Cases, Self::Plugin, Self::Plan];

    fn word(self) -> &'static str {
        match self {
            Self::Deputy => "deputy",
            Self::Workflow => "workflow",
            Self::Profile => "profile",
            Self::Cases => "cases",
            Self::Plugin => "plugin",
            Self::Plan => "plan",
        }
    }

    fn files(self) -> &'static str {
        match self {
            Self::Deputy => "deputy.toml",
            Self::Workflow => "workflows/*.toml",
            Self::Profile => "profiles/*.toml",
            Self::Cases => "cases/*.toml of a policy",
            Self::Plugin => "plugin.toml of a policy",
            Self::Plan => "what `deputy plan --out` writes (JSON)",
        }
    }

    /// The name of the schema's file.
    pub(crate) fn file_name(self) -> String {
        format!("{}.json", self.word())
    }

    /// Its JSON Schema.
    pub(crate) fn schema(self) -> Value {
        match self {
            Self::Deputy => schemars::schema_for!(ConfigFile),
            Self::Workflow => schemars::schema_for!(WorkflowFile),
            Self::Profile => schemars::schema_for!(ProfileFile),
            Self::Cases => cases::schema(),
            Self::Plugin => schemars::schema_for!(ManifestFile),
            Self::Plan => schemars::schema_for!(PlanFile),
        }
        .to_value()
    }

    /// The same as the text of a file.
    pub(crate) fn text(self) -> String {
        format!("{:#}\n", self.schema())
    }
}

/// The comment by which an editor finds the schema of a file `depth` folders below that of `deputy.toml`.
pub(crate) fn comment(format: Format, depth: usize) -> String {
    let up = if depth == 0 { "./".to_owned() } else { "../".repeat(depth) };
    format!("#:schema {up}{FOLDER}/{}\n", format.file_name())
}

/// The folder beside `deputy.toml` that schemas are in.
pub(crate) const FOLDER: &str = "schemas";

/// Whether a folder has schemas of another Deputy.
pub(crate) fn are_old(folder: &Path) -> bool {
    let is_old = |format: Format| {
        let text = std::fs::read_to_string(folder.join(FOLDER).join(format.file_name()));
        text.is_ok_and(|text| text != format.text())
    };
    Format::ALL.into_iter().any(is_old)
}

/// Carries the command out.
pub(crate) fn run(common: &Common, arguments: &Arguments) -> Outcome {
    match (&arguments.dir, arguments.format) {
        (Some(folder), _) => write_all(common, folder),
        (None, Some(format)) if arguments.keys => {
            print(&reference::keys(&format.schema()));
            Ok(Exit::Success)
        }
        // Already JSON: with or without `--json`.
        (None, Some(format)) => {
            print(&format.text());
            Ok(Exit::Success)
        }
        (None, None) => list(common),
    }
}

fn list(common: &Common) -> Outcome {
    if common.json {
        let data =
            Format::ALL.iter().map(|format| json!({ "format": format.word(), "files": format.files() }));
        print_json("formats", &data.collect());
    } else {
        let rows = Format::ALL.iter().map(|format| [format.word().to_owned(), format.files().to_owned()]);
        print_table(["format", "files"], rows.collect(), "");
    }
    Ok(Exit::Success)
}

fn write_all(common: &Common, folder: &Path) -> Outcome {
    std::fs::create_dir_all(folder).map_err(|error| Problem::file("make", folder, &error))?;
    let mut written = Vec::new();
    for format in Format::ALL {
        let path = folder.join(format.file_name());
        std::fs::write(&path, format.text()).map_err(|error| Problem::file("write", &path, &error))?;
        written.push(path.display().to_string());
    }
    if common.json {
        print_json("written", &json!(written));
    } else {
        print(&format!("Wrote {}", written.join(", ")));
    }
    Ok(Exit::Success)
}
