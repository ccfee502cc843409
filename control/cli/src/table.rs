//! Aligned tables.

use unicode_width::UnicodeWidthStr;

use crate::output::{Paint, Style};
use crate::text::clean;

/// One column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its heading.
    pub title: &'static str,
    /// Numbers stand to the right.
    pub right: bool,
}

/// A column of text.
pub const fn left(title: &'static str) -> Column {
    Column { title, right: false }
}

/// A column of numbers.
pub const fn right(title: &'static str) -> Column {
    Column { title, right: true }
}

/// One cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// Text with emphasis.
    pub fn styled(text: impl AsRef<str>, style: Style) -> Self {
        Self { text: clean(text.as_ref()).into_owned(), style }
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A number of troubles: nothing to see at 0.
    pub fn trouble(count: u64) -> Self {
        let style = if count == 0 { Style::Dim } else { Style::Warning };
        Self::styled(ze_tui::units::count(count), style)
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, Style::Plain)
    }
}

/// A table that can be printed in parts: columns only grow.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    widths: Vec<usize>,
    rows: Vec<Vec<Cell>>,
    headed: bool,
}

/// Between two columns.
const GAP: &str = "  ";

impl Table {
    /// A table without rows.
    pub fn new(columns: &[Column]) -> Self {
        let widths = columns.iter().map(|c| c.title.width()).collect();
        Self { columns: columns.to_vec(), widths, rows: Vec::new(), headed: false }
    }

    /// Adds a row; missing cells are empty.
    pub fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        let cells = cells.into();
        debug_assert!(cells.len() <= self.columns.len());
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.text.width());
        }
        self.rows.push(cells);
    }

    /// Rows that wait to be rendered.
    pub const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Are there none?
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows since the last call, under the heading at the first.
    pub fn render(&mut self, paint: Paint) -> String {
        let mut text = String::new();
        if !std::mem::replace(&mut self.headed, true) {
            let heading: Vec<Cell> =
                self.columns.iter().map(|c| Cell::styled(c.title, Style::Heading)).collect();
            self.line(&mut text, &heading, paint);
        }
        for row in &self.rows {
            self.line(&mut text, row, paint);
        }
        self.rows.clear();
        text
    }

    fn line(&self, text: &mut String, cells: &[Cell], paint: Paint) {
        // Nothing invisible stands at the end of a line.
        let used = cells.iter().rposition(|c| !c.text.is_empty()).map_or(0, |last| last + 1);
        for (i, cell) in cells.iter().take(used).enumerate() {
            let (width, right) =
                (self.widths.get(i).copied().unwrap_or(0), self.columns.get(i).is_some_and(|c| c.right));
            let padding = " ".repeat(width.saturating_sub(cell.text.width()));
            let painted = paint.paint(cell.style, &cell.text);
            text.push_str(if i > 0 { GAP } else { "" });
            match (right, i + 1 == used) {
                (true, _) => text.extend([padding.as_str(), painted.as_str()]),
                (false, false) => text.extend([painted.as_str(), padding.as_str()]),
                (false, true) => text.push_str(&painted),
            }
        }
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Paint = Paint { on: false };

    #[test]
    fn columns_align_and_lines_have_no_tail() {
        let mut table = Table::new(&[left("NAME"), right("COUNT"), left("NOTE")]);
        table.row(["lan0".into(), "12".into(), "first".into()]);
        table.row(["wan-long".into(), "1,234".into(), Cell::default()]);
        assert_eq!(table.render(PLAIN), "NAME      COUNT  NOTE\nlan0         12  first\nwan-long  1,234\n");
    }

    #[test]
    fn parts_have_one_heading_and_widths_that_only_grow() {
        let mut table = Table::new(&[left("A"), left("B")]);
        table.row(["wide".into(), "x".into()]);
        assert_eq!(table.render(PLAIN), "A     B\nwide  x\n");
        table.row(["n".into(), "y".into()]);
        assert_eq!(table.render(PLAIN), "n     y\n");
    }

    #[test]
    fn colours_do_not_count_as_width() {
        let mut table = Table::new(&[left("S"), left("T")]);
        table.row([Cell::styled("up", Style::Good), "x".into()]);
        table.row(["down".into(), "y".into()]);
        assert_eq!(table.render(Paint { on: true }).lines().nth(1), Some("\x1b[32mup\x1b[0m    x"));
    }

    #[test]
    fn wide_characters_take_two_cells_and_escape_sequences_are_defused() {
        let mut table = Table::new(&[left("N"), left("T")]);
        table.row(["路由".into(), "x".into()]);
        table.row(["\x1b[2Jab".into(), "y".into()]);
        assert_eq!(table.render(PLAIN), "N       T\n路由    x\n?[2Jab  y\n");
    }
}
