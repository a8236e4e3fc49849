//! `deputy plugin new`: a policy that works, to change into one's own.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::project::{LanguageName, MANIFEST, Question, check_name};
use crate::Common;
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json};

/// What `deputy plugin new` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to call the policy: lower-case letters, digits and `-`
    name: String,
    /// The language to write it in
    #[arg(long, short)]
    language: LanguageName,
    /// What it decides
    #[arg(long, short, default_value = "assignment")]
    question: Question,
    /// The folder, which must be empty or not there [default: NAME]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Carries the command out.
pub(crate) fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let Arguments { name, language, question, folder } = arguments;
    check_name(name).map_err(Problem::usage)?;
    let folder = folder.clone().unwrap_or_else(|| PathBuf::from(name));
    let files = files(name, *language, *question)?;
    check_empty(&folder)?;
    for (path, text) in &files {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(&folder);
        std::fs::create_dir_all(parent).map_err(|error| Problem::file("make", parent, &error))?;
        std::fs::write(&path, text).map_err(|error| Problem::file("write", &path, &error))?;
    }
    if common.json {
        let files: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
        let value = json!({
            "name": name, "language": language.as_str(), "question": question.as_str(),
            "folder": folder, "files": files,
        });
        print_json("project", &value);
        return Ok(Exit::Success);
    }
    let enter = if folder == Path::new(".") { String::new() } else { format!("cd {}\n  ", folder.display()) };
    print(&format!(
        "Wrote the policy {name} to {}: it answers the question `{}` and is yours to change. README.md there \
         says what to install. Next, type\n  {enter}deputy plugin build",
        folder.display(),
        question.as_str(),
    ));
    Ok(Exit::Success)
}

/// The folder of what is the same in every language: cases, and something to try the policy with.
const EVERY: &str = "every";

/// The project's files, by their paths in it.
fn files(name: &str, language: LanguageName, question: Question) -> Outcome<Vec<(String, String)>> {
    let world = format!("{}-policy", question.as_str());
    let fill = |text: &str| text.replace("{{name}}", name).replace("{{world}}", &world);
    let of = |language: &str, part: &str| -> Vec<(String, String)> {
        let folder = format!("{language}/{part}/");
        let inside =
            shipped::TEMPLATES.iter().filter_map(|(path, text)| Some((path.strip_prefix(&folder)?, text)));
        inside.map(|(path, text)| (path.to_owned(), fill(text))).collect()
    };
    let own = of(language.as_str(), question.as_str());
    if own.is_empty() {
        let ending = format!("/{}/README.md", question.as_str());
        let others = shipped::TEMPLATES.iter().filter_map(|(path, _)| path.strip_suffix(ending.as_str()));
        let message = format!("there is no template for a {} in {}", question.as_str(), language.as_str());
        return Err(Problem::usage(message).hint(format!(
            "there is one in {}; or take the template for an assignment and change its world, as wit/policy.wit says",
            others.collect::<Vec<_>>().join(" and "),
        )));
    }
    let mut files = of(language.as_str(), "common");
    files.extend(own);
    files.extend(of(EVERY, question.as_str()));
    files.push(("wit/policy.wit".to_owned(), shipped::CONTRACT.to_owned()));
    files.push((MANIFEST.to_owned(), manifest(name, language, &world)));
    files.sort();
    Ok(files)
}

fn manifest(name: &str, language: LanguageName, world: &str) -> String {
    let world = match language.names_world() {
        true => format!("world = \"{world}\"    # of wit/policy.wit: which questions it answers\n"),
        false => String::new(),
    };
    format!(
        "# How `deputy plugin build` builds this policy.\nversion = 1\nname = \"{name}\"\nlanguage = \"{}\"\n{world}",
        language.as_str()
    )
}

/// Nobody's files are written over, or mixed with ours.
fn check_empty(folder: &Path) -> Outcome<()> {
    match std::fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Problem::usage(format!("{} is not empty; nothing was written", folder.display()))
            .hint("choose another folder: `deputy plugin new NAME --language LANGUAGE DIR`")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Problem::file("look into", folder, &error)),
    }
}
