//! Somebody's chat, which takes messages at an address, on its better days.

use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;

/// An HTTP server that keeps what it takes.
pub(crate) struct Hook {
    /// With a path that is a secret.
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    _runtime: tokio::runtime::Runtime,
}

struct State {
    status: StatusCode,
    headers: Vec<(&'static str, String)>,
    body: String,
    /// Bytes of an answer that goes on and on.
    more: usize,
    taken: Vec<Taken>,
    asked: usize,
}

/// A request that was answered with success.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Taken {
    pub(crate) fn header(&self, name: &str) -> String {
        self.headers.get(name).map_or(String::new(), |value| value.to_str().unwrap_or_default().to_owned())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Hook {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let state = Arc::new(Mutex::new(State {
            status: StatusCode::OK,
            headers: Vec::new(),
            body: String::new(),
            more: 0,
            taken: Vec::new(),
            asked: 0,
        }));
        let shared = state.clone();
        let take = move |uri: Uri, headers: HeaderMap, body: String| {
            let answer = answer(&shared, &uri, headers, body);
            async move { answer }
        };
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let url = format!("http://{}/secret-path", listener.local_addr().expect("an address"));
        let app = Router::new().fallback(take);
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self { url, state, _runtime: runtime }
    }

    /// From now on it answers this.
    pub(crate) fn answers(&self, status: u16, headers: &[(&'static str, &str)], body: &str) {
        let mut state = self.state();
        state.status = StatusCode::from_u16(status).expect("a status");
        state.headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        state.body = body.to_owned();
    }

    /// From now on an answer has so many bytes more.
    pub(crate) fn answers_at_length(&self, bytes: usize) {
        self.state().more = bytes;
    }

    pub(crate) fn is_down(&self, down: bool) {
        self.answers(if down { 503 } else { 200 }, &[], "");
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.state().asked
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.state().taken.clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.state().taken.len()
    }

    /// The messages, each as pretty JSON.
    pub(crate) fn got(&self) -> String {
        self.taken().iter().map(|taken| format!("{:#}\n", taken.json())).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panicked")
    }
}

fn answer(state: &Mutex<State>, uri: &Uri, headers: HeaderMap, body: String) -> Response {
    let mut state = state.lock().expect("nobody panicked");
    state.asked += 1;
    let is_right = uri.path() == "/secret-path";
    let status = if is_right { state.status } else { StatusCode::IM_A_TEAPOT };
    if status.is_success() {
        state.taken.push(Taken { headers, body });
    }
    let mut answer = Response::builder().status(status);
    for (name, value) in &state.headers {
        answer = answer.header(*name, value);
    }
    let body = state.body.clone() + &" ".repeat(state.more);
    answer.body(Body::from(body)).expect("a good answer")
}
