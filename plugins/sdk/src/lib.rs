//! What a policy in Rust does not want to write again.
//!
//! A policy is a type that reads its settings ([`Policy`]) and answers a question or several
//! ([`Assignment`], [`Reminder`], [`Review`]), as plain functions of values that tests call
//! directly. One line makes a component of it:
//!
//! ```ignore
//! deputy_policy::export!(Rules: assignment);
//! ```
//!
//! The records are those of the contract, `wit/v1.1/policy.wit`, made from it by wit-bindgen; what
//! they mean is said there. Around them are the parts that every policy needs: settings that are
//! read with all their mistakes told ([`settings`]), conditions on devices ([`condition`]), dates
//! ([`time`]), texts with gaps ([`template`]), and a table of reasons ([`Reasons`]).

mod policy;

pub mod condition;
pub mod outcome;
pub mod settings;
pub mod template;
pub mod time;

mod component;
mod glob;
mod reasons;
mod tables;
mod value;

pub use component::{Component, worlds};
pub use contract::exports::deputy::policy::{assignment, lasting, plugin, reminder, review};
pub use glob::Glob;
pub use lasting::Lasting;
pub use plugin::{Setup, TableUse};
pub use policy::{Assignment, Policy, Reminder, Review, configure, schema};
pub use reasons::Reasons;
pub use settings::Problem;
pub use tables::{NoTables, Tables};

/// The contract in Rust, as wit-bindgen makes it.
#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, reason = "generated from the contract")]
pub mod contract {
    wit_bindgen::generate!({
        inline: "
            package deputy:sdk;
            world everything {
                include deputy:policy/policy@1.1.0;
                export deputy:policy/lasting@1.1.0;
            }
        ",
        path: "../../wit/v1.1",
        generate_all,
        pub_export_macro: true,
        additional_derives: [PartialEq],
    });
}

/// Writes a line to the operator's log. Outside a component, where nobody keeps one, it is lost.
pub fn log(level: Level, message: &str) {
    #[cfg(target_arch = "wasm32")]
    contract::deputy::policy::log::log(level, message);
    #[cfg(not(target_arch = "wasm32"))]
    let _ = (level, message);
}

pub use contract::deputy::policy::log::Level;
