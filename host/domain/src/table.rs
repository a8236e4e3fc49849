//! The operator's tables, as policies see them.
//!
//! What a table holds does not change during a run: a run takes a [`Tables`] when it begins and
//! records its digests, so that it can be repeated.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::id::{Digest, TableName};

/// The tables of one run.
#[derive(Clone, Debug, Default)]
pub struct Tables(pub BTreeMap<TableName, Arc<dyn Table>>);

/// One table at one moment.
pub trait Table: Send + Sync + fmt::Debug {
    /// The names in its first line, in order.
    fn columns(&self) -> &[String];

    /// The digest of what it was read from.
    fn digest(&self) -> &Digest;

    /// What tells it from others, those too that are read otherwise from the same file: by another key, or in another
    /// encoding.
    fn mark(&self) -> Digest {
        self.digest().clone()
    }

    /// The cells of the row with this key, as many as there are columns and in their order. The
    /// key is compared as [`key`] has it. Fails when the row cannot be read any more.
    fn row(&self, key: &str) -> Result<Option<Vec<String>>, Unreadable>;
}

/// A table that could be read when the run began, and now cannot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// A key as it is compared: without blanks around it, in upper case as far as A–Z goes.
pub fn key(text: &str) -> String {
    text.trim().to_ascii_uppercase()
}
