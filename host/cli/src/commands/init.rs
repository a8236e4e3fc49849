//! `deputy init`: a folder that runs as it is, with every key explained where it stands.

use std::path::{Path, PathBuf};

use domain::id::{Digest, TokenName};
use engine::secrets::Key;

use crate::Common;
use crate::commands::schema::{self, Format};
use crate::exit::{Exit, Outcome, Problem};
use crate::output::print;

/// What `deputy init` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder, made if it is not there
    #[arg(default_value = ".", value_name = "DIR")]
    folder: PathBuf,
    /// What to call your first server token; may be repeated
    #[arg(long = "token", value_name = "NAME", default_value = "main")]
    tokens: Vec<TokenName>,
    /// Where Apple's service is, if not at Apple: a simulator or a proxy
    #[arg(long, value_name = "URL")]
    apple_url: Option<String>,
}

const CONFIG: &str = include_str!("init/deputy.toml");

const FILES: [(&str, &str); 6] = [
    ("profiles/standard.toml", include_str!("init/profiles/standard.toml")),
    ("profiles/lab-ipad.toml", include_str!("init/profiles/lab-ipad.toml")),
    ("profiles/executive-mac.toml", include_str!("init/profiles/executive-mac.toml")),
    ("workflows/sync.toml", include_str!("../../../../workflows/sync.toml")),
    ("workflows/auto-assign.toml", include_str!("../../../../workflows/auto-assign.toml")),
    ("workflows/token-reminders.toml", include_str!("../../../../workflows/token-reminders.toml")),
];

/// Never in git: the key, and what it opens.
const GITIGNORE: &str = "/state/\n*.p7m\n*.pem\n";

/// Carries the command out.
pub(crate) fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let folder = &arguments.folder;
    let config = folder.join("deputy.toml");
    if config.exists() {
        return Err(Problem::usage(format!("{} is there already; nothing was changed", config.display()))
            .hint("choose another folder: `deputy init DIR`"));
    }
    // The file that others look for comes last: a folder that has it is complete.
    for format in Format::ALL {
        write_new(&folder.join(schema::FOLDER).join(format.file_name()), format.text().as_bytes())?;
    }
    for (name, text) in FILES {
        let format = if name.starts_with("profiles/") { Format::Profile } else { Format::Workflow };
        let text = schema::comment(format, 1) + text;
        write_new(&folder.join(name), text.as_bytes())?;
    }
    write_new(&folder.join(".gitignore"), GITIGNORE.as_bytes())?;
    for (name, component) in shipped::ALL {
        write_new(&folder.join("plugins").join(name), component)?;
    }
    let key = folder.join("state/deputy.key");
    if !key.exists() {
        make_folder_of(&key)?;
        Key::generate()
            .write_new(&key)
            .map_err(|error| Problem::new(Exit::Failure, &error).hint(error.advice()))?;
    }
    write_new(&config, configuration(arguments).as_bytes())?;

    if common.json {
        crate::output::print_json("folder", &folder.display().to_string().into());
        return Ok(Exit::Success);
    }
    let enter = if folder == Path::new(".") { String::new() } else { format!("cd {}\n  ", folder.display()) };
    print(&format!(
        "Wrote a configuration to {}. Look at deputy.toml and profiles/ first, then type\n  {enter}deputy token request {}",
        folder.display(),
        arguments.tokens[0],
    ));
    Ok(Exit::Success)
}

fn configuration(arguments: &Arguments) -> String {
    let tables = arguments.tokens.iter().map(|token| {
        let url = match &arguments.apple_url {
            Some(url) => format!("apple_url = \"{url}\""),
            None => "# apple_url = \"http://127.0.0.1:8170\"   # only for a simulator or a proxy".to_owned(),
        };
        format!("[tokens.{token}]\n{url}\ncontacts = []                       # whom reminders are for: [\"it@example.com\"]\n")
    });
    let tokens: Vec<String> = tables.collect();
    let config = schema::comment(Format::Deputy, 0) + CONFIG;
    let config = config.replace("{tokens}", &tokens.join("\n"));
    // Every shipped policy is pinned, also those that are still in comments.
    shipped::ALL.iter().fold(config, |config, (name, component)| {
        config.replace(&format!("{{{name}}}"), Digest::of(component).as_str())
    })
}

/// Writes a file that must not be there: nobody's work is overwritten.
fn write_new(path: &Path, content: &[u8]) -> Outcome<()> {
    use std::io::Write as _;
    make_folder_of(path)?;
    match std::fs::File::create_new(path) {
        Ok(mut file) => file.write_all(content).map_err(|error| Problem::file("write", path, &error)),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Problem::file("write", path, &error)),
    }
}

fn make_folder_of(path: &Path) -> Outcome<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|error| Problem::file("make", folder, &error))
}
