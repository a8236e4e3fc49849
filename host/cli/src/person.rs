//! Who types.

/// The name of whoever types, as far as the system tells: behind `sudo`, whoever typed that. Without a name, as
/// in a container or under cron, the number of the user.
pub(crate) fn name() -> String {
    let variable = |name| std::env::var(name).ok().filter(|value| is_name(value));
    let found = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(variable);
    found.unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw()))
}

/// It comes out again on terminals.
fn is_name(value: &str) -> bool {
    !value.trim().is_empty() && value.len() <= 256 && !value.contains(char::is_control)
}
