//! The sandbox with real components: the policies that ship, and policies that misbehave on purpose.

mod help;

mod lasting;
mod loading;
mod misbehaviour;
mod questions;
mod rules;
mod tables;
mod versions;
mod zoo;

mod features;
mod soak;

mod caching;
