//! Order statistics.

use serde::{Deserialize, Serialize};

/// The value below which a share `q` (0 to 1) of the sorted values lies, between two of them by proportion. None of
/// nothing.
#[must_use]
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = q.clamp(0.0, 1.0) * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    let (low, high) = (*sorted.get(below)?, *sorted.get(above)?);
    Some(low + (high - low) * (place - below as f64))
}

/// The smallest, the middle and the largest of some figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The smallest.
    pub min: f64,
    /// The middle one; of an even number the mean of the middle two.
    pub median: f64,
    /// The largest.
    pub max: f64,
}

impl Summary {
    /// Of these figures. None of nothing.
    #[must_use]
    pub fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        Some(Self { min: *figures.first()?, median: quantile(&figures, 0.5)?, max: *figures.last()? })
    }

    /// Each figure changed the same way.
    #[must_use]
    pub fn map(self, change: impl Fn(f64) -> f64) -> Self {
        Self { min: change(self.min), median: change(self.median), max: change(self.max) }
    }

    /// (max − min) / median.
    #[must_use]
    pub fn spread(&self) -> f64 {
        (self.max - self.min) / self.median
    }
}

/// The median. None of nothing.
#[must_use]
pub fn median(figures: Vec<f64>) -> Option<f64> {
    Summary::of(figures).map(|summary| summary.median)
}

/// What a standard deviation is of a normal distribution whose median absolute deviation is one.
const DEVIATION_OF_MAD: f64 = 1.4826;

/// How far figures are from their median: its median absolute deviation, as the standard deviation that it would be of
/// normally distributed ones. One wild figure does not move it. None of nothing.
#[must_use]
pub fn deviation(figures: &[f64]) -> Option<f64> {
    let middle = median(figures.to_vec())?;
    median(figures.iter().map(|figure| (figure - middle).abs()).collect()).map(|mad| mad * DEVIATION_OF_MAD)
}

/// Rounded to thousandths: more digits would claim more than a measurement knows.
#[must_use]
pub fn rounded(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_values_by_proportion() {
        let sorted = [10.0, 20.0, 30.0, 50.0];
        for (q, expected) in [(0.0, 10.0), (0.25, 17.5), (0.5, 25.0), (0.75, 35.0), (1.0, 50.0), (2.0, 50.0)]
        {
            assert_eq!(quantile(&sorted, q), Some(expected), "{q}");
        }
        assert_eq!(quantile(&[7.0], 0.3), Some(7.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn a_summary_does_not_depend_on_order_and_has_a_middle_for_even_counts() {
        let odd = Summary::of(vec![3.0, 1.0, 2.0]).unwrap();
        assert_eq!(odd, Summary { min: 1.0, median: 2.0, max: 3.0 });
        let even = Summary::of(vec![4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((even.median, even.spread()), (2.5, 1.2));
        assert_eq!(even.map(|x| x - 1.0), Summary { min: 0.0, median: 1.5, max: 3.0 });
        assert_eq!(Summary::of(vec![]), None);
        assert_eq!(median(vec![9.0, 7.0]), Some(8.0));
    }

    #[test]
    fn a_deviation_is_of_the_middle_and_not_of_one_wild_figure() {
        assert_eq!(deviation(&[10.0, 11.0, 9.0, 10.0, 500.0]), Some(1.4826));
        assert_eq!(deviation(&[3.0]), Some(0.0));
        assert_eq!(deviation(&[]), None);
    }

    #[test]
    fn rounding_keeps_three_digits() {
        assert_eq!([rounded(1.23456), rounded(-0.0004), rounded(2.0)], [1.235, -0.0, 2.0]);
    }
}
