//! Working hours: days and times of day in a time zone.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use serde::Serialize;

/// The working hours of an account, in its own time zone. Hours that end before they begin last
/// until the next day, which then need not be a working day itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkingHours {
    #[serde(flatten)]
    written: Written,
    #[serde(skip)]
    zone: TimeZone,
    /// Monday first.
    #[serde(skip)]
    days: [bool; 7],
    #[serde(skip)]
    from: Time,
    /// The first minute after work; midnight is the end of the day.
    #[serde(skip)]
    to: Time,
}

/// Working hours as they stand in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Written {
    timezone: String,
    days: String,
    from: String,
    to: String,
}

impl WorkingHours {
    /// Reads a time zone (`Asia/Almaty`), days (`mon-fri`, `sat,sun`) and times of day (`09:00`;
    /// `24:00` is the end of the day).
    ///
    /// # Errors
    /// Which of the four is wrong, by its key, and why.
    pub fn parse(
        timezone: String,
        days: String,
        from: String,
        to: String,
    ) -> Result<Self, (&'static str, &'static str)> {
        let no_zone = "is not a time zone; write a name of the IANA database, Asia/Almaty";
        let no_days = "are not days; write mon-fri, or mon,wed,fri";
        let no_time = "is not a time of day; write \"09:00\", quoted";
        Ok(Self {
            zone: TimeZone::get(&timezone).map_err(|_| ("timezone", no_zone))?,
            days: Self::days(&days).ok_or(("days", no_days))?,
            from: Self::time(&from).ok_or(("from", no_time))?,
            to: Self::time(&to).ok_or(("to", no_time))?,
            written: Written { timezone, days, from, to },
        })
    }

    /// Whether this time, in seconds since 1970, is working time.
    pub fn open_at(&self, unix: Duration) -> bool {
        let Ok(seconds) = i64::try_from(unix.as_secs()) else { return false };
        let Ok(now) = Timestamp::from_second(seconds) else { return false };
        let now = self.zone.to_datetime(now);
        let (time, today) = (now.time(), now.weekday());
        if self.overnight() {
            (time >= self.from && self.works(today))
                || (time < self.to && self.works(today.previous()))
        } else {
            time >= self.from
                && (time < self.to || self.to == Time::midnight())
                && self.works(today)
        }
    }

    fn overnight(&self) -> bool {
        self.to <= self.from && self.to != Time::midnight()
    }

    fn works(&self, day: Weekday) -> bool {
        self.days.get(day.to_monday_zero_offset() as usize).copied().unwrap_or(false)
    }

    /// Ranges and single days, separated by commas.
    fn days(text: &str) -> Option<[bool; 7]> {
        let mut days = [false; 7];
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let last = day(last)?;
            let mut at = day(first)?;
            loop {
                *days.get_mut(at)? = true;
                if at == last {
                    break;
                }
                at = (at + 1) % 7;
            }
        }
        Some(days)
    }

    fn time(text: &str) -> Option<Time> {
        if text == "24:00" {
            return Some(Time::midnight());
        }
        let (hours, minutes) = text.split_once(':')?;
        let number = |digits: &str| {
            let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten()
        };
        Time::new(number(hours)?, number(minutes)?, 0, 0).ok()
    }
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The day's place in the week, Monday first.
fn day(name: &str) -> Option<usize> {
    let name = name.trim().to_ascii_lowercase();
    DAYS.iter().position(|day| *day == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(
        zone: &str,
        days: &str,
        from: &str,
        to: &str,
    ) -> Result<WorkingHours, (&'static str, &'static str)> {
        WorkingHours::parse(zone.into(), days.into(), from.into(), to.into())
    }

    fn hours(days: &str, from: &str, to: &str) -> WorkingHours {
        parse("Asia/Almaty", days, from, to).unwrap()
    }

    /// Whether a local time of the account is working time.
    fn open(hours: &WorkingHours, local: &str) -> bool {
        let local: jiff::civil::DateTime = local.parse().unwrap();
        let seconds = local.to_zoned_datetime(hours.zone.clone()).unwrap().timestamp().as_second();
        hours.open_at(Duration::from_secs(seconds as u64))
    }

    #[test]
    fn hours_hold_from_their_first_minute_to_before_their_last() {
        let hours = hours("mon-fri", "09:00", "18:00");
        for (local, works) in [
            ("2026-11-23T08:59:59", false), // a Monday
            ("2026-11-23T09:00", true),
            ("2026-11-23T17:59:59", true),
            ("2026-11-23T18:00", false),
            ("2026-11-27T12:00", true),
            ("2026-11-28T12:00", false),
        ] {
            assert_eq!(open(&hours, local), works, "{local}");
        }
        // Almaty is five hours ahead of UTC: Monday 09:00 there.
        let utc =
            |text: &str| Duration::from_secs(text.parse::<Timestamp>().unwrap().as_second() as u64);
        assert!(hours.open_at(utc("2026-11-23T04:00:00Z")));
        assert!(!hours.open_at(utc("2026-11-23T03:59:59Z")));
    }

    #[test]
    fn a_night_shift_belongs_to_the_day_it_begins_on() {
        let hours = hours("fri", "22:00", "06:00");
        for (local, works) in [
            ("2026-11-27T21:59", false), // a Friday
            ("2026-11-27T22:00", true),
            ("2026-11-28T05:59", true),
            ("2026-11-28T06:00", false),
            ("2026-11-28T23:00", false),
            ("2026-11-27T03:00", false),
        ] {
            assert_eq!(open(&hours, local), works, "{local}");
        }
    }

    #[test]
    fn a_day_may_last_until_midnight_and_a_week_may_wrap() {
        let until_midnight = hours("sat-mon", "00:00", "24:00");
        assert!(open(&until_midnight, "2026-11-28T23:59"));
        assert!(open(&until_midnight, "2026-11-23T00:00"));
        assert!(!open(&until_midnight, "2026-11-24T00:00"));
        assert_eq!(hours("sat,sun,Mon", "00:00", "00:00").days, until_midnight.days);
    }

    #[test]
    fn daylight_saving_moves_the_hours_with_the_clock_on_the_wall() {
        let berlin = parse("Europe/Berlin", "mon-sun", "09:00", "17:00").unwrap();
        for day in ["2026-03-28", "2026-03-29", "2026-10-25", "2026-10-26"] {
            assert!(!open(&berlin, &format!("{day}T08:59")), "{day}");
            assert!(open(&berlin, &format!("{day}T09:00")), "{day}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let parse = |zone, days, from, to| parse(zone, days, from, to).unwrap_err();
        assert_eq!(parse("Almaty", "mon", "09:00", "18:00").0, "timezone");
        for days in ["", "mo", "mon-", "mon,,tue", "1-5", "mon-fri-sun"] {
            assert_eq!(parse("UTC", days, "09:00", "18:00").0, "days", "{days:?}");
        }
        for time in ["", "9:00", "09:0", "25:00", "09:60", "0900", "09:00:00", "+9:00"] {
            assert_eq!(parse("UTC", "mon", time, "18:00").0, "from", "{time:?}");
            assert_eq!(parse("UTC", "mon", "09:00", time).0, "to", "{time:?}");
        }
    }
}
