//! Times and sizes, to read and to write.

use std::time::{SystemTime, UNIX_EPOCH};

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// `2026-11-20 21:54:46Z`; a dash for 0, which means never or not yet.
pub(crate) fn moment(at_ms: u64) -> String {
    if at_ms == 0 {
        return "-".to_owned();
    }
    let (year, month, day) = civil_date(at_ms / DAY_MS);
    let seconds = at_ms % DAY_MS / SECOND_MS;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a day counted from 1970-01-01 (the proleptic Gregorian calendar, in eras of 400 years
/// that begin on a first of March, so that a leap day is the last of its year).
fn civil_date(day: u64) -> (u64, u64, u64) {
    const DAYS_BEFORE_1970: u64 = 719_468; // from 0000-03-01
    const ERA_DAYS: u64 = 146_097;
    let shifted = day.saturating_add(DAYS_BEFORE_1970);
    let era = shifted / ERA_DAYS;
    let of_era = shifted % ERA_DAYS;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day_of_month)
}

/// `12s`, `3m`, `5h`, `2d`: how long that is, in its largest unit.
pub(crate) fn span(ms: u64) -> String {
    match ms {
        0..MINUTE_MS => format!("{}s", ms / SECOND_MS),
        MINUTE_MS..HOUR_MS => format!("{}m", ms / MINUTE_MS),
        HOUR_MS..DAY_MS => format!("{}h", ms / HOUR_MS),
        _ => format!("{}d", ms / DAY_MS),
    }
}

/// The same to be typed again, in whole seconds and no less: `90m`, `36h`.
pub(crate) fn lasting(ms: u64) -> String {
    let seconds = ms.div_ceil(SECOND_MS);
    let units = [(DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "m")].map(|(unit, name)| (unit / SECOND_MS, name));
    let unit = units.iter().find(|(unit, _)| seconds.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{seconds}s"), |(unit, name)| format!("{}{name}", seconds / unit))
}

/// How long ago that was; a dash for 0.
pub(crate) fn age(at_ms: u64, now_ms: u64) -> String {
    if at_ms == 0 { "-".to_owned() } else { span(now_ms.saturating_sub(at_ms)) }
}

/// How long until then: `in 3m`, `over`; empty for 0, which means never.
pub(crate) fn until(at_ms: u64, now_ms: u64) -> String {
    match at_ms {
        0 => String::new(),
        _ if at_ms <= now_ms => "over".to_owned(),
        _ => format!("in {}", span(at_ms - now_ms)),
    }
}

/// `850 us`, `12.3 ms`, `1.2 s`
pub(crate) fn micros(us: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let value = us as f64;
    match us {
        0..1_000 => format!("{us} us"),
        1_000..1_000_000 => format!("{:.1} ms", value / 1e3),
        _ => format!("{:.1} s", value / 1e6),
    }
}

/// `512B`, `1.5K`, `20M`: bytes in multiples of 1,024.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [char; 6] = ['K', 'M', 'G', 'T', 'P', 'E'];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value < 9.95 { format!("{value:.1}{}", UNITS[unit]) } else { format!("{value:.0}{}", UNITS[unit]) }
}

/// The same to be typed again, exactly: `512`, `64MiB`.
pub(crate) fn amount(bytes: u64) -> String {
    let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units.iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| bytes.to_string(), |(unit, name)| format!("{}{name}", bytes / unit))
}

/// `90s`, `15m`, `1h`, `2d` as milliseconds.
pub(crate) fn parse_span(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let unit_ms = match unit {
        "s" => SECOND_MS,
        "m" | "min" => MINUTE_MS,
        "h" => HOUR_MS,
        "d" => DAY_MS,
        "ms" => 1,
        _ => return None,
    };
    number.checked_mul(unit_ms).filter(|ms| *ms > 0)
}

/// `10`, `64k`, `10M`, `1GiB`: a count or a number of bytes. `k`, `M`, `G`, `T` are powers of 1,000, with `i` of 1,024.
pub(crate) fn parse_amount(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let unit = unit.strip_suffix('B').unwrap_or(unit);
    let factor: u64 = match unit {
        "" => 1,
        "k" | "K" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "Ki" | "ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        assert_eq!(moment(0), "-");
        assert_eq!(moment(1), "1970-01-01 00:00:00Z");
        assert_eq!(moment(951_782_399_000), "2000-02-28 23:59:59Z");
        assert_eq!(moment(951_782_400_000), "2000-02-29 00:00:00Z");
        assert_eq!(moment(951_868_800_000), "2000-03-01 00:00:00Z");
        assert_eq!(moment(1_735_689_599_999), "2024-12-31 23:59:59Z");
        assert_eq!(moment(4_107_542_400_000), "2100-03-01 00:00:00Z");
        assert!(!moment(u64::MAX).is_empty());
    }

    #[test]
    fn spans() {
        assert_eq!(parse_span("90s"), Some(90_000));
        assert_eq!(parse_span("2d"), Some(172_800_000));
        for bad in ["", "h", "1", "1y", "0s", "-1h", "1.5h", "99999999999999999999h", "18446744073709551615d"] {
            assert_eq!(parse_span(bad), None, "{bad}");
        }
        assert_eq!(span(59_999), "59s");
        assert_eq!(span(HOUR_MS), "1h");
        assert_eq!(until(5 * MINUTE_MS, 0), "in 5m");
        assert_eq!(until(5, 10), "over");
        assert_eq!(age(0, 10), "-");
    }

    #[test]
    fn amounts() {
        assert_eq!(parse_amount("10"), Some(10));
        assert_eq!(parse_amount("64k"), Some(64_000));
        assert_eq!(parse_amount("1GiB"), Some(1 << 30));
        assert_eq!(parse_amount("10MB"), Some(10_000_000));
        for bad in ["", "k", "1x", "-1", "1 k", "99999999999999T"] {
            assert_eq!(parse_amount(bad), None, "{bad}");
        }
    }

    #[test]
    fn amounts_are_read_as_they_are_written() {
        for bytes in [0, 1, 1023, 1024, 64 << 20, 3 << 30, (1 << 40) + 1, u64::MAX] {
            assert_eq!(parse_amount(&amount(bytes)), Some(bytes));
        }
        assert_eq!(amount(64 << 20), "64MiB");
    }

    #[test]
    fn sizes() {
        assert_eq!((size(0).as_str(), size(1023).as_str()), ("0B", "1023B"));
        assert_eq!(size(1536), "1.5K");
        assert_eq!(size(20 << 20), "20M");
        assert_eq!(size(1024 * 1024 - 1), "1.0M");
        assert_eq!(micros(850), "850 us");
        assert_eq!(micros(12_345), "12.3 ms");
    }
}
