//! The policy most people need: ordered rules, of which the first that matches decides.
//!
//! [`Policy::new`] turns an operator's settings into rules that are ready to run, or into everything
//! that is wrong with them; [`Policy::decide`] asks the rules about devices. Both are plain
//! functions with tests that need no sandbox; `component` is the glue that makes them a plugin.
//!
//! The settings are described in the README beside this crate, for people who write them.

mod policy;
mod settings;

mod condition;
mod glob;
mod time;

#[cfg(target_arch = "wasm32")]
mod component;

pub use condition::{Field, FieldSet};
pub use policy::{Decision, Policy};
pub use settings::Problem;

/// What is known besides the devices.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// When the run began, in seconds since 1970.
    pub now: u64,
    /// Whose devices these are.
    pub token: &'a str,
}

/// A device, borrowed from whoever asks. Absent text is empty: rules cannot tell them apart.
#[derive(Clone, Copy, Debug, Default)]
pub struct Device<'a> {
    /// Apple's `serial_number`.
    pub serial_number: &'a str,
    /// Apple's `model`.
    pub model: &'a str,
    /// Apple's `description`.
    pub description: &'a str,
    /// Apple's `color`.
    pub color: &'a str,
    /// Apple's `asset_tag`.
    pub asset_tag: &'a str,
    /// Apple's `os`.
    pub os: &'a str,
    /// Apple's `device_family`.
    pub device_family: &'a str,
    /// Apple's `profile_status`.
    pub profile_status: &'a str,
    /// Apple's `profile_uuid`.
    pub profile_uuid: &'a str,
    /// Apple's `device_assigned_by`.
    pub device_assigned_by: &'a str,
    /// Apple's `device_assigned_date`, in seconds since 1970.
    pub device_assigned_date: Option<u64>,
    /// Apple's `profile_assign_time`, likewise.
    pub profile_assign_time: Option<u64>,
    /// Apple's `profile_push_time`, likewise.
    pub profile_push_time: Option<u64>,
    /// Everything else Apple said: name and text.
    pub extra: &'a [(String, String)],
}
