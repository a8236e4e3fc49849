//! What the operator's files mean, ready to be worked with.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::id::{ChannelName, PluginName, ProfileName, TokenName, WorkflowName};
use domain::policy::Policy;
use domain::profile::Definition;
use domain::workflow::Workflow;
use url::Url;

use crate::apple::{Credentials, Network, Options};
use crate::channel::Channel;

/// Everything that is configured. A plugin that cannot be used is in it with the reason: it costs
/// its own workflows, not the others.
#[derive(Clone, Default)]
pub struct Settings {
    /// The tokens, imported or not.
    pub tokens: BTreeMap<TokenName, TokenSettings>,
    /// The enrolment profiles, as Apple is to know them.
    pub profiles: BTreeMap<ProfileName, Definition>,
    /// The policies.
    pub policies: BTreeMap<PluginName, Result<Arc<dyn Policy>, Unusable>>,
    /// Where messages go.
    pub channels: BTreeMap<ChannelName, Channel>,
    /// What is done, and when.
    pub workflows: BTreeMap<WorkflowName, Arc<Workflow>>,
}

/// What is configured of a token.
#[derive(Clone, Debug)]
pub struct TokenSettings {
    /// Where Apple's service is.
    pub apple_url: Url,
    /// How to get there.
    pub network: Network,
    /// Whom reminders are for.
    pub contacts: Vec<String>,
}

/// Why a plugin cannot be used.
#[derive(Clone, Debug)]
pub struct Unusable {
    /// What is wrong.
    pub error: String,
    /// What to do.
    pub hint: Option<String>,
}

impl TokenSettings {
    /// What the client of a token is made of.
    pub(crate) fn options(&self, name: &TokenName, credentials: Credentials) -> Options {
        let (base_url, network) = (self.apple_url.clone(), self.network.clone());
        Options { base_url, network, ..Options::new(name.clone(), credentials) }
    }
}
