//! Plots as SVG that stands in a page: colours are classes of the page's style, so that they follow light and dark.

use std::fmt::Write as _;

use super::html::escape;

/// Width of every plot; the page scales it.
const WIDTH: f64 = 880.0;
/// Colours there are: classes `c0` to `c7` of the page.
pub(super) const COLOURS: usize = 8;
/// Ticks that an axis has, about.
const TICKS: f64 = 6.0;
/// Width of a character of the labels, about; and of one that is bold.
const CHARACTER: f64 = 6.4;
const BOLD_CHARACTER: f64 = 7.6;

/// A plot that is being drawn.
struct Canvas {
    out: String,
    height: f64,
}

impl Canvas {
    fn new(height: f64, title: &str) -> Self {
        let mut out = String::new();
        let _ = write!(
            out,
            "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{0}\"><title>{0}</title>",
            escape(title)
        );
        Self { out, height }
    }

    fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let _ = write!(
            self.out,
            "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
            from.0, from.1, to.0, to.1
        );
    }

    fn text(&mut self, class: &str, at: (f64, f64), text: &str) {
        let _ = write!(
            self.out,
            "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            at.0,
            at.1,
            escape(text)
        );
    }

    fn bar(&mut self, colour: usize, at: (f64, f64), size: (f64, f64), about: &str) {
        let _ = write!(
            self.out,
            "<rect class=\"c{}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}</title></rect>",
            colour % COLOURS,
            at.0,
            at.1,
            size.0.max(0.0),
            size.1,
            escape(about)
        );
    }

    fn dot(&mut self, colour: usize, at: (f64, f64), radius: f64, about: &str) {
        let _ = write!(
            self.out,
            "<circle class=\"c{}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\"><title>{}</title></circle>",
            colour % COLOURS,
            at.0,
            at.1,
            escape(about)
        );
    }

    fn path(&mut self, colour: usize, points: &[(f64, f64)]) {
        let points: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ =
            write!(self.out, "<polyline class=\"l{}\" points=\"{}\"/>", colour % COLOURS, points.join(" "));
    }

    /// Names by colour, in as many rows as they need. Returns where the next thing can be.
    fn legend(&mut self, names: &[String], top: f64) -> f64 {
        let (mut x, mut y) = (8.0, top);
        for (colour, name) in names.iter().enumerate() {
            let width = 26.0 + name.chars().count() as f64 * CHARACTER;
            if x + width > WIDTH {
                (x, y) = (8.0, y + 18.0);
            }
            self.bar(colour, (x, y - 9.0), (10.0, 10.0), name);
            self.text("", (x + 15.0, y), name);
            x += width;
        }
        y + 18.0
    }

    fn end(mut self) -> String {
        self.out.push_str("</svg>\n");
        self.out
    }
}

/// Rows that a legend needs.
fn legend_height(names: &[String]) -> f64 {
    let mut canvas = Canvas::new(0.0, "");
    canvas.legend(names, 14.0) - 8.0
}

/// From figures to places.
#[derive(Clone, Copy)]
struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    fn place(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }
}

/// Round numbers from 0 to at least `most`.
fn ticks(most: f64) -> Vec<f64> {
    if !(most.is_finite() && most > 0.0) {
        return vec![0.0, 1.0];
    }
    let rough = most / TICKS;
    let power = 10_f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 2.5, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= rough).unwrap_or(power);
    let count = (most / step).ceil() as usize;
    (0..=count.max(1)).map(|n| n as f64 * step).collect()
}

/// A figure without digits that say nothing.
pub(super) fn short(value: f64) -> String {
    let digits = if value.abs() >= 100.0 || value == value.trunc() {
        0
    } else if value.abs() >= 1.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$}")
}

/// One bar of parts.
pub(super) struct Row {
    /// What it is of.
    pub(super) label: String,
    /// As long as each part; in the order of the plot's names.
    pub(super) parts: Vec<f64>,
    /// Where the whole lay: smallest and largest.
    pub(super) range: Option<(f64, f64)>,
    /// Single measurements.
    pub(super) dots: Vec<f64>,
    /// Said at its end.
    pub(super) note: String,
}

/// Lying bars, each of coloured parts; the range as a whisker, single measurements as dots.
pub(super) fn bars(title: &str, unit: &str, names: &[String], rows: &[Row]) -> String {
    const ROW: f64 = 24.0;
    let longest = rows.iter().map(|row| row.label.chars().count()).max().unwrap_or(0) as f64;
    let left = (longest * CHARACTER + 16.0).min(WIDTH / 2.0);
    let notes = rows.iter().map(|row| row.note.chars().count()).max().unwrap_or(0) as f64;
    let head = if names.len() > 1 { legend_height(names) } else { 4.0 };
    let height = head + rows.len() as f64 * ROW + 42.0;
    let whole = |row: &Row| row.parts.iter().sum::<f64>();
    let end = |row: &Row| {
        row.dots.iter().copied().fold(whole(row).max(row.range.map_or(0.0, |(_, high)| high)), f64::max)
    };
    let marks = ticks(rows.iter().map(end).fold(0.0, f64::max));
    let scale = Scale {
        low: 0.0,
        high: marks.last().copied().unwrap_or(1.0),
        from: left,
        to: WIDTH - notes * BOLD_CHARACTER - 16.0,
    };
    let mut canvas = Canvas::new(height, title);
    if names.len() > 1 {
        canvas.legend(names, 14.0);
    }
    let bottom = head + rows.len() as f64 * ROW;
    for mark in &marks {
        let x = scale.place(*mark);
        canvas.line("grid", (x, head), (x, bottom));
        canvas.text("mid", (x, bottom + 16.0), &short(*mark));
    }
    canvas.text("mid dim", ((scale.from + scale.to) / 2.0, bottom + 34.0), unit);
    for (at, row) in rows.iter().enumerate() {
        let top = head + at as f64 * ROW;
        canvas.text("end", (left - 8.0, top + 16.0), &row.label);
        bar_of_parts(&mut canvas, &scale, names, row, (at, top));
        let beyond = scale.place(end(row)) + 8.0;
        canvas.text("strong", (beyond, top + 16.0), &row.note);
    }
    canvas.end()
}

fn bar_of_parts(canvas: &mut Canvas, scale: &Scale, names: &[String], row: &Row, (at, top): (usize, f64)) {
    let mut from = 0.0;
    for (place, part) in row.parts.iter().enumerate() {
        let (x, next) = (scale.place(from), scale.place(from + part));
        let name = names.get(place).map_or("", String::as_str);
        // Bars of one part are told apart by row.
        let colour = if names.len() > 1 { place } else { at };
        canvas.bar(colour, (x, top + 4.0), (next - x, 16.0), &format!("{name}: {part:.2}"));
        from += part;
    }
    if let Some((low, high)) = row.range {
        let y = top + 12.0;
        canvas.line("whisker", (scale.place(low), y), (scale.place(high), y));
        for end in [low, high] {
            canvas.line("whisker", (scale.place(end), y - 4.0), (scale.place(end), y + 4.0));
        }
    }
    for (number, dot) in row.dots.iter().enumerate() {
        let y = top + 7.0 + (number % 3) as f64 * 5.0;
        let about = format!("{}, {}: {dot:.3}", row.label, number + 1);
        let _ = write!(
            canvas.out,
            "<circle class=\"single\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"2.6\"><title>{}</title></circle>",
            scale.place(*dot),
            escape(&about)
        );
    }
}

/// A point of a series: its place among those of the axis, the figure, and where it lay.
pub(super) struct Point {
    /// Which of the axis' places.
    pub(super) place: usize,
    /// The figure.
    pub(super) value: f64,
    /// Smallest and largest.
    pub(super) range: Option<(f64, f64)>,
}

/// Points of one colour, joined.
pub(super) struct Series {
    /// What it is of.
    pub(super) name: String,
    /// In the order of places.
    pub(super) points: Vec<Point>,
}

/// Lines over named places, from 0 upwards.
pub(super) fn lines(
    title: &str,
    (x_unit, y_unit): (&str, &str),
    places: &[String],
    series: &[Series],
) -> String {
    const HEIGHT: f64 = 300.0;
    const LEFT: f64 = 56.0;
    let names: Vec<_> = series.iter().map(|one| one.name.clone()).collect();
    let head = legend_height(&names) + 26.0;
    let mut canvas = Canvas::new(HEIGHT + head, title);
    canvas.legend(&names, 14.0);
    let bottom = canvas.height - 44.0;
    let all = series.iter().flat_map(|one| &one.points);
    let most =
        all.map(|point| point.value.max(point.range.map_or(0.0, |(_, high)| high))).fold(0.0, f64::max);
    let marks = ticks(most);
    let y = Scale { low: 0.0, high: marks.last().copied().unwrap_or(1.0), from: bottom, to: head };
    let last = places.len().saturating_sub(1).max(1) as f64;
    let x = Scale { low: 0.0, high: last, from: LEFT + 30.0, to: WIDTH - 40.0 };
    for mark in &marks {
        canvas.line("grid", (LEFT, y.place(*mark)), (WIDTH - 12.0, y.place(*mark)));
        canvas.text("end", (LEFT - 6.0, y.place(*mark) + 4.0), &short(*mark));
    }
    for (at, place) in places.iter().enumerate() {
        canvas.text("mid", (x.place(at as f64), bottom + 18.0), place);
    }
    canvas.text("mid dim", (WIDTH / 2.0, bottom + 38.0), x_unit);
    canvas.text("dim", (4.0, head - 10.0), y_unit);
    for (colour, one) in series.iter().enumerate() {
        let at = |point: &Point| (x.place(point.place as f64), y.place(point.value));
        canvas.path(colour, &one.points.iter().map(at).collect::<Vec<_>>());
        for point in &one.points {
            let (px, py) = at(point);
            if let Some((low, high)) = point.range {
                canvas.line("whisker", (px, y.place(low)), (px, y.place(high)));
            }
            let place = places.get(point.place).map_or("", String::as_str);
            canvas.dot(colour, (px, py), 3.4, &format!("{}, {place}: {:.2} {y_unit}", one.name, point.value));
        }
    }
    canvas.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_beyond_the_largest_figure() {
        assert_eq!(ticks(53.8), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]);
        assert_eq!(ticks(0.9).last().map(|last| *last >= 0.9), Some(true));
        for odd in [0.0, f64::NAN, f64::INFINITY, -1.0] {
            assert_eq!(ticks(odd), [0.0, 1.0], "{odd}");
        }
        for most in [1.0, 7.3, 1234.0, 0.004] {
            let marks = ticks(most);
            assert!((2..=9).contains(&marks.len()) && *marks.last().unwrap() >= most, "{most}: {marks:?}");
        }
    }

    #[test]
    fn a_bar_is_as_long_as_its_parts_and_names_are_escaped() {
        let row = Row {
            label: "<a> & b".into(),
            parts: vec![25.0, 25.0],
            range: Some((40.0, 60.0)),
            dots: vec![45.0],
            note: "50".into(),
        };
        let plot = bars("plot", "cycles", &["one".into(), "two".into()], &[row]);
        assert!(plot.contains("&lt;a&gt; &amp; b") && !plot.contains("<a>"));
        let widths: Vec<f64> = plot
            .split("<rect ")
            .filter(|part| part.contains("height=\"16.0\""))
            .map(|part| part.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(widths.len(), 2);
        assert!((widths[0] - widths[1]).abs() < 0.2 && widths[0] > 100.0, "{widths:?}");
    }
}
