//! The baseline: one thread downloads every page over one connection, decodes it, and keeps nothing.
//!
//! It sends what a client has to send and no more, and decodes each page into a type with every field of
//! Apple's, by nothing but `serde_json`. Written here from Apple's documentation, apart from Deputy's own
//! client: a baseline that shares the client's code would become faster and slower with it.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{Client, Response};
use serde::{Deserialize, Serialize};

use crate::deputy::Access;
use crate::measure::{Meter, Usage};

const SESSION: &str = "x-adm-auth-session";

/// What is downloaded.
#[derive(Serialize, Deserialize)]
pub(crate) struct Job {
    /// With which token.
    pub(crate) access: Access,
}

/// What was downloaded.
#[derive(Serialize, Deserialize)]
pub(crate) struct Decoded {
    /// So many devices.
    pub(crate) devices: u64,
    /// In so many pages.
    pub(crate) pages: u64,
    /// How much of the time went by until the answers were there.
    pub(crate) waited: f64,
    /// By what means.
    pub(crate) usage: Usage,
}

#[derive(Deserialize)]
struct Page {
    cursor: Option<String>,
    devices: Vec<Device>,
    #[serde(default)]
    more_to_follow: bool,
}

/// (Apple: "Device".)
#[derive(Deserialize)]
#[allow(dead_code, reason = "decoded and dropped, which is the whole work")]
struct Device {
    serial_number: String,
    model: Option<String>,
    description: Option<String>,
    color: Option<String>,
    asset_tag: Option<String>,
    os: Option<String>,
    device_family: Option<String>,
    profile_status: Option<String>,
    profile_uuid: Option<String>,
    profile_assign_time: Option<String>,
    profile_push_time: Option<String>,
    device_assigned_by: Option<String>,
    device_assigned_date: Option<String>,
    mdm_migration_deadline: Option<String>,
    wifi_mac_address: Option<String>,
    bluetooth_mac_address: Option<String>,
    ethernet_mac_address: Option<String>,
    imei: Option<Vec<String>>,
    meid: Option<Vec<String>>,
    eid: Option<String>,
    is_replacement_device: Option<bool>,
    released_by_replacement: Option<bool>,
    op_type: Option<String>,
    op_date: Option<String>,
    response_status: Option<String>,
}

/// Does it, in this process.
pub(crate) fn decode(job: Job) -> anyhow::Result<Decoded> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(pages(&job.access))
}

async fn pages(access: &Access) -> anyhow::Result<Decoded> {
    let meter = Meter::start();
    let headers = HeaderMap::from_iter([
        (USER_AGENT, HeaderValue::from_static("deputy-bench/0")),
        (CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF8")),
        ("x-server-protocol-version".parse()?, HeaderValue::from_static("10")),
    ]);
    let http = Client::builder().default_headers(headers).http1_only().build().context("no HTTP client")?;
    let mut session = open_session(&http, access).await?;
    let url = format!("{}/server/devices", access.apple_url);
    let (mut devices, mut pages, mut waited) = (0, 0, Duration::ZERO);
    let mut cursor: Option<String> = None;
    loop {
        #[derive(Serialize)]
        struct Ask<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            cursor: Option<&'a str>,
            limit: u32,
        }
        let ask = serde_json::to_vec(&Ask { cursor: cursor.as_deref(), limit: access.page_limit })?;
        let asked = Instant::now();
        let answer = http.post(&url).header(SESSION, &session).body(ask).send().await;
        let answer = answer.and_then(Response::error_for_status).context("no page of devices")?;
        // Apple changes the session's key every few answers.
        if let Some(next) = answer.headers().get(SESSION) {
            session = next.clone();
        }
        let body = answer.bytes().await.context("a page of devices broke off")?;
        waited += asked.elapsed();
        let page: Page = serde_json::from_slice(&body).context("a page of devices is none")?;
        pages += 1;
        devices += std::hint::black_box(&page.devices).len() as u64;
        if !page.more_to_follow {
            return Ok(Decoded { devices, pages, waited: waited.as_secs_f64(), usage: meter.read() });
        }
        cursor = page.cursor;
    }
}

/// (Apple: "Authenticating for Automated Device Enrollment".)
async fn open_session(http: &Client, access: &Access) -> anyhow::Result<HeaderValue> {
    #[derive(Deserialize)]
    struct Answer {
        auth_session_token: String,
    }
    let url = format!("{}/session", access.apple_url);
    let answer = http.get(&url).header(AUTHORIZATION, signature(&url, &access.credentials)?).send().await;
    let answer = answer.and_then(Response::error_for_status).context("no session")?;
    let answer: Answer = answer.json().await.context("the answer holds no session")?;
    Ok(answer.auth_session_token.parse()?)
}

/// OAuth 1.0a: HMAC-SHA1 over the URL and the parameters, under both secrets.
fn signature(url: &str, credentials: &str) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Credentials {
        consumer_key: String,
        consumer_secret: String,
        access_token: String,
        access_secret: String,
    }
    let token: Credentials = serde_json::from_str(credentials).context("these are no credentials")?;
    let mut nonce = [0; 16];
    openssl::rand::rand_bytes(&mut nonce)?;
    let parameters = [
        ("oauth_consumer_key", token.consumer_key),
        ("oauth_nonce", nonce.map(|byte| format!("{byte:02x}")).concat()),
        ("oauth_signature_method", "HMAC-SHA1".to_owned()),
        ("oauth_timestamp", jiff::Timestamp::now().as_second().to_string()),
        ("oauth_token", token.access_token),
        ("oauth_version", "1.0".to_owned()),
    ];
    let signed = parameters.each_ref().map(|(name, value)| format!("{name}={}", encode(value))).join("&");
    let key = format!("{}&{}", encode(&token.consumer_secret), encode(&token.access_secret));
    let key = PKey::hmac(key.as_bytes())?;
    let text = format!("GET&{}&{}", encode(url), encode(&signed));
    let signature = Signer::new(MessageDigest::sha1(), &key)?.sign_oneshot_to_vec(text.as_bytes())?;
    let shown = parameters.map(|(name, value)| format!("{name}=\"{}\"", encode(&value))).join(", ");
    let signature = encode(&BASE64_STANDARD.encode(signature));
    Ok(format!("OAuth realm=\"ADM\", {shown}, oauth_signature=\"{signature}\""))
}

/// RFC 3986: everything but letters, digits and `-._~`.
fn encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}
