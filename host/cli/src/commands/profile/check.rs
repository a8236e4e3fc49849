//! `deputy profile check`: all that is wrong or doubtful with the profiles, before Apple sees them.

use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::document::{Mistake, Mistakes, Severity};
use domain::id::ProfileName;
use domain::profile::panes::Platform;
use engine::store::Store;
use openssl::x509::X509;
use serde_json::{Value, json};
use url::Url;

use super::tls::look;
use crate::Common;
use crate::app::{App, key, unknown};
use crate::config::{self, Read};
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json};

/// What `deputy profile check` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only these profiles [default: all]
    names: Vec<ProfileName>,
    /// Also connect to the URLs, directly and as a device does: do they answer, with a certificate
    /// that is trusted?
    #[arg(long)]
    online: bool,
}

/// Carries the command out.
pub(super) async fn run(common: &Common, arguments: Arguments) -> Outcome {
    let folder = common.config.parent().unwrap_or(Path::new(""));
    if !common.config.exists() && !folder.join("profiles").exists() {
        return Err(Problem::usage(format!(
            "there is no {} and no folder profiles",
            common.config.display()
        ))
        .hint("`deputy init` writes them; with `--config FILE` or in another folder, Deputy finds yours"));
    }
    let platforms = platforms(&common.config).await;
    let mut misnamed = Vec::new();
    let mut reads = config::read_profiles(folder, platforms.as_ref(), &mut misnamed)?;
    let known: Vec<&str> = reads.iter().map(|read| read.name.as_str()).collect();
    if let Some(stranger) = arguments.names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(unknown("profile", stranger.as_str(), &known));
    }
    if !arguments.names.is_empty() {
        misnamed.clear();
        reads.retain(|read| arguments.names.contains(&read.name));
    }
    let names: Vec<ProfileName> = reads.iter().map(|read| read.name.clone()).collect();
    let mut results: Vec<(ProfileName, Mistakes)> = Vec::new();
    for read in reads {
        let online = if arguments.online { online(&read).await } else { None };
        results.push((read.name.clone(), read.found));
        results.extend(online.map(|found| (read.name, found)));
    }
    let misnamed: Vec<String> = misnamed.iter().map(ToString::to_string).collect();
    Ok(tell(common, &names, &misnamed, &results))
}

/// The platforms of the devices in the store, if there is one; it is not made for this.
async fn platforms(config: &Path) -> Option<BTreeSet<Platform>> {
    let (path, source) = config::store(config).filter(|(path, _)| path.exists())?;
    let families = async {
        let store = Store::open(&path, key(&source)?).await?;
        Ok::<_, Problem>(store.device_families().await?)
    };
    match families.await {
        Ok(families) => Some(families.iter().filter_map(|family| Platform::of_family(family)).collect()),
        Err(problem) => {
            eprintln!("note: not held against the inventory: {}", problem.chain.join(": "));
            None
        }
    }
}

/// What a look at the URLs of a profile tells, if it can be sent.
async fn online(read: &Read) -> Option<Mistakes> {
    let draft = read.draft.as_ref().filter(|_| read.profile.is_some())?;
    let der = |text: &String| X509::from_der(&STANDARD.decode(text).ok()?).ok();
    let anchors: Vec<X509> = draft.anchors(&read.given).iter().filter_map(der).collect();
    let mut findings = draft.findings();
    for (pointer, text) in draft.urls() {
        let Ok(url) = text.parse::<Url>() else { continue };
        let trusted = anchors.clone();
        let seen = tokio::task::spawn_blocking(move || look(&url, &trusted)).await;
        match seen.unwrap_or_else(|_| Err("looking at it failed".to_owned())) {
            Err(why) => findings.error("url-unreachable", pointer, why, None),
            Ok(seen) => match (seen.distrust, seen.status) {
                (Some(why), _) => {
                    let help = if anchors.is_empty() {
                        "`deputy profile anchors URL` shows its certificates; \
                         with `anchor_certificates` a device trusts others than its own"
                    } else {
                        "with `anchor_certificates` a device trusts no others"
                    };
                    let message = format!("a device would not trust its certificate: {why}");
                    findings.error("url-unreachable", pointer, message, Some(help.to_owned()));
                }
                (None, None) => {
                    findings.warn("url-answer", pointer, "what is there does not speak HTTP", None);
                }
                (None, Some(status @ (404 | 410 | 500..))) => {
                    findings.warn("url-answer", pointer, format!("the server answers with {status}"), None);
                }
                (None, Some(_)) => {}
            },
        }
    }
    Some(findings.into_mistakes())
}

/// Prints everything once, however many profiles have it from the same file.
fn tell(
    common: &Common,
    names: &[ProfileName],
    misnamed: &[String],
    results: &[(ProfileName, Mistakes)],
) -> Exit {
    let (mut shown, mut data) = (misnamed.to_vec(), Vec::new());
    let (mut errors, mut warnings) = (misnamed.len(), 0);
    for (name, found) in results {
        for mistake in found.list() {
            let text = found.show(mistake);
            if shown.contains(&text) {
                continue;
            }
            match mistake.severity {
                Severity::Error => errors += 1,
                Severity::Warning => warnings += 1,
            }
            data.push(in_json(name, found, mistake));
            shown.push(text);
        }
    }
    if common.json {
        let checked = json!({
            "profiles": names, "errors": errors, "warnings": warnings, "misnamed": misnamed, "findings": data,
        });
        print_json("checked", &checked);
    } else {
        for text in &shown {
            print(&format!("{text}\n"));
            print("");
        }
        let count = names.len();
        print(&match (errors, warnings) {
            (0, 0) => format!("no mistakes; profiles: {count}"),
            _ => format!("errors: {errors}, warnings: {warnings}; profiles: {count}"),
        });
    }
    if errors > 0 { Exit::Usage } else { Exit::Success }
}

fn in_json(name: &ProfileName, found: &Mistakes, mistake: &Mistake) -> Value {
    let (file, line, column) = found.place(mistake);
    let severity = match mistake.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    json!({
        "profile": name, "severity": severity, "rule": mistake.rule.unwrap_or("format"),
        "field": mistake.pointer.trim_start_matches('/').replace('/', "."),
        "message": mistake.message, "help": mistake.help,
        "file": file, "line": line, "column": column,
    })
}

/// Refuses to send a profile that was right once: what loading the files lets pass.
pub(super) fn before_sending(app: &App, names: &[ProfileName]) -> Outcome<()> {
    let wrong: Vec<String> = app
        .config
        .doubts
        .iter()
        .filter(|(name, _)| names.is_empty() || names.contains(name))
        .map(|(_, found)| found.clone().only(|mistake| mistake.severity == Severity::Error).to_string())
        .filter(|errors| !errors.is_empty())
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(Problem::usage(wrong.join("\n\n"))) }
}
