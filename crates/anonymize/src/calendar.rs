//! The proleptic Gregorian calendar: days since 1970-01-01 to year, month, day and back, for all years of 64-bit days
//! that matter.

/// Year, month (1 to 12) and day (1 to 31) of a day counted from 1970-01-01.
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let since_march_0 = days + DAYS_TO_1970;
    // 146,097 days in 400 years; the estimate is the year or the one after it.
    let mut year = (since_march_0 * 400).div_euclid(146_097);
    if days_before(year) > since_march_0 {
        year -= 1;
    } else if days_before(year + 1) <= since_march_0 {
        year += 1;
    }
    let day_of_year = since_march_0 - days_before(year);
    // Five months from March on have 153 days.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

/// The day of a date, counted from 1970-01-01; months beyond 1 to 12 count into other years.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = (year + (month - 3).div_euclid(12), (month - 3).rem_euclid(12));
    days_before(year) + (153 * month + 2) / 5 + day - 1 - DAYS_TO_1970
}

/// From 1 March of year 0 to 1 January 1970.
const DAYS_TO_1970: i64 = 719_468;

/// Days from 1 March of year 0 to 1 March of `year`. Years begin in March, so that leap days end them.
fn days_before(year: i64) -> i64 {
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        // Days as `python3 -c "import datetime; print(datetime.date(2000, 2, 29).toordinal() - 719163)"` counts them.
        for (days, date) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (11_016, (2000, 2, 29)),
            (15_842, (2013, 5, 17)),
            (-719_162, (1, 1, 1)),
            (2_932_896, (9999, 12, 31)),
            (-25_509, (1900, 2, 28)),
            (-25_508, (1900, 3, 1)),
        ] {
            assert_eq!(civil_from_days(days), date);
            assert_eq!(days_from_civil(date.0, date.1, date.2), days);
        }
        assert_eq!(days_from_civil(2013, 14, 1), days_from_civil(2014, 2, 1));
        assert_eq!(days_from_civil(2013, -1, 1), days_from_civil(2012, 11, 1));
    }

    #[test]
    fn every_day_of_eight_centuries_follows_the_one_before() {
        let mut before = civil_from_days(-200_001);
        for days in -200_000..100_000 {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
            let next_day = (year, month, day) == (before.0, before.1, before.2 + 1);
            let next_month = day == 1 && (year * 12 + month) == before.0 * 12 + before.1 + 1;
            assert!((next_day && day <= 31) || (next_month && before.2 >= 28), "{before:?} {year} {month} {day}");
            before = (year, month, day);
        }
    }
}
