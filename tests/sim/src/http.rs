//! Apple's side over HTTP: headers in, headers out, and a way to hang up.
//!
//! The only thing HTTP libraries do not offer is to take a request and close the connection without an
//! answer, or in the middle of one. Each connection therefore has a switch: once it is cut, nothing is
//! written to it any more.

use crate::api;
use crate::control::Control;
use crate::service::{Outcome, Reply, Request};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use axum::serve::{IncomingStream, Listener};
use jiff::fmt::rfc2822::DateTimePrinter;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Enough for adding a hundred thousand devices in one request of the control API.
const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// Serves both sides until `stop` is ready.
pub(crate) async fn serve(
    listener: TcpListener,
    control: Control,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let app = Router::new()
        .route("/sim/", axum::routing::get(api::help))
        .nest("/sim", api::routes())
        .fallback(apple)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(control)
        .into_make_service_with_connect_info::<Peer>();
    let (stop_waiting, stopping) = watch::channel(false);
    let stop = async move {
        stop.await;
        _ = stop_waiting.send(true);
    };
    // It returns when it was told to stop; accepting connections does not fail for good.
    _ = axum::serve(Doors { listener, stopping }, app).with_graceful_shutdown(stop).await;
}

async fn apple(
    State(control): State<Control>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let answer = control.answer(&Request {
        method: method.as_str(),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        host: text("host").unwrap_or_default(),
        user_agent: text("user-agent").unwrap_or_default(),
        version: text("x-server-protocol-version"),
        session: text("x-adm-auth-session"),
        authorization: text("authorization"),
        body: &body,
    });
    if !answer.delay.is_zero() {
        peer.wait(answer.delay).await;
    }
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&answer.date).unwrap_or_default();
    match answer.outcome {
        Outcome::Whole(reply) => response(reply, date),
        Outcome::Half(reply) if reply.body.len() < 2 => peer.hang_up(),
        Outcome::Half(reply) => {
            peer.line.cut_after(reply.body.len() / 2);
            response(reply, date)
        }
        Outcome::HangUp => peer.hang_up(),
        Outcome::Silence => {
            // Should the client go away first, we are dropped here.
            peer.wait(Duration::MAX).await;
            peer.hang_up()
        }
    }
}

fn response(reply: Reply, date: String) -> Response<Body> {
    let content_type = if reply.json { "application/json;charset=UTF8" } else { "text/plain;charset=UTF8" };
    let mut response = Response::builder()
        .status(StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        .header(header::CONTENT_TYPE, content_type)
        .header(header::DATE, date);
    if let Some(session) = reply.session {
        response = response.header("X-ADM-Auth-Session", session);
    }
    if let Some(retry_after) = reply.retry_after {
        response = response.header(header::RETRY_AFTER, retry_after);
    }
    // Only a header that was given for a fault can be unfit to send.
    response.body(Body::from(reply.body)).unwrap_or_else(|error| {
        let mut response = Response::new(Body::from(format!("the fault's header cannot be sent: {error}")));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

/// Who is at the other end, and the switch of the connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    line: Arc<Switch>,
    stopping: watch::Receiver<bool>,
}

impl Peer {
    /// Waits so long, unless the simulator stops: nobody should wait for a call that is slow on purpose.
    async fn wait(&self, time: Duration) {
        let mut stopping = self.stopping.clone();
        _ = tokio::time::timeout(time, stopping.wait_for(|stopping| *stopping)).await;
    }

    fn hang_up(&self) -> Response<Body> {
        self.line.cut_now();
        Response::new(Body::empty())
    }
}

impl Connected<IncomingStream<'_, Doors>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Doors>) -> Self {
        stream.remote_addr().clone()
    }
}

/// Where in the next answer a connection ends.
#[derive(Debug)]
struct Switch(AtomicUsize);

impl Switch {
    const NEVER: usize = usize::MAX;
    /// Before its first byte; every other number counts bytes of the body.
    const NOW: usize = usize::MAX - 1;

    fn cut_now(&self) {
        self.0.store(Self::NOW, Ordering::Release);
    }

    fn cut_after(&self, body: usize) {
        self.0.store(body, Ordering::Release);
    }
}

impl Default for Switch {
    fn default() -> Self {
        Self(AtomicUsize::new(Self::NEVER))
    }
}

/// Accepts connections, and puts the switch into each.
struct Doors {
    listener: TcpListener,
    stopping: watch::Receiver<bool>,
}

impl Listener for Doors {
    type Io = Line;
    type Addr = Peer;

    async fn accept(&mut self) -> (Line, Peer) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    // Small answers must not wait for one another.
                    _ = stream.set_nodelay(true);
                    let line = Arc::<Switch>::default();
                    let peer = Peer { address, line: line.clone(), stopping: self.stopping.clone() };
                    return (Line { stream, switch: line, matched: 0 }, peer);
                }
                // Out of file handles, most likely: some will come free.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        let address = self.listener.local_addr()?;
        Ok(Peer { address, line: Arc::default(), stopping: self.stopping.clone() })
    }
}

struct Line {
    stream: TcpStream,
    switch: Arc<Switch>,
    /// How much of the empty line after the headers has gone by, of an answer that is to be cut.
    matched: usize,
}

impl Line {
    /// How many of these bytes are headers, and how much of the empty line has gone by after them.
    fn headers(&self, bytes: &[u8]) -> (usize, usize) {
        let (mut at, mut matched) = (0, self.matched);
        while matched < 4 && at < bytes.len() {
            matched = match bytes[at] {
                byte if byte == b"\r\n\r\n"[matched] => matched + 1,
                byte => usize::from(byte == b'\r'),
            };
            at += 1;
        }
        (at, matched)
    }

    /// Sends what may be sent, and remembers how much of the body is left to send.
    fn send_part(&mut self, context: &mut Context<'_>, bytes: &[u8], left: usize) -> Poll<io::Result<usize>> {
        let allowed = (self.headers(bytes).0 + left).min(bytes.len());
        if allowed == 0 && !bytes.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let sent = ready!(Pin::new(&mut self.stream).poll_write(context, &bytes[..allowed]))?;
        let (headers, matched) = self.headers(&bytes[..sent]);
        self.matched = matched;
        self.switch.cut_after(left - (sent - headers));
        Poll::Ready(Ok(sent))
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.switch.0.load(Ordering::Acquire) {
            Switch::NEVER => Pin::new(&mut self.stream).poll_write(context, bytes),
            Switch::NOW => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
            left => self.send_part(context, bytes, left),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.switch.0.load(Ordering::Acquire) == Switch::NEVER {
            return Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        }
        let first = slices.iter().find(|slice| !slice.is_empty());
        self.poll_write(context, first.map_or(&[], |slice| slice))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
