//! A folder with a configuration, an Apple for it, and the program to type commands with.

use std::cell::RefCell;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use expect_test::Expect;
use serde_json::{Value, json};
use sim::{Call, Endpoint, ServerOptions, SimHandle, TokenFile, TokenOptions};
use tempfile::TempDir;

/// How long a state may take to come; it comes in a second or two.
const PATIENCE: Duration = Duration::from_secs(60);

/// The last step of `auto-assign` as it is shipped.
pub(crate) const NOTIFY: &str = "\n[[steps]]\nuses = \"notify\"\nwhen = \"changed\"\n";

/// A world for one test. Fails when it is dropped while the store says that a run is going on.
pub(crate) struct TestEnv {
    folder: TempDir,
    apple: Option<SimHandle>,
    url: String,
    daemons: RefCell<Vec<Child>>,
}

impl TestEnv {
    /// One token `main`, its exchange done, and `auto-assign` with retries that do not wait.
    pub(crate) fn new() -> Self {
        Self::with_tokens(&["main"])
    }

    /// The same with several tokens; the servers at Apple have the names of the tokens.
    pub(crate) fn with_tokens<N: AsRef<str>>(names: &[N]) -> Self {
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let env = Self::before_the_exchange(&names);
        for name in names {
            env.exchange(name, &TokenOptions::default());
        }
        env
    }

    /// As `deputy init` leaves it.
    pub(crate) fn before_the_exchange(names: &[&str]) -> Self {
        let apple = SimHandle::start(sim::Options::default()).expect("the simulator starts");
        for name in names {
            apple.create_server(ServerOptions::new(name));
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let env = Self { folder, url: apple.url(), apple: Some(apple), daemons: RefCell::default() };
        let mut arguments = vec!["init", "--apple-url", &env.url];
        arguments.extend(names.iter().flat_map(|name| ["--token", name]));
        env.run(&arguments).is_done();
        env.edit("workflows/auto-assign.toml", "backoff = \"10s\"", "backoff = \"10ms\"");
        // Under `sync` nothing is said of retries; the default would wait.
        env.edit(
            "workflows/auto-assign.toml",
            "uses = \"sync\"",
            "uses = \"sync\"\nretry = { attempts = 2, backoff = \"10ms\" }",
        );
        // Who is told what is shown where a test is about it.
        env.edit("workflows/auto-assign.toml", NOTIFY, "");
        // The profiles point to a server of somebody else's.
        env.append("workflows/token-reminders.toml", "look_at_servers = false\n");
        env
    }

    /// The exchange as an operator does it, with the real commands.
    pub(crate) fn exchange(&self, name: &str, options: &TokenOptions) -> TokenFile {
        self.run(&["token", "request", name]).is_done();
        let token = self.download_token(name, options);
        self.run(&["token", "import", name, &format!("{name}.p7m")]).is_done();
        token
    }

    /// What Apple's portal does with `NAME.pem`; writes `NAME.p7m`.
    pub(crate) fn download_token(&self, name: &str, options: &TokenOptions) -> TokenFile {
        let token = self.apple().token(name, self.read(&format!("{name}.pem")).as_bytes(), options);
        let token = token.expect("the portal takes the certificate");
        self.write(&format!("{name}.p7m"), &token.content);
        token
    }

    /// Apple.
    pub(crate) fn apple(&self) -> &SimHandle {
        self.apple.as_ref().expect("Apple is there")
    }

    /// Nobody listens at Apple's address any more.
    pub(crate) fn stop_apple(&mut self) {
        self.apple = None;
    }

    /// Devices whose serial numbers say what they are: `MAC…` and `EXEC…` are Macs, the latter with
    /// the tag of the executive pool, `LIB…` are iPads of the library.
    pub(crate) fn add(&self, server: &str, serials: &[&str]) {
        let devices: Vec<Value> = serials
            .iter()
            .map(|serial| {
                let (family, tag) = match *serial {
                    exec if exec.starts_with("EXEC") => ("Mac", "EXEC-1"),
                    lib if lib.starts_with("LIB") => ("iPad", "LIB-1"),
                    _ => ("Mac", "POOL-1"),
                };
                json!({ "serial_number": serial, "device_family": family, "asset_tag": tag })
            })
            .collect();
        self.apple().add_devices(server, &devices).expect("the devices are new");
    }

    /// Who has what at Apple, one device a line.
    pub(crate) fn at_apple(&self, server: &str) -> String {
        let profiles = self.apple().profiles(server).expect("the server is there");
        let title = |uuid: &String| {
            let profile = profiles.iter().find(|profile| profile.profile_uuid == *uuid);
            profile.and_then(|it| it.content["profile_name"].as_str()).unwrap_or("unknown").to_owned()
        };
        let devices = self.apple().devices(server).expect("the server is there");
        let line = |device: sim::DeviceInfo| {
            let has = device.profile_uuid.as_ref().map_or("nothing".to_owned(), title);
            format!("{}: {has}\n", device.serial_number)
        };
        devices.into_iter().map(line).collect()
    }

    /// How many devices of a server have a profile at Apple.
    pub(crate) fn with_profile(&self, server: &str) -> usize {
        let devices = self.apple().devices(server).expect("the server is there");
        devices.iter().filter(|device| device.profile_uuid.is_some()).count()
    }

    /// The calls to one of Apple's endpoints.
    pub(crate) fn calls(&self, endpoint: Endpoint) -> Vec<Call> {
        self.apple().calls().into_iter().filter(|call| call.endpoint == endpoint).collect()
    }

    /// The database, for moving its past: no program lets time go back.
    pub(crate) fn store(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.file("state/deputy.db")).expect("the store is there")
    }

    /// The folder of the configuration.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.file(name), content).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Replaces a piece of a file that must be in it exactly once.
    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {name}:\n{text}");
        self.write(name, text.replace(from, to));
    }

    pub(crate) fn append(&self, name: &str, more: &str) {
        self.write(name, self.read(name) + more);
    }

    /// Types `deputy …` in the folder and waits for its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran<'_> {
        let output = self.command(arguments).output().expect("the program starts");
        Ran { env: self, arguments: arguments.join(" "), output }
    }

    /// The same with variables of the environment.
    pub(crate) fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ran<'_> {
        let mut command = self.command(arguments);
        let output = command.envs(variables.iter().copied()).output().expect("the program starts");
        Ran { env: self, arguments: arguments.join(" "), output }
    }

    /// The same with something in the pipe before it.
    pub(crate) fn run_in_pipe(&self, input: &str, arguments: &[&str]) -> Ran<'_> {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut pipe = child.stdin.take().expect("it has a pipe");
        pipe.write_all(input.as_bytes()).expect("the program reads");
        drop(pipe);
        let output = child.wait_with_output().expect("it is our child");
        Ran { env: self, arguments: arguments.join(" "), output }
    }

    /// Starts a command and kills its process when it has worked for so long, or has ended before.
    pub(crate) fn kill_after(&self, time: Duration, arguments: &[&str]) {
        let began = Instant::now();
        let started = self.start(arguments, "killed.log");
        self.until("it is the moment", || began.elapsed() >= time || self.has_ended(started));
        self.kill(started);
    }

    /// The same with a disk on which no file can grow beyond this; a block has 512 or 1024 bytes.
    pub(crate) fn run_with_file_limit(&self, blocks: u32, arguments: &[&str]) -> Ran<'_> {
        // Without the trap the first write that fails would be a signal.
        self.run_after(&format!("trap '' XFSZ; ulimit -f {blocks}"), arguments)
    }

    /// The same with so much address space, in KiB.
    pub(crate) fn run_with_address_space(&self, kib: u32, arguments: &[&str]) -> Ran<'_> {
        self.run_after(&format!("ulimit -v {kib}"), arguments)
    }

    /// The same in a shell that did something to itself first.
    fn run_after(&self, first: &str, arguments: &[&str]) -> Ran<'_> {
        let plain = self.command(arguments);
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{first}; exec \"$0\" \"$@\""));
        command.arg(plain.get_program()).args(plain.get_args());
        let command = self.at_home(&mut command);
        let output = command.output().expect("the program starts");
        Ran { env: self, arguments: arguments.join(" "), output }
    }

    /// The same, and its result as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        let ran = self.run(&arguments);
        serde_json::from_slice(&ran.output.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.text()))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deputy"));
        self.at_home(command.args(arguments));
        command
    }

    /// In the folder, with nothing of the machine that would make a difference.
    fn at_home<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.current_dir(self.path()).stdin(Stdio::null());
        command.env_remove("DEPUTY_CONFIG").env_remove("DEPUTY_LOG");
        // Whoever types.
        command.env("USER", "anna").env_remove("SUDO_USER");
        // Apple speaks no TLS here, and reading the machine's certificates would be most of a command's work.
        command.env("SSL_CERT_FILE", "/dev/null").env_remove("SSL_CERT_DIR")
    }

    /// Starts a command that goes on; what it says comes into `FILE`. Its place among the started.
    pub(crate) fn start(&self, arguments: &[&str], file: &str) -> usize {
        let log = fs::File::create(self.file(file)).expect("the log can be written");
        let also = log.try_clone().expect("the log can be shared");
        let child = self.command(arguments).stdout(log).stderr(also).spawn().expect("the program starts");
        let mut daemons = self.daemons.borrow_mut();
        daemons.push(child);
        daemons.len() - 1
    }

    /// Sends a signal, such as `-TERM`, and waits for the end: the exit code, if it ended by itself.
    pub(crate) fn end(&self, nth: usize, signal: &str) -> Option<i32> {
        self.signal(nth, signal);
        self.ended(nth)
    }

    pub(crate) fn signal(&self, nth: usize, signal: &str) {
        let id = self.process_id(nth).to_string();
        let sent = Command::new("kill").args([signal, &id]).status().expect("kill is there");
        assert!(sent.success(), "kill {signal} {id}");
    }

    /// Kills what was started, if it has not ended, and waits until it is gone.
    pub(crate) fn kill(&self, nth: usize) {
        let mut daemons = self.daemons.borrow_mut();
        daemons[nth].kill().expect("it is our child");
        daemons[nth].wait().expect("it is our child");
    }

    /// The system's number of what was started.
    pub(crate) fn process_id(&self, nth: usize) -> u32 {
        self.daemons.borrow()[nth].id()
    }

    /// The most memory a started command has had, in KiB, where the system tells.
    pub(crate) fn memory(&self, nth: usize) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process_id(nth))).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// Whether what was started has ended.
    pub(crate) fn has_ended(&self, nth: usize) -> bool {
        self.daemons.borrow_mut()[nth].try_wait().expect("it is our child").is_some()
    }

    /// Waits for the end of what was started: its exit code, if it ended by itself.
    pub(crate) fn ended(&self, nth: usize) -> Option<i32> {
        let mut code = None;
        self.until("a command that was started ends", || {
            let status = self.daemons.borrow_mut()[nth].try_wait().expect("it is our child");
            code = status.map(|status| status.code());
            code.is_some()
        });
        code.flatten()
    }

    /// Waits until something is so.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What a reader sees of it, without what differs from day to day and from folder to folder.
    pub(crate) fn normal(&self, text: &str) -> String {
        let address = self.url.trim_start_matches("http://");
        let folder = self.path().display().to_string();
        let mut text = text.replace(address, "127.0.0.1:PORT").replace(&folder, "DIR");
        for server in self.apple.iter().flat_map(|apple| apple.servers()) {
            text = text.replace(&server.org_id, "ORG");
        }
        masked(&text)
    }

    pub(crate) fn open_runs(&self) -> Vec<Value> {
        let output = self.command(&["runs", "list", "--json"]).output().expect("the program starts");
        let runs: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let runs = runs["runs"].as_array().cloned().unwrap_or_default();
        runs.into_iter().filter(|run| run["state"] == "running").collect()
    }
}

impl Drop for TestEnv {
    fn drop(&mut self) {
        for daemon in self.daemons.get_mut() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        if !std::thread::panicking() {
            let open = self.open_runs();
            assert!(open.is_empty(), "a run was left open: {open:#?}");
        }
    }
}

/// A command that has ended.
pub(crate) struct Ran<'a> {
    env: &'a TestEnv,
    arguments: String,
    pub(crate) output: Output,
}

impl Ran<'_> {
    /// It did what it should, and nobody cares what it said.
    #[track_caller]
    pub(crate) fn is_done(&self) {
        self.ends_with(0);
    }

    /// It did what it should, and said this.
    #[track_caller]
    pub(crate) fn succeeds(&self, expected: Expect) {
        self.ends_with(0);
        expected.assert_eq(&self.text());
    }

    /// It failed in this way, and said this.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, expected: Expect) {
        self.ends_with(code);
        expected.assert_eq(&self.text());
    }

    #[track_caller]
    pub(crate) fn ends_with(&self, code: i32) {
        let found = self.output.status.code();
        assert_eq!(found, Some(code), "deputy {}\n{}", self.arguments, self.text());
    }

    /// What it said: the result, then errors and the log.
    pub(crate) fn text(&self) -> String {
        self.env.normal(&self.raw())
    }

    /// The same as it was said.
    pub(crate) fn raw(&self) -> String {
        let of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        of(&self.output.stdout) + &of(&self.output.stderr)
    }
}

/// In a shape `9` is a digit, `x` a hexadecimal digit, `a` a letter or digit; the first that fits wins.
const SHAPES: [(&str, &str); 11] = [
    ("99999999-999999-aaaaaa", "RUN"),
    ("9999-99-99T99:99:99.999999Z", "TIME"),
    ("9999-99-99T99:99:99Z", "TIME"),
    ("9999-99-99 99:99 UTC", "TIME"),
    ("9999-99-99", "DATE"),
    ("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "DIGEST"),
    ("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "ID"),
    ("xxxxxxxxxxxxxxxx", "KEY"),
    ("xxxxxxxxxxxx…", "DIGEST…"),
    ("in 999 days", "in NNN days"),
    ("9,999,999", "N"),
];

/// Text without what differs from day to day.
pub(crate) fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        // Whose port it is makes no difference to a reader.
        if out.ends_with("127.0.0.1:") && first.is_ascii_digit() {
            out.push_str("PORT");
            rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            continue;
        }
        if let Some(length) = a_day_in_words(rest) {
            out.push_str("DAY");
            rest = &rest[length..];
            continue;
        }
        let in_word = out.ends_with(|c: char| c.is_ascii_alphanumeric());
        let shape = SHAPES.iter().find(|(shape, _)| !in_word && fits(rest, shape));
        let (word, length) = shape.map_or(("", 0), |(shape, word)| (*word, shape.len()));
        if length > 0 {
            out.push_str(word);
            rest = &rest[length..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// How long a date is that begins here, as the shipped reminder policy writes it in its two languages.
fn a_day_in_words(text: &str) -> Option<usize> {
    const DAYS: &str = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday lundi mardi mercredi jeudi \
        vendredi samedi dimanche";
    let (weekday, after) = text.split_once(' ')?;
    let is_day = DAYS.split_whitespace().any(|day| day == weekday);
    // The hour ends it: `09:15`, `9 h 15`.
    let colon = after.find([':', 'h']).filter(|_| is_day)?;
    let minutes = after[colon + 1..].find(|c: char| c.is_ascii_digit())? + 2;
    Some(weekday.len() + 1 + colon + 1 + minutes)
}

fn fits(text: &str, shape: &str) -> bool {
    let mut bytes = text.bytes();
    let all = shape.bytes().all(|kind| {
        bytes.next().is_some_and(|byte| match kind {
            b'9' => byte.is_ascii_digit(),
            b'x' => byte.is_ascii_hexdigit(),
            b'a' => byte.is_ascii_alphanumeric(),
            other => byte == other,
        })
    });
    all && !bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric())
}
