//! A client of Apple's service with nothing clever in it: it signs, sends, and shows what came back.
//!
//! Shares no code with the simulator, so that a mistake in one is not a mistake in both.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::cms::CmsContentInfo;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::sign::Signer;
use openssl::x509::{X509, X509NameBuilder};
use serde_json::Value;
use sim::Sim;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) struct Client {
    pub(crate) url: String,
    pub(crate) token: Value,
    pub(crate) version: u32,
    pub(crate) session: Mutex<Option<String>>,
    http: reqwest::Client,
    nonce: AtomicU32,
}

/// What came back, in one line: the status and the body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) retry_after: Option<String>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The status, and the code of an error.
    pub(crate) fn short(&self) -> String {
        if self.status == 200 { "200".into() } else { format!("{} {}", self.status, self.text) }
    }
}

impl Client {
    /// Uploads a certificate, downloads the token file and opens it, all over HTTP.
    pub(crate) async fn new(sim: &Sim, server: &str) -> Self {
        Self::with(sim, server, "").await
    }

    pub(crate) async fn with(sim: &Sim, server: &str, query: &str) -> Self {
        let (key, certificate) = key_pair();
        let http = reqwest::Client::new();
        let path = format!("{}/sim/servers/{server}/token?{query}", sim.url());
        let upload = http.post(path).body(certificate.to_pem().unwrap());
        let file = upload.send().await.unwrap().error_for_status().unwrap().text().await.unwrap();
        let token = open(&file, &key, &certificate);
        Self { url: sim.url(), token, version: 10, session: Mutex::new(None), http, nonce: AtomicU32::new(0) }
    }

    pub(crate) fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Opens a session and keeps its key.
    pub(crate) async fn log_in(&self) -> Answer {
        let nonce = self.nonce.fetch_add(1, Ordering::Relaxed).to_string();
        let answer = self.log_in_with(&self.sign(&nonce, Timestamp::now().as_second())).await;
        if answer.status == 200 {
            let key = answer.json()["auth_session_token"].as_str().unwrap().to_owned();
            *self.session.lock().unwrap() = Some(key);
        }
        answer
    }

    pub(crate) async fn log_in_with(&self, authorization: &str) -> Answer {
        let request = self.http.get(format!("{}/session", self.url)).header("Authorization", authorization);
        self.send(request.header("User-Agent", "over-http/1")).await.unwrap()
    }

    pub(crate) fn sign(&self, nonce: &str, timestamp: i64) -> String {
        let get = |member: &str| self.token[member].as_str().unwrap();
        let parameters = format!(
            "oauth_consumer_key={}&oauth_nonce={nonce}&oauth_signature_method=HMAC-SHA1&oauth_timestamp={timestamp}\
             &oauth_token={}&oauth_version=1.0",
            get("consumer_key"),
            get("access_token")
        );
        let escape = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let base = format!("GET&{}&{}", escape(&format!("{}/session", self.url)), escape(&parameters));
        let key = format!("{}&{}", get("consumer_secret"), get("access_secret"));
        let key = PKey::hmac(key.as_bytes()).unwrap();
        let mut signer = Signer::new(MessageDigest::sha1(), &key).unwrap();
        let signature = escape(&BASE64.encode(signer.sign_oneshot_to_vec(base.as_bytes()).unwrap()));
        let quoted = parameters.split('&').map(|pair| format!("{}\"", pair.replacen('=', "=\"", 1)));
        let quoted = quoted.collect::<Vec<_>>().join(", ");
        format!("OAuth realm=\"ADM\", {quoted}, oauth_signature=\"{signature}\"")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, "").await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, &body.to_string()).await.unwrap()
    }

    /// One call within the session; adopts the key that the answer brings.
    pub(crate) async fn call(&self, method: &str, path: &str, body: &str) -> Result<Answer, reqwest::Error> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.url))
            .header("User-Agent", "over-http/1")
            .body(body.to_owned());
        if let Some(key) = self.session.lock().unwrap().clone() {
            request = request.header("X-ADM-Auth-Session", key);
        }
        self.send(request).await
    }

    /// A call of the control side.
    pub(crate) async fn control(&self, method: &str, path: &str, body: &str) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.http.request(method, format!("{}/sim{path}", self.url)).body(body.to_owned());
        self.send(request).await.unwrap()
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
        let response = request.header("X-Server-Protocol-Version", self.version).send().await?;
        let header = |name: &str| Some(response.headers().get(name)?.to_str().unwrap().to_owned());
        if let Some(key) = header("X-ADM-Auth-Session") {
            *self.session.lock().unwrap() = Some(key);
        }
        let (status, retry_after) = (response.status().as_u16(), header("Retry-After"));
        Ok(Answer { status, retry_after, text: response.text().await? })
    }
}

/// A key and a certificate as clients make them for the portal.
pub(crate) fn key_pair() -> (PKey<Private>, X509) {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "over-http").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    (key, builder.build())
}

fn open(file: &str, key: &PKey<Private>, certificate: &X509) -> Value {
    let (_, body) =
        file.replace("\r\n", "\n").split_once("\n\n").map(|(h, b)| (h.to_owned(), b.to_owned())).unwrap();
    let bytes = BASE64.decode(body.replace('\n', "")).unwrap();
    let plain = CmsContentInfo::from_der(&bytes).unwrap().decrypt(key, certificate).unwrap();
    let plain = String::from_utf8(plain).unwrap();
    let json = &plain[plain.find('{').unwrap()..=plain.rfind('}').unwrap()];
    serde_json::from_str(json).unwrap()
}
