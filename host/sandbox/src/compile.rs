//! Compiling, in a process of its own.
//!
//! A compiler reads whatever a stranger wrote, and neither its time nor its memory has a bound that it keeps by
//! itself. So it runs in a child: the same program, started with [`serve`] as its only work. The child
//! limits itself before it reads a byte, knows nothing of our environment, and is killed when it takes too
//! long. Component in, code out; if that does not come to pass, no more is lost than the child.

use std::io::{self, Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use crate::engine::{self, Memory};
use crate::error::Error;
use crate::limits::Limits;

/// How to start the process that compiles: a program that calls [`serve`] with the arguments that follow these.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// The program, usually this one.
    pub program: PathBuf,
    /// What comes before the arguments for [`serve`].
    pub arguments: Vec<String>,
    /// Told of a component that takes more than a moment: what it is, in words.
    pub notice: fn(&str),
    /// Try once more what could not be compiled within the last hour. Whoever looks into that wants to; whoever
    /// starts every few minutes does not.
    pub retry: bool,
}

/// The child could do its work and does not like the component.
const REFUSED: u8 = 3;

/// What takes longer than this is worth a word.
const MOMENT: Duration = Duration::from_secs(1);

/// The most threads that compile: each of them wants memory of its own.
const THREADS: usize = 4;

/// The most that is read of what a child says about its end, in bytes.
const LAST_WORDS: u64 = 4 << 10;

/// One at a time: two would need the memory of two.
static TURN: Mutex<()> = Mutex::new(());

impl Compiler {
    /// The code of a component, for an engine with memory of this kind.
    pub(crate) fn compile(
        &self,
        what: &str,
        component: &[u8],
        memory: Memory,
        limits: &Limits,
    ) -> Result<Vec<u8>, Error> {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let broken = |error: io::Error| Error::Engine {
            reason: format!("{} cannot be started to compile: {error}", self.program.display()),
        };
        let mut child = self.start(memory, limits).map_err(broken)?;
        let ended = std::thread::scope(|scope| self.attend(scope, &mut child, what, component, limits));
        let Ended { code, words, in_time } = ended;
        let status = child.wait().map_err(broken)?;
        if !in_time {
            return Err(Error::CompileTime { limit: limits.compile_time });
        }
        match status.code() {
            Some(0) => Ok(code),
            Some(code) if code == i32::from(REFUSED) => Err(Error::NotCompiled { reason: cleaned(&words) }),
            // What the standard library says before it ends a program that gets no more memory, and the system.
            _ if ["memory allocation of", "os error 12"].iter().any(|it| words.contains(it)) => {
                Err(Error::CompileMemory { limit: limits.compile_bytes })
            }
            _ => Err(Error::CompileCrash { how: how(status), words: cleaned(&words) }),
        }
    }

    fn start(&self, memory: Memory, limits: &Limits) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).args(Job::new(memory, limits).to_arguments());
        // It needs no secret that stands in our environment.
        command.env_clear();
        command.envs(["SystemRoot", "TMP"].iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.env("RAYON_NUM_THREADS", threads().to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    }

    /// Feeds the child and takes what it makes, until it ends or its time does.
    fn attend<'scope>(
        &self,
        scope: &'scope std::thread::Scope<'scope, '_>,
        child: &mut Child,
        what: &str,
        component: &'scope [u8],
        limits: &Limits,
    ) -> Ended {
        let (mut input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // A child that ends early leaves the rest unread: its status says more than a broken pipe.
        scope.spawn(move || input.take().map(|mut input| input.write_all(component)));
        let words = scope.spawn(move || read(errors, LAST_WORDS));
        let (done, code) = mpsc::channel();
        let most = limits.compile_bytes;
        scope.spawn(move || done.send(read(output, most)));
        let code = code.recv_timeout(MOMENT.min(limits.compile_time)).or_else(|_| {
            (self.notice)(what);
            code.recv_timeout(limits.compile_time.saturating_sub(MOMENT))
        });
        if code.is_err() {
            // If it has just ended by itself, so much the better.
            let _ = child.kill();
        }
        let words = String::from_utf8_lossy(&words.join().unwrap_or_default()).into_owned();
        Ended { in_time: code.is_ok(), code: code.unwrap_or_default(), words }
    }
}

/// How the child ended.
struct Ended {
    code: Vec<u8>,
    words: String,
    in_time: bool,
}

fn read(from: Option<impl Read>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // What was read so far is all there is; the status says whether that is enough.
        let _ = from.take(most).read_to_end(&mut bytes);
    }
    bytes
}

fn cleaned(words: &str) -> String {
    crate::convert::clean(words.trim(), 1_024)
}

/// How a process ended that did not end by itself, in words.
fn how(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("signal {signal}");
    }
    status.to_string()
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(THREADS))
}

/// What the child is told.
struct Job {
    memory: Memory,
    bytes: u64,
    seconds: u64,
}

impl Job {
    fn new(memory: Memory, limits: &Limits) -> Self {
        let seconds = limits.compile_time.as_secs().max(1);
        Self { memory, bytes: limits.compile_bytes, seconds }
    }

    fn to_arguments(&self) -> [String; 3] {
        let memory = match self.memory {
            Memory::Pooled => "pooled",
            Memory::OnDemand => "on-demand",
        };
        [memory.to_owned(), self.bytes.to_string(), self.seconds.to_string()]
    }

    fn from_arguments(arguments: &[String]) -> Option<Self> {
        let [memory, bytes, seconds] = arguments else { return None };
        let memory = match memory.as_str() {
            "pooled" => Memory::Pooled,
            "on-demand" => Memory::OnDemand,
            _ => return None,
        };
        Some(Self { memory, bytes: bytes.parse().ok()?, seconds: seconds.parse().ok()? })
    }
}

/// The work of the process that compiles: reads a component from standard input and writes its code to standard
/// output. To be called before a program does anything else, with what [`Compiler`] appended.
pub fn serve(arguments: &[String]) -> ExitCode {
    let Some(job) = Job::from_arguments(arguments) else {
        eprintln!("this is started by Deputy itself, to compile a plugin");
        return ExitCode::from(2);
    };
    let made = job.bound().map_err(|error| format!("no limits can be set: {error}")).and_then(|()| {
        let mut component = Vec::new();
        io::stdin().read_to_end(&mut component).map_err(|error| error.to_string())?;
        if let Some(reason) = engine::refused(&component) {
            return Err(reason);
        }
        let engine = engine::compiling(job.memory).map_err(|error| error.to_string())?;
        let code = engine.precompile_component(&component).map_err(|error| format!("{error:#}"))?;
        let mut output = io::stdout().lock();
        output.write_all(&code).and_then(|()| output.flush()).map_err(|error| error.to_string())
    });
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::from(REFUSED)
        }
    }
}

impl Job {
    /// From here on, no more than this.
    #[cfg(unix)]
    fn bound(&self) -> io::Result<()> {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        // Whoever started us looks at the clock; this is for when nobody does any more.
        let processor_time = self.seconds.saturating_mul(threads() as u64);
        for (resource, most) in
            [(Resource::As, self.bytes), (Resource::Cpu, processor_time), (Resource::Core, 0)]
        {
            // Somebody may have limited us more than that already, and nobody can raise it again.
            let most = getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
            setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
        }
        Ok(())
    }

    /// Only the clock of whoever started us.
    #[cfg(not(unix))]
    fn bound(&self) -> io::Result<()> {
        let _ = self.bytes;
        Ok(())
    }
}
