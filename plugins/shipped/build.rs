//! Makes the shipped policies' components from their source.

fn main() {
    plugin_build::component_of("../rules", "rules");
}
