//! Owns the interactive screen: contacts and rooms, the chosen conversation, a line to type in.
//!
//! Invariant: the terminal is as it was when this ends, whatever happened; keys are answered at
//! once, since whatever takes time runs beside them.

mod draw;
mod obey;
mod orders;
mod state;

use crate::chat::{ChatError, Session};
use crossterm::event::{
    DisableBracketedPaste, EnableBracketedPaste, Event as TerminalEvent, EventStream, KeyEventKind,
};
use crossterm::execute;
use futures_util::StreamExt as _;
use obey::{News, Obeying};
use ratatui::DefaultTerminal;
use state::{State, Wish};

pub(crate) use state::{Row, Target};
use std::time::Duration;
use tokio::sync::mpsc;

/// How often the list is refreshed although nothing happened: unread counts, the hub's silence.
const REFRESH: Duration = Duration::from_secs(2);
/// News that wait to be shown.
const NEWS: usize = 64;

/// Shows the screen until the person leaves it.
pub(crate) async fn run(session: Session) -> Result<(), ChatError> {
    let mut terminal = ratatui::try_init().map_err(ChatError::Terminal)?;
    let _ = execute!(std::io::stdout(), EnableBracketedPaste);
    let done = show(&mut terminal, session).await;
    let _ = execute!(std::io::stdout(), DisableBracketedPaste);
    ratatui::restore();
    done
}

async fn show(terminal: &mut DefaultTerminal, session: Session) -> Result<(), ChatError> {
    let background = session.run();
    let mut events = session.events();
    let (news_out, mut news) = mpsc::channel(NEWS);
    let obeying = Obeying::new(session, news_out);
    let mut state = State {
        title: obeying.title(),
        ..State::default()
    };
    obeying.refresh(None);
    let mut keys = EventStream::new();
    let mut refresh = tokio::time::interval(REFRESH);
    let ended = loop {
        let drawn = terminal.draw(|frame| draw::draw(frame, &state));
        if let Err(why) = drawn {
            break Err(ChatError::Terminal(why));
        }
        tokio::select! {
            key = keys.next() => match key {
                Some(Ok(event)) => if take(&mut state, event, &obeying) { break Ok(()) },
                Some(Err(why)) => break Err(ChatError::Terminal(why)),
                None => break Ok(()),
            },
            Some(what) = news.recv() => hear(&mut state, what, &obeying),
            event = events.next() => match event {
                Some(event) => {
                    if let Some(text) = obey::told(&event) {
                        state.notice(text);
                    }
                    obeying.refresh(state.target().cloned());
                }
                None => break Ok(()),
            },
            _ = refresh.tick() => obeying.refresh(state.target().cloned()),
        }
    };
    background.abort();
    ended
}

/// Takes a key; says whether to end.
fn take(state: &mut State, event: TerminalEvent, obeying: &Obeying) -> bool {
    let wish = match event {
        TerminalEvent::Key(key) if key.kind != KeyEventKind::Release => state.press(key),
        TerminalEvent::Paste(text) => {
            state.paste(&text);
            None
        }
        _ => None,
    };
    match wish {
        None => false,
        Some(Wish::Quit) => true,
        Some(Wish::Show(target)) => {
            obeying.refresh(Some(target));
            false
        }
        Some(Wish::Obey(order, target)) => {
            state.busy += 1;
            obeying.obey(order, target);
            false
        }
    }
}

fn hear(state: &mut State, what: News, obeying: &Obeying) {
    match what {
        News::Rows(rows) => state.set_rows(rows),
        News::Lines(target, lines) => state.set_lines(&target, lines),
        News::Online(online) => state.offline = !online,
        News::Done(notices) => {
            state.busy = state.busy.saturating_sub(1);
            for notice in notices {
                state.notice(notice);
            }
            obeying.refresh(state.target().cloned());
        }
    }
}
