//! Those who answer in Apple's place, and those on the way there.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509NameBuilder};

/// Somebody who listens, and does this with every connection. The address.
pub(crate) fn listener(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Where nobody listens.
pub(crate) fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

/// Says nothing, for as long as somebody waits for it.
pub(crate) fn silent(mut stream: TcpStream) {
    let _ = stream.read_to_end(&mut Vec::new());
}

/// An HTTP server: the whole answer to each request, whose first line it is given.
pub(crate) fn answering(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> String {
    listener(move |stream| converse(stream, &answer))
}

fn converse(stream: impl Read + Write, answer: &impl Fn(&str) -> String) {
    let mut stream = BufReader::new(stream);
    while let Some(head) = head(&mut stream) {
        let first = head.lines().next().unwrap_or_default();
        if stream.get_mut().write_all(answer(first).as_bytes()).is_err() {
            return;
        }
    }
}

/// A request without its body, as long as there is one.
fn head(stream: &mut BufReader<impl Read>) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).unwrap_or(0) == 0 {
            return None;
        }
    }
    Some(head)
}

/// An answer of JSON.
pub(crate) fn json(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An HTTPS server with a certificate of its own: its address, and the certificate as PEM.
pub(crate) fn answering_tls(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> (String, Vec<u8>) {
    let key = PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
    let certificate = certificate(&key).expect("a certificate");
    let mut acceptor = SslAcceptor::mozilla_intermediate(SslMethod::tls()).expect("TLS");
    acceptor.set_private_key(&key).expect("the key is good");
    acceptor.set_certificate(&certificate).expect("the certificate is good");
    let acceptor = acceptor.build();
    let address = listener(move |stream| {
        if let Ok(stream) = acceptor.accept(stream) {
            converse(stream, &answer);
        }
    });
    (address, certificate.to_pem().expect("PEM"))
}

fn certificate(key: &PKey<openssl::pkey::Private>) -> Result<X509, openssl::error::ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, "127.0.0.1")?;
    let name = name.build();
    let mut certificate = X509::builder()?;
    certificate.set_version(2)?;
    certificate.set_subject_name(&name)?;
    certificate.set_issuer_name(&name)?;
    certificate.set_not_before(&*Asn1Time::days_from_now(0)?)?;
    // Half a day more than two: how many days are left is the same a minute later.
    let ends = jiff::Timestamp::now().as_second() + 60 * 3_600;
    certificate.set_not_after(&*Asn1Time::from_unix(ends)?)?;
    certificate.set_pubkey(key)?;
    let alternative =
        SubjectAlternativeName::new().ip("127.0.0.1").build(&certificate.x509v3_context(None, None))?;
    certificate.append_extension(alternative)?;
    certificate.sign(key, MessageDigest::sha256())?;
    Ok(certificate.build())
}

/// An HTTP proxy, and what it was asked: the head of each first request of a connection.
pub(crate) struct Proxy {
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Forwards requests in the clear, and lets nobody through to TLS.
    pub(crate) fn start() -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let store = asked.clone();
        let address = listener(move |stream| {
            let mut stream = BufReader::new(stream);
            let Some(head) = head(&mut stream) else { return };
            store.lock().expect("nobody panicked").push(head.clone());
            let to = head.split(['/', ' ']).nth(3).unwrap_or_default().to_owned();
            if head.starts_with("CONNECT ") {
                let no = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
                let _ = stream.get_mut().write_all(no.as_bytes());
                return;
            }
            let Ok(mut apple) = TcpStream::connect(to) else { return };
            let (Ok(mut answers), Ok(mut back)) = (apple.try_clone(), stream.get_ref().try_clone()) else {
                return;
            };
            std::thread::spawn(move || std::io::copy(&mut answers, &mut back));
            let _ = apple.write_all(head.as_bytes());
            let _ = std::io::copy(&mut stream, &mut apple);
        });
        Self { address, asked }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panicked").clone()
    }
}
