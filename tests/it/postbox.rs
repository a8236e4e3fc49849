//! A mail server, written from the RFCs and not from our client: real TLS with an authority made for the
//! test, `AUTH`, `STARTTLS`, and bad days on demand.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::ssl::{SslAcceptor, SslMethod};

use crate::certificates::Authority;

/// How the server protects its connections.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tls {
    None,
    OnRequest,
    Implicit,
}

/// What the server does in place of what it should, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Answers a command that begins so with this.
    Answer(&'static str, &'static str),
    /// Hangs up in the middle of a mail.
    HangUpInMail,
    /// Takes the mail and hangs up before it says so.
    HangUpAfterMail,
    /// Greets without end.
    EndlessGreeting,
    /// Greets one byte at a time, for ever.
    Drip,
    /// Says more than it was asked right before TLS begins.
    TalksAhead,
}

/// A mail that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) protected: bool,
    pub(crate) user: Option<String>,
    pub(crate) source: String,
}

impl Mail {
    /// The value of a line of its head.
    pub(crate) fn head(&self, name: &str) -> String {
        let line = self.source.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_default().to_owned()
    }
}

/// A mail server. Its address stays the same while it is down.
pub(crate) struct Postbox {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    tls: Tls,
    acceptor: SslAcceptor,
    login: Option<(String, String)>,
    /// By `AUTH LOGIN`, which asks in two steps.
    in_steps: bool,
    down: bool,
    faults: VecDeque<Fault>,
    mails: Vec<Mail>,
    connections: usize,
}

impl Postbox {
    /// A server under `127.0.0.1`, with a certificate for it by this authority.
    pub(crate) fn start(tls: Tls, authority: &Authority) -> Self {
        Self::with_certificate_for(tls, authority, "127.0.0.1")
    }

    /// The same with a certificate for another host.
    pub(crate) fn with_certificate_for(tls: Tls, authority: &Authority, host: &str) -> Self {
        let (certificate, key) = authority.certificate(host);
        let mut acceptor = SslAcceptor::mozilla_intermediate(SslMethod::tls()).expect("TLS");
        acceptor.set_private_key(&key).expect("the key is good");
        acceptor.set_certificate(&certificate).expect("the certificate is good");
        let state = Arc::new(Mutex::new(State {
            tls,
            acceptor: acceptor.build(),
            login: None,
            in_steps: false,
            down: false,
            faults: VecDeque::new(),
            mails: Vec::new(),
            connections: 0,
        }));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                std::thread::spawn(move || drop(serve(stream, &state)));
            }
        });
        Self { address, state }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Wants to know who writes.
    pub(crate) fn wants(&self, user: &str, password: &str) {
        self.state().login = Some((user.to_owned(), password.to_owned()));
    }

    /// Asks for the user and the password one after the other.
    pub(crate) fn asks_in_steps(&self) {
        self.state().in_steps = true;
    }

    /// Hangs up on everybody, or no longer.
    pub(crate) fn is_down(&self, down: bool) {
        self.state().down = down;
    }

    /// On its next occasion, does this.
    pub(crate) fn fault(&self, fault: Fault) {
        self.state().faults.push_back(fault);
    }

    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.state().mails.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.state().connections
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panicked")
    }
}

type Shared = Mutex<State>;

fn serve(mut stream: TcpStream, state: &Shared) -> std::io::Result<()> {
    let (tls, down, acceptor) = {
        let mut state = state.lock().expect("nobody panicked");
        state.connections += 1;
        (state.tls, state.down, state.acceptor.clone())
    };
    if down {
        return Ok(());
    }
    if tls == Tls::Implicit {
        return match acceptor.accept(stream) {
            Ok(stream) => Session::new(stream, state, true).converse(true).map(drop),
            Err(_) => Ok(()),
        };
    }
    if take(state, |fault| *fault == Fault::EndlessGreeting).is_some() {
        loop {
            stream.write_all(&[b'2'; 4096])?;
        }
    }
    if take(state, |fault| *fault == Fault::Drip).is_some() {
        loop {
            stream.write_all(b"2")?;
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
    let mut session = Session::new(stream, state, false);
    if !session.converse(true)? {
        return Ok(());
    }
    // STARTTLS was said.
    let stream = session.stream.into_inner();
    match acceptor.accept(stream) {
        Ok(stream) => Session::new(stream, state, true).converse(false).map(drop),
        Err(_) => Ok(()),
    }
}

fn take(state: &Shared, is_wanted: impl Fn(&Fault) -> bool) -> Option<Fault> {
    let mut state = state.lock().expect("nobody panicked");
    let found = state.faults.iter().position(is_wanted)?;
    state.faults.remove(found)
}

struct Session<'a, S: Read + Write> {
    stream: BufReader<S>,
    state: &'a Shared,
    protected: bool,
    user: Option<String>,
}

impl<'a, S: Read + Write> Session<'a, S> {
    fn new(stream: S, state: &'a Shared, protected: bool) -> Self {
        Self { stream: BufReader::new(stream), state, protected, user: None }
    }

    fn say(&mut self, line: &str) -> std::io::Result<()> {
        self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes())
    }

    fn hear(&mut self) -> std::io::Result<Option<String>> {
        let mut line = String::new();
        let heard = self.stream.read_line(&mut line)?;
        Ok((heard > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// True if STARTTLS is to follow.
    fn converse(&mut self, greet: bool) -> std::io::Result<bool> {
        if greet {
            match self.odd("greeting") {
                Some(answer) => return self.say(answer).map(|()| false),
                None => self.say("220 mail.example.com ESMTP ready")?,
            }
        }
        let (tls, login, in_steps) = {
            let state = self.state.lock().expect("nobody panicked");
            (state.tls, state.login.clone(), state.in_steps)
        };
        let (mut from, mut to) = (String::new(), Vec::new());
        while let Some(line) = self.hear()? {
            let command = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            if let Some(answer) = self.odd(&line) {
                self.say(answer)?;
                continue;
            }
            match command.as_str() {
                "EHLO" => {
                    let mut offers = vec!["mail.example.com".to_owned(), "SIZE 1000000".to_owned()];
                    if tls == Tls::OnRequest && !self.protected {
                        offers.push("STARTTLS".to_owned());
                    } else if login.is_some() {
                        offers.push(if in_steps { "AUTH LOGIN" } else { "AUTH LOGIN PLAIN" }.to_owned());
                    }
                    let last = offers.len() - 1;
                    for (index, offer) in offers.iter().enumerate() {
                        self.say(&format!("250{}{offer}", if index == last { ' ' } else { '-' }))?;
                    }
                }
                "STARTTLS" if tls == Tls::OnRequest && !self.protected => {
                    let ahead = take(self.state, |fault| *fault == Fault::TalksAhead);
                    self.say(if ahead.is_some() { "220 go\r\n250 and believe me" } else { "220 go ahead" })?;
                    return Ok(true);
                }
                "AUTH" if in_steps => {
                    let mut given = Vec::new();
                    for question in ["Username:", "Password:"] {
                        self.say(&format!("334 {}", STANDARD.encode(question)))?;
                        let answer = STANDARD.decode(self.hear()?.unwrap_or_default()).unwrap_or_default();
                        given.push(String::from_utf8_lossy(&answer).into_owned());
                    }
                    let right = login
                        .as_ref()
                        .is_some_and(|(user, password)| given == [user.clone(), password.clone()]);
                    self.user = given.into_iter().next().filter(|_| right);
                    self.say(if right { "235 welcome" } else { "535 5.7.8 no" })?;
                }
                "AUTH" => {
                    let sent =
                        STANDARD.decode(line.rsplit(' ').next().unwrap_or_default()).unwrap_or_default();
                    let sent = String::from_utf8_lossy(&sent).into_owned();
                    let mut parts = sent.split('\0').skip(1);
                    let given = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                    match &login {
                        Some((user, password)) if given == (user, password) => {
                            self.user = Some(user.clone());
                            self.say("235 welcome")?;
                        }
                        // Some servers repeat what they were told.
                        _ => self.say(&format!("535 5.7.8 no such user or password: {}", given.1))?,
                    }
                }
                "MAIL" if login.is_some() && self.user.is_none() => self.say("530 5.7.0 who are you?")?,
                "MAIL" => {
                    from = inside(&line);
                    to.clear();
                    self.say("250 ok")?;
                }
                "RCPT" => {
                    to.push(inside(&line));
                    self.say("250 ok")?;
                }
                "DATA" => {
                    self.say("354 go on")?;
                    let Some(source) = self.mail()? else { return Ok(false) };
                    let mail = Mail {
                        from: from.clone(),
                        to: to.clone(),
                        protected: self.protected,
                        user: self.user.clone(),
                        source,
                    };
                    self.state.lock().expect("nobody panicked").mails.push(mail);
                    if take(self.state, |fault| *fault == Fault::HangUpAfterMail).is_some() {
                        return Ok(false);
                    }
                    self.say("250 queued")?;
                }
                "QUIT" => {
                    self.say("221 bye")?;
                    return Ok(false);
                }
                _ => self.say("500 what?")?,
            }
        }
        Ok(false)
    }

    /// A mail without what was done to its dots; none if the line goes dead.
    fn mail(&mut self) -> std::io::Result<Option<String>> {
        let hang_up = take(self.state, |fault| *fault == Fault::HangUpInMail).is_some();
        let mut source = String::new();
        while let Some(line) = self.hear()? {
            if hang_up {
                return Ok(None);
            }
            match line.strip_prefix('.') {
                Some("") => return Ok(Some(source)),
                Some(rest) => source.push_str(rest),
                None => source.push_str(&line),
            }
            source.push('\n');
        }
        Ok(None)
    }

    fn odd(&self, line: &str) -> Option<&'static str> {
        let fits = |fault: &Fault| matches!(fault, Fault::Answer(begin, _) if line.starts_with(begin));
        match take(self.state, fits) {
            Some(Fault::Answer(_, answer)) => Some(answer),
            _ => None,
        }
    }
}

fn inside(line: &str) -> String {
    let text = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    text.map_or(String::new(), |(inside, _)| inside.to_owned())
}
