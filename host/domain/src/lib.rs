//! What Deputy decides, without doing anything: no IO, no clock, no async.
//!
//! Every decision is a function of values, so it can be tested by calling it. The effects are in
//! `engine`, the policies' sandbox in `sandbox`, words for people in `cli`.

pub mod id;

pub mod agenda;
pub mod announce;
pub mod apple_profile;
pub mod device;
pub mod difference;
pub mod expected;
pub mod freeze;
pub mod freshness;
pub mod history;
pub mod message;
pub mod pause;
pub mod plan;
pub mod plan_file;
pub mod policy;
pub mod profile;
pub mod rails;
pub mod reminder;
pub mod removal;
pub mod report;
pub mod rest;
pub mod review;
pub mod run;
pub mod schedule;
pub mod serials;
pub mod table;
pub mod token;
pub mod token_facts;
pub mod verdict;
pub mod waiting;
pub mod workflow;

pub mod document;
pub mod duration;
pub mod property_list;
