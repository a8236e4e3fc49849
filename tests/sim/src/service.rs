//! Apple's side: what a client may ask, and what it is told.
//!
//! One function from the state and a request to an answer; HTTP is `http`'s business. The order of checks
//! is the service's: faults, `User-Agent`, path and method, session, terms, body.

use crate::calls::BodyCall;
use crate::distort::distort;
use crate::endpoint::Endpoint;
use crate::faults::{Fault, FaultKind};
use crate::log::Call;
use crate::lookups::Lookup;
use crate::oauth;
use crate::sessions;
use crate::settings::ErrorStyle;
use crate::state::{BadSession, Server, State};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;

/// How far a signature's time may be from ours, in seconds.
pub(crate) const CLOCK_WINDOW: i64 = 300;
/// The newest version of the protocol; a client that asks for a newer one gets this.
const NEWEST_VERSION: u32 = 10;
/// What came over HTTP.
#[derive(Debug, Default)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) host: &'a str,
    pub(crate) user_agent: &'a str,
    pub(crate) version: Option<&'a str>,
    pub(crate) session: Option<&'a str>,
    pub(crate) authorization: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

/// What goes back, and after how long.
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    pub(crate) delay: Duration,
    /// What the service's clock says.
    pub(crate) date: Timestamp,
}

/// What the client sees of an answer.
pub(crate) enum Outcome {
    /// All of it.
    Whole(Reply),
    /// Its headers and the first half of its body, then the end of the connection.
    Half(Reply),
    /// The end of the connection.
    HangUp,
    /// Nothing, and the connection stays.
    Silence,
}

#[derive(Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) json: bool,
    /// The session key to use from now on.
    pub(crate) session: Option<String>,
    pub(crate) retry_after: Option<String>,
}

/// An error in Apple's words, and in ours for the log.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) why: Option<&'static str>,
}

pub(crate) fn refuse<T>(status: u16, code: &'static str) -> Result<T, Refusal> {
    Err(Refusal { status, code, why: None })
}

/// What the log wants to know of a call, found on the way.
#[derive(Default)]
pub(crate) struct Facts {
    session: Option<String>,
    pub(crate) devices_in: usize,
    pub(crate) devices_out: usize,
    pub(crate) limit: Option<i64>,
    pub(crate) cursor: Option<String>,
}

/// Answers one request, and logs it. `real` is the real time: signatures are judged by it even when the
/// simulator's clock was moved, since their makers do not know of that.
pub(crate) fn answer(state: &mut State, request: &Request, real: Timestamp) -> Answer {
    let now = state.now(real);
    let server = identify(state, request);
    let name = server.map(|at| state.servers[at].name.clone());
    let endpoint = Endpoint::of(request.method, request.path).unwrap_or(Endpoint::Unknown);
    let fault = state.faults.take(endpoint, name.as_deref(), &mut state.dice);
    let kind = fault.as_ref().map(|fault| fault.kind);
    let mut facts = Facts::default();
    let mut error = None;
    let mut done = false;

    let mut reply = match (&fault, kind) {
        (Some(fault), Some(FaultKind::Status)) => failing(fault),
        (_, Some(FaultKind::HangUp | FaultKind::Hang)) => Reply::default(),
        (_, Some(FaultKind::EndSession)) => {
            if let Some(server) = server {
                state.servers[server].session = None;
            }
            refused(&Refusal { status: 401, code: "UNAUTHORIZED", why: None }, state.settings.error_style)
        }
        _ => match carry_out(state, request, endpoint, real, verdict(&fault), &mut facts) {
            Ok(body) => {
                done = kind != Some(FaultKind::DeviceStatus);
                let json = !body.is_empty();
                Reply { status: 200, body, json, session: facts.session.take(), retry_after: None }
            }
            Err(refusal) => {
                error = Some(refusal.why.unwrap_or(refusal.code).to_owned());
                let session = facts.session.take();
                Reply { session, ..refused(&refusal, state.settings.error_style) }
            }
        },
    };
    if let Some(fault) = fault.as_ref().filter(|_| done) {
        distort(&mut reply.body, fault, facts.cursor.as_deref());
    }
    let outcome = match kind {
        Some(FaultKind::HangUp | FaultKind::HangUpAfter) => Outcome::HangUp,
        Some(FaultKind::Hang) => Outcome::Silence,
        Some(FaultKind::ResetInBody) => Outcome::Half(reply),
        _ => Outcome::Whole(reply),
    };
    state.log.push(Call {
        seq: 0,
        time: now,
        server: name,
        endpoint,
        method: request.method.into(),
        path: request.path.into(),
        status: outcome.status(),
        error: error.or_else(|| outcome.code()),
        done,
        devices_in: facts.devices_in,
        devices_out: facts.devices_out,
        limit: facts.limit,
        cursor: facts.cursor,
        version: version(request),
        fault: kind.and_then(|kind| Some(serde_json::to_value(kind).ok()?.as_str()?.to_owned())),
    });
    let slow = fault.filter(|fault| fault.kind == FaultKind::Slow).map_or(0, |fault| fault.ms);
    let delay = Duration::from_millis(state.settings.latency_ms + slow);
    Answer { outcome, delay, date: sessions::clock(&state.settings, now) }
}

impl Outcome {
    fn status(&self) -> Option<u16> {
        match self {
            Self::Whole(reply) | Self::Half(reply) => Some(reply.status),
            Self::HangUp | Self::Silence => None,
        }
    }

    /// The code in an error that was not ours to explain.
    fn code(&self) -> Option<String> {
        match self {
            Self::Whole(reply) if reply.status != 200 && !reply.body.is_empty() => {
                Some(String::from_utf8_lossy(&reply.body).trim().into())
            }
            _ => None,
        }
    }
}

fn identify(state: &State, request: &Request) -> Option<usize> {
    if request.path == "/session" {
        let signed = oauth::parse(request.authorization?).ok()?;
        state.server_of_token(&signed.token)
    } else {
        state.server_of_session(request.session?)
    }
}

/// What is to be said of every device, instead of doing anything.
fn verdict(fault: &Option<Fault>) -> Option<&str> {
    fault.as_ref().filter(|fault| fault.kind == FaultKind::DeviceStatus).map(|fault| fault.body.as_str())
}

fn failing(fault: &Fault) -> Reply {
    Reply {
        status: fault.status,
        body: fault.body.clone().into_bytes(),
        json: fault.body.starts_with(['{', '[', '"']),
        session: None,
        retry_after: fault.retry_after.clone(),
    }
}

fn refused(refusal: &Refusal, style: ErrorStyle) -> Reply {
    let code = refusal.code;
    let body = match style {
        _ if code.is_empty() => String::new(),
        ErrorStyle::Bare => code.into(),
        ErrorStyle::Quoted => format!("\"{code}\""),
        ErrorStyle::Newline => format!("{code}\n"),
        ErrorStyle::Json => json!({ "code": code }).to_string(),
    };
    let json = matches!(style, ErrorStyle::Quoted | ErrorStyle::Json);
    Reply { status: refusal.status, body: body.into_bytes(), json, session: None, retry_after: None }
}

fn version(request: &Request) -> u32 {
    request.version.and_then(|text| text.trim().parse().ok()).unwrap_or(1).min(NEWEST_VERSION)
}

fn carry_out(
    state: &mut State,
    request: &Request,
    endpoint: Endpoint,
    real: Timestamp,
    verdict: Option<&str>,
    facts: &mut Facts,
) -> Result<Vec<u8>, Refusal> {
    let version = version(request);
    let user_agent = request.user_agent.trim();
    if user_agent.is_empty() {
        return refuse(400, "USER_AGENT_MISSING");
    }
    // Well-known agents that Apple turns away once they ask for more than the first version.
    if version > 1 && ["python-requests/", "nanodep/"].iter().any(|known| user_agent.starts_with(known)) {
        return refuse(400, "USER_AGENT_INVALID");
    }
    if let Err(known_path) = Endpoint::of(request.method, request.path) {
        return refuse(if known_path { 405 } else { 404 }, "");
    }
    let now = state.now(real);
    if endpoint == Endpoint::Session {
        return sessions::open(state, request, real);
    }
    let key = request.session.filter(|key| !key.is_empty());
    let server = match key.map(|key| state.use_session(key, now.as_second())) {
        Some(Ok((server, next))) => {
            facts.session = next;
            &mut state.servers[server]
        }
        Some(Err(BadSession::Unknown)) => return refuse(403, "FORBIDDEN"),
        Some(Err(BadSession::Ended)) | None => return refuse(401, "UNAUTHORIZED"),
    };
    admit(server)?;
    let mut lookup = Lookup { server, settings: &state.settings, query: request.query, version };
    match endpoint {
        Endpoint::Account => return lookup.account(),
        Endpoint::Profile => return lookup.profile(),
        Endpoint::Replacement => return lookup.replacement(),
        Endpoint::BetaTokens => return lookup.beta_tokens(),
        Endpoint::Discovery => return lookup.discovery(),
        Endpoint::ClearDiscovery => return lookup.clear_discovery(),
        _ => {}
    }
    let Ok(Value::Object(body)) = serde_json::from_slice(request.body) else {
        return refuse(400, "MALFORMED_REQUEST_BODY");
    };
    let mut call = BodyCall { server, body, version, now, settings: &state.settings, verdict, facts };
    match endpoint {
        Endpoint::Fetch => call.fetch(),
        Endpoint::Sync => call.sync(),
        Endpoint::Details => call.details(),
        Endpoint::Disown => call.disown(),
        Endpoint::Define => call.define(),
        Endpoint::Assign => call.assign(),
        Endpoint::Clear => call.clear(),
        Endpoint::ActivationLock => call.lock(),
        Endpoint::AssignDiscovery => call.assign_discovery(),
        _ => refuse(404, ""),
    }
}

/// Whether the organisation may use the service at all.
pub(crate) fn admit(server: &Server) -> Result<(), Refusal> {
    if !server.active {
        return refuse(403, "SERVER_INACTIVE");
    }
    if !server.terms_signed { refuse(403, "T_C_NOT_SIGNED") } else { Ok(()) }
}

pub(crate) fn body(value: &impl Serialize) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(value).or(refuse(500, "Internal Server Error"))
}
