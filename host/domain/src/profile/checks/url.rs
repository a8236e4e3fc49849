//! URLs that a device can enrol at. Apple refuses some, and answers others with a bare 500.

use crate::document::Findings;
use crate::profile::file::ProfileFile;

pub(super) fn check(file: &ProfileFile, findings: &mut Findings<'_>) {
    let enrolment = check_one("/url", &file.url, findings);
    let Some(web_url) = &file.web_url else { return };
    let page = check_one("/web_url", web_url, findings);
    if let (Some(enrolment), Some(page)) = (enrolment, page) {
        same_host(&enrolment, &page, findings);
    }
}

/// Adds what is wrong with a URL; its host if nothing is.
fn check_one(pointer: &str, url: &str, findings: &mut Findings<'_>) -> Option<String> {
    if url.trim().is_empty() {
        return None;
    }
    let mut wrong = |rule, message: String, help: Option<&str>| {
        findings.error(rule, pointer, message, help.map(str::to_owned));
        None
    };
    let Some(rest) = strip_scheme(url) else {
        return wrong("url-https", "must be an https URL".to_owned(), Some("https://mdm.example.com/enroll"));
    };
    if let Some(placeholder) = placeholder(url) {
        let message =
            format!("`{placeholder}` looks like a placeholder, which Apple answers with an internal error");
        return wrong("url-placeholder", message, Some("write what it stands for; in a URL, `%25` is a `%`"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let label =
        |label: &str| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return wrong("url-host", "a URL has no spaces".to_owned(), Some("write `%20`"));
    }
    let is_address = host.split('.').all(|part| part.parse::<u8>().is_ok()) || host.starts_with('[');
    if !is_address && !host.split('.').all(label) {
        return wrong("url-host", format!("`{host}` is not a host name"), None);
    }
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return wrong("url-host", format!("`{}` is not a port", port.unwrap_or_default()), None);
    }
    if host == "localhost" || host.ends_with(".localhost") {
        return wrong("url-host", format!("`{host}` is the device itself"), None);
    }
    if host == "local" || host.ends_with(".local") {
        return wrong("url-local", "Apple refuses hosts under `.local`".to_owned(), None);
    }
    let length = encoded_length(url);
    if length > 2000 {
        let message = format!("Apple takes at most 2000 characters once encoded, and these are {length}");
        return wrong("url-length", message, None);
    }
    if is_address {
        let help = "certificates are made out to names";
        findings.warn("url-address", pointer, "an IP address and not a host", Some(help.to_owned()));
    }
    Some(host)
}

fn strip_scheme(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    scheme.eq_ignore_ascii_case("https").then_some(rest)
}

/// What a template language or a shell would have replaced.
fn placeholder(url: &str) -> Option<&str> {
    if let Some(start) = url.find(['{', '<', '}', '>']) {
        let start =
            if start > 0 && matches!(url.as_bytes()[start - 1], b'$' | b'%') { start - 1 } else { start };
        let end = url.rfind(['}', '>']).filter(|end| *end > start).map_or(url.len(), |end| end + 1);
        return url.get(start..end);
    }
    for (start, _) in url.match_indices(['%', '$']) {
        let rest = &url[start..];
        let mut next = rest[1..].chars();
        let (one, two) = (next.next(), next.next());
        let is_odd = if rest.starts_with('%') {
            ![one, two].iter().all(|c| c.is_some_and(|c| c.is_ascii_hexdigit()))
        } else {
            one.is_some_and(|c| c == '(' || c.is_ascii_uppercase())
        };
        if is_odd {
            let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '(' | ')' | '%' | '$');
            let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
            return Some(&rest[..end]);
        }
    }
    None
}

/// The length with everything in percent form that has to be.
fn encoded_length(url: &str) -> usize {
    url.bytes().map(|byte| if byte.is_ascii_graphic() { 1 } else { 3 }).sum()
}

fn same_host(enrolment: &str, page: &str, findings: &mut Findings<'_>) {
    if enrolment == page {
        return;
    }
    let domain = |host: &str| host.rsplitn(3, '.').take(2).map(str::to_owned).collect::<Vec<_>>();
    let help = Some(format!("put the page on {enrolment}"));
    if domain(enrolment) == domain(page) {
        let message =
            format!("is on another host than `url`, {enrolment}; one of Apple's pages wants the same");
        findings.warn("web-url-host", "/web_url", message, help);
    } else {
        let message = format!("is in another domain than `url`, {enrolment}; the device would refuse it");
        findings.error("web-url-host", "/web_url", message, help);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_told_from_what_urls_have() {
        let found = |url| placeholder(url).unwrap_or("-").to_owned();
        assert_eq!(found("https://mdm.example.com/a%20b?x=$1&y=%C3%A9"), "-");
        assert_eq!(found("https://{{ host }}/enroll"), "{{ host }}");
        assert_eq!(found("https://${HOST}/enroll"), "${HOST}");
        assert_eq!(found("https://mdm.example.com/$TOKEN/x"), "$TOKEN");
        assert_eq!(found("https://mdm.example.com/%(id)s"), "%(id)s");
        assert_eq!(found("https://mdm.example.com/%ServerURL%"), "%ServerURL%");
        assert_eq!(found("https://<your-mdm>/é%"), "<your-mdm>");
        assert_eq!(found("https://mdm.example.com/100%é"), "%");
    }

    #[test]
    fn length_is_counted_as_it_is_sent() {
        assert_eq!(encoded_length("https://m/é"), 10 + 6);
    }
}
