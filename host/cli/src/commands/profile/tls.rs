//! A look at a server as a device would have it: which certificates it shows, whether they would be
//! trusted, and what it answers. Nothing is sent but a question for headers.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::time::Duration;

use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509VerifyResult};
use url::Url;

/// For each thing that is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was seen.
pub(super) struct Seen {
    /// The certificates, the server's own first, up to the root if that is known.
    pub chain: Vec<X509>,
    /// Why the certificates would not be trusted, if so.
    pub distrust: Option<String>,
    /// The status of its answer over HTTP, if it gave one.
    pub status: Option<u16>,
}

/// Connects to an https URL, directly, and looks. Trusts `anchors` alone if there are any, as a
/// device does, else those the system trusts.
pub(super) fn look(url: &Url, anchors: &[X509]) -> Result<Seen, String> {
    let host = url.host_str().ok_or("it has no host")?.trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or(443);
    let stream = connect(host, port)?;
    let openssl = |error: ErrorStack| format!("TLS cannot be set up: {error}");
    let connector = connector(anchors).map_err(openssl)?;
    let mut stream = connector
        .configure()
        .map_err(openssl)?
        .connect(host, stream)
        .map_err(|error| format!("{host}:{port} does not speak TLS with us: {error}"))?;
    let ssl = stream.ssl();
    let distrust = Some(ssl.verify_result()).filter(|result| *result != X509VerifyResult::OK);
    // Whether or not it is trusted: what OpenSSL put together ends with a root if it knows that.
    let chain = ssl.verified_chain().filter(|_| distrust.is_none()).or_else(|| ssl.peer_cert_chain());
    let chain = chain.into_iter().flatten().map(|certificate| certificate.to_owned()).collect();
    let distrust = distrust.map(|result| result.error_string().to_owned());
    let status = if distrust.is_none() { ask(&mut stream, url) } else { None };
    Ok(Seen { chain, distrust, status })
}

fn connect(host: &str, port: u16) -> Result<TcpStream, String> {
    let addresses =
        (host, port).to_socket_addrs().map_err(|error| format!("there is no address of {host}: {error}"))?;
    let mut why = format!("there is no address of {host}");
    for address in addresses {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                let limits = stream
                    .set_read_timeout(Some(PATIENCE))
                    .and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
                return limits.map(|()| stream).map_err(|error| error.to_string());
            }
            Err(error) => why = format!("{host}:{port} does not answer: {error}"),
        }
    }
    Err(why)
}

/// The handshake succeeds in any case; whether it should have is asked afterwards.
fn connector(anchors: &[X509]) -> Result<SslConnector, ErrorStack> {
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_verify(SslVerifyMode::NONE);
    if anchors.is_empty() {
        let system = openssl_probe::probe();
        let folders = system.cert_dir.iter().map(|folder| folder.as_path());
        let places = system.cert_file.as_deref().map(|file| (Some(file), None));
        for (file, folder) in places.into_iter().chain(folders.map(|folder| (None, Some(folder)))) {
            let _: Result<(), ErrorStack> = load(&mut builder, file, folder);
        }
    } else {
        let mut store = X509StoreBuilder::new()?;
        for anchor in anchors {
            store.add_cert(anchor.clone())?;
        }
        // A device takes any certificate for an anchor, not only a root.
        store.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
        builder.set_cert_store(store.build());
    }
    Ok(builder.build())
}

fn load(
    builder: &mut openssl::ssl::SslConnectorBuilder,
    file: Option<&Path>,
    folder: Option<&Path>,
) -> Result<(), ErrorStack> {
    builder.load_verify_locations(file, folder)
}

/// The status of the answer to a question for headers: an enrolment URL may do something when it is
/// asked for more.
fn ask(stream: &mut openssl::ssl::SslStream<TcpStream>, url: &Url) -> Option<u16> {
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let question = format!(
        "HEAD {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: deputy\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(question.as_bytes()).ok()?;
    let mut answer = Vec::new();
    let mut piece = [0; 512];
    while answer.len() < 4096 && !answer.contains(&b'\n') {
        match stream.read(&mut piece) {
            Ok(count) if count > 0 => answer.extend_from_slice(&piece[..count]),
            _ => break,
        }
    }
    let line = String::from_utf8_lossy(&answer);
    let mut words = line.lines().next()?.split_ascii_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/"))?;
    words.next()?.parse().ok()
}
