//! What the operator's files mean, ready to be worked with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::freeze::Freeze;
use domain::id::{ChannelName, Digest, PluginName, ProfileName, TableName, TokenName, WorkflowName};
use domain::policy::Policy;
use domain::profile::Definition;
use domain::table::{Table, Tables};
use domain::workflow::Workflow;
use url::Url;

use crate::apple::{Credentials, Network, Options};
use crate::channel::Channel;
use crate::expected::ExpectedList;
use crate::keep::Keep;
use crate::table::TableFile;

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
    /// The shipped reminder policy: asked where a workflow names none, and where the one it names fails.
    /// None where nobody is reminded.
    pub reminders: Option<Result<Arc<dyn Policy>, Unusable>>,
    /// What policies may look things up in.
    pub tables: BTreeMap<TableName, Arc<TableFile>>,
    /// What is configured of each plugin.
    pub plugins: BTreeMap<PluginName, PluginSettings>,
    /// Where messages go.
    pub channels: BTreeMap<ChannelName, Channel>,
    /// Lists of devices that are expected, by the table and the policy that each is.
    pub expected: BTreeMap<TableName, ExpectedList>,
    /// How long, and how much, is kept.
    pub keep: Keep,
    /// How much the disk of the store must have free for a run to begin, in bytes.
    pub min_free: u64,
    /// What is done, and when.
    pub workflows: BTreeMap<WorkflowName, Arc<Workflow>>,
    /// When nothing is changed at Apple.
    pub freezes: Vec<Freeze>,
}

/// What is configured of a plugin.
#[derive(Clone, Debug)]
pub struct PluginSettings {
    /// The tables it may look into.
    pub tables: Vec<TableName>,
    /// What it is told, as JSON.
    pub settings: String,
    /// A digest of the component, its settings, limits and grants: what another one did says nothing of it.
    pub mark: Digest,
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

impl Settings {
    /// The tables these plugins may look into, as they are now. Reads those that have changed: not
    /// for an async thread. One that never was right is not among them.
    pub fn tables_now<'a>(&self, plugins: impl IntoIterator<Item = &'a PluginName>) -> Tables {
        let granted = plugins.into_iter().filter_map(|plugin| self.plugins.get(plugin));
        let names: BTreeSet<&TableName> = granted.flat_map(|plugin| &plugin.tables).collect();
        let tables = names.into_iter().filter_map(|name| {
            let file = self.tables.get(name)?;
            let table: Option<Arc<dyn Table>> = file.now().map(|table| table as _);
            file.tell();
            Some((name.clone(), table?))
        });
        Tables(tables.collect())
    }

    /// Those of these tables that this plugin may look into.
    pub(crate) fn granted(&self, plugin: &PluginName, tables: &Tables) -> Tables {
        let names = self.plugins.get(plugin).into_iter().flat_map(|plugin| &plugin.tables);
        Tables(names.filter_map(|name| Some((name.clone(), tables.0.get(name)?.clone()))).collect())
    }

    /// What tells this plugin, with what these tables hold for it, from others: one that failed may have
    /// failed on a cell.
    pub(crate) fn mark_with(&self, plugin: &PluginName, tables: &Tables) -> Digest {
        let mark = self.mark_of(plugin);
        let held = self.granted(plugin, tables);
        if held.0.is_empty() {
            return mark;
        }
        let tables = held.0.iter().map(|(name, table)| format!("\n{name} {}", table.mark()));
        Digest::of(format!("{mark}{}", tables.collect::<String>()).as_bytes())
    }

    /// What tells this plugin, as it is configured, from others.
    pub fn mark_of(&self, plugin: &PluginName) -> Digest {
        self.plugins.get(plugin).map_or_else(|| Digest::of(b""), |plugin| plugin.mark.clone())
    }
}

impl TokenSettings {
    /// What the client of a token is made of.
    pub(crate) fn options(&self, name: &TokenName, credentials: Credentials) -> Options {
        let (base_url, network) = (self.apple_url.clone(), self.network.clone());
        Options { base_url, network, ..Options::new(name.clone(), credentials) }
    }
}
