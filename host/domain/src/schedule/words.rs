//! The usual cron expressions in words, for whoever does not read cron.

use super::Expression;

const DAYS: [&str; 8] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

impl Expression {
    /// When it comes, in words; none for a form that words would not make clearer.
    pub fn in_words(&self) -> Option<String> {
        let text = self.spelled_out();
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else { return None };
        let every = |field: &str, within: u32| {
            let step: u32 = field.strip_prefix("*/")?.parse().ok()?;
            // Any other step begins anew with the hour or the day, and is uneven there.
            (step > 0 && within.is_multiple_of(step)).then_some(step)
        };
        let at = |hour: &str, minute: &str| {
            let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
            Some(format!("{hour:02}:{minute:02}"))
        };
        let all = |field: &str| field == "*" || field == "?";
        let (any_day, any_month, any_weekday) = (all(day), all(month), all(weekday));
        if any_day && any_month && any_weekday && hour == "*" {
            return match (minute, every(minute, 60)) {
                ("*", _) | (_, Some(1)) => Some("every minute".to_owned()),
                (_, Some(minutes)) => Some(format!("every {minutes} minutes")),
                ("0", None) => Some("every hour".to_owned()),
                _ => Some(format!("every hour, {} after it", minutes(minute.parse().ok()?))),
            };
        }
        if any_day
            && any_month
            && any_weekday
            && let Some(hours) = every(hour, 24)
        {
            let after = match minute.parse().ok()? {
                0 => String::new(),
                after => format!(", {} after it", minutes(after)),
            };
            let every = if hours == 1 { "every hour".to_owned() } else { format!("every {hours} hours") };
            return Some(every + &after);
        }
        let at = at(hour, minute)?;
        match (any_day, any_month, any_weekday) {
            (true, true, true) => Some(format!("every day at {at}")),
            (true, true, false) => Some(format!("{} at {at}", weekdays(weekday)?)),
            (false, true, true) => {
                Some(format!("on day {} of every month at {at}", day.parse::<u32>().ok()?))
            }
            _ => None,
        }
    }
}

fn minutes(number: u32) -> String {
    if number == 1 { "1 minute".to_owned() } else { format!("{number} minutes") }
}

fn weekdays(field: &str) -> Option<String> {
    let day = |text: &str| {
        let named = DAYS
            .iter()
            .position(|name| name[..3].eq_ignore_ascii_case(text) || name.eq_ignore_ascii_case(text));
        DAYS.get(named.or_else(|| text.parse().ok())?).copied()
    };
    if let Some((first, last)) = field.split_once('-') {
        return Some(format!("{} to {}", day(first)?, day(last)?));
    }
    let days: Vec<&str> = field.split(',').map(day).collect::<Option<_>>()?;
    match days.as_slice() {
        [day] => Some(format!("every {day}")),
        [days @ .., last] => Some(format!("{} and {last}", days.join(", "))),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(expressions: &[&str], expected: Expect) {
        let told = expressions.iter().map(|text| {
            let words = text.parse::<Expression>().unwrap().in_words();
            format!("{text}: {}\n", words.unwrap_or_else(|| "-".to_owned()))
        });
        expected.assert_eq(&told.collect::<String>());
    }

    #[test]
    fn the_usual_forms_are_told_in_words() {
        check(
            &[
                "* * * * *",
                "*/15 * * * *",
                "0 * * * *",
                "1 * * * *",
                "25 * * * *",
                "0 */6 * * *",
                "30 */2 * * *",
                "0 9 * * *",
                "30 6 * * 1-5",
                "0 8 * * mon",
                "0 8 * * mon,thu,7",
                "0 0 1 * *",
                "@daily",
                "@weekly",
            ],
            expect![[r#"
                * * * * *: every minute
                */15 * * * *: every 15 minutes
                0 * * * *: every hour
                1 * * * *: every hour, 1 minute after it
                25 * * * *: every hour, 25 minutes after it
                0 */6 * * *: every 6 hours
                30 */2 * * *: every 2 hours, 30 minutes after it
                0 9 * * *: every day at 09:00
                30 6 * * 1-5: Monday to Friday at 06:30
                0 8 * * mon: every Monday at 08:00
                0 8 * * mon,thu,7: Monday, Thursday and Sunday at 08:00
                0 0 1 * *: on day 1 of every month at 00:00
                @daily: every day at 00:00
                @weekly: every Sunday at 00:00
            "#]],
        );
    }

    #[test]
    fn what_words_would_not_make_clearer_stays_an_expression() {
        check(
            &[
                "*/7 * * * *",
                "0 9-17 * * *",
                "0 0 1 1 *",
                "30 0 9 * * *",
                "0,30 * * * *",
                "0 8 * * mon-fri/2",
                "0 */5 * * *",
            ],
            expect![[r#"
                */7 * * * *: -
                0 9-17 * * *: -
                0 0 1 1 *: -
                30 0 9 * * *: -
                0,30 * * * *: -
                0 8 * * mon-fri/2: -
                0 */5 * * *: -
            "#]],
        );
    }
}
