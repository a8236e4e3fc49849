//! What people are told of what ends with a token or went wrong with it, from the first threshold to the end.

use expect_test::{Expect, expect};
use jiff::SignedDuration;
use serde_json::Value;
use sim::{Endpoint, Fault, TokenOptions, TokenState};

use crate::env::TestEnv;
use crate::hook::Hook;
use crate::net;
use crate::tokens::expires_in;

/// A year of a token's life, from so many days before its end on, told to a chat.
struct Year {
    env: TestEnv,
    hook: Hook,
    heard: usize,
    found: String,
}

impl Year {
    fn new(days_left: i64) -> Self {
        let env = TestEnv::before_the_exchange(&["main"]);
        // A little more than whole days, for the time that a test takes.
        env.exchange("main", &expires_in(SignedDuration::from_secs(days_left * 86_400 + 5400)));
        let hook = chat(&env);
        Self { env, hook, heard: 0, found: String::new() }
    }

    /// So many days go by without Deputy: all that is on record moves into the past.
    fn pass(&self, days: i64) {
        let by = days * 86_400_000;
        self.env
            .store()
            .execute_batch(&format!(
                "UPDATE token SET expires_at = expires_at - {by}, refused_since = refused_since - {by};
                 UPDATE told SET at = at - {by}, told_at = told_at - {by};
                 UPDATE muted SET at = at - {by}, snoozed_until = snoozed_until - {by};
                 UPDATE delivery SET next_at = next_at - {by}; UPDATE channel SET next_at = next_at - {by};"
            ))
            .unwrap();
    }

    /// Deputy looks, and what arrives then is noted under this name.
    #[track_caller]
    fn look(&mut self, when: &str) {
        self.env.run(&["run", "token-reminders"]).is_done();
        self.note(when);
    }

    fn note(&mut self, when: &str) {
        for taken in self.hook.taken().iter().skip(self.heard) {
            let message = taken.json();
            let data = &message["data"];
            let occasion = data["threshold"].as_str().unwrap_or("recovered");
            let (severity, subject) = (text(&message["severity"]), text(&message["subject"]));
            self.found += &format!("{when}: {occasion}, {severity}: {subject}\n");
        }
        self.heard = self.hook.count();
    }

    #[track_caller]
    fn told(&self, expected: Expect) {
        expected.assert_eq(&self.env.normal(&self.found));
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn chat(env: &TestEnv) -> Hook {
    let hook = Hook::start();
    env.append("deputy.toml", &format!("\n[channels.ops]\nkind = \"webhook\"\nurl = \"{}\"\n", hook.url));
    hook
}

#[test]
fn in_a_year_each_threshold_is_told_once() {
    let mut year = Year::new(61);
    let mut left = 61;
    for next in [61, 60, 59, 31, 30, 29, 15, 14, 13, 8, 7, 6, 4, 3, 2, 1, 0] {
        year.pass(left - next);
        left = next;
        year.look(&format!("{next} days left"));
    }
    year.pass(1);
    year.look("the end");
    year.look("the end, once more");
    year.told(expect![[r#"
        59 days left: 60d, info: the server token `main` of main Ltd ends in 59 days
        29 days left: 30d, warning: the server token `main` of main Ltd ends in 29 days
        13 days left: 14d, warning: the server token `main` of main Ltd ends in 13 days
        6 days left: 7d, critical: the server token `main` of main Ltd ends in 6 days
        2 days left: 3d, critical: the server token `main` of main Ltd ends in 2 days
        0 days left: 1d, critical: the server token `main` of main Ltd ends in 1 hour
        the end: 0s, critical: the server token `main` of main Ltd has ended
    "#]]);
}

#[test]
fn a_daemon_that_was_off_for_weeks_tells_of_the_last_threshold_alone() {
    let mut year = Year::new(61);
    year.pass(2);
    year.look("59 days left");
    year.pass(53);
    year.look("6 days left");
    year.look("6 days left, once more");
    year.told(expect![[r#"
        59 days left: 60d, info: the server token `main` of main Ltd ends in 59 days
        6 days left: 7d, critical: the server token `main` of main Ltd ends in 6 days
    "#]]);
}

#[test]
fn a_channel_that_is_down_for_days_gets_each_reminder_once() {
    let mut year = Year::new(14);
    year.hook.is_down(true);
    year.look("14 days left, and the chat is down");
    year.pass(3);
    year.look("11 days left, and it still is");
    year.hook.is_down(false);
    year.pass(1);
    year.look("10 days left");
    year.pass(1);
    year.look("9 days left");
    year.told(expect![[r#"
        10 days left: 30d, warning: the server token `main` of main Ltd ends in 14 days
        10 days left: 14d, warning: the server token `main` of main Ltd ends in 11 days
    "#]]);
}

#[test]
fn a_renewal_in_the_middle_is_told_and_the_new_token_starts_anew() {
    let mut year = Year::new(7);
    year.look("7 days left");
    year.env.download_token("main", &expires_in(SignedDuration::from_secs(300 * 86_400 + 5400)));
    year.env.run(&["token", "import", "main", "main.p7m"]).is_done();
    year.look("renewed");
    year.look("renewed, once more");
    year.pass(241);
    year.look("59 days left");
    year.told(expect![[r#"
        7 days left: 14d, warning: the server token `main` of main Ltd ends in 7 days
        renewed: recovered, info: the server token `main` of main Ltd: all is well again
        59 days left: 60d, info: the server token `main` of main Ltd ends in 59 days
    "#]]);
}

#[test]
fn the_steps_of_a_reminder_are_enough_to_renew_a_token() {
    let mut year = Year::new(7);
    year.look("7 days left");
    let said = year.hook.taken()[0].json();
    let said = text(&said["text"]).to_owned();
    // What stands there, word for word, after the token was downloaded as FILE.p7m.
    let command = said.lines().find_map(|line| line.split_once("deputy token import ")).unwrap().1;
    let words: Vec<&str> = ["token", "import"].into_iter().chain(command.split(' ')).collect();
    let env = &year.env;
    let token = env.apple().token("main", env.read("main.pem").as_bytes(), &TokenOptions::default());
    env.write("FILE.p7m", token.unwrap().content);
    env.run(&words).is_done();
    env.run(&["sync"]).is_done();
    year.look("renewed");
    expect![[r#"
        The server token `main` of main Ltd ends on DAY, in 7 days.
        From then on, new devices of "main" get no enrolment profile; devices that are enrolled are not affected. Depending on this token: 0 devices.

        What to do:
        1. Sign in at https://business.apple.com or https://school.apple.com, as enroll-admin@main.example if you can: a token made by another account ends with that account.
        2. Open Preferences, then the device management service "main", and choose Download Token.
        3. Where Deputy runs, at once, since downloading a new token ends the old one: deputy token import main FILE.p7m"#]].assert_eq(&year.env.normal(&said));
    year.told(expect![[r#"
        7 days left: 14d, warning: the server token `main` of main Ltd ends in 7 days
        renewed: recovered, info: the server token `main` of main Ltd: all is well again
    "#]]);
}

#[test]
fn what_is_acknowledged_is_told_once_more_and_what_is_snoozed_later() {
    let mut year = Year::new(20);
    year.env.run(&["token", "acknowledge", "main", "token", "--note", "Ada renews on Monday"]).is_done();
    year.look("20 days left, acknowledged");
    year.env.run(&["token", "show", "main"]).succeeds(expect![[r#"
        main
          server        "main" (ID)
          organisation  main Ltd (ORG)
          made by       enroll-admin@main.example; the token ends when that account does
          imported      TIME
          devices       0, 0 with a profile
          synced        never
          last worked   TIME
          key           of the certificate "deputy main", serial number ID
        what ends
          TIME  the token, in 20 days: from then on new devices get no enrolment profile; devices already enrolled are not affected
          TIME  the certificate of the token in use, in NNN days: the token goes on; make a new request for the next one
          token: acknowledged (Ada renews on Monday)
    "#]]);
    year.pass(10);
    year.look("10 days left, acknowledged");
    year.env.run(&["token", "acknowledge", "main", "--undo"]).is_done();
    year.look("taken back");
    year.env.run(&["token", "snooze", "main", "--for", "4d"]).succeeds(expect![[r#"
        No reminders of `main` before TIME, but that all is well again. Then the most urgent one comes.
    "#]]);
    year.pass(3);
    year.look("7 days left, snoozed");
    year.pass(2);
    year.look("5 days left, no longer snoozed");
    year.env.run(&["token", "snooze", "main", "--for", "30d", "token"]).is_done();
    year.pass(3);
    year.look("2 days left, snoozed");
    year.env.run(&["token", "snooze", "main", "--undo", "token"]).is_done();
    year.look("taken back");
    year.env.run(&["token", "snooze", "main", "mdm", "--for", "1d"]).fails(
        2,
        expect![[r#"
            error: nothing is known of `mdm` of the token `main`
            hint: known are: token, certificate, terms, account, server, session, mdm-certificate:mdm.example.com:443
        "#]],
    );
    year.env.run(&["token", "acknowledge", "main", "tems"]).fails(2, expect![[r#"
        error: nothing is known of `tems` of the token `main`
        hint: known are: token, certificate, terms, account, server, session, mdm-certificate:mdm.example.com:443
    "#]]);
    year.told(expect![[r#"
        taken back: 14d, warning: the server token `main` of main Ltd ends in 10 days
        5 days left, no longer snoozed: 7d, critical: the server token `main` of main Ltd ends in 5 days
        taken back: 3d, critical: the server token `main` of main Ltd ends in 2 days
    "#]]);
}

#[test]
fn what_is_taken_back_is_what_was_snoozed_and_what_still_is_is_said() {
    let mut year = Year::new(7);
    year.env.run(&["token", "snooze", "main", "token", "--for", "4d"]).succeeds(expect![[r#"
        No reminders of `token` of `main` before TIME, but that all is well again. Then the most urgent one comes.
    "#]]);
    year.env.run(&["token", "snooze", "main", "--for", "9d"]).is_done();
    year.env.run(&["token", "snooze", "main", "token", "--undo"]).succeeds(expect![[r#"
        Of `token` of `main` nothing is snoozed by itself, but everything of `main` is, until TIME.
        hint: `deputy token snooze main --undo` ends that
    "#]]);
    year.look("all of it is snoozed still");
    year.env.run(&["token", "snooze", "main", "token", "--for", "4d"]).is_done();
    year.env.run(&["token", "snooze", "main", "--undo"]).succeeds(expect![[r#"
        Reminders of `main` come again.
    "#]]);
    year.look("all taken back, that of the token alone as well");
    year.told(expect![[r#"
        all taken back, that of the token alone as well: 14d, warning: the server token `main` of main Ltd ends in 7 days
    "#]]);
}

#[test]
fn what_is_acknowledged_stays_so_when_a_snooze_is_taken_back() {
    let mut year = Year::new(7);
    year.env.run(&["token", "acknowledge", "main", "token", "--note", "Ada renews"]).is_done();
    year.env.run(&["token", "snooze", "main", "--for", "9d"]).is_done();
    year.env.run(&["token", "snooze", "main", "--undo"]).is_done();
    year.look("7 days left, acknowledged");
    let shown = year.env.run(&["token", "show", "main"]).text();
    assert!(shown.contains("token: acknowledged (Ada renews)"), "{shown}");
    year.told(expect![[r#""#]]);
}

#[test]
fn a_snooze_needs_an_end_that_is_still_to_come() {
    let env = Year::new(7).env;
    env.run(&["token", "snooze", "main"]).fails(
        2,
        expect![[r#"
        error: the following required arguments were not provided:
          <--for <TIME>|--until <DATE>|--undo>

        Usage: deputy token snooze <--for <TIME>|--until <DATE>|--undo> <NAME> [FACT]

        For more information, try '--help'.
    "#]],
    );
    env.run(&["token", "snooze", "main", "--for", "1d", "--undo"]).fails(
        2,
        expect![[r#"
        error: the argument '--for <TIME>' cannot be used with '--undo'

        Usage: deputy token snooze <--for <TIME>|--until <DATE>|--undo> <NAME> [FACT]

        For more information, try '--help'.
    "#]],
    );
    env.run(&["token", "snooze", "main", "terms", "--until", "2020-01-01T09:00:00"])
        .fails(2, expect![[r#"
            error: that moment has passed
            hint: write one that is still to come; `deputy token snooze main terms --undo` ends what is snoozed
        "#]]);
    env.run(&["token", "acknowledge", "main", "terms"]).fails(
        2,
        expect![[r#"
        error: nothing is wrong with `terms` of `main`, and it has no end: there is nothing to know
        hint: `deputy token snooze main --for 7d` holds back what is still to come
    "#]],
    );
}

#[test]
fn every_refusal_of_apples_is_told_once_and_that_it_is_over() {
    type Act = fn(&TestEnv);
    // What it is, how it comes about, and how it is mended.
    type Row<'a> = (&'a str, &'a dyn Fn(&TestEnv), &'a dyn Fn(&TestEnv));
    let renew: Act = |env| {
        env.download_token("main", &TokenOptions::default());
        env.run(&["token", "import", "main", "main.p7m"]).is_done();
    };
    let state = |env: &TestEnv, state| env.apple().set_token_state("main", state).unwrap();
    let session = |body| Fault::status(403, body).on(Endpoint::Session).always();
    let mend: Act = |env| env.apple().clear_faults();
    let active = |env: &TestEnv, active| {
        let change = sim::ServerChange { active: Some(active), ..sim::ServerChange::default() };
        env.apple().change_server("main", change).unwrap();
    };
    let server_id = |env: &TestEnv, id: &str| {
        env.store().execute_batch(&format!("UPDATE token SET server_uuid = {id}")).unwrap();
    };
    let failures: [Row; 8] = [
        (
            "wrong credentials",
            &|env| env.apple().fault(Fault::status(400, "").on(Endpoint::Session).always()),
            &mend,
        ),
        ("revoked", &|env| env.apple().revoke_token("main").unwrap(), &renew),
        ("signature", &|env| env.apple().fault(session("signature_invalid")), &mend),
        ("expired", &|env| state(env, TokenState::Expired), &renew),
        ("creator gone", &|env| state(env, TokenState::CreatorGone), &renew),
        ("server inactive", &|env| active(env, false), &|env| active(env, true)),
        ("terms", &|env| env.apple().sign_terms("main", false).unwrap(), &|env| {
            env.apple().sign_terms("main", true).unwrap()
        }),
        // As if the token had been imported for another server.
        (
            "other server",
            &|env| server_id(env, "substr(server_uuid, 2) || substr(server_uuid, 1, 1)"),
            &|env| {
                server_id(env, "substr(server_uuid, -1) || substr(server_uuid, 1, length(server_uuid) - 1)")
            },
        ),
    ];
    let mut found = String::new();
    for (failure, produce, mend) in failures {
        let mut year = Year::new(300);
        produce(&year.env);
        year.env.run(&["sync"]).ends_with(4);
        year.look(failure);
        year.look(failure);
        mend(&year.env);
        year.env.run(&["sync"]).is_done();
        year.look("mended");
        year.look("mended");
        found += &year.env.normal(&year.found);
    }
    expect![[r#"
        wrong credentials: 0s, critical: the server token `main` of main Ltd: Apple rejects the token
        mended: recovered, info: the server token `main` of main Ltd: all is well again
        revoked: 0s, critical: the server token `main` of main Ltd: Apple rejects the token
        mended: recovered, info: the server token `main` of main Ltd: all is well again
        signature: 0s, critical: the server token `main` of main Ltd: Apple rejects the token
        mended: recovered, info: the server token `main` of main Ltd: all is well again
        expired: 0s, critical: the server token `main` of main Ltd: the token has expired
        mended: recovered, info: the server token `main` of main Ltd: all is well again
        creator gone: 0s, critical: the Apple Account that made the server token `main` of main Ltd: who made the token is gone, or may no longer use it
        mended: recovered, info: the Apple Account that made the server token `main` of main Ltd: all is well again
        server inactive: 0s, critical: the entry "main" of main Ltd in Apple's portal: Apple says that the server is not there any more
        mended: recovered, info: the entry "main" of main Ltd in Apple's portal: all is well again
        terms: 0s, critical: Apple's terms for main Ltd: somebody has to agree to new terms
        mended: recovered, info: Apple's terms for main Ltd: all is well again
        other server: 0s, critical: the entry "main" of main Ltd in Apple's portal: Apple answers for another server than "main"
        mended: recovered, info: the entry "main" of main Ltd in Apple's portal: all is well again
    "#]].assert_eq(&found);
}

#[test]
fn a_policy_that_is_broken_does_not_keep_an_end_from_being_told() {
    let mut year = Year::new(7);
    year.env.append("workflows/token-reminders.toml", "policy = \"broken\"\n");
    year.env.append("deputy.toml", "\n[plugins.broken]\npath = \"plugins/none.wasm\"\n");
    let run = year.env.run(&["run", "token-reminders"]);
    run.fails(1, expect![[r#"
        run RUN of token-reminders, by hand: failed
          remind   1 token, 2 reminders sent
                   the server token `main` of main Ltd ends in 7 days (to log, ops)
                   the reminder policy `broken`: it fails (to log, ops)
                   plugin `broken` cannot be used: cannot read plugins/none.wasm: No such file or directory (os error 2); the policy that comes with Deputy was asked instead
        TIME  WARN the server token `main` of main Ltd ends in 7 days
        The server token `main` of main Ltd ends on DAY, in 7 days.
        From then on, new devices of "main" get no enrolment profile; devices that are enrolled are not affected. Depending on this token: 0 devices.

        What to do:
        1. Sign in at https://business.apple.com or https://school.apple.com, as enroll-admin@main.example if you can: a token made by another account ends with that account.
        2. Open Preferences, then the device management service "main", and choose Download Token.
        3. Where Deputy runs, at once, since downloading a new token ends the old one: deputy token import main FILE.p7m
        TIME ERROR the reminder policy `broken`: it fails
        The reminder policy `broken`: it fails, since DAY.
        Until this is put right, the policy that comes with Deputy says who is reminded of what, in its own words. Depending on this token: 0 devices.
        What Deputy saw: plugin `broken` cannot be used: cannot read plugins/none.wasm: No such file or directory (os error 2)

        What to do:
        1. Where Deputy runs: deputy plugin inspect broken
        2. Mend the plugin or its settings in deputy.toml, then: deputy plugin check broken
    "#]]);
    year.note("broken");
    year.env.run(&["run", "token-reminders"]).ends_with(1);
    year.note("broken, once more");
    year.env.run(&["token", "acknowledge", "main", "reminder-policy:broken"]).succeeds(expect![[r#"
        Noted that you know. Of `main` only the last threshold and the end are told, until something changes.
    "#]]);
    let shown = year.env.run(&["token", "show", "main"]).text();
    let shown: Vec<&str> = shown.lines().filter(|line| line.contains("reminder-policy")).collect();
    expect!["  reminder-policy:broken: acknowledged"].assert_eq(&shown.join("\n"));
    year.env.run(&["run", "token-reminders"]).ends_with(1);
    year.note("broken, and known");
    year.env.edit("workflows/token-reminders.toml", "policy = \"broken\"\n", "");
    year.look("mended");
    year.look("mended, once more");
    year.told(expect![[r#"
        broken: 14d, warning: the server token `main` of main Ltd ends in 7 days
        broken: 0s, critical: the reminder policy `broken`: it fails
        mended: recovered, info: the reminder policy `broken`: all is well again
    "#]]);
}

#[test]
fn reminders_are_in_french_where_the_settings_say_so() {
    let mut year = Year::new(7);
    let deputy = year.env.read("deputy.toml");
    let at = deputy.find("# [plugins.reminders]\n").unwrap();
    let lines: Vec<String> = deputy[at..].lines().take(3).map(|line| line[2..].to_owned()).collect();
    let settings = "[plugins.reminders.settings]\nlanguage = \"fr\"\nthresholds = [\"8d\", \"2d\"]\n";
    year.env.append("deputy.toml", &format!("\n{}\n{settings}", lines.join("\n")));
    year.env.append("workflows/token-reminders.toml", "policy = \"reminders\"\n");
    year.look("7 days left");
    expect![[r#"
        Le jeton de serveur `main` de « main Ltd » expire le DAY, dans 7 jours.
        À partir de là, les nouveaux appareils de « main » ne reçoivent plus de profil d’inscription ; les appareils déjà inscrits ne sont pas touchés. Dépendent de ce jeton : 0 appareils.

        À faire :
        1. Ouvrez une session sur https://business.apple.com ou https://school.apple.com, si possible avec enroll-admin@main.example : un jeton créé par un autre compte disparaît avec ce compte.
        2. Ouvrez Préférences, puis le service de gestion des appareils « main », et choisissez Télécharger le jeton.
        3. Là où tourne Deputy, aussitôt, car le téléchargement met fin à l’ancien jeton : deputy token import main FICHIER.p7m"#]].assert_eq(&year.env.normal(text(&year.hook.taken()[0].json()["text"])));
    year.told(expect![[r#"
        7 days left: 8d, warning: le jeton de serveur `main` de « main Ltd » expire dans 7 jours
    "#]]);
}

#[test]
fn thresholds_in_a_workflow_say_where_they_are_set_now() {
    let env = TestEnv::before_the_exchange(&["main"]);
    env.append("workflows/token-reminders.toml", "thresholds = [\"30d\"]\n");
    env.run(&["workflow", "check"]).fails(
        2,
        expect![[r#"
            error: thresholds are a setting of the reminder policy now
              --> workflows/token-reminders.toml:17:14
               |
            17 | thresholds = ["30d"]
               |              ^^^^^^^
               |
               = help: delete this line; for other thresholds than 60, 30, 14, 7, 3 and 1 days, write them under `[plugins.reminders.settings]` in deputy.toml, and `policy = "reminders"` here
        "#]],
    );
}

#[test]
fn certificates_of_profiles_and_of_the_servers_they_point_to_are_told_of() {
    let mut year = Year::new(300);
    let env = &year.env;
    let (server, pem) = net::answering_tls(|_| net::json("200 OK", ""));
    env.write("profiles/server.pem", pem);
    env.edit("workflows/token-reminders.toml", "\nlook_at_servers = false\n", "\n");
    let at = |server: &str| format!("https://{server}/enroll");
    let url = at("mdm.example.com");
    env.edit("profiles/standard.toml", &url, &at(&server));
    env.edit("profiles/standard.toml", "department", "anchor_certificates = [\"server.pem\"]\ndepartment");
    env.edit("profiles/lab-ipad.toml", &url, &at(&server));
    // Nobody listens there, which is no trouble.
    env.edit("profiles/executive-mac.toml", &url, &at("127.0.0.1:1"));
    let looked = |env: &TestEnv| -> Vec<(String, i64)> {
        let store = env.store();
        let mut rows =
            store.prepare("SELECT server, looked_at FROM web_certificate ORDER BY server").unwrap();
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    year.look("first");
    let first = looked(&year.env);
    assert_eq!(first.len(), 2, "{first:?}");
    year.look("once more");
    assert_eq!(looked(&year.env), first);
    let status = year.env.run(&["status"]);
    status.ends_with(4);
    let text = status.text();
    expect![[r#"
        needs a person:
          token `main`: mdm-certificate:127.0.0.1:PORT ends in 2 days: deputy token show main
          token `main`: profile-certificate:standard: 127.0.0.1 ends in 2 days: deputy token show main
    "#]]
    .assert_eq(&text[text.find("needs a person:").unwrap()..]);
    year.told(expect![[r#"
        first: 3d, critical: the certificate of the web server `127.0.0.1:PORT`, where devices enrol, ends in 2 days
        first: 3d, critical: the certificate `standard: 127.0.0.1`, which a profile carries, ends in 2 days
    "#]]);
}
