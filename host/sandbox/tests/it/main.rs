//! The sandbox with real components: the policies that ship, and policies that misbehave on purpose.

mod help;

mod loading;
mod misbehaviour;
mod questions;
mod rules;
mod tables;
mod versions;

mod caching;
