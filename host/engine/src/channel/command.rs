//! A program of the operator's, with the message as JSON on its standard input.
//!
//! No shell is involved, and little of our environment: nothing that is secret to us reaches it by
//! accident. It says by its exit status what became of the message.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use domain::message::Message;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use super::{Next, Undelivered, one_line};

/// The exit status by which a program refuses a message for good: `EX_DATAERR` of `sysexits.h`.
const REFUSED: i32 = 65;
/// So much of what it says on standard error is looked at: the end.
const HEARD: usize = 4096;
/// Who has ended may have left a child that holds its standard error open; so long we listen on.
const LINGER: Duration = Duration::from_millis(200);

/// A program that takes messages.
#[derive(Clone, Debug)]
pub struct Command {
    /// The program: a path, or a name to be looked for in [`Command::PATH`].
    pub program: PathBuf,
    /// What it is given.
    pub arguments: Vec<String>,
    /// Where it runs.
    pub folder: PathBuf,
    /// How long it may take.
    pub timeout: Duration,
}

impl Command {
    /// Where a program without a path is looked for; also the program's own `PATH`.
    pub const PATH: &'static str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

    pub(super) fn place(&self) -> String {
        self.program.display().to_string()
    }

    pub(super) async fn send(&self, message: &Message) -> Result<(), Undelivered> {
        let later = |why: String, advice| Undelivered::new(Next::Later(None), why, advice);
        let name = self.place();
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(&self.arguments)
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", Self::PATH)
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A Ctrl-C that is meant for us does not reach it, and a signal of ours reaches what it started.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| {
            let advice = "look at `command` of the channel: whether the file is there and can be executed";
            later(format!("{name} cannot be started: {error}"), Some(advice))
        })?;
        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
        let input = message.json().to_string() + "\n";
        let writing = tokio::spawn(async move {
            if let Some(mut stdin) = stdin {
                // One that does not want to read it all says by its exit status what it made of it.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        });
        let (heard, said) = tokio::sync::watch::channel(Vec::new());
        let listening = tokio::spawn(async move {
            if let Some(stderr) = stderr {
                listen(stderr, &heard).await;
            }
        });
        let ended = tokio::time::timeout(self.timeout, child.wait()).await;
        if ended.is_ok() {
            let _ = tokio::time::timeout(LINGER, listening).await;
        } else {
            listening.abort();
            kill(&child);
        }
        writing.abort();
        let said = String::from_utf8_lossy(&said.borrow()).into_owned();
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).map(one_line);
        let said = last.map_or_else(|| "and said nothing".to_owned(), |line| format!("and said: {line}"));
        let advice = Some("run it by hand with a message on its standard input; host/CHANNELS.md shows one");
        match ended {
            Err(_) => {
                let why = format!("{name} did not end within {:?} {said}", self.timeout);
                Err(later(why, Some("it was killed; raise `timeout` of the channel if it needs longer")))
            }
            Ok(Err(error)) => Err(later(format!("{name} was lost: {error}"), None)),
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) if status.code() == Some(REFUSED) => Err(Undelivered::new(
                Next::Refused,
                format!("{name} refused the message (exit status {REFUSED}) {said}"),
                advice,
            )),
            Ok(Ok(status)) => Err(later(format!("{name} failed ({status}) {said}"), advice)),
        }
    }
}

/// Ends a program that has not ended, with all that it started.
fn kill(child: &tokio::process::Child) {
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    // One that has ended in the meantime needs no signal.
    let _ = group.map(|group| kill_process_group(group, Signal::KILL));
}

/// Listens until nobody speaks any more, and keeps the end of what was said.
async fn listen(mut from: impl AsyncRead + Unpin, heard: &tokio::sync::watch::Sender<Vec<u8>>) {
    let mut piece = [0; 1024];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        heard.send_modify(|heard| {
            heard.extend_from_slice(&piece[..length]);
            let surplus = heard.len().saturating_sub(HEARD);
            heard.drain(..surplus);
        });
    }
}
