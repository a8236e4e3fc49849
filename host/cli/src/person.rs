//! Who types.

/// The name of whoever types, as far as the system tells: behind `sudo`, whoever typed that.
pub(crate) fn name() -> String {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let found = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(variable);
    found.unwrap_or_else(|| "somebody".to_owned())
}
