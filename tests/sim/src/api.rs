//! The control side over HTTP, under `/sim`: the same as `Control`, for people and other programs.
//!
//! No authentication, so only callers on this machine are let in, whatever address we listen on. Errors
//! are JSON with an `error` that says what to do differently.

use crate::api_devices;
use crate::control::{Control, Error};
use crate::endpoint::Endpoint;
use crate::faults::Fault;
use crate::http::Peer;
use crate::info::ServerChange;
use crate::portal::TokenOptions;
use crate::state::ServerOptions;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequestParts, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(crate) type Answer = Result<Response, Error>;

pub(crate) fn routes() -> Router<Control> {
    api_devices::routes()
        .route("/", get(help))
        .route("/servers", get(list_servers).post(create_server))
        .route("/servers/{name}", get(show_server).patch(change_server))
        .route("/servers/{name}/token", post(make_token).delete(revoke_token))
        .route("/servers/{name}/terms", post(sign_terms))
        .route("/servers/{name}/session", axum::routing::delete(end_session))
        .route("/servers/{name}/profiles", get(list_profiles))
        .route("/sessions", axum::routing::delete(forget_sessions))
        .route("/calls", get(list_calls).delete(clear_calls))
        .route("/counters", get(counters))
        .route("/faults", get(list_faults).post(set_faults).delete(clear_faults))
        .route("/settings", get(settings).patch(change_settings))
        .route("/clock", get(clock).post(advance_clock))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn(only_this_machine))
}

const HELP: &str = "\
The control side of the simulator. Apple's side is at the root of the same address.

GET    /sim/servers                             every server entry
POST   /sim/servers                             {name, org_name?, admin_id?, page_limit?, terms_signed?,
                                                 org_type?, beta_access?}
GET    /sim/servers/NAME
PATCH  /sim/servers/NAME                        {page_limit?, terms_signed?, active?, org_name?, admin_id?,
                                                 org_type?, beta_access?, token_state?}
DELETE /sim/servers/NAME/token                  revokes it
POST   /sim/servers/NAME/token                  a PEM certificate; ?expires_in_days= ?expires= ?der= ?crlf= ?markers=
POST   /sim/servers/NAME/terms                  {signed}
DELETE /sim/servers/NAME/session                its key is UNAUTHORIZED from now on
GET    /sim/servers/NAME/devices                ?offset= ?limit=
POST   /sim/servers/NAME/devices                a device, a list of them, or {count, seed?}
GET    /sim/servers/NAME/devices/SERIAL
PATCH  /sim/servers/NAME/devices/SERIAL         any fields; null takes one away
DELETE /sim/servers/NAME/devices/SERIAL         ?record=false leaves no `deleted` record
POST   /sim/servers/NAME/devices/SERIAL/move    {to}: to another server
POST   /sim/servers/NAME/devices/SERIAL/replace {by}: Apple replaces it by a new device
GET    /sim/servers/NAME/assignments            how often each device was assigned a profile
GET    /sim/servers/NAME/throttled              devices that are refused a profile, and until when
GET    /sim/servers/NAME/locks                  Activation Locks
POST   /sim/servers/NAME/locks                  {serial_number}: its user locks it
DELETE /sim/servers/NAME/locks/SERIAL
POST   /sim/servers/NAME/assign-answers         {serial_numbers, status, times?, retry_after_seconds?}
GET    /sim/servers/NAME/profiles
DELETE /sim/sessions                            all keys are FORBIDDEN from now on
GET    /sim/calls                               ?server= ?endpoint= ?since=
DELETE /sim/calls
GET    /sim/counters
GET    /sim/faults
POST   /sim/faults                              {kind, endpoint?, server?, status?, body?, retry_after?, ms?,
                                                 fields?, times?, after?, probability?}, or a list of them, or
                                                 {name} as Apple's own simulator has it: bad_request_invalid_cursor,
                                                 forbidden_t_c_not_signed, too_many_requests, not_accessible, …
DELETE /sim/faults
GET    /sim/settings
PATCH  /sim/settings                            any of those; the others stay
GET    /sim/clock
POST   /sim/clock                               {advance_seconds}
";

pub(crate) async fn help() -> &'static str {
    HELP
}

async fn only_this_machine(request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<Peer>>();
    if peer.is_some_and(|ConnectInfo(peer)| peer.address.ip().to_canonical().is_loopback()) {
        return next.run(request).await;
    }
    let error = json!({ "error": "the control side answers only callers on the same machine" });
    (StatusCode::FORBIDDEN, Json(error)).into_response()
}

async fn unknown() -> Response {
    let error = json!({ "error": "no such path here; `GET /sim/` lists those there are" });
    (StatusCode::NOT_FOUND, Json(error)).into_response()
}

async fn wrong_method() -> Response {
    let error = json!({ "error": "no such method at this path; `GET /sim/` lists those there are" });
    (StatusCode::METHOD_NOT_ALLOWED, Json(error)).into_response()
}

async fn list_servers(State(control): State<Control>) -> Answer {
    ok(control.servers())
}

async fn create_server(State(control): State<Control>, body: Bytes) -> Answer {
    let options: ServerOptions = read(&body)?;
    if options.name.trim().is_empty() {
        return Err(Error::BadRequest("`name` must not be empty".into()));
    }
    ok(control.create_server(options))
}

async fn show_server(State(control): State<Control>, Path(name): Path<String>) -> Answer {
    ok(control.server(&name)?)
}

async fn change_server(State(control): State<Control>, Path(name): Path<String>, body: Bytes) -> Answer {
    ok(control.change_server(&name, read::<ServerChange>(&body)?)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenQuery {
    expires: Option<Timestamp>,
    expires_in_days: Option<i64>,
    #[serde(default)]
    der: bool,
    #[serde(default)]
    crlf: bool,
    #[serde(default = "yes")]
    markers: bool,
}

pub(crate) fn yes() -> bool {
    true
}

async fn make_token(
    State(control): State<Control>,
    Path(name): Path<String>,
    Asked(query): Asked<TokenQuery>,
    body: Bytes,
) -> Answer {
    let in_days = query
        .expires_in_days
        .map(|days| {
            let later = control.now().checked_add(SignedDuration::from_secs(days.saturating_mul(86_400)));
            later.map_err(|error| Error::BadRequest(format!("`expires_in_days`: {error}")))
        })
        .transpose()?;
    let TokenQuery { expires, der, crlf, markers, .. } = query;
    let options = TokenOptions { expires: expires.or(in_days), der, crlf, markers };
    let file = control.token(&name, &body, &options)?;
    let disposition = format!("attachment; filename=\"{}\"", file.file_name);
    let headers = [
        (header::CONTENT_TYPE, "application/pkcs7-mime".to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, file.content).into_response())
}

async fn revoke_token(State(control): State<Control>, Path(name): Path<String>) -> Answer {
    control.revoke_token(&name)?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Terms {
    signed: bool,
}

async fn sign_terms(State(control): State<Control>, Path(name): Path<String>, body: Bytes) -> Answer {
    control.sign_terms(&name, read::<Terms>(&body)?.signed)?;
    ok(control.server(&name)?)
}

async fn end_session(State(control): State<Control>, Path(name): Path<String>) -> Answer {
    control.end_session(&name)?;
    done()
}

async fn forget_sessions(State(control): State<Control>) -> Answer {
    control.forget_sessions();
    done()
}

async fn list_profiles(State(control): State<Control>, Path(name): Path<String>) -> Answer {
    ok(control.profiles(&name)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    server: Option<String>,
    endpoint: Option<Endpoint>,
    #[serde(default)]
    since: u64,
}

async fn list_calls(State(control): State<Control>, Asked(filter): Asked<Filter>) -> Answer {
    let mut calls = control.calls();
    calls.retain(|call| {
        call.seq > filter.since
            && filter.endpoint.is_none_or(|only| only == call.endpoint)
            && filter.server.as_ref().is_none_or(|only| Some(only) == call.server.as_ref())
    });
    ok(calls)
}

async fn clear_calls(State(control): State<Control>) -> Answer {
    control.clear_calls();
    done()
}

async fn counters(State(control): State<Control>) -> Answer {
    ok(control.counters())
}

async fn list_faults(State(control): State<Control>) -> Answer {
    ok(control.faults())
}

/// One fault, or a list of them: all or none.
async fn set_faults(State(control): State<Control>, body: Bytes) -> Answer {
    let faults = match read::<Value>(&body)? {
        Value::Array(faults) => faults,
        fault => vec![fault],
    };
    let faults = faults.into_iter().map(|fault| match fault {
        Value::Object(members) => Fault::from_json(members),
        _ => Err("a fault is a JSON object".into()),
    });
    let faults = faults.collect::<Result<Vec<_>, _>>().map_err(|why| Error::BadRequest(not_right(why)))?;
    faults.into_iter().for_each(|fault| control.fault(fault));
    ok(control.faults())
}

async fn clear_faults(State(control): State<Control>) -> Answer {
    control.clear_faults();
    done()
}

async fn settings(State(control): State<Control>) -> Answer {
    ok(control.settings())
}

/// What is not given stays: the changes are laid over the settings as they are.
async fn change_settings(State(control): State<Control>, body: Bytes) -> Answer {
    let settings = control.settings().with(read(&body)?);
    let settings = settings.map_err(|error| Error::BadRequest(not_right(error)))?;
    control.set_settings(settings.clone());
    ok(settings)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_seconds: i64,
}

async fn clock(State(control): State<Control>) -> Answer {
    ok(json!({ "now": control.now() }))
}

async fn advance_clock(State(control): State<Control>, body: Bytes) -> Answer {
    let by = SignedDuration::from_secs(read::<Advance>(&body)?.advance_seconds);
    ok(json!({ "now": control.advance_clock(by) }))
}

/// The query of a request; what is wrong with it is told like any other mistake.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Control> for Asked<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &Control) -> Result<Self, Error> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        query.map(|Query(query)| Self(query)).map_err(|error| Error::BadRequest(error.body_text()))
    }
}

/// Reads JSON whatever its content type says, so that `curl -d` needs no header.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| Error::BadRequest(not_right(error)))
}

fn not_right(why: impl std::fmt::Display) -> String {
    format!("the body is not right: {why}")
}

pub(crate) fn ok(value: impl serde::Serialize) -> Answer {
    Ok(Json(value).into_response())
}

pub(crate) fn done() -> Answer {
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match &self {
            Error::NoServer(_) | Error::NoDevice { .. } => StatusCode::NOT_FOUND,
            Error::DeviceExists { .. } => StatusCode::CONFLICT,
            Error::BadSerial | Error::BadField(_) | Error::BadRequest(_) | Error::Token { .. } => {
                StatusCode::BAD_REQUEST
            }
            Error::Listen { .. } | Error::Thread(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let error = crate::chain(&self);
        (status, Json(json!({ "error": error }))).into_response()
    }
}
