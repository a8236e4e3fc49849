//! The certificates of the web servers that profiles send devices to: looked at once a day.
//!
//! A server that cannot be reached from here may well be reached by devices, so that says nothing.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use domain::id::TokenName;
use jiff::Timestamp;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use tokio::task::JoinSet;
use url::Url;

use super::subject::servers;
use crate::apple::token_file;
use crate::engine::Engine;
use crate::failure::Error;

/// Between two looks. A little less than a day, for a workflow that runs once a day.
const AGAIN: Duration = Duration::from_secs(20 * 3600);
/// For each thing that is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// `host:port` of an https URL.
pub(super) fn server_of(url: &str) -> Option<String> {
    let url = Url::parse(url).ok().filter(|url| url.scheme() == "https")?;
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

/// Looks at the servers of these tokens that were not looked at lately, and records what they show.
pub(crate) async fn look(engine: &Engine, tokens: &[TokenName]) -> Result<(), Error> {
    let (seen, now) = (engine.store.web_certificates().await?, engine.now());
    let is_due = |server: &String| {
        seen.get(server).is_none_or(|(_, at)| {
            Duration::try_from(now.duration_since(*at)).is_ok_and(|since| since >= AGAIN)
        })
    };
    let mut looks = JoinSet::new();
    for server in servers(engine, tokens).await?.into_iter().filter(is_due) {
        looks.spawn_blocking(move || {
            let ends = end(&server);
            (server, ends)
        });
    }
    while let Some(look) = looks.join_next().await {
        // A panic is told on standard error, and is no news of the server.
        let Ok((server, ends)) = look else { continue };
        if let Err(why) = &ends {
            tracing::debug!("the certificate of {server} was not seen: {why}");
        }
        engine.store.saw_web_certificate(&server, ends.ok(), now).await?;
    }
    Ok(())
}

/// When the certificate ends that a server shows now, trusted or not.
fn end(server: &str) -> Result<Timestamp, String> {
    let (host, _) = server.rsplit_once(':').ok_or("it has no port")?;
    let host = host.trim_matches(['[', ']']);
    let openssl = |error: openssl::error::ErrorStack| error.to_string();
    let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(openssl)?;
    builder.set_verify(SslVerifyMode::NONE);
    let stream = connect(server)?;
    let stream = builder.build().connect(host, stream).map_err(|error| error.to_string())?;
    let certificate = stream.ssl().peer_certificate().ok_or("it shows none")?;
    Ok(token_file::name_and_end(&certificate).ok_or("its end cannot be read")?.1)
}

fn connect(server: &str) -> Result<TcpStream, String> {
    let mut why = "it has no address".to_owned();
    for address in server.to_socket_addrs().map_err(|error| error.to_string())? {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).and_then(|stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        });
        match stream {
            Ok(stream) => return Ok(stream),
            Err(error) => why = error.to_string(),
        }
    }
    Err(why)
}
