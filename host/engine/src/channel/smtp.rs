//! One mail, handed to a mail server. (RFC 5321, 3207, 4954)
//!
//! Everything the server says is bounded, in length and all in all in time: it may be anybody. Nothing
//! that came in the clear is believed once the connection is protected, and a password is never said on
//! one that is not, unless the server is this machine.

use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;
use secrecy::zeroize::Zeroizing;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::TcpStream;
use tokio_native_tls::{TlsConnector, native_tls};

use super::email::{Email, Login, Tls};
use super::{Next, Undelivered, one_line};
use crate::apple::Trouble;

/// To reach the server at one of its addresses.
const CONNECT: Duration = Duration::from_secs(10);
/// For a farewell that changes nothing any more.
const FAREWELL: Duration = Duration::from_secs(2);
/// A line of an answer, and the lines of one answer: more than any server says.
const LINE: u64 = 2048;
const LINES: usize = 128;

/// Hands a mail to the server for one recipient.
pub(super) async fn send(email: &Email, to: &str, source: &[u8]) -> Result<(), Undelivered> {
    let place = format!("{}:{}", email.host, email.port);
    let all = async {
        let mut talk = Talk { place: &place, stream: connect(email, &place).await? };
        talk.hand_over(email, to, source).await?;
        // It has the mail; whether it says goodbye is its own affair.
        let _ = tokio::time::timeout(FAREWELL, talk.say("QUIT")).await;
        Ok(())
    };
    let late = || Undelivered::unreachable(&Trouble::SlowAnswer, &place);
    tokio::time::timeout(email.timeout, all).await.unwrap_or_else(|_| Err(late()))
}

/// A connection, protected or not.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A conversation with a server.
struct Talk<'a> {
    place: &'a str,
    stream: BufReader<Box<dyn Stream>>,
}

/// What a server says.
#[derive(Debug)]
struct Reply {
    code: u16,
    lines: Vec<String>,
}

async fn connect(email: &Email, place: &str) -> Result<BufReader<Box<dyn Stream>>, Undelivered> {
    let unreachable = |trouble: Trouble| Undelivered::unreachable(&trouble, place);
    let looked_up = tokio::time::timeout(CONNECT, tokio::net::lookup_host((email.host.as_str(), email.port)));
    let addresses = looked_up.await.map_err(|_| unreachable(Trouble::Name))?;
    let mut connected = Err(Trouble::Name);
    // Each has its time: a way that leads nowhere, such as IPv6 in many networks, hides none behind it.
    for address in addresses.map_err(|_| unreachable(Trouble::Name))? {
        connected = match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Err(Trouble::Refused),
            _ => Err(Trouble::SlowConnection),
        };
        if connected.is_ok() {
            break;
        }
    }
    let stream: Box<dyn Stream> = Box::new(connected.map_err(unreachable)?);
    let stream = if email.tls == Tls::Implicit { protect(email, stream, place).await? } else { stream };
    Ok(BufReader::new(stream))
}

async fn protect(
    email: &Email,
    stream: Box<dyn Stream>,
    place: &str,
) -> Result<Box<dyn Stream>, Undelivered> {
    let mut builder = native_tls::TlsConnector::builder();
    builder.min_protocol_version(Some(native_tls::Protocol::Tlsv12));
    for der in email.authorities.ders() {
        let certificate = native_tls::Certificate::from_der(der);
        builder.add_root_certificate(certificate.map_err(|error| broken(&error, place))?);
    }
    let connector = TlsConnector::from(builder.build().map_err(|error| broken(&error, place))?);
    let protected = connector.connect(&email.host, stream).await.map_err(|error| broken(&error, place))?;
    Ok(Box::new(protected))
}

fn broken(error: &native_tls::Error, place: &str) -> Undelivered {
    Undelivered::unreachable(&Trouble::in_words_of(error), place)
}

impl Talk<'_> {
    async fn hand_over(&mut self, email: &Email, to: &str, source: &[u8]) -> Result<(), Undelivered> {
        let greeting = self.reply().await?;
        self.expect(&greeting, 220, "us", Next::Later(None))?;
        let mut offers = self.greet(email).await?;
        if email.tls == Tls::StartTls {
            if offers.word("STARTTLS").is_none() {
                let advice = "write `tls = \"implicit\"` if it protects connections from the first byte (port 465), or \
                              `tls = \"none\"` if it is in a network that you trust";
                let why = format!("{} does not offer STARTTLS", self.place);
                return Err(Undelivered::new(Next::Later(None), why, Some(advice)));
            }
            let ready = self.say("STARTTLS").await?;
            self.expect(&ready, 220, "STARTTLS", Next::Later(None))?;
            self.protect(email).await?;
            offers = self.greet(email).await?;
        }
        if let Some(login) = &email.login {
            self.log_in(login, &offers).await?;
        }
        // From here on a refusal concerns this mail, not the channel.
        let sender = self.say(&format!("MAIL FROM:<{}>", email.from.email)).await?;
        self.expect(&sender, 250, &format!("the sender {}", email.from.email), Next::LaterToThisOne)?;
        let recipient = self.say(&format!("RCPT TO:<{to}>")).await?;
        self.expect(&recipient, 250, &format!("the recipient {to}"), Next::LaterToThisOne)?;
        let ready = self.say("DATA").await?;
        self.expect(&ready, 354, "the mail", Next::LaterToThisOne)?;
        self.write(&stuffed(source)).await?;
        let taken = self.reply().await?;
        self.expect(&taken, 250, "the mail", Next::LaterToThisOne)
    }

    async fn greet(&mut self, email: &Email) -> Result<Reply, Undelivered> {
        let offers = self.say(&format!("EHLO {}", email.hello)).await?;
        self.expect(&offers, 250, "our greeting", Next::Later(None))?;
        Ok(offers)
    }

    /// From here on the connection is protected. What came before that is not believed.
    async fn protect(&mut self, email: &Email) -> Result<(), Undelivered> {
        if !self.stream.buffer().is_empty() {
            let why =
                format!("{} said more than it was asked before the connection was protected", self.place);
            let advice = "somebody may be in between: look at the way to the server";
            return Err(Undelivered::new(Next::Later(None), why, Some(advice)));
        }
        let (nothing, _) = tokio::io::duplex(1);
        let plain = std::mem::replace(&mut self.stream, BufReader::new(Box::new(nothing))).into_inner();
        self.stream = BufReader::new(protect(email, plain, self.place).await?);
        Ok(())
    }

    async fn log_in(&mut self, login: &Login, offers: &Reply) -> Result<(), Undelivered> {
        let later = |why: String, advice: &str| Undelivered::new(Next::Later(None), why, Some(advice));
        let ways: Vec<String> =
            offers.word("AUTH").unwrap_or_default().split_whitespace().map(str::to_ascii_uppercase).collect();
        let offered = |way: &str| ways.iter().any(|offered| offered == way);
        let password =
            login.password.read().map_err(|reason| Undelivered { reason, next: Next::Later(None) })?;
        let answer = if offered("PLAIN") {
            let secret = Zeroizing::new(format!("\0{}\0{}", login.user, password.expose_secret()));
            let line = Zeroizing::new(format!("AUTH PLAIN {}", STANDARD.encode(secret.as_bytes())));
            self.say(&line).await?
        } else if offered("LOGIN") {
            let mut answer = self.say("AUTH LOGIN").await?;
            for part in [login.user.as_str(), password.expose_secret()] {
                if answer.code == 334 {
                    answer = self.say(&Zeroizing::new(STANDARD.encode(part))).await?;
                }
            }
            answer
        } else {
            let advice = "leave `user` and `password_from` out if it wants to know nothing; it may also offer this \
                          only on a protected connection (`tls`)";
            return Err(later(format!("{} offers neither AUTH PLAIN nor AUTH LOGIN", self.place), advice));
        };
        if answer.code == 235 {
            return Ok(());
        }
        let why = format!(
            "{} does not accept the user `{}` and its password: {}",
            self.place,
            login.user,
            answer.said()
        );
        let advice =
            "correct `user` or the password; large providers want one made for programs (an app password)";
        // What it says may quote what it was told.
        let password = password.expose_secret();
        let plain = Zeroizing::new(STANDARD.encode(format!("\0{}\0{password}", login.user)));
        let encoded = Zeroizing::new(STANDARD.encode(password));
        let quoted = [plain.as_str(), &encoded, password];
        let why = quoted.iter().fold(why, |why, secret| why.replace(secret, "***"));
        Err(later(why, advice))
    }

    async fn say(&mut self, line: &str) -> Result<Reply, Undelivered> {
        let line = Zeroizing::new(format!("{line}\r\n"));
        self.write(line.as_bytes()).await?;
        self.reply().await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Undelivered> {
        let lost = |_| Undelivered::unreachable(&Trouble::Other, self.place);
        let stream = self.stream.get_mut();
        stream.write_all(bytes).await.map_err(lost)?;
        stream.flush().await.map_err(lost)
    }

    async fn reply(&mut self) -> Result<Reply, Undelivered> {
        let strange = |place: &str| {
            let advice = "look at `host` and `port` of the channel, and at `tls`";
            Undelivered::new(Next::Later(None), format!("{place} does not speak SMTP"), Some(advice))
        };
        let mut lines = Vec::new();
        while lines.len() < LINES {
            let mut line = Vec::new();
            let mut bounded = (&mut self.stream).take(LINE);
            bounded
                .read_until(b'\n', &mut line)
                .await
                .map_err(|_| Undelivered::unreachable(&Trouble::Other, self.place))?;
            if !line.ends_with(b"\n") {
                let closed = (line.len() as u64) < LINE;
                let lost = || Undelivered::unreachable(&Trouble::Other, self.place);
                return Err(if closed { lost() } else { strange(self.place) });
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let code = line.get(..3).and_then(|code| code.parse::<u16>().ok()).filter(|code| *code >= 200);
            let (Some(code), rest) = (code, line.get(3..).unwrap_or_default()) else {
                return Err(strange(self.place));
            };
            lines.push(rest.get(1..).unwrap_or_default().to_owned());
            if !rest.starts_with('-') {
                return Ok(Reply { code, lines });
            }
        }
        Err(strange(self.place))
    }

    /// The answer is the one that lets us go on. Otherwise: 5xx to a mail refuses it for good, anything
    /// else passes by, `later`.
    fn expect(&self, reply: &Reply, wanted: u16, what: &str, later: Next) -> Result<(), Undelivered> {
        // A recipient whose mail is passed on (251) is as good as one who lives there.
        if reply.code == wanted || (wanted == 250 && reply.code == 251) {
            return Ok(());
        }
        let about_this_mail = later == Next::LaterToThisOne;
        let next = match reply.code {
            // It wants to know who we are, whatever the mail.
            530 | 534 | 535 | 538 => Next::Later(None),
            500..600 if about_this_mail => Next::Refused,
            // It is closing.
            421 => Next::Later(None),
            _ => later,
        };
        let advice = match reply.code {
            530 | 534 | 535 | 538 => "it wants to know who we are: write `user` and `password_from`",
            550..=553 if what.contains("recipient") => {
                "look at the spelling of the address, and whether the server may send mail there for us; then type \
                 `deputy outbox retry`"
            }
            550..=553 if what.contains("sender") => {
                "write an address as `from` that the server lets this user write as, and type `deputy outbox retry`"
            }
            500..600 if about_this_mail => {
                "what it says is the reason; when it is mended, type `deputy outbox retry`"
            }
            _ => "what it says is the reason; it is tried again",
        };
        let refuses = if reply.code < 500 { "does not take" } else { "refuses" };
        let now = if reply.code < 500 { " now" } else { "" };
        let why = format!("{} {refuses} {what}{now}: {}", self.place, reply.said());
        Err(Undelivered::new(next, why, Some(advice)))
    }
}

impl Reply {
    /// What it offers under this word, in an answer to EHLO.
    fn word(&self, word: &str) -> Option<&str> {
        // AUTH=PLAIN is what some servers of the last century said.
        self.lines.iter().skip(1).find_map(|line| {
            let head = line.get(..word.len())?;
            let rest = line.get(word.len()..)?;
            (head.eq_ignore_ascii_case(word) && rest.chars().next().is_none_or(|c| c == ' ' || c == '='))
                .then(|| rest.trim_start_matches([' ', '=']))
        })
    }

    fn said(&self) -> String {
        format!("{} {}", self.code, one_line(&self.lines.join(" "))).trim_end().to_owned()
    }
}

/// A mail as it is sent: a line that begins with a dot gets another one, and a dot alone ends it.
fn stuffed(source: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(source.len() + 8);
    for line in source.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, expected: &str) {
        assert_eq!(String::from_utf8_lossy(&stuffed(source.as_bytes())), expected);
    }

    #[test]
    fn a_line_that_begins_with_a_dot_does_not_end_the_mail() {
        check("a\r\n.\r\n..b\r\n", "a\r\n..\r\n...b\r\n.\r\n");
        check("no end", "no end\r\n.\r\n");
        check("", "\r\n.\r\n");
    }

    #[test]
    fn what_a_server_offers_is_found_under_its_word() {
        let lines =
            ["AUTH.example.com hello AUTH", "SIZE 1000", "auth PLAIN LOGIN", "STARTTLSX", "AUTH=CRAM-MD5"];
        let reply = Reply { code: 250, lines: lines.map(str::to_owned).to_vec() };
        assert_eq!(reply.word("AUTH"), Some("PLAIN LOGIN"));
        assert_eq!(reply.word("SIZE"), Some("1000"));
        assert_eq!(reply.word("STARTTLS"), None);
    }
}
