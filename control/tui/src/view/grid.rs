//! Tables with fixed columns, the less important of which go when the terminal is narrow.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::theme::Theme;

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its heading.
    pub title: &'static str,
    /// Its width in cells.
    pub width: u16,
    /// Numbers stand to the right.
    pub right: bool,
    /// Columns with the highest rank go first when there is no room; rank 0 stays.
    pub rank: u8,
}

impl Column {
    /// A column of numbers.
    pub const fn number(title: &'static str, width: u16, rank: u8) -> Self {
        Self { title, width, right: true, rank }
    }

    /// A column of text.
    pub const fn text(title: &'static str, width: u16, rank: u8) -> Self {
        Self { title, width, right: false, rank }
    }
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// What it says.
    pub text: String,
    /// How.
    pub style: Style,
}

impl Cell {
    /// Text without emphasis.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style::new() }
    }

    /// Text with emphasis.
    pub fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }
}

/// A table.
#[derive(Clone, Debug)]
pub struct Grid {
    /// Its columns. The last one takes the room that is left.
    pub columns: &'static [Column],
    /// Its rows; each as long as `columns`.
    pub rows: Vec<Vec<Cell>>,
    /// Said when there are no rows.
    pub empty: &'static str,
}

/// Between two columns.
const GAP: u16 = 1;

impl Grid {
    /// Draws heading and rows, from row `scroll` on.
    pub fn draw(&self, screen: &mut Frame<'_>, area: Rect, scroll: usize, theme: Theme) {
        if area.height == 0 {
            return;
        }
        let shown = chosen(self.columns, area.width);
        let heading: Vec<Cell> =
            self.columns.iter().map(|c| Cell::styled(c.title, theme.heading())).collect();
        screen.render_widget(self.line(&shown, &heading), row(area, 0));
        if self.rows.is_empty() {
            screen.render_widget(Line::styled(self.empty, theme.dim()), row(area, 1));
            return;
        }
        let room = usize::from(area.height) - 1;
        let first = scroll.min(self.rows.len().saturating_sub(room));
        let below = self.rows.len() - first;
        let full = if below > room { room.saturating_sub(1) } else { below };
        for (i, cells) in self.rows.iter().skip(first).take(full).enumerate() {
            screen.render_widget(self.line(&shown, cells), row(area, 1 + i as u16));
        }
        if below > full {
            let more = format!("… {} more", below - full);
            screen.render_widget(Line::styled(more, theme.dim()), row(area, 1 + full as u16));
        }
    }

    fn line<'a>(&self, shown: &[usize], cells: &'a [Cell]) -> Line<'a> {
        let mut spans = Vec::with_capacity(shown.len() * 2);
        for (&i, last) in shown.iter().zip((1..=shown.len()).map(|n| n == shown.len())) {
            let (Some(column), Some(cell)) = (self.columns.get(i), cells.get(i)) else { continue };
            spans.push(Span::styled(column.padded(&cell.text, last), cell.style));
            spans.push(Span::raw(" "));
        }
        Line::from(spans)
    }
}

impl Column {
    /// `text` in exactly the column's width; the last column may be longer.
    fn padded(&self, text: &str, last: bool) -> String {
        let width = usize::from(self.width);
        let len = text.chars().count();
        if len > width && !last {
            let cut: String = text.chars().take(width.saturating_sub(1)).collect();
            return cut + "…";
        }
        if self.right { format!("{text:>width$}") } else { format!("{text:<width$}") }
    }
}

/// The columns that fit, in order.
pub(crate) fn chosen(columns: &[Column], width: u16) -> Vec<usize> {
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    let rank = |i: &usize| columns.get(*i).map_or(0, |c| c.rank);
    let needed = |shown: &[usize]| {
        let widths: u16 = shown.iter().filter_map(|i| columns.get(*i)).map(|c| c.width).sum();
        widths + GAP * (shown.len() as u16).saturating_sub(1)
    };
    while needed(&shown) > width {
        // The last of the least important ones goes.
        let Some((position, _)) =
            shown.iter().enumerate().max_by_key(|(_, i)| rank(i)).filter(|(_, i)| rank(i) > 0)
        else {
            break;
        };
        shown.remove(position);
    }
    shown
}

/// Line `n` of an area; empty when beyond.
pub(crate) fn row(area: Rect, n: u16) -> Rect {
    Rect { y: area.y.saturating_add(n), height: 1, ..area }.intersection(area)
}
