//! Numbers as people read them. Exact values belong into JSON.

use std::time::Duration;

/// Below this a count is written exactly.
const EXACT_BELOW: u64 = 1_000_000;

/// A count: exact with separators below a million, then three decimals and a prefix: `12,345`, `1.235M`.
pub fn count(value: u64) -> String {
    if value < EXACT_BELOW {
        return separated(value);
    }
    let (scaled, prefix) = scale(value as f64, 1000.0, &["", "k", "M", "G", "T", "P", "E"]);
    format!("{scaled:.3}{prefix}")
}

/// A count with separators: `1,234,567`.
pub fn separated(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate without its unit: `0`, `0.5`, `999`, `1.23k`, `14.88M`.
pub fn rate(per_s: f64) -> String {
    if !per_s.is_finite() {
        return "-".to_owned();
    }
    if per_s < 0.05 {
        return "0".to_owned();
    }
    if per_s < 9.95 {
        return format!("{per_s:.1}");
    }
    let (scaled, prefix) = scale(per_s, 1000.0, &["", "k", "M", "G", "T", "P", "E"]);
    if prefix.is_empty() { format!("{scaled:.0}") } else { format!("{scaled:.2}{prefix}") }
}

/// Bytes, in binary prefixes: `512 B`, `1.5 KiB`, `4.0 GiB`.
pub fn bytes(value: u64) -> String {
    let (scaled, prefix) = scale(value as f64, 1024.0, &["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]);
    if prefix.is_empty() { format!("{value} B") } else { format!("{scaled:.1} {prefix}B") }
}

/// A share of one: `0 %`, `<0.1 %`, `3.4 %`, `100 %`.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        p if p > 0.0 && p < 0.05 => "<0.1 %".to_owned(),
        p if (0.05..9.95).contains(&p) => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}

/// A duration in its two largest units: `850 ms`, `42 s`, `3 min 5 s`, `2 d 4 h`.
pub fn duration(value: Duration) -> String {
    let s = value.as_secs();
    let pair = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match s {
        0 => format!("{} ms", value.as_millis()),
        1..60 => format!("{s} s"),
        60..3600 => pair(s / 60, "min", s % 60, "s"),
        3600..86_400 => pair(s / 3600, "h", s % 3600 / 60, "min"),
        _ => pair(s / 86_400, "d", s % 86_400 / 3600, "h"),
    }
}

/// `12 packets`, `1 packet`: a count with its noun.
pub fn plural(value: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(value), if value == 1 { "" } else { "s" })
}

/// The largest step at which the value is at least 1, and never 1000.00 of a smaller one.
fn scale<'a>(value: f64, base: f64, prefixes: &[&'a str]) -> (f64, &'a str) {
    let mut scaled = value;
    let mut step = 0;
    // 999.995 would be written as 1000.00.
    while scaled >= base * 0.999_995 && step + 1 < prefixes.len() {
        scaled /= base;
        step += 1;
    }
    (scaled, prefixes.get(step).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_exact_until_a_million() {
        for (value, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (999_999, "999,999"),
            (1_000_000, "1.000M"),
            (1_234_567, "1.235M"),
            (999_999_999, "1.000G"),
            (u64::MAX, "18.447E"),
        ] {
            assert_eq!(count(value), text);
        }
        assert_eq!(separated(1_234_567), "1,234,567");
    }

    #[test]
    fn rates_keep_three_figures_or_so() {
        for (value, text) in [
            (0.0, "0"),
            (0.5, "0.5"),
            (9.97, "10"),
            (999.0, "999"),
            (999.999, "1.00k"),
            (1234.0, "1.23k"),
            (14_880_952.0, "14.88M"),
            (f64::NAN, "-"),
        ] {
            assert_eq!(rate(value), text);
        }
    }

    #[test]
    fn bytes_shares_and_durations_read_well() {
        assert_eq!(
            [bytes(0), bytes(1023), bytes(1536), bytes(8 << 30)],
            ["0 B", "1023 B", "1.5 KiB", "8.0 GiB"]
        );
        assert_eq!([percent(0.0), percent(0.000_4), percent(0.034)], ["0 %", "<0.1 %", "3.4 %"]);
        assert_eq!([percent(0.5), percent(1.0)], ["50 %", "100 %"]);
        let text = |ms| duration(Duration::from_millis(ms));
        assert_eq!([text(0), text(850), text(42_000), text(60_000)], ["0 ms", "850 ms", "42 s", "1 min"]);
        assert_eq!(
            [text(185_000), text(7_260_000), text(187_200_000)],
            ["3 min 5 s", "2 h 1 min", "2 d 4 h"]
        );
        assert_eq!([plural(1, "packet"), plural(0, "packet")], ["1 packet", "0 packets"]);
    }
}
