use expect_test::{Expect, expect};

use super::*;

/// The next times after an instant, on the zone's clocks.
#[track_caller]
fn check(expression: &str, zone: &str, after: &str, expected: Expect) {
    let found = match expression.parse::<Expression>() {
        Ok(expression) => {
            let schedule = Schedule::new(expression, TimeZone::get(zone).unwrap());
            let mut after: Timestamp = after.parse().unwrap();
            let mut times = Vec::new();
            while let Some(due) = schedule.next_due(after).filter(|_| times.len() < 4) {
                let zoned = due.to_zoned(schedule.timezone().clone());
                times.push(zoned.strftime("%a %Y-%m-%d %H:%M:%S %Z").to_string());
                after = due;
            }
            if times.is_empty() { "never".to_owned() } else { times.join("\n") + "\n" }
        }
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&found);
}

#[test]
fn five_fields_are_minutes_and_up() {
    check(
        "*/15 * * * *",
        "Europe/Paris",
        "2026-01-09T09:13:20Z",
        expect![[r#"
        Fri 2026-01-09 10:15:00 CET
        Fri 2026-01-09 10:30:00 CET
        Fri 2026-01-09 10:45:00 CET
        Fri 2026-01-09 11:00:00 CET
    "#]],
    );
}

#[test]
fn six_fields_begin_with_seconds() {
    check(
        "*/20 * * * * *",
        "UTC",
        "2026-01-09T09:13:20Z",
        expect![[r#"
        Fri 2026-01-09 09:13:40 UTC
        Fri 2026-01-09 09:14:00 UTC
        Fri 2026-01-09 09:14:20 UTC
        Fri 2026-01-09 09:14:40 UTC
    "#]],
    );
}

#[test]
fn one_is_monday_and_both_zero_and_seven_are_sunday() {
    check(
        "0 6 * * 1",
        "UTC",
        "2026-01-09T00:00:00Z",
        expect![[r#"
        Mon 2026-01-12 06:00:00 UTC
        Mon 2026-01-19 06:00:00 UTC
        Mon 2026-01-26 06:00:00 UTC
        Mon 2026-02-02 06:00:00 UTC
    "#]],
    );
    check(
        "0 6 * * 0,7",
        "UTC",
        "2026-01-09T00:00:00Z",
        expect![[r#"
        Sun 2026-01-11 06:00:00 UTC
        Sun 2026-01-18 06:00:00 UTC
        Sun 2026-01-25 06:00:00 UTC
        Sun 2026-02-01 06:00:00 UTC
    "#]],
    );
    check(
        "0 6 * * 5-7",
        "UTC",
        "2026-01-09T00:00:00Z",
        expect![[r#"
        Fri 2026-01-09 06:00:00 UTC
        Sat 2026-01-10 06:00:00 UTC
        Sun 2026-01-11 06:00:00 UTC
        Fri 2026-01-16 06:00:00 UTC
    "#]],
    );
}

#[test]
fn a_time_the_clocks_skip_is_due_when_the_gap_ends() {
    check(
        "30 2 * * *",
        "America/New_York",
        "2026-03-07T12:00:00Z",
        expect![[r#"
        Sun 2026-03-08 03:00:00 EDT
        Mon 2026-03-09 02:30:00 EDT
        Tue 2026-03-10 02:30:00 EDT
        Wed 2026-03-11 02:30:00 EDT
    "#]],
    );
}

#[test]
fn a_time_that_comes_twice_is_due_once() {
    check(
        "30 1 * * *",
        "America/New_York",
        "2026-10-31T12:00:00Z",
        expect![[r#"
        Sun 2026-11-01 01:30:00 EDT
        Mon 2026-11-02 01:30:00 EST
        Tue 2026-11-03 01:30:00 EST
        Wed 2026-11-04 01:30:00 EST
    "#]],
    );
}

#[test]
fn a_schedule_through_all_hours_runs_through_the_doubled_hour_in_order() {
    check(
        "*/30 * * * *",
        "America/New_York",
        "2026-11-01T05:15:00Z",
        expect![[r#"
        Sun 2026-11-01 01:30:00 EDT
        Sun 2026-11-01 01:00:00 EST
        Sun 2026-11-01 01:30:00 EST
        Sun 2026-11-01 02:00:00 EST
    "#]],
    );
}

#[test]
fn a_half_hour_change_and_a_change_at_midnight_are_like_any_other() {
    check(
        "15 2 * * *",
        "Australia/Lord_Howe",
        "2026-10-02T00:00:00Z",
        expect![[r#"
        Sat 2026-10-03 02:15:00 +1030
        Sun 2026-10-04 02:30:00 +11
        Mon 2026-10-05 02:15:00 +11
        Tue 2026-10-06 02:15:00 +11
    "#]],
    );
    check(
        "0 0 * * *",
        "America/Sao_Paulo",
        "2018-11-02T12:00:00Z",
        expect![[r#"
        Sat 2018-11-03 00:00:00 -03
        Sun 2018-11-04 01:00:00 -02
        Mon 2018-11-05 00:00:00 -02
        Tue 2018-11-06 00:00:00 -02
    "#]],
    );
}

#[test]
fn zones_that_change_at_midnight_have_a_midnight_every_day() {
    let midnight = |zone, after, expected| check("0 0 * * *", zone, after, expected);
    midnight(
        "Africa/Cairo",
        "2025-04-23T12:00:00Z",
        expect![[r#"
        Thu 2025-04-24 00:00:00 EET
        Fri 2025-04-25 01:00:00 EEST
        Sat 2025-04-26 00:00:00 EEST
        Sun 2025-04-27 00:00:00 EEST
    "#]],
    );
    midnight(
        "Asia/Beirut",
        "2025-03-29T12:00:00Z",
        expect![[r#"
        Sun 2025-03-30 01:00:00 EEST
        Mon 2025-03-31 00:00:00 EEST
        Tue 2025-04-01 00:00:00 EEST
        Wed 2025-04-02 00:00:00 EEST
    "#]],
    );
    midnight(
        "America/Havana",
        "2025-03-07T12:00:00Z",
        expect![[r#"
        Sat 2025-03-08 00:00:00 CST
        Sun 2025-03-09 01:00:00 CDT
        Mon 2025-03-10 00:00:00 CDT
        Tue 2025-03-11 00:00:00 CDT
    "#]],
    );
    // Their clocks go back to a time that was there already: on the same day, or on the day before.
    midnight(
        "America/Havana",
        "2025-11-01T12:00:00Z",
        expect![[r#"
        Sun 2025-11-02 00:00:00 CDT
        Mon 2025-11-03 00:00:00 CST
        Tue 2025-11-04 00:00:00 CST
        Wed 2025-11-05 00:00:00 CST
    "#]],
    );
    midnight(
        "Africa/Cairo",
        "2025-10-29T12:00:00Z",
        expect![[r#"
        Thu 2025-10-30 00:00:00 EEST
        Fri 2025-10-31 00:00:00 EET
        Sat 2025-11-01 00:00:00 EET
        Sun 2025-11-02 00:00:00 EET
    "#]],
    );
    check(
        "30 23 * * *",
        "Africa/Cairo",
        "2025-10-29T12:00:00Z",
        expect![[r#"
        Wed 2025-10-29 23:30:00 EEST
        Thu 2025-10-30 23:30:00 EEST
        Fri 2025-10-31 23:30:00 EET
        Sat 2025-11-01 23:30:00 EET
    "#]],
    );
    check(
        "*/30 * * * *",
        "Africa/Cairo",
        "2025-10-30T19:45:00Z",
        expect![[r#"
        Thu 2025-10-30 23:00:00 EEST
        Thu 2025-10-30 23:30:00 EEST
        Thu 2025-10-30 23:00:00 EET
        Thu 2025-10-30 23:30:00 EET
    "#]],
    );
    // A minute after midnight, so that the next day begins, ends, and begins again.
    check(
        "0 0 * * *",
        "America/St_Johns",
        "2010-11-06T12:00:00Z",
        expect![[r#"
        Sun 2010-11-07 00:00:00 NDT
        Mon 2010-11-08 00:00:00 NST
        Tue 2010-11-09 00:00:00 NST
        Wed 2010-11-10 00:00:00 NST
    "#]],
    );
    check(
        "30 * * * *",
        "America/St_Johns",
        "2010-11-07T01:45:00Z",
        expect![[r#"
        Sat 2010-11-06 23:30:00 NDT
        Sat 2010-11-06 23:30:00 NST
        Sun 2010-11-07 00:30:00 NST
        Sun 2010-11-07 01:30:00 NST
    "#]],
    );
}

#[test]
fn the_times_of_a_day_that_a_country_skips_come_at_once_when_it_is_over() {
    check(
        "0 9 * * *",
        "Pacific/Apia",
        "2011-12-29T00:00:00Z",
        expect![[r#"
        Thu 2011-12-29 09:00:00 -10
        Sat 2011-12-31 00:00:00 +14
        Sat 2011-12-31 09:00:00 +14
        Sun 2012-01-01 09:00:00 +14
    "#]],
    );
    check(
        "0 0 * * *",
        "Pacific/Apia",
        "2011-12-29T00:00:00Z",
        expect![[r#"
        Thu 2011-12-29 00:00:00 -10
        Sat 2011-12-31 00:00:00 +14
        Sun 2012-01-01 00:00:00 +14
        Mon 2012-01-02 00:00:00 +14
    "#]],
    );
}

#[test]
fn several_times_in_one_gap_are_one() {
    check(
        "*/15 2,3 * * *",
        "America/New_York",
        "2026-03-08T06:00:00Z",
        expect![[r#"
        Sun 2026-03-08 03:00:00 EDT
        Sun 2026-03-08 03:15:00 EDT
        Sun 2026-03-08 03:30:00 EDT
        Sun 2026-03-08 03:45:00 EDT
    "#]],
    );
}

#[test]
fn names_and_years_and_weeks_that_go_over_their_end() {
    check(
        "@daily",
        "UTC",
        "2026-01-09T12:00:00Z",
        expect![[r#"
        Sat 2026-01-10 00:00:00 UTC
        Sun 2026-01-11 00:00:00 UTC
        Mon 2026-01-12 00:00:00 UTC
        Tue 2026-01-13 00:00:00 UTC
    "#]],
    );
    check(
        "@Weekly",
        "UTC",
        "2026-01-09T12:00:00Z",
        expect![[r#"
        Sun 2026-01-11 00:00:00 UTC
        Sun 2026-01-18 00:00:00 UTC
        Sun 2026-01-25 00:00:00 UTC
        Sun 2026-02-01 00:00:00 UTC
    "#]],
    );
    check(
        "@yearly",
        "UTC",
        "2026-01-09T12:00:00Z",
        expect![[r#"
        Fri 2027-01-01 00:00:00 UTC
        Sat 2028-01-01 00:00:00 UTC
        Mon 2029-01-01 00:00:00 UTC
        Tue 2030-01-01 00:00:00 UTC
    "#]],
    );
    check(
        "0 6 * jan-feb fri-mon",
        "UTC",
        "2026-01-09T12:00:00Z",
        expect![[r#"
        Sat 2026-01-10 06:00:00 UTC
        Sun 2026-01-11 06:00:00 UTC
        Mon 2026-01-12 06:00:00 UTC
        Fri 2026-01-16 06:00:00 UTC
    "#]],
    );
    check(
        "0 6 * * */2",
        "UTC",
        "2026-01-09T12:00:00Z",
        expect![[r#"
        Sat 2026-01-10 06:00:00 UTC
        Sun 2026-01-11 06:00:00 UTC
        Tue 2026-01-13 06:00:00 UTC
        Thu 2026-01-15 06:00:00 UTC
    "#]],
    );
    check(
        "0 30 4 1 1 * 2027-2028",
        "UTC",
        "2026-01-09T12:00:00Z",
        expect![[r#"
        Fri 2027-01-01 04:30:00 UTC
        Sat 2028-01-01 04:30:00 UTC
    "#]],
    );
    check(
        "0 0 29 2 *",
        "UTC",
        "2026-01-09T12:00:00Z",
        expect![[r#"
        Tue 2028-02-29 00:00:00 UTC
        Sun 2032-02-29 00:00:00 UTC
        Fri 2036-02-29 00:00:00 UTC
        Wed 2040-02-29 00:00:00 UTC
    "#]],
    );
}

#[test]
fn what_cannot_come_is_refused_and_what_has_gone_by_never_comes() {
    check(
        "0 0 31 2 *",
        "UTC",
        "2026-01-01T00:00:00Z",
        expect!["`0 0 31 2 *` never comes: there is no such day"],
    );
    check("0 0 0 1 1 * 2024", "UTC", "2026-01-01T00:00:00Z", expect!["never"]);
    check("0 0 0 1 1 * 2100", "UTC", "2100-01-01T00:00:00Z", expect!["never"]);
}

#[test]
fn a_wrong_expression_is_told_at_the_field_that_is_wrong() {
    let wrong = [
        "* * * *",
        "0 0 13 * 5",
        "61 * * * *",
        "0  25 * * *",
        " 0 0 * foo *",
        "0 0 * * 8",
        "0 0 * * mon-fry",
        "0 0 * * */0",
        "0 0 L * *",
        "0 0 0 1 1 * 24",
        "0 0 30 2 *",
        "@fortnightly",
        "@dayly",
        "@reboot",
        "",
    ];
    let told = wrong.map(|text| {
        let bad = text.parse::<Expression>().unwrap_err();
        let carets = "^".repeat(bad.part.len());
        format!("{text}|\n{}{carets} {bad}\n", " ".repeat(bad.part.start))
    });
    expect![[r#"
        * * * *|
        ^^^^^^^ a cron expression has five fields, and this one has 4: minute hour day month weekday; six with seconds in front, seven with years behind as well
        0 0 13 * 5|
            ^^^^^^ day of month and weekday are both given: other programs run on either, some on both: write `*` for one of them, or two workflows
        61 * * * *|
        ^^ `61` is no minute: 0 to 59, with `-` for a range, `,` for a list, `/` for every nth
        0  25 * * *|
           ^^ `25` is no hour: 0 to 23, with `-` for a range, `,` for a list, `/` for every nth
         0 0 * foo *|
               ^^^ `foo` is no month: 1 to 12, or jan to dec, with `-` for a range, `,` for a list, `/` for every nth
        0 0 * * 8|
                ^ `8` is no weekday: 0 to 7, or sun to sat
        0 0 * * mon-fry|
                ^^^^^^^ `fry` is no weekday: 0 to 7, or sun to sat
        0 0 * * */0|
                ^^^ `0` in `*/0` is no number of days: 1 to 7, for every nth day
        0 0 L * *|
            ^ `L` is no day of month: 1 to 31, with `-` for a range, `,` for a list, `/` for every nth
        0 0 0 1 1 * 24|
                    ^^ `24` is no year: 1970 to 2100, with `-` for a range, `,` for a list, `/` for every nth
        0 0 30 2 *|
            ^^^^ `0 0 30 2 *` never comes: there is no such day
        @fortnightly|
        ^^^^^^^^^^^^ `@fortnightly` is not a name of times: did you mean `@monthly`?
        @dayly|
        ^^^^^^ `@dayly` is not a name of times: did you mean `@daily`?
        @reboot|
        ^^^^^^^ `@reboot` is not a name of times: one of `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly`, `@annually`
        |
         a cron expression has five fields, and this one has 0: minute hour day month weekday; six with seconds in front, seven with years behind as well
    "#]].assert_eq(&told.concat());
}
