//! Apple's side over HTTP: headers in, headers out, and a way to hang up.
//!
//! The only thing HTTP libraries do not offer is to take a request and close the connection without an
//! answer. Each connection therefore has a switch: once it is cut, nothing is written to it any more.

use crate::api;
use crate::control::Control;
use crate::service::Request;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use axum::serve::{IncomingStream, Listener};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

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
    // It returns when it was told to stop; accepting connections does not fail for good.
    _ = axum::serve(Doors(listener), app).with_graceful_shutdown(stop).await;
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
        tokio::time::sleep(answer.delay).await;
    }
    let Some(reply) = answer.reply else {
        peer.cut.store(true, Ordering::Release);
        return Response::new(Body::empty());
    };
    let content_type = if reply.json { "application/json;charset=UTF8" } else { "text/plain;charset=UTF8" };
    let mut response = Response::builder()
        .status(StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        .header(header::CONTENT_TYPE, content_type);
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
    cut: Arc<AtomicBool>,
}

impl Connected<IncomingStream<'_, Doors>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Doors>) -> Self {
        stream.remote_addr().clone()
    }
}

/// Accepts connections, and puts the switch into each.
struct Doors(TcpListener);

impl Listener for Doors {
    type Io = Line;
    type Addr = Peer;

    async fn accept(&mut self) -> (Line, Peer) {
        loop {
            match self.0.accept().await {
                Ok((stream, address)) => {
                    // Small answers must not wait for one another.
                    _ = stream.set_nodelay(true);
                    let cut = Arc::new(AtomicBool::new(false));
                    return (Line { stream, cut: cut.clone() }, Peer { address, cut });
                }
                // Out of file handles, most likely: some will come free.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer { address: self.0.local_addr()?, cut: Arc::default() })
    }
}

struct Line {
    stream: TcpStream,
    cut: Arc<AtomicBool>,
}

impl Line {
    fn whole(&self) -> io::Result<()> {
        if self.cut.load(Ordering::Acquire) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
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
        self.whole()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.whole()?;
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
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
