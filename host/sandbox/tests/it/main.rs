//! The sandbox with real components: the policies that ship, and policies that misbehave on purpose.

mod help;

mod loading;
mod misbehaviour;
mod rules;
mod zoo;

mod features;
mod soak;

mod caching;
