//! `deputy secrets`: another key for everything that is sealed.
//!
//! The order makes every moment safe. The new key is on the disk before anything is sealed with it;
//! everything is sealed anew in one transaction; then the new file takes the old one's place in one
//! rename. Whenever the process dies, one of the two files opens everything, `App::open` finds out
//! which, and the same command goes on from there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::clock::SystemClock;
use engine::engine::Engine;
use engine::lock::Held;
use engine::secrets::{Key, KeyId, OpenError};
use engine::settings::Settings;
use engine::store::{self, Store};
use serde_json::json;

use crate::Common;
use crate::app::{key, next_key_file, open_store};
use crate::config::{Config, KeySource};
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json};

/// What `deputy secrets` can do.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Seal everything with a new key. Stop `deputy serve` first
    #[command(after_long_help = ROTATE)]
    Rotate(Rotate),
}

const ROTATE: &str = "\
With a key file, the new key is made for you and takes the file's place; the old one is kept beside it,
since backups of the database made before open with it alone.

With an environment variable or a systemd credential, make a key (openssl rand -hex 32), name it here,
and put it where the old one is when this command has ended.

It can be interrupted at any moment: the store is then sealed with the old key or with the new one, never
with both. The same command typed again goes on.";

/// What `deputy secrets rotate` takes.
#[derive(clap::Args)]
pub(crate) struct Rotate {
    /// The new key, where the old one comes from the environment or a credential
    #[arg(long, value_name = "FILE")]
    new_key_file: Option<PathBuf>,
    /// The same, in an environment variable
    #[arg(long, value_name = "VARIABLE", conflicts_with = "new_key_file")]
    new_key_env: Option<String>,
}

/// Carries the command out.
pub(crate) async fn run(common: &Common, command: &Command) -> Outcome {
    let Command::Rotate(rotate) = command;
    let config = Config::read(&common.config)?;
    let new = match (&rotate.new_key_file, &rotate.new_key_env) {
        (Some(file), _) => Some(key(&KeySource::File(file.clone()))?),
        (_, Some(variable)) => Some(key(&KeySource::Environment(variable.clone()))?),
        _ => None,
    };
    match (&config.key, new) {
        (KeySource::File(path), None) => in_file(common, &config, path).await,
        (KeySource::File(path), Some(_)) => {
            Err(Problem::usage(format!("the key comes from {}, so the new one is made here", path.display()))
                .hint("type `deputy secrets rotate` alone"))
        }
        (source, Some(new)) => elsewhere(common, &config, source, new).await,
        (_, None) => Err(Problem::usage("the key does not come from a file, so the new one has to be named")
            .hint("make one with `openssl rand -hex 32`, then name it with --new-key-file or --new-key-env")),
    }
}

/// The new key is made here.
async fn in_file(common: &Common, config: &Config, path: &Path) -> Outcome {
    // A link stays a link; what it leads to is replaced.
    let path = &std::fs::canonicalize(path).map_err(|error| Problem::file("read", path, &error))?;
    let next = next_key_file(path);
    let (store, sealed_with) = open_store(config).await?;
    // Held until the new key is in its place: another one that begins now must not take it for a remnant.
    let locks = alone(&store).await?;
    unchanged(&store).await?;
    let old = key(&config.key)?;
    let mut number = None;
    if sealed_with == old.id() {
        // Nothing is sealed with what an earlier try may have left.
        if next.exists() {
            std::fs::remove_file(&next).map_err(|error| Problem::file("remove", &next, &error))?;
        }
        let new = Key::generate();
        new.write_new(&next).map_err(|error| Problem::new(Exit::Failure, &error).hint(error.advice()))?;
        same_owner(path, &next)?;
        number = Some(store.reseal(new).await?);
    }
    let kept = put_in_place(path, &next, old.id())?;
    drop((store, locks));
    let new = key(&config.key)?.id();
    if common.json {
        let value = json!({
            "secrets": number, "key": new.to_string(), "key_file": path,
            "old_key": old.id().to_string(), "old_key_file": kept,
        });
        print_json("rotated", &value);
        return Ok(Exit::Success);
    }
    let sealed = match number {
        Some(number) => format!("Sealed {} with the new key {new}.", secrets(number)),
        None => format!("Went on where it was interrupted: everything is sealed with the new key {new}."),
    };
    print(&format!(
        "{sealed}\nIt is in {}; keep a copy of it somewhere else.\nThe old key {} is kept in {}: backups of the \
         database made until now open with it alone. Delete it together with the last of them.",
        path.display(),
        old.id(),
        kept.display()
    ));
    Ok(Exit::Success)
}

/// The new key is the operator's, and so is the place for it.
async fn elsewhere(common: &Common, config: &Config, source: &KeySource, new: Key) -> Outcome {
    let (old, id) = (key(&config.key)?, new.id());
    if old.id() == id {
        return Err(Problem::usage(format!("the new key is the one in use ({id})"))
            .hint("make another with `openssl rand -hex 32`"));
    }
    let number = match open_store(config).await {
        Ok((store, _)) => {
            let _locks = alone(&store).await?;
            Some(store.reseal(new).await?)
        }
        // It may have been done before, and the new key not put into its place yet.
        Err(problem) => match Store::open(&config.store, new).await {
            Ok(_) => None,
            Err(_) => return Err(problem),
        },
    };
    let place = match source {
        KeySource::Environment(variable) => format!("${variable}"),
        KeySource::Credential(name) => format!("the credential `{name}`"),
        KeySource::File(path) => path.display().to_string(),
    };
    if common.json {
        let value = json!({ "secrets": number, "key": id.to_string(), "old_key": old.id().to_string() });
        print_json("rotated", &value);
        return Ok(Exit::Success);
    }
    let sealed = match number {
        Some(number) => format!("Sealed {} with the new key {id}.", secrets(number)),
        None => format!("Everything is sealed with the new key {id} already."),
    };
    print(&format!(
        "{sealed}\nNow put the new key into {place}: with the old one, {}, no command opens the store any more.\n\
         Keep the old key as long as backups of the database made until now: they open with it alone.",
        old.id()
    ));
    Ok(Exit::Success)
}

/// Nobody else works with the store as long as these are held: who has it open knows the old key only.
async fn alone(store: &Store) -> Outcome<Vec<Held>> {
    let engine = Engine::new(store.clone(), Settings::default(), Arc::new(SystemClock))?;
    let busy = |what: String| {
        Problem::new(Exit::Unavailable, format!("{what}; nothing was changed"))
            .hint("try again when it has ended")
    };
    let daemon = engine.hold_daemon()?;
    let mut held = vec![daemon.ok_or_else(|| {
        Problem::new(Exit::Failure, "`deputy serve` works with this store; nothing was changed")
            .hint("stop it, type this again, and start it with the new key")
    })?];
    for token in store.tokens().await? {
        let name = token.token.name;
        let lock = engine.hold_token_now(&name)?;
        held.push(lock.ok_or_else(|| busy(format!("a run works with the token `{name}`")))?);
    }
    Ok(held)
}

/// The store may have come under another key before it was ours alone.
async fn unchanged(store: &Store) -> Outcome<()> {
    match store.check_key().await {
        Err(store::Error::Secret(OpenError::WrongKey { .. })) => Err(Problem::new(
            Exit::Unavailable,
            "another `deputy secrets rotate` was at work; nothing was changed",
        )
        .hint("look at the key it has made, and type this again if you want one more")),
        checked => Ok(checked?),
    }
}

/// The new key file takes the place of the old, which is kept under the name of its key.
fn put_in_place(path: &Path, next: &Path, old: KeyId) -> Outcome<PathBuf> {
    let kept = path.with_added_extension(old.to_string());
    let failed = |error: std::io::Error| {
        Problem::file("replace", path, &error).hint(format!(
            "everything is sealed with the key in {}, and commands go on with it; type `deputy secrets rotate` again",
            next.display()
        ))
    };
    match std::fs::hard_link(path, &kept) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    std::fs::rename(next, path).map_err(failed)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(kept)
}

/// Whoever could read the old file can read the new one, also if somebody else types the command.
fn same_owner(path: &Path, next: &Path) -> Outcome<()> {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let set = || {
        let (old, new) = (std::fs::metadata(path)?, std::fs::metadata(next)?);
        let differs = (old.uid(), old.gid()) != (new.uid(), new.gid());
        if differs { chown(next, Some(old.uid()), Some(old.gid())) } else { Ok(()) }
    };
    set().map_err(|error| Problem::file("give the owner of the old key to", next, &error))
}

fn secrets(number: u64) -> String {
    if number == 1 { "1 secret".to_owned() } else { format!("{number} secrets") }
}
