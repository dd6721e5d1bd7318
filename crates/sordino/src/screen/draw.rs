//! Owns how the screen looks.
//!
//! Invariant: a function of the state and the size of the terminal; works in any size.

use super::state::{Row, State};
use crate::chat::{Line, Standing};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line as TextLine, Span};
use ratatui::widgets::{Block, Borders, List, ListItem, ListState, Paragraph, Wrap};

/// The list's width in columns.
const LIST_COLUMNS: u16 = 28;

/// Draws everything.
pub(crate) fn draw(frame: &mut Frame<'_>, state: &State) {
    let [top, middle, bottom] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(3),
    ])
    .areas(frame.area());
    let list_columns = LIST_COLUMNS.min(middle.width / 3);
    let [left, right] =
        Layout::horizontal([Constraint::Length(list_columns), Constraint::Min(1)]).areas(middle);
    frame.render_widget(header(state), top);
    draw_list(frame, state, left);
    draw_conversation(frame, state, right);
    draw_input(frame, state, bottom);
}

fn header(state: &State) -> Paragraph<'_> {
    let mut spans = vec![Span::from(format!(" {} ", state.title)).bold()];
    if state.offline {
        spans.push(Span::from(" the hub does not answer ").fg(Color::Red));
    }
    if state.busy > 0 {
        spans.push(Span::from(" working … ").fg(Color::Yellow));
    }
    spans.push(Span::from(" /help ").dim());
    Paragraph::new(TextLine::from(spans))
}

fn draw_list(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let items: Vec<ListItem<'_>> = state.rows.iter().map(item).collect();
    let list = List::new(items)
        .block(Block::new().borders(Borders::RIGHT))
        .highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut selection = ListState::default();
    if !state.rows.is_empty() {
        selection.select(Some(state.chosen));
    }
    frame.render_stateful_widget(list, area, &mut selection);
}

fn item(row: &Row) -> ListItem<'_> {
    let mut spans = vec![Span::from(row.title.as_str())];
    if row.unread > 0 {
        spans.push(
            Span::from(format!(" ({})", row.unread))
                .bold()
                .fg(Color::Green),
        );
    }
    if !row.remark.is_empty() {
        spans.push(Span::from(format!(" {}", row.remark)).dim());
    }
    ListItem::new(TextLine::from(spans))
}

fn draw_conversation(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let mut text: Vec<TextLine<'_>> = state.lines.iter().flat_map(conversation_line).collect();
    let notices = state.notices.iter();
    text.extend(notices.map(|notice| TextLine::from(notice.as_str()).fg(Color::Yellow)));
    let paragraph = Paragraph::new(text).wrap(Wrap { trim: false });
    let lines = u16::try_from(paragraph.line_count(area.width)).unwrap_or(u16::MAX);
    let hidden = lines.saturating_sub(area.height);
    let from = hidden.saturating_sub(state.scrolled.min(hidden));
    frame.render_widget(paragraph.scroll((from, 0)), area);
}

fn conversation_line(line: &Line) -> Vec<TextLine<'_>> {
    let who = match line.standing {
        Standing::Own => Span::from(line.who.as_str()).fg(Color::Cyan),
        Standing::Proven => Span::from(line.who.as_str()).fg(Color::Green),
        Standing::Claimed => Span::from(line.who.as_str()).fg(Color::Yellow),
        Standing::Conflict => Span::from(line.who.as_str()).fg(Color::Red),
        Standing::System => Span::from(line.who.as_str()).dim(),
    };
    let mut parts = line.text.lines();
    let mut first = vec![Span::from(line.clock()).dim(), Span::from(" "), who];
    first.push(Span::from(format!(" {}", parts.next().unwrap_or_default())));
    if line.standing == Standing::Own {
        let mark = if line.delivered { " ✓" } else { " …" };
        first.push(Span::from(mark).dim());
    }
    let mut lines = vec![TextLine::from(first)];
    lines.extend(parts.map(TextLine::from));
    lines
}

fn draw_input(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let block = Block::new().borders(Borders::TOP | Borders::BOTTOM);
    let inner = block.inner(area);
    let before: String = state.input.chars().take(state.cursor).collect();
    let column = u16::try_from(Span::from(before.as_str()).width()).unwrap_or(u16::MAX);
    // The line moves so that the cursor stays in sight.
    let shift = column.saturating_sub(inner.width.saturating_sub(1));
    let input = Paragraph::new(state.input.as_str()).scroll((0, shift));
    frame.render_widget(input.block(block), area);
    let x = inner.x.saturating_add(column.saturating_sub(shift));
    frame.set_cursor_position(Position::new(x, inner.y));
}

#[cfg(test)]
mod tests {
    use super::super::state::Target;
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use sordino_client::GroupId;

    fn state() -> State {
        let line = |who: &str, text: &str, standing| Line {
            who: who.into(),
            text: text.into(),
            time_s: 1_700_000_040,
            standing,
            delivered: false,
        };
        State {
            title: "anna at hub.example".into(),
            rows: vec![
                Row {
                    target: Target::Room(GroupId([1; 16])),
                    title: "quartet".into(),
                    unread: 3,
                    remark: String::new(),
                },
                Row {
                    target: Target::Request("bart".into()),
                    title: "@bart".into(),
                    unread: 0,
                    remark: "asks".into(),
                },
            ],
            lines: vec![
                line("cass", "who plays?", Standing::Proven),
                line("anna", "me", Standing::Own),
            ],
            notices: vec!["a notice".into()],
            input: "typing".into(),
            cursor: 6,
            offline: true,
            ..State::default()
        }
    }

    fn shown(state: &State, columns: u16, rows: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        terminal.draw(|frame| draw(frame, state)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let cells = buffer.content().chunks(usize::from(columns));
        let lines = cells.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>());
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn everything_has_its_place() {
        let text = shown(&state(), 80, 20);
        for part in [
            "anna at hub.example",
            "the hub does not answer",
            "quartet (3)",
            "@bart asks",
            "cass who plays?",
            "anna me …",
            "a notice",
            "typing",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn the_end_of_a_conversation_is_in_sight_until_one_scrolls() {
        let mut state = state();
        state.lines = (0..100)
            .map(|n| Line::system(&format!("line {n:02}")))
            .collect();
        state.notices.clear();
        let text = shown(&state, 60, 14);
        assert!(text.contains("line 99") && !text.contains("line 00"));
        state.scrolled = 1_000;
        let text = shown(&state, 60, 14);
        assert!(text.contains("line 00") && !text.contains("line 99"));
    }

    #[test]
    fn a_long_input_moves_with_its_cursor() {
        let mut state = state();
        state.input = format!("{}END", "x".repeat(200));
        state.cursor = 203;
        assert!(shown(&state, 60, 14).contains("END"));
    }

    #[test]
    fn any_size_will_do() {
        for (columns, rows) in [(1, 1), (5, 2), (20, 5), (300, 100)] {
            shown(&state(), columns, rows);
        }
    }
}
