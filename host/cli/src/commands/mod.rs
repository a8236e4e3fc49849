//! The commands, one file each.

pub(crate) mod approve;
pub(crate) mod channel;
pub(crate) mod demo;
pub(crate) mod device;
pub(crate) mod init;
pub(crate) mod outbox;
pub(crate) mod plugin;
pub(crate) mod profile;
pub(crate) mod removal;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod schema;
pub(crate) mod secrets;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod sync;
pub(crate) mod table;
pub(crate) mod token;
pub(crate) mod unassign;
pub(crate) mod workflow;
