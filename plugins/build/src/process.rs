//! Other programs: run to the end, bounded in time, with what they said when they fail.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use crate::Error;

/// Runs a command that prints its answer. Fails if the program cannot be started, fails, or is
/// not done after `limit`.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<String, Error> {
    let Ended { status, stdout, stderr } = finish(command, limit)?;
    if status.success() {
        return Ok(stdout);
    }
    let outcome = format!("failed ({status})\n{}", both(&stdout, &stderr));
    Err(Error::Command { command: line(command), outcome })
}

/// Runs the tool that makes a component of the policy in `folder`, and returns what it prints. What it has against
/// the policy is told in its own words, as far as `of_the_policy` leaves them; so are its warnings.
pub(crate) fn build(
    command: &mut Command,
    limit: Duration,
    (tool, folder): (&str, &Path),
    of_the_policy: fn(&str) -> String,
) -> Result<String, Error> {
    let Ended { status, stdout, stderr } = finish(command, limit)?;
    if status.success() {
        eprint!("{stderr}");
        return Ok(stdout);
    }
    let said = of_the_policy(&both(&stdout, &stderr));
    Err(Error::Refused { tool: tool.to_owned(), folder: folder.to_owned(), said })
}

/// What a tool said, as it said it.
pub(crate) fn all(said: &str) -> String {
    said.to_owned()
}

/// How a program ended, and what it printed.
struct Ended {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

fn finish(command: &mut Command, limit: Duration) -> Result<Ended, Error> {
    let failed = |command: &Command, outcome: String| Error::Command { command: line(command), outcome };
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(command, format!("could not be started: {error}")))?;
    // Both pipes are read all the time, or a talkative program waits for us for ever.
    let stdout = reader(child.stdout.take());
    let stderr = reader(child.stderr.take());
    let end = Instant::now() + limit;
    let status: Option<ExitStatus> = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            Ok(None) if Instant::now() < end => thread::sleep(Duration::from_millis(20)),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
        }
    };
    let Some(status) = status else {
        // Its children may hold the pipes open; they are not waited for.
        return Err(failed(command, format!("was not done after {} s", limit.as_secs())));
    };
    let (stdout, stderr) = (stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default());
    Ok(Ended { status, stdout, stderr })
}

/// Some tools tell their mistakes on standard output.
fn both(stdout: &str, stderr: &str) -> String {
    let said: Vec<&str> =
        [stdout.trim(), stderr.trim()].into_iter().filter(|text| !text.is_empty()).collect();
    said.join("\n")
}

/// Where a program of this name is, of those that the shell would find.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Says to whoever waits what the build waits for: at once on standard error, and again in
/// cargo's own output when the build script is done.
pub(crate) fn progress(message: &str) {
    eprintln!("{message}");
    if env::var_os("OUT_DIR").is_some() {
        println!("cargo::warning={message}");
    }
}

/// The text in one line, for messages that have room for one.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn reader(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is still worth showing.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
