//! What of `deputy.toml` and of workflows may be shown where they are wrong.
//!
//! They may hold the password of a proxy, the address of a webhook or of a ping, or a password that somebody
//! typed where only its place belongs. The excerpt around a mistake ends up in logs and in tickets.

/// The text with stars for what is secret in it, in the same number of bytes.
pub(super) fn without_secrets(text: &str) -> String {
    let line = |line| line_without_paths(&line_without_values(&line_without_passwords(line)));
    without_long_values(text).split_inclusive('\n').map(line).collect()
}

/// Without what stands in strings of several lines: nothing there tells what it is. Stays TOML.
fn without_long_values(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\'', '#']) {
        let (before, after) = rest.split_at(at);
        shown.push_str(before);
        let quote = &after[..1];
        let triple = quote.repeat(3);
        let line = after.find('\n').unwrap_or(after.len());
        let length = if quote == "#" {
            line
        } else if let Some(value) = after.strip_prefix(&triple) {
            let end = end_of(value, &triple);
            shown.push_str(&triple);
            shown.extend(value[..end].bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }));
            rest = &value[end..];
            let close = rest.len().min(triple.len());
            shown.push_str(&rest[..close]);
            rest = &rest[close..];
            continue;
        } else {
            // To its end, or to the line's if it has none.
            (end_of(&after[1..line], quote) + 2).min(line)
        };
        shown.push_str(&after[..length]);
        rest = &after[length..];
    }
    shown + rest
}

/// Where a string ends that has begun; between double quotes, a backslash takes the next character along.
fn end_of(value: &str, close: &str) -> usize {
    let mut escaped = false;
    for (at, c) in value.char_indices() {
        if !escaped && value[at..].starts_with(close) {
            return at;
        }
        escaped = !escaped && c == '\\' && close.starts_with('"');
    }
    value.len()
}

/// Without what stands behind the host of an address: for a webhook it is all it takes to write there.
fn line_without_paths(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find("://").map(|at| at + 3) {
        let (before, after) = rest.split_at(start);
        shown.push_str(before);
        let end = after.find(['"', '\'', '\n', '\r']).unwrap_or(after.len());
        let path = after[..end].find(['/', '?', '#']).map_or(end, |slash| (slash + 1).min(end));
        shown.push_str(&after[..path]);
        shown.extend(std::iter::repeat_n('*', end - path));
        rest = &after[end..];
    }
    shown + rest
}

/// Without what is written where only the place of a secret belongs: `password = "…"`.
fn line_without_values(line: &str) -> String {
    let mut shown = line.to_owned();
    for word in ["password", "passwd", "secret", "url"] {
        let mut from = 0;
        while let Some(at) = shown[from..].find(word).map(|at| from + at + word.len()) {
            from = at;
            // An address with a scheme is shown up to its host; `apple_url` is no secret.
            let begun = shown[..at - word.len()].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if word == "url" && (begun || shown.contains("://")) {
                continue;
            }
            let Some(equals) = shown[at..].find('=').map(|equals| at + equals + 1) else { break };
            let key = &shown[at..equals - 1];
            let value = equals + shown[equals..].len() - shown[equals..].trim_start().len();
            // What stands in a string of several lines is hidden already.
            let long = ["\"\"\"", "'''"].iter().any(|triple| shown[value..].starts_with(triple));
            let quote = shown[value..].chars().next().filter(|c| !long && matches!(c, '"' | '\''));
            let Some(quote) =
                quote.filter(|_| key.chars().all(|c| c.is_alphanumeric() || "_-\"' ".contains(c)))
            else {
                continue;
            };
            let begin = value + 1;
            let end = shown[begin..].rfind(quote).map_or(shown[begin..].trim_end().len(), |end| end) + begin;
            shown.replace_range(begin..end, &"*".repeat(end - begin));
        }
    }
    shown
}

fn line_without_passwords(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    // A proxy's address may have lost its scheme: that may be the very mistake.
    if line.trim_start().trim_start_matches(['"', '\'']).starts_with("proxy")
        && let (Some(equals), Some(at)) = (line.find('='), line.rfind('@'))
        && equals < at
    {
        let value = equals + 1;
        let begin = line[value..at].find("://").map_or(value, |scheme| value + scheme + 3);
        let quote = line[begin..at].find(['"', '\'']).map_or(begin, |quote| begin + quote + 1);
        shown.push_str(&line[..quote]);
        shown.extend(std::iter::repeat_n('*', at - quote));
        rest = &line[at..];
    }
    while let Some(start) = rest.find("://").map(|at| at + 3) {
        let (before, after) = rest.split_at(start);
        shown.push_str(before);
        let end = after.find(['"', '\'']).unwrap_or(after.len());
        let secret = after[..end].rfind('@').unwrap_or(0);
        shown.extend(std::iter::repeat_n('*', secret));
        rest = &after[secret..];
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn what_stands_before_an_at_sign_is_not_shown() {
        let text =
            "proxy = \"http://me:hush@hush@proxy:1\" # é\ncontacts = [\"a@b\"]\napple_url = 'http://é@x'";
        let shown = without_secrets(text);
        assert_eq!(shown.len(), text.len());
        expect![[r#"
            proxy = "http://************@proxy:1" # é
            contacts = ["a@b"]
            apple_url = 'http://**@x'"#]]
        .assert_eq(&shown);
        assert_eq!(without_secrets("a://b://c@"), "a://*****@");
        for forgotten in
            ["proxy = \"me:hush@127.0.0.1:1\"", "  \"proxy\" = 'me:hush@x' # a@b", "proxy=me:hush@x"]
        {
            let shown = without_secrets(forgotten);
            assert_eq!(shown.len(), forgotten.len());
            assert!(!shown.contains("hush"), "{shown}");
        }
    }

    #[test]
    fn what_stands_in_several_lines_is_not_shown_and_the_rest_stays_toml() {
        let text = r##"# """ isn't one
url_from = """
https://x/hush\"hush"""
b = '''hush
hush''' # é
c = "\""
d = 'it'
password = """hush"##;
        let shown = without_secrets(text);
        assert_eq!(shown.len(), text.len());
        expect![[r##"
            # """ isn't one
            url_from = """
            ********************"""
            b = '''****
            ****''' # é
            c = "\""
            d = 'it'
            password = """****"##]]
        .assert_eq(&shown);
    }

    #[test]
    fn an_address_is_shown_without_its_path_and_a_typed_password_not_at_all() {
        let text = "url = \"https://hooks.example.com/T0/hush\"\nops = { url = 'http://x?hush', to = [] }\n\
                    password = \"hush\"\nsecret_from = 'hush' # é\na = { password = \"hush\", secret='hush' }\n\
                    password_from = { file = \"shown\" }\nunclosed_password = \"hush\nurl = \"https://host\"\nurl = \"hooks/hush\"\n";
        let shown = without_secrets(text);
        assert_eq!(shown.len(), text.len());
        expect![[r#"
            url = "https://hooks.example.com/*******"
            ops = { url = 'http://x?****', to = [] }
            password = "****"
            secret_from = '****' # é
            a = { password = "****", secret='****' }
            password_from = { file = "shown" }
            unclosed_password = "****
            url = "https://host"
            url = "**********"
        "#]]
        .assert_eq(&shown);
    }
}
