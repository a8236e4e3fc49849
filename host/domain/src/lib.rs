//! What Deputy decides, without doing anything: no IO, no clock, no async.
//!
//! Every decision is a function of values, so it can be tested by calling it. The effects are in
//! `engine`, the policies' sandbox in `sandbox`, words for people in `cli`.

pub mod id;

pub mod device;
pub mod verdict;

pub mod document;
pub mod duration;

pub mod profile;
