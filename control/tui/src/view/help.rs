//! The help, over everything else.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Paragraph};

use crate::theme::Theme;

const TEXT: [&str; 16] = [
    "q, Esc        quit",
    "1-5, Tab      workers, nodes, ports, drops, interfaces",
    "↑ ↓ PgUp PgDn scroll",
    "p, Space      hold the picture, and go on",
    "+  -          longer or shorter interval",
    "w             nodes of one worker, of the next, of all",
    "",
    "BATCH      packets taken from the rings at once",
    "CYC/PKT    CPU cycles for a packet, all nodes and loop",
    "IDLE       share of time without a packet to move",
    "FILL       frames that the kernel may receive into;",
    "           empty means that packets are lost: STARVED",
    "TX         frames that wait to be sent",
    "",
    "ze show counters gives exact numbers, ze doctor advice.",
    "Any key closes this.",
];

/// Draws the help in the middle, as much of it as fits.
pub(crate) fn draw(screen: &mut Frame<'_>, area: Rect, theme: Theme) {
    let widest = TEXT.iter().map(|line| line.chars().count()).max().unwrap_or(0) as u16;
    let (width, height) = ((widest + 4).min(area.width), (TEXT.len() as u16 + 2).min(area.height));
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    let text: Vec<Line<'_>> = TEXT.iter().map(|line| Line::raw(format!(" {line}"))).collect();
    let block = Block::bordered().title(" ze top ").border_style(theme.heading());
    screen.render_widget(Clear, place);
    screen.render_widget(Paragraph::new(text).block(block), place);
}
