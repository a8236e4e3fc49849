//! From a policy to a component: the contract's functions, in terms of [`Policy`] and the questions.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::OnceLock;

use crate::contract::deputy::policy::tables;
use crate::plugin::{Description, SettingsProblem};
use crate::{Assignment, Policy, Reminder, Review, Setup, TableUse, Tables};
use crate::{Lasting, assignment, lasting, plugin, reminder, review};

/// The policy `P` as the contract sees it.
#[derive(Debug)]
pub struct Component<P>(PhantomData<P>);

/// The policy of this instance. Deputy configures every instance once, before it asks anything.
static POLICY: OnceLock<Box<dyn Any + Send + Sync>> = OnceLock::new();

fn policy<P: Policy>() -> &'static P {
    let policy = POLICY.get().and_then(|policy| policy.downcast_ref());
    policy.expect("Deputy calls `configure` first")
}

impl<P: Policy> plugin::Guest for Component<P> {
    fn describe() -> Description {
        Description {
            summary: P::SUMMARY.to_owned(),
            version: P::VERSION.to_owned(),
            settings_schema: crate::schema::<P>(),
        }
    }

    fn configure(settings: String, setup: Setup) -> Result<(), Vec<SettingsProblem>> {
        let policy = crate::configure::<P>(settings, &setup)?;
        assert!(POLICY.set(Box::new(policy)).is_ok(), "Deputy calls `configure` once");
        Ok(())
    }

    fn tables() -> Vec<TableUse> {
        policy::<P>().tables()
    }
}

impl<P: Assignment> assignment::Guest for Component<P> {
    fn reads() -> assignment::DeviceFields {
        policy::<P>().reads()
    }

    fn decide(context: assignment::Context, devices: Vec<assignment::Device>) -> assignment::Verdicts {
        policy::<P>().decide(&context, &devices, &Host)
    }
}

impl<P: Assignment> lasting::Guest for Component<P> {
    fn how_long(context: lasting::Context) -> Lasting {
        let lasting::Context { now, utc_offset, token, profiles } = context;
        policy::<P>().lasting(&assignment::Context { now, utc_offset, token, profiles }, &Host)
    }
}

impl<P: Reminder> reminder::Guest for Component<P> {
    fn remind(context: reminder::Context, tokens: Vec<reminder::Token>) -> Vec<Vec<reminder::Reminder>> {
        policy::<P>().remind(&context, &tokens, &Host)
    }
}

impl<P: Review> review::Guest for Component<P> {
    fn review(context: review::Context, plan: review::Plan) -> review::Opinion {
        policy::<P>().review(&context, &plan, &Host)
    }
}

/// The tables at Deputy's.
struct Host;

impl Tables for Host {
    fn lookup(&self, table: u32, key: &str) -> Option<Vec<String>> {
        tables::lookup(table, key)
    }
}

/// The encoded worlds of the questions, see `build.rs`.
#[doc(hidden)]
pub mod worlds {
    macro_rules! world {
        ($name:ident, $file:literal) => {
            pub const $name: [u8; include_bytes!(concat!(env!("OUT_DIR"), $file)).len()] =
                *include_bytes!(concat!(env!("OUT_DIR"), $file));
        };
    }
    world!(ASSIGNMENT, "/assignment");
    world!(REMINDER, "/reminder");
    world!(REVIEW, "/review");
}

/// Makes a component of the crate: `export!(Type: assignment)`, or several questions, as in
/// `export!(Type: assignment, review)`. The type has to implement [`Policy`] and the trait of each
/// question. Outside WebAssembly it does nothing.
#[macro_export]
macro_rules! export {
    ($policy:ty: $($question:ident),+) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, clippy::all, reason = "exports have names, and a section of their own")]
        const _: () = {
            type Component = $crate::Component<$policy>;
            $crate::plugin::__export_deputy_policy_plugin_1_1_0_cabi!(Component with_types_in $crate::plugin);
            $($crate::export!(@ $question);)+
        };
    };
    (@ assignment) => {
        $crate::assignment::__export_deputy_policy_assignment_1_1_0_cabi!(
            Component with_types_in $crate::assignment
        );
        $crate::lasting::__export_deputy_policy_lasting_1_1_0_cabi!(
            Component with_types_in $crate::lasting
        );
        $crate::export!(@ ASSIGNMENT "component-type:deputy:assignment");
    };
    (@ reminder) => {
        $crate::reminder::__export_deputy_policy_reminder_1_1_0_cabi!(
            Component with_types_in $crate::reminder
        );
        $crate::export!(@ REMINDER "component-type:deputy:reminder");
    };
    (@ review) => {
        $crate::review::__export_deputy_policy_review_1_1_0_cabi!(
            Component with_types_in $crate::review
        );
        $crate::export!(@ REVIEW "component-type:deputy:review");
    };
    (@ $world:ident $section:literal) => {
        const _: () = {
            #[unsafe(link_section = $section)]
            #[used]
            static WORLD: [u8; $crate::worlds::$world.len()] = $crate::worlds::$world;
        };
    };
}
