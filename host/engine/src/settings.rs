//! What the operator's files mean, ready to be worked with.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::id::{ChannelName, PluginName, ProfileName, TokenName, WorkflowName};
use domain::profile::Definition;
use domain::verdict::Policy;
use domain::workflow::Workflow;
use url::Url;

use crate::notify::Channel;

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
