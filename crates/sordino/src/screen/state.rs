//! Owns what the screen shows and what keys do to it.
//!
//! Invariant: pure: keys and news in, wishes out; nothing here waits or sends.

use super::orders::{self, HELP, Order};
use crate::chat::Line;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use sordino_client::GroupId;

/// Lines that Page Up and Page Down move.
const PAGE_LINES: u16 = 10;
/// The longest line that may be typed.
const MAX_INPUT_CHARS: usize = 8_000;

/// What a row in the list stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A room, or the conversation with a contact.
    Room(GroupId),
    /// Somebody asks for a connection.
    Request(String),
    /// An invitation into a room.
    Invitation(String),
    /// A contact who has not answered yet, or is blocked.
    Person(String),
}

/// One row of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// What it stands for.
    pub(crate) target: Target,
    /// What it is called.
    pub(crate) title: String,
    /// What is new.
    pub(crate) unread: usize,
    /// Something to know about it, such as "asked" or "recovering".
    pub(crate) remark: String,
}

/// What the screen wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Carry out an order, at the chosen row.
    Obey(Order, Option<Target>),
    /// Show another row's conversation.
    Show(Target),
    /// End.
    Quit,
}

/// Everything on the screen.
#[derive(Default)]
pub(crate) struct State {
    /// Who this is.
    pub(crate) title: String,
    /// Rooms, contacts, requests, invitations.
    pub(crate) rows: Vec<Row>,
    /// The chosen one.
    pub(crate) chosen: usize,
    /// The conversation there.
    pub(crate) lines: Vec<Line>,
    /// What the screen itself has to say, below the conversation.
    pub(crate) notices: Vec<String>,
    /// What is being typed.
    pub(crate) input: String,
    /// Where in it, in characters.
    pub(crate) cursor: usize,
    /// Lines scrolled up from the end.
    pub(crate) scrolled: u16,
    /// Something is under way.
    pub(crate) busy: usize,
    /// Whether the hub answers.
    pub(crate) offline: bool,
}

impl State {
    /// The chosen row's target.
    pub(crate) fn target(&self) -> Option<&Target> {
        self.rows.get(self.chosen).map(|row| &row.target)
    }

    /// New rows; the chosen one stays chosen.
    pub(crate) fn set_rows(&mut self, rows: Vec<Row>) {
        let target = self.target().cloned();
        let again = target.and_then(|target| rows.iter().position(|row| row.target == target));
        self.rows = rows;
        self.chosen = again.unwrap_or(self.chosen.min(self.rows.len().saturating_sub(1)));
    }

    /// The conversation of a target, if that is still the chosen one.
    pub(crate) fn set_lines(&mut self, target: &Target, lines: Vec<Line>) {
        if self.target() == Some(target) {
            self.lines = lines;
        }
    }

    /// Says something.
    pub(crate) fn notice(&mut self, text: impl Into<String>) {
        self.notices.push(text.into());
        self.scrolled = 0;
    }

    /// What a key does.
    pub(crate) fn press(&mut self, key: KeyEvent) -> Option<Wish> {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return self.press_with_control(key.code);
        }
        match key.code {
            KeyCode::Enter => return self.enter(),
            KeyCode::Up | KeyCode::BackTab => return self.choose(self.chosen.checked_sub(1)),
            KeyCode::Down | KeyCode::Tab => return self.choose(self.chosen.checked_add(1)),
            KeyCode::PageUp => self.scrolled = self.scrolled.saturating_add(PAGE_LINES),
            KeyCode::PageDown => self.scrolled = self.scrolled.saturating_sub(PAGE_LINES),
            KeyCode::Left => self.cursor = self.cursor.saturating_sub(1),
            KeyCode::Right => self.cursor = self.input.chars().count().min(self.cursor + 1),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.input.chars().count(),
            KeyCode::Backspace if self.cursor > 0 => {
                self.cursor -= 1;
                self.delete();
            }
            KeyCode::Delete => self.delete(),
            KeyCode::Esc => {
                self.notices.clear();
                self.scrolled = 0;
            }
            KeyCode::Char(c) => self.insert(c),
            _ => {}
        }
        None
    }

    fn press_with_control(&mut self, code: KeyCode) -> Option<Wish> {
        match code {
            KeyCode::Char('c' | 'q') => return Some(Wish::Quit),
            KeyCode::Char('u') => {
                self.input.clear();
                self.cursor = 0;
            }
            KeyCode::Char('a') => self.cursor = 0,
            KeyCode::Char('e') => self.cursor = self.input.chars().count(),
            _ => {}
        }
        None
    }

    /// Text that was pasted.
    pub(crate) fn paste(&mut self, text: &str) {
        for c in text.chars() {
            self.insert(if c.is_control() { ' ' } else { c });
        }
    }

    fn choose(&mut self, row: Option<usize>) -> Option<Wish> {
        let row = row.filter(|row| *row < self.rows.len())?;
        self.chosen = row;
        self.lines.clear();
        self.notices.clear();
        self.scrolled = 0;
        self.target().cloned().map(Wish::Show)
    }

    fn enter(&mut self) -> Option<Wish> {
        let order = match orders::read(&self.input) {
            Err(why) => {
                // The line stays, to be mended.
                self.notice(why);
                return None;
            }
            Ok(order) => order?,
        };
        self.input.clear();
        self.cursor = 0;
        self.notices.clear();
        self.scrolled = 0;
        match order {
            Order::Help => {
                self.notices
                    .extend(HELP.iter().map(|line| (*line).to_owned()));
                None
            }
            Order::Quit => Some(Wish::Quit),
            order => Some(Wish::Obey(order, self.target().cloned())),
        }
    }

    fn insert(&mut self, c: char) {
        if self.input.chars().count() >= MAX_INPUT_CHARS {
            return;
        }
        let at = self.byte_at(self.cursor);
        self.input.insert(at, c);
        self.cursor += 1;
    }

    fn delete(&mut self) {
        if self.cursor < self.input.chars().count() {
            let at = self.byte_at(self.cursor);
            self.input.remove(at);
        }
    }

    fn byte_at(&self, char_index: usize) -> usize {
        self.input
            .char_indices()
            .nth(char_index)
            .map_or(self.input.len(), |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(byte: u8) -> Row {
        Row {
            target: Target::Room(GroupId([byte; 16])),
            title: format!("room {byte}"),
            unread: 0,
            remark: String::new(),
        }
    }

    fn press(state: &mut State, code: KeyCode) -> Option<Wish> {
        state.press(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn write(state: &mut State, text: &str) {
        for c in text.chars() {
            assert_eq!(press(state, KeyCode::Char(c)), None);
        }
    }

    #[test]
    fn a_line_is_edited_and_said() {
        let mut state = State::default();
        state.set_rows(vec![row(1)]);
        write(&mut state, "hällo");
        press(&mut state, KeyCode::Home);
        press(&mut state, KeyCode::Right);
        press(&mut state, KeyCode::Delete);
        write(&mut state, "e");
        press(&mut state, KeyCode::End);
        write(&mut state, "!?");
        press(&mut state, KeyCode::Backspace);
        let wish = press(&mut state, KeyCode::Enter);
        let target = Some(Target::Room(GroupId([1; 16])));
        assert_eq!(wish, Some(Wish::Obey(Order::Say("hello!".into()), target)));
        assert_eq!((state.input.as_str(), state.cursor), ("", 0));
        assert_eq!(press(&mut state, KeyCode::Enter), None);
    }

    #[test]
    fn a_wrong_order_stays_to_be_mended() {
        let mut state = State::default();
        write(&mut state, "/connect");
        assert_eq!(press(&mut state, KeyCode::Enter), None);
        assert_eq!(state.input, "/connect");
        assert_eq!(state.notices.len(), 1);
        write(&mut state, " anna");
        let wish = press(&mut state, KeyCode::Enter);
        assert_eq!(wish, Some(Wish::Obey(Order::Connect("anna".into()), None)));
    }

    #[test]
    fn rows_are_chosen_and_stay_chosen() {
        let mut state = State::default();
        assert_eq!(press(&mut state, KeyCode::Down), None);
        state.set_rows(vec![row(1), row(2)]);
        let second = Target::Room(GroupId([2; 16]));
        assert_eq!(
            press(&mut state, KeyCode::Tab),
            Some(Wish::Show(second.clone()))
        );
        assert_eq!(press(&mut state, KeyCode::Tab), None);
        state.set_rows(vec![row(3), row(2), row(1)]);
        assert_eq!(state.target(), Some(&second));
        state.set_rows(vec![row(3)]);
        assert_eq!(state.chosen, 0);
        state.set_rows(Vec::new());
        assert_eq!(state.target(), None);
    }

    #[test]
    fn what_comes_late_for_another_row_is_not_shown() {
        let mut state = State::default();
        state.set_rows(vec![row(1), row(2)]);
        let line = Line::system("late");
        state.set_lines(&Target::Room(GroupId([2; 16])), vec![line.clone()]);
        assert!(state.lines.is_empty());
        state.set_lines(&Target::Room(GroupId([1; 16])), vec![line]);
        assert_eq!(state.lines.len(), 1);
    }

    #[test]
    fn control_c_and_quit_end() {
        let mut state = State::default();
        let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(state.press(key), Some(Wish::Quit));
        write(&mut state, "/quit");
        assert_eq!(press(&mut state, KeyCode::Enter), Some(Wish::Quit));
    }

    #[test]
    fn what_is_pasted_is_one_line() {
        let mut state = State::default();
        state.paste("one\ntwo\x1b");
        assert_eq!(state.input, "one two ");
        state.paste(&"x".repeat(2 * MAX_INPUT_CHARS));
        assert_eq!(state.input.chars().count(), MAX_INPUT_CHARS);
    }
}
