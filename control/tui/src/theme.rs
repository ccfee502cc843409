//! Colours and emphasis, and the same without colours.

use ratatui::style::{Color, Modifier, Style};

/// How things are painted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Colours, or only bold, dim and reverse.
    pub color: bool,
}

impl Theme {
    fn paint(self, color: Color) -> Style {
        if self.color { Style::new().fg(color) } else { Style::new() }
    }

    /// All is well.
    pub fn good(self) -> Style {
        self.paint(Color::Green)
    }

    /// Have a look.
    pub fn warning(self) -> Style {
        self.paint(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// Something is wrong.
    pub fn bad(self) -> Style {
        self.paint(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// Less important.
    pub fn dim(self) -> Style {
        if self.color { self.paint(Color::DarkGray) } else { Style::new().add_modifier(Modifier::DIM) }
    }

    /// Headings of columns.
    pub fn heading(self) -> Style {
        self.paint(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// What is received, and plain levels.
    pub fn receive(self) -> Style {
        self.paint(Color::Blue)
    }

    /// What is sent.
    pub fn send(self) -> Style {
        self.paint(Color::Magenta)
    }

    /// The chosen tab.
    pub fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD)
    }

    /// A load between 0 and 1: calm, busy, full.
    pub fn load(self, share: f64) -> Style {
        match share {
            s if s >= 0.9 => self.bad(),
            s if s >= 0.7 => self.warning(),
            _ => self.good(),
        }
    }
}
