//! The control side over HTTP: what is under a server's devices, their locks and their assignments.

use crate::api::{Answer, Asked, done, ok, read, yes};
use crate::control::{Control, Error};
use crate::state::AssignStatus;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::{delete, get, post};
use serde::Deserialize;
use serde_json::{Value, json};

pub(crate) fn routes() -> Router<Control> {
    Router::new()
        .route("/servers/{name}/devices", get(list_devices).post(add_devices))
        .route(
            "/servers/{name}/devices/{serial}",
            get(show_device).patch(change_device).delete(remove_device),
        )
        .route("/servers/{name}/assign-answers", post(answer_assignments))
        .route("/servers/{name}/devices/{serial}/move", post(move_device))
        .route("/servers/{name}/devices/{serial}/replace", post(replace_device))
        .route("/servers/{name}/throttled", get(list_throttled))
        .route("/servers/{name}/assignments", get(list_assignments))
        .route("/servers/{name}/locks", get(list_locks).post(lock))
        .route("/servers/{name}/locks/{serial}", delete(unlock))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    #[serde(default)]
    offset: usize,
    #[serde(default = "thousand")]
    limit: usize,
}

fn thousand() -> usize {
    1000
}

async fn list_devices(
    State(control): State<Control>,
    Path(name): Path<String>,
    Asked(part): Asked<Part>,
) -> Answer {
    ok(control.devices_from(&name, part.offset, part.limit)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Generate {
    count: usize,
    #[serde(default)]
    seed: u64,
}

/// How many devices one request may generate: what the serial numbers of one seed suffice for.
const MOST_GENERATED: usize = 10_000_000;

async fn add_devices(State(control): State<Control>, Path(name): Path<String>, body: Bytes) -> Answer {
    let devices = match read::<Value>(&body)? {
        Value::Array(devices) => devices,
        Value::Object(fields) if fields.contains_key("count") => {
            let Generate { count, seed } = read(&body)?;
            if count > MOST_GENERATED {
                return Err(Error::BadRequest(format!("`count` can be {MOST_GENERATED} at most")));
            }
            let first = control.generate_devices(&name, count.min(100), seed)?;
            control.generate_fleet(&name, count - first.len(), seed)?;
            let first = first.iter().map(|serial| &**serial).collect::<Vec<_>>();
            return ok(json!({ "added": count, "first_serial_numbers": first }));
        }
        device => vec![device],
    };
    ok(json!({ "added": control.add_devices(&name, &devices)? }))
}

async fn show_device(State(control): State<Control>, Path((name, serial)): Path<(String, String)>) -> Answer {
    ok(control.device(&name, &serial)?)
}

async fn change_device(
    State(control): State<Control>,
    Path((name, serial)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    control.change_device(&name, &serial, &read(&body)?)?;
    ok(control.device(&name, &serial)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Removal {
    #[serde(default = "yes")]
    record: bool,
}

async fn remove_device(
    State(control): State<Control>,
    Path((name, serial)): Path<(String, String)>,
    Asked(removal): Asked<Removal>,
) -> Answer {
    control.remove_device(&name, &serial, removal.record)?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AssignAnswers {
    serial_numbers: Vec<String>,
    status: AssignStatus,
    #[serde(default = "once")]
    times: u32,
    #[serde(default = "an_hour")]
    retry_after_seconds: u64,
}

fn once() -> u32 {
    1
}

fn an_hour() -> u64 {
    3600
}

async fn answer_assignments(State(control): State<Control>, Path(name): Path<String>, body: Bytes) -> Answer {
    let AssignAnswers { serial_numbers, status, times, retry_after_seconds } = read(&body)?;
    let serials = serial_numbers.iter().map(String::as_str).collect::<Vec<_>>();
    control.answer_assignments(&name, &serials, status, times, retry_after_seconds)?;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    to: String,
}

async fn move_device(
    State(control): State<Control>,
    Path((name, serial)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let Move { to } = read(&body)?;
    control.move_device(&serial, &name, &to)?;
    ok(control.device(&to, &serial)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replace {
    by: String,
}

async fn replace_device(
    State(control): State<Control>,
    Path((name, serial)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let Replace { by } = read(&body)?;
    control.replace_device(&name, &serial, &by)?;
    ok(control.device(&name, &by)?)
}

async fn list_throttled(State(control): State<Control>, Path(name): Path<String>) -> Answer {
    ok(control.throttled(&name)?)
}

async fn list_assignments(State(control): State<Control>, Path(name): Path<String>) -> Answer {
    ok(control.assignments_of(&name)?)
}

async fn list_locks(State(control): State<Control>, Path(name): Path<String>) -> Answer {
    ok(control.locks(&name)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserLock {
    serial_number: String,
}

async fn lock(State(control): State<Control>, Path(name): Path<String>, body: Bytes) -> Answer {
    control.lock_by_user(&name, &read::<UserLock>(&body)?.serial_number)?;
    ok(control.locks(&name)?)
}

async fn unlock(State(control): State<Control>, Path((name, serial)): Path<(String, String)>) -> Answer {
    match control.unlock(&name, &serial)? {
        true => done(),
        false => Err(Error::BadRequest(format!("device `{serial}` is not locked"))),
    }
}
