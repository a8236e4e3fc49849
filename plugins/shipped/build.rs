//! Makes the shipped policies' components from their source.

fn main() {
    // What all of them are made with.
    println!("cargo::rerun-if-changed=../sdk");
    for policy in ["rules", "rollout", "reminders", "guard"] {
        plugin_build::component_of(format!("../{policy}"), policy);
    }
}
