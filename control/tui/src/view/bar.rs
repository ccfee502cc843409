//! Gauges as text.

/// Parts of a cell, an eighth each.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// A gauge of `width` cells, filled to `share` (0 to 1; beyond is cut).
pub fn bar(share: f64, width: usize) -> String {
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let eighths = (share * width as f64 * 8.0).round() as usize;
    let (full, part) = (eighths / 8, EIGHTHS.get(eighths % 8).copied().unwrap_or_default());
    let rest = width.saturating_sub(full + usize::from(!part.is_empty()));
    "█".repeat(full) + part + &"░".repeat(rest)
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn a_bar_fills_from_the_left_and_is_always_as_wide_as_asked() {
        assert_eq!(bar(0.0, 4), "░░░░");
        assert_eq!(bar(0.5, 4), "██░░");
        assert_eq!(bar(1.0 / 32.0, 4), "▏░░░");
        assert_eq!(bar(1.0, 4), "████");
        assert_eq!(bar(7.0, 4), "████");
        assert_eq!(bar(f64::NAN, 2), "░░");
        for i in 0..=100 {
            assert_eq!(bar(f64::from(i) / 100.0, 7).chars().count(), 7);
        }
    }
}
