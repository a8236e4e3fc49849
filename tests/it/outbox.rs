//! Nothing told is lost: channels that are down, slow or gone, and processes that end at the wrong moment.

use expect_test::{Expect, expect};

use crate::certificates::Authority;
use crate::channels::{TELL, by_mail, channel, secret, told};
use crate::env::TestEnv;
use crate::hook::Hook;
use crate::net;
use crate::postbox::{Fault, Postbox, Tls};

/// A channel `ops` by a webhook, and a workflow that says something each time.
fn with_hook() -> (TestEnv, Hook) {
    let (env, hook) = (TestEnv::new(), Hook::start());
    channel(&env, &format!("kind = \"webhook\"\nurl = \"{}\"", hook.url));
    env.write("workflows/tell.toml", TELL);
    (env, hook)
}

/// The same by mail.
fn with_mail(to: &str) -> (TestEnv, Postbox) {
    let (env, authority) = (TestEnv::new(), Authority::new());
    let postbox = Postbox::start(Tls::OnRequest, &authority);
    by_mail(&env, &postbox, &authority, &format!("to = {to}"));
    env.write("workflows/tell.toml", TELL);
    (env, postbox)
}

/// The messages in the order they were written.
fn written(env: &TestEnv) -> Vec<String> {
    let mut ids = env.store();
    let transaction = ids.transaction().unwrap();
    let mut statement = transaction.prepare("SELECT message FROM delivery ORDER BY number").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

fn ids(hook: &Hook) -> Vec<String> {
    hook.taken().iter().map(|taken| taken.json()["id"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Everything was written so many days earlier.
fn age(env: &TestEnv, days: i64) {
    let sql = format!(
        "UPDATE message SET created_at = created_at - {days} * 86400000,
             body = json_set(body, '$.created_at', strftime('%Y-%m-%dT%H:%M:%SZ', created_at / 1000 - {days} * 86400, 'unixepoch'));
         UPDATE delivery SET next_at = 0, ended_at = ended_at - {days} * 86400000;
         UPDATE channel SET next_at = 0, delivered_at = delivered_at - {days} * 86400000, failing_since = failing_since - {days} * 86400000"
    );
    env.store().execute_batch(&sql).unwrap();
}

/// What `status` says of channels, when a person is needed.
#[track_caller]
fn check_status(env: &TestEnv, expected: Expect) {
    let ran = env.run(&["status"]);
    ran.ends_with(4);
    let text = ran.text();
    expected.assert_eq(&text[text.find("CHANNEL").expect("it speaks of channels")..]);
}

#[test]
fn a_channel_that_was_down_for_days_gets_everything_in_order_and_once() {
    let (env, hook) = with_hook();
    hook.is_down(true);
    env.run(&["run", "tell"]).succeeds(expect![[r#"
        run RUN of tell, by hand: succeeded
          notify   told ops
        waiting: 1 message for ops: 127.0.0.1:PORT answered 503 Service Unavailable
    "#]]);
    for _ in 0..3 {
        told(&env);
        age(&env, 1);
    }
    env.run(&["outbox", "list"]).succeeds(expect![[r#"
        MESSAGE                 TO   WRITTEN       STATE                                                      SUBJECT
        RUN  ops  3 days ago    waiting: 127.0.0.1:PORT answered 503 Service Unavailable  run RUN of tell, by hand: succeeded
        RUN  ops  3 days ago    waiting                                                    run RUN of tell, by hand: succeeded
        RUN  ops  2 days ago    waiting                                                    run RUN of tell, by hand: succeeded
        RUN  ops  24 hours ago  waiting                                                    run RUN of tell, by hand: succeeded
    "#]]);
    check_status(
        &env,
        expect![[r#"
            CHANNEL  WAITING  LAST
            ops      4        failing since 3 days ago: 127.0.0.1:PORT answered 503 Service Unavailable

            needs a person:
              channel `ops` cannot be reached: 127.0.0.1:PORT answered 503 Service Unavailable: deputy channel test ops
        "#]],
    );
    assert_eq!(hook.count(), 0);
    hook.is_down(false);
    told(&env);
    assert_eq!(ids(&hook), written(&env));
    assert_eq!(hook.count(), 5);
    env.run(&["outbox", "list"]).succeeds(expect![[r#"
        the outbox is empty
    "#]]);
    env.run(&["status"]).is_done();
    told(&env);
    assert_eq!(hook.count(), 6);
}

#[test]
fn a_message_that_is_refused_for_good_is_set_aside_and_those_behind_it_pass() {
    let (env, hook) = with_hook();
    hook.answers(410, &[], "channel_is_archived");
    env.run(&["run", "tell"]).succeeds(expect![[r#"
        run RUN of tell, by hand: succeeded
          notify   told ops
        set aside: 1 message for ops; `deputy outbox list` tells why
    "#]]);
    hook.is_down(false);
    told(&env);
    assert_eq!(hook.count(), 1);
    age(&env, 3);
    check_status(
        &env,
        expect![[r#"
            CHANNEL  WAITING  LAST
            ops      0        delivered 3 days ago; set aside: 1

            needs a person:
              channel `ops` has 1 message set aside: deputy outbox list
        "#]],
    );
    let first = written(&env).remove(0);
    env.run(&["outbox", "show", &first]).succeeds(expect![[r#"
        run RUN of tell, by hand: succeeded



        Written TIME
          ops: set-aside TIME
            127.0.0.1:PORT answered 410 Gone (channel_is_archived)
            hint: the webhook is gone: make a new one, write its address into the configuration, and type `deputy outbox retry`
    "#]]);
    env.run(&["outbox", "retry"]).succeeds(expect![[r#"
        tried 1 message
    "#]]);
    assert_eq!(ids(&hook)[1], first);
    env.run(&["status"]).is_done();
}

#[test]
fn a_recipient_who_is_refused_keeps_nobody_else_waiting() {
    let (env, postbox) = with_mail("[\"gone@example.com\", \"full@example.com\", \"ops@example.com\"]");
    postbox.fault(Fault::Answer("RCPT TO:<gone", "550 5.1.1 no such user"));
    postbox.fault(Fault::Answer("RCPT TO:<full", "452 4.2.2 mailbox full"));
    env.run(&["run", "tell"]).succeeds(expect![[r#"
        run RUN of tell, by hand: succeeded
          notify   told ops
        waiting: 1 message for ops: 127.0.0.1:PORT does not take the recipient full@example.com now: 452 4.2.2 mailbox full
        set aside: 1 message for ops; `deputy outbox list` tells why
        hint: what it says is the reason; it is tried again
    "#]]);
    let to =
        |postbox: &Postbox| -> Vec<String> { postbox.mails().into_iter().flat_map(|mail| mail.to).collect() };
    assert_eq!(to(&postbox), ["ops@example.com"]);
    age(&env, 3);
    env.run(&["outbox", "list"]).succeeds(expect![[r#"
        MESSAGE                 TO                     WRITTEN     STATE                                                                                              SUBJECT
        RUN  ops: gone@example.com  3 days ago  set-aside: 127.0.0.1:PORT refuses the recipient gone@example.com: 550 5.1.1 no such user          run RUN of tell, by hand: succeeded
        RUN  ops: full@example.com  3 days ago  waiting: 127.0.0.1:PORT does not take the recipient full@example.com now: 452 4.2.2 mailbox full  run RUN of tell, by hand: succeeded
    "#]]);
    told(&env);
    // Those who wait get what is older first.
    assert_eq!(
        to(&postbox)[1..],
        ["full@example.com", "gone@example.com", "full@example.com", "ops@example.com"]
    );
    let mails = postbox.mails();
    assert_eq!(mails[0].head("Message-ID"), mails[1].head("Message-ID"));
}

#[test]
fn a_mail_whose_receipt_was_lost_comes_again_under_the_same_name() {
    let (env, postbox) = with_mail("[\"ops@example.com\"]");
    postbox.fault(Fault::HangUpAfterMail);
    told(&env);
    env.run(&["outbox", "retry"]).is_done();
    let mails = postbox.mails();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].head("Message-ID"), mails[1].head("Message-ID"));
    assert_eq!(mails[0].head("Date"), mails[1].head("Date"));
}

#[test]
fn a_wrong_password_costs_no_message() {
    let (env, postbox) = with_mail("[\"ops@example.com\"]");
    secret(&env, "password", "an old one");
    told(&env);
    assert_eq!(postbox.mails(), []);
    secret(&env, "password", "correct-horse-battery");
    told(&env);
    assert_eq!(postbox.mails().len(), 2);
}

#[test]
fn the_daemon_delivers_by_itself_and_a_channel_that_hangs_delays_no_other() {
    let (env, hook) = with_hook();
    let silent = net::listener(net::silent);
    env.append(
        "deputy.toml",
        &format!("\n[channels.slow]\nkind = \"webhook\"\nurl = \"http://{silent}/\"\ntimeout = \"10m\"\n"),
    );
    env.write(
        "workflows/tell.toml",
        TELL.replace("[\"ops\"]", "[\"slow\", \"ops\"]")
            .replace("[[steps]]", "[schedule]\ncron = \"* * * * * *\"\n\n[[steps]]"),
    );
    let daemon = env.start(&["serve"], "serve.log");
    env.until("three messages have arrived", || hook.count() >= 3);
    // It stops although the other channel still hangs.
    assert_eq!(env.end(daemon, "-TERM"), Some(0));
    assert_eq!(ids(&hook)[..3], written_for(&env, "ops")[..3]);
}

fn written_for(env: &TestEnv, channel: &str) -> Vec<String> {
    let store = env.store();
    let mut statement =
        store.prepare("SELECT message FROM delivery WHERE channel = ?1 ORDER BY number").unwrap();
    statement.query_map([channel], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_daemon_that_is_killed_in_a_delivery_leaves_nothing_undelivered() {
    let (env, hook) = with_hook();
    hook.is_down(true);
    told(&env);
    told(&env);
    let asked = hook.asked();
    let silent = net::listener(net::silent);
    channel(&env, &format!("kind = \"webhook\"\nurl = \"http://{silent}/\"\ntimeout = \"10m\""));
    age(&env, 0);
    let daemon = env.start(&["-vv", "serve"], "serve.log");
    env.until("it is delivering", || {
        // Who holds the lock of the channel is at it.
        std::fs::File::open(env.file("state/deputy.locks/channel-ops"))
            .is_ok_and(|lock| lock.try_lock().is_err())
    });
    env.kill(daemon);
    assert_eq!(hook.asked(), asked);
    hook.is_down(false);
    channel(&env, &format!("kind = \"webhook\"\nurl = \"{}\"", hook.url));
    let daemon = env.start(&["serve"], "serve.log");
    env.until("both messages have arrived", || hook.count() == 2);
    assert_eq!(env.end(daemon, "-TERM"), Some(0));
    assert_eq!(ids(&hook), written(&env));
}

#[test]
fn the_daemon_waits_before_it_tries_again_and_takes_up_new_settings() {
    let (env, hook) = with_hook();
    hook.answers(429, &[("retry-after", "86400")], "");
    let daemon = env.start(&["serve"], "serve.log");
    // By hand: one try, and the daemon is not to come back before the day is over.
    told(&env);
    env.until("the try is on record", || {
        env.json(&["channel", "list"])["channels"][1]["state"]["failing_since"].is_string()
    });
    let next: String =
        env.json(&["channel", "list"])["channels"][1]["state"]["next_at"].as_str().unwrap().to_owned();
    let next: jiff::Timestamp = next.parse().unwrap();
    assert!(next.duration_since(jiff::Timestamp::now()).as_hours() >= 23, "{next}");
    hook.is_down(false);
    age(&env, 0);
    env.signal(daemon, "-HUP");
    env.until("the message has arrived", || hook.count() == 1);
    assert_eq!(env.end(daemon, "-TERM"), Some(0));
}

#[test]
fn what_cannot_be_put_on_record_is_not_sent() {
    let (env, hook) = with_hook();
    let full = "CREATE TRIGGER full BEFORE UPDATE ON delivery
                BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END";
    env.store().execute_batch(full).unwrap();
    for _ in 0..2 {
        env.run(&["run", "tell"]).ends_with(1);
    }
    assert_eq!(hook.count(), 0);
    env.store().execute_batch("DROP TRIGGER full").unwrap();
    told(&env);
    assert_eq!(ids(&hook), written(&env));
    assert_eq!(hook.count(), 3);
}

#[test]
fn the_daemon_does_not_hammer_a_channel_of_which_it_can_note_nothing() {
    let (env, hook) = with_hook();
    hook.is_down(true);
    told(&env);
    // The try can be noted, what came of it cannot.
    let full = "CREATE TRIGGER full BEFORE UPDATE OF state ON delivery WHEN new.channel = 'ops'
                BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END";
    env.store().execute_batch(full).unwrap();
    age(&env, 0);
    hook.is_down(false);
    let other = Hook::start();
    env.append("deputy.toml", &format!("\n[channels.other]\nkind = \"webhook\"\nurl = \"{}\"\n", other.url));
    let often = TELL.replace("[\"ops\"]", "[\"ops\", \"other\"]");
    env.write(
        "workflows/tell.toml",
        often.replace("[[steps]]", "[schedule]\ncron = \"* * * * * *\"\n\n[[steps]]"),
    );
    let daemon = env.start(&["serve"], "serve.log");
    env.until("the other channel has three messages", || other.count() >= 3 && hook.count() > 0);
    assert_eq!(env.end(daemon, "-TERM"), Some(0));
    assert_eq!(hook.count(), 1);
}

#[test]
fn nobody_is_left_alone_for_longer_than_a_day() {
    let (env, hook) = with_hook();
    // Somebody who asks for a century, and a clock that was wrong by as much.
    hook.answers(503, &[("retry-after", "3153600000")], "");
    told(&env);
    let next_at = || -> jiff::Timestamp {
        let channels = env.json(&["channel", "list"]);
        channels["channels"][1]["state"]["next_at"].as_str().unwrap().parse().unwrap()
    };
    assert!(next_at().duration_since(jiff::Timestamp::now()).as_hours() <= 24, "{}", next_at());
    hook.is_down(false);
    let wrong = "UPDATE channel SET next_at = 5000000000000; UPDATE delivery SET next_at = 5000000000000";
    env.store().execute_batch(wrong).unwrap();
    let daemon = env.start(&["serve"], "serve.log");
    env.until("the message has arrived", || hook.count() == 1);
    assert_eq!(env.end(daemon, "-TERM"), Some(0));
}

#[test]
fn what_is_too_old_is_set_aside_and_can_be_had_all_the_same() {
    let (env, hook) = with_hook();
    hook.is_down(true);
    // One that was tried, and one whose turn never came.
    told(&env);
    told(&env);
    age(&env, 15);
    hook.is_down(false);
    env.run(&["run", "tell"]).succeeds(expect![[r#"
        run RUN of tell, by hand: succeeded
          notify   told ops
        set aside: 2 messages for ops; `deputy outbox list` tells why
    "#]]);
    assert_eq!(hook.count(), 1);
    env.run(&["outbox", "list"]).succeeds(expect![[r#"
        MESSAGE                 TO   WRITTEN      STATE                                                                               SUBJECT
        RUN  ops  15 days ago  set-aside: it waited for 14 days; 127.0.0.1:PORT answered 503 Service Unavailable  run RUN of tell, by hand: succeeded
        RUN  ops  15 days ago  set-aside: it waited for 14 days                                                    run RUN of tell, by hand: succeeded
    "#]]);
    env.run(&["outbox", "retry"]).is_done();
    assert_eq!(hook.count(), 3);
}

#[test]
fn what_waits_for_a_channel_that_is_gone_is_told_and_can_be_dropped() {
    let (env, hook) = with_hook();
    hook.is_down(true);
    told(&env);
    let with = env.read("deputy.toml");
    env.write("deputy.toml", with.split("\n[channels.ops]").next().unwrap());
    std::fs::remove_file(env.file("workflows/tell.toml")).unwrap();
    env.run(&["outbox", "retry"]).fails(
        5,
        expect![[r#"
        tried 1 message
        waiting: 1 message for ops: there is no channel `ops` in deputy.toml
        hint: write it again, or type `deputy outbox drop --channel ops`
    "#]],
    );
    env.run(&["outbox", "drop"]).ends_with(2);
    env.run(&["outbox", "drop", "--channel", "ops"]).succeeds(expect![[r#"
        dropped 1 message
    "#]]);
    env.run(&["outbox", "list"]).succeeds(expect![[r#"
        the outbox is empty
    "#]]);
    age(&env, 3);
    env.run(&["outbox", "list", "--all"]).succeeds(expect![[r#"
        MESSAGE                 TO   WRITTEN     STATE                                              SUBJECT
        RUN  ops  3 days ago  dropped: there is no channel `ops` in deputy.toml  run RUN of tell, by hand: succeeded
    "#]]);
}

#[test]
fn what_is_over_is_forgotten_after_a_month() {
    let (env, hook) = with_hook();
    told(&env);
    age(&env, 29);
    let count = |env: &TestEnv| -> (i64, i64) {
        let sql = "SELECT (SELECT count(*) FROM message), (SELECT count(*) FROM delivery)";
        env.store().query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    told(&env);
    assert_eq!(count(&env), (2, 2));
    age(&env, 2);
    let daemon = env.start(&["serve"], "serve.log");
    env.until("the older one is forgotten", || count(&env) == (1, 1));
    assert_eq!(env.end(daemon, "-TERM"), Some(0));
    assert_eq!(hook.count(), 2);
}

#[test]
fn no_secret_of_a_channel_is_in_the_store_a_log_or_an_output() {
    let (env, authority, hook) = (TestEnv::new(), Authority::new(), Hook::start());
    let postbox = Postbox::start(Tls::OnRequest, &authority);
    by_mail(&env, &postbox, &authority, "to = [\"ops@example.com\"]");
    secret(&env, "hmac", "sixteen-bytes-or-more-hmac");
    env.append(
        "deputy.toml",
        &format!(
            "\n[channels.hook]\nkind = \"webhook\"\nurl = \"{0}\"\nsecret_from = {{ file = \"hmac\" }}\n\
             \n[channels.chat]\nkind = \"slack\"\nurl = \"{0}\"\n",
            hook.url
        ),
    );
    env.write(
        "workflows/tell.toml",
        TELL.replace("channels = [\"ops\"]\n", "")
            .replace("[[steps]]", "[schedule]\ncron = \"* * * * * *\"\n\n[[steps]]"),
    );
    let mut said = String::new();
    let mut say = |arguments: &[&str]| said += &env.run(arguments).raw();
    say(&["-vv", "run", "tell"]);
    hook.answers(404, &[], "no_service");
    postbox.fault(Fault::Answer("AUTH", "535 no: correct-horse-battery"));
    say(&["-vv", "run", "tell"]);
    hook.is_down(true);
    postbox.is_down(true);
    for command in [
        vec!["-vv", "run", "tell", "--json"],
        vec!["-vv", "channel", "test", "ops", "--json"],
        vec!["-vv", "channel", "test", "hook"],
        vec!["-vv", "channel", "list", "--json"],
        vec!["-vv", "outbox", "list", "--json", "--all"],
        vec!["-vv", "status", "--json"],
    ] {
        say(&command);
    }
    hook.is_down(false);
    postbox.is_down(false);
    let (hooked, mailed) = (hook.count(), postbox.mails().len());
    let daemon = env.start(&["-vv", "serve"], "state/serve.log");
    age(&env, 0);
    env.until("the daemon has delivered", || hook.count() > hooked && postbox.mails().len() > mailed);
    // Killed, it leaves its write-ahead log behind: that is looked at too.
    env.end(daemon, "-KILL");
    assert!(postbox.connections() > 3);
    let mut files = vec![("the output".to_owned(), said.into_bytes())];
    for file in ["deputy.db", "deputy.db-wal", "serve.log"] {
        files.push((file.to_owned(), std::fs::read(env.file("state").join(file)).unwrap()));
    }
    for (name, content) in files {
        for secret in ["correct-horse-battery", "sixteen-bytes-or-more-hmac", "secret-path", "AGRlcHV0eQ"] {
            let found = content.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} is in {name}");
        }
    }
    env.run(&["runs", "list"]).is_done();
    env.run(&["sync"]).is_done();
}
