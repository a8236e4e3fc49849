//! `deputy.toml` as it is typed: every key, with the words that editors show for it.

use std::collections::BTreeMap;

use domain::document::Version1;
use domain::workflow::DefaultsTable;
use schemars::JsonSchema;
use serde::Deserialize;

use super::freezes::FreezeTable;
use super::keep::KeepTable;
use super::limits::LimitsTable;

/// Deputy's configuration. It may hold the password of a proxy or the address of a webhook, so it is not printed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Deputy configuration")]
pub(crate) struct ConfigFile {
    #[allow(dead_code, reason = "read for its check alone")]
    pub(super) version: Version1,
    /// Where Deputy remembers.
    #[serde(default)]
    pub(super) store: StoreTable,
    /// Where the key is that seals secrets. One of the keys.
    #[serde(default)]
    pub(super) secrets: SecretsTable,
    /// How long, and how much, is kept.
    #[serde(default)]
    pub(super) keep: KeepTable,
    /// Windows in which nothing is changed at Apple.
    #[serde(default)]
    pub(super) freezes: Vec<FreezeTable>,
    /// How Apple's service is reached.
    #[serde(default)]
    pub(super) apple: AppleTable,
    /// The server tokens, by the name you give them.
    #[serde(default)]
    pub(super) tokens: BTreeMap<String, TokenTable>,
    /// The policies, by the name you give them.
    #[serde(default)]
    pub(super) plugins: BTreeMap<String, PluginTable>,
    /// What policies may look things up in, by the name you give it.
    #[serde(default)]
    pub(super) tables: BTreeMap<String, TableTable>,
    /// Lists of devices that are expected, by the name you give them. `expected.NAME` is a policy that a step
    /// `decide` can ask: the devices in the list get what it says, those that are not in it are left to others.
    #[serde(default)]
    pub(super) expected: BTreeMap<String, ExpectedTable>,
    /// Where messages go, by the name you give it.
    #[serde(default)]
    pub(super) channels: BTreeMap<String, ChannelTable>,
    /// What holds for every workflow that says nothing else.
    #[serde(default)]
    pub(super) defaults: DefaultsTable,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StoreTable {
    /// The database file. Default: `state/deputy.db`.
    #[serde(default)]
    pub(super) path: Option<String>,
    /// No run begins while its disk has less free. Default: `64MiB`.
    #[serde(default)]
    #[schemars(example = "1GiB")]
    pub(super) min_free: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretsTable {
    /// A file with the key, readable by its owner alone. Default: `state/deputy.key`.
    #[serde(default)]
    pub(super) key_file: Option<String>,
    /// An environment variable with the key.
    #[serde(default)]
    pub(super) env: Option<String>,
    /// A systemd credential with the key.
    #[serde(default)]
    pub(super) credential: Option<String>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AppleTable {
    /// The proxy to go out through, such as `http://proxy.example.com:3128`, with `USER:PASSWORD@`
    /// before the host if it asks for them; or `none`. Default: what `HTTPS_PROXY`, `HTTP_PROXY`,
    /// `ALL_PROXY` and `NO_PROXY` say.
    #[serde(default)]
    pub(super) proxy: Option<String>,
    /// A file of certificates (PEM) to trust besides the system's: those of a proxy that looks into
    /// TLS.
    #[serde(default)]
    #[schemars(example = "certs/company-ca.pem")]
    pub(super) ca_file: Option<String>,
    /// How long connecting may take. Default: `10s`.
    #[serde(default)]
    pub(super) connect_timeout: Option<String>,
    /// How long to wait for the next piece of an answer. Default: `60s`.
    #[serde(default)]
    pub(super) read_timeout: Option<String>,
    /// How long one call may take, all in all. Default: `5m`.
    #[serde(default)]
    pub(super) call_timeout: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenTable {
    /// Where Apple's service is, if not at Apple: a simulator or a proxy.
    #[serde(default)]
    pub(super) apple_url: Option<String>,
    /// Whom reminders about this token are for. They are part of every reminder.
    #[serde(default)]
    pub(super) contacts: Vec<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PluginTable {
    /// The component file.
    #[schemars(example = "plugins/rules.wasm")]
    pub(super) path: String,
    /// The SHA-256 of that file. A file that has changed is not run.
    #[serde(default)]
    pub(super) sha256: Option<String>,
    /// What it may use.
    #[serde(default)]
    pub(super) limits: LimitsTable,
    /// What it is given beyond the devices.
    #[serde(default)]
    pub(super) grants: GrantsTable,
    /// What it is told; the plugin itself says what is right.
    #[serde(default)]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub(super) settings: toml::Table,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantsTable {
    /// The tables it may look into, if it asks for them.
    #[serde(default)]
    #[schemars(example = ["assets"])]
    pub(super) tables: Vec<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TableTable {
    /// A CSV file whose first line names the columns. It is read again when it has changed.
    #[schemars(example = "tables/assets.csv")]
    pub(super) csv: String,
    /// The column that rows are looked up by. Two rows may not have the same key.
    #[schemars(example = &"serial_number")]
    pub(super) key: String,
    /// What stands between two cells: one character, such as `;` or `\t`. Default: `,`.
    #[serde(default)]
    pub(super) delimiter: Option<String>,
    /// How its text is encoded. Default: `utf-8`.
    #[serde(default)]
    pub(super) encoding: EncodingWord,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedTable {
    /// A CSV file with the columns `serial_number`, `profile`, `due` (a day such as 2026-02-01) and `note`; only the
    /// first must be there. It is read again when it has changed.
    #[schemars(example = "tables/spring-order.csv")]
    pub(super) csv: String,
    /// What stands between two cells: one character, such as `;` or `\t`. Default: `,`.
    #[serde(default)]
    pub(super) delimiter: Option<String>,
    /// How its text is encoded. Default: `utf-8`.
    #[serde(default)]
    pub(super) encoding: EncodingWord,
    /// The token that the devices are to come to. Default: any.
    #[serde(default)]
    pub(super) token: Option<String>,
    /// Who is told of devices that are late, and that they came: channels. Default: all.
    #[serde(default)]
    pub(super) channels: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum EncodingWord {
    /// UTF-8.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// What Excel on Windows calls `CSV (comma delimited)`; also Latin-1.
    #[serde(rename = "windows-1252")]
    Windows1252,
}

/// A way to reach people. What lets somebody write there is a secret, and not printed.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum ChannelTable {
    /// Deputy's own log.
    Log {},
    /// Mail, by a mail server of yours.
    Email {
        /// The mail server.
        #[schemars(example = "smtp.example.com")]
        host: String,
        /// Its port. Default: 587 for `starttls`, 465 for `implicit`, 25 for `none`.
        #[serde(default)]
        port: Option<u16>,
        /// How the connection is protected. Default: `starttls`, and nothing is said before it is.
        #[serde(default)]
        tls: Option<TlsWord>,
        /// A file of certificates (PEM) to trust besides the system's.
        #[serde(default)]
        ca_file: Option<String>,
        /// Who we are to the server, if it wants to know.
        #[serde(default)]
        user: Option<String>,
        /// Where the password of that user is.
        #[serde(default)]
        password_from: Option<SecretTable>,
        /// The name we greet the server with. Default: the domain of `from`.
        #[serde(default)]
        hello: Option<String>,
        /// How long one mail may take, all in all. Default: `60s`.
        #[serde(default)]
        timeout: Option<String>,
        /// Who writes: an address, or `Name <address>`.
        #[schemars(example = "Deputy <deputy@example.com>")]
        from: String,
        /// Who gets the answers, if not who writes.
        #[serde(default)]
        reply_to: Option<String>,
        /// Who gets every message.
        #[serde(default)]
        to: Vec<String>,
        /// Whether the contacts of a token get the messages about that token. Default: `false`.
        #[serde(default)]
        contacts: bool,
    },
    /// A chat in Slack, by an incoming webhook.
    Slack {
        /// The webhook's address. Whoever has it can write there: `url_from` keeps it elsewhere.
        #[serde(default)]
        url: Option<String>,
        /// Where the address is.
        #[serde(default)]
        url_from: Option<SecretTable>,
        /// The proxy to go out through, or `none`. Default: what `HTTPS_PROXY` and the like say.
        #[serde(default)]
        proxy: Option<String>,
        /// A file of certificates (PEM) to trust besides the system's.
        #[serde(default)]
        ca_file: Option<String>,
        /// How long one message may take, all in all. Default: `30s`.
        #[serde(default)]
        timeout: Option<String>,
    },
    /// A chat in Teams, by a workflow that posts what a webhook receives.
    Teams {
        /// The webhook's address. Whoever has it can write there: `url_from` keeps it elsewhere.
        #[serde(default)]
        url: Option<String>,
        /// Where the address is.
        #[serde(default)]
        url_from: Option<SecretTable>,
        /// The proxy to go out through, or `none`. Default: what `HTTPS_PROXY` and the like say.
        #[serde(default)]
        proxy: Option<String>,
        /// A file of certificates (PEM) to trust besides the system's.
        #[serde(default)]
        ca_file: Option<String>,
        /// How long one message may take, all in all. Default: `30s`.
        #[serde(default)]
        timeout: Option<String>,
    },
    /// A `POST` of the message as JSON.
    Webhook {
        /// The address. If whoever has it can write there, `url_from` keeps it elsewhere.
        #[serde(default)]
        url: Option<String>,
        /// Where the address is.
        #[serde(default)]
        url_from: Option<SecretTable>,
        /// Where the secret is that messages are signed with. Default: they are not.
        #[serde(default)]
        secret_from: Option<SecretTable>,
        /// The proxy to go out through, or `none`. Default: what `HTTPS_PROXY` and the like say.
        #[serde(default)]
        proxy: Option<String>,
        /// A file of certificates (PEM) to trust besides the system's.
        #[serde(default)]
        ca_file: Option<String>,
        /// How long one message may take, all in all. Default: `30s`.
        #[serde(default)]
        timeout: Option<String>,
    },
    /// A program of yours, with the message as JSON on its standard input.
    Command {
        /// The program and what it is given; no shell reads it.
        #[schemars(example = ["/usr/local/bin/page", "--team", "it"])]
        command: Vec<String>,
        /// How long it may take. Default: `30s`.
        #[serde(default)]
        timeout: Option<String>,
    },
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum TlsWord {
    /// It begins in the clear and is protected before anything is said.
    Starttls,
    /// It is protected from the first byte.
    Implicit,
    /// It is not.
    None,
}

/// Where a secret is. One of the keys.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SecretTable {
    /// A file that not everybody can read.
    #[serde(default)]
    pub(super) file: Option<String>,
    /// An environment variable.
    #[serde(default)]
    pub(super) env: Option<String>,
    /// A systemd credential.
    #[serde(default)]
    pub(super) credential: Option<String>,
}
