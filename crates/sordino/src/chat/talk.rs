//! Owns saying and reading.

use super::print::Printer;
use super::{ChatError, Content, Session};
use serde::Serialize;
use sordino_client::GroupId;
use std::fmt;
use std::io::BufRead as _;

/// `sordino chat send`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Send {
    /// A room by its name or the first digits of its id, or a contact as @HANDLE
    room: String,

    /// What to say; left out, each line of standard input is a message
    text: Vec<String>,
}

/// `sordino chat read`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Read {
    /// A room by its name or the first digits of its id, or a contact as @HANDLE
    room: String,

    /// The most messages, from the end [default: what is unread, at least ten]
    #[arg(long, value_name = "N")]
    last: Option<usize>,

    /// Go on with what comes, until Ctrl-C
    #[arg(long)]
    follow: bool,
}

/// Messages shown where nobody says how many.
const USUAL_LINES: usize = 10;

/// How far one can believe that a line is from whom it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Standing {
    /// This device's user.
    Own,
    /// A contact, or somebody known before under the same key.
    Proven,
    /// Somebody who proves a key that this device meets for the first time, or nobody yet.
    Claimed,
    /// Another key than the one known for this handle.
    Conflict,
    /// Not a message of anybody.
    System,
}

/// One line of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Line {
    /// Who says it.
    pub(crate) who: String,
    /// What.
    pub(crate) text: String,
    /// The hub's time in seconds since 1970, floored to 60.
    pub(crate) time_s: u64,
    /// Who it is, as far as known.
    pub(crate) standing: Standing,
    /// Whether the hub has it.
    pub(crate) delivered: bool,
}

impl Line {
    /// What the room has to say itself.
    pub(crate) fn system(text: &str) -> Self {
        Self {
            who: "·".to_owned(),
            text: text.to_owned(),
            time_s: 0,
            standing: Standing::System,
            delivered: true,
        }
    }

    /// The time of day in UTC, which is what the hub counts in.
    pub(crate) fn clock(&self) -> String {
        if self.time_s == 0 {
            return "     ".to_owned();
        }
        let minutes = self.time_s / 60;
        format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.standing {
            Standing::Claimed => "? ",
            Standing::Conflict => "!! ",
            Standing::Own if !self.delivered => "… ",
            _ => "",
        };
        write!(f, "{} {}{}: {}", self.clock(), mark, self.who, self.text)
    }
}

pub(super) async fn send(
    session: &Session,
    send: &Send,
    out: &mut Printer,
) -> Result<(), ChatError> {
    let room = session.room(&send.room).await?;
    if send.text.is_empty() {
        let mut sent = 0usize;
        for line in std::io::stdin().lock().lines() {
            let line = line.map_err(ChatError::Terminal)?;
            if !line.is_empty() {
                session.say(room, &line).await?;
                sent += 1;
            }
        }
        out.remark(&format!("{sent} sent"));
        return Ok(());
    }
    session.say(room, &send.text.join(" ")).await?;
    out.remark("sent");
    Ok(())
}

pub(super) async fn read(
    session: &Session,
    read: &Read,
    out: &mut Printer,
) -> Result<(), ChatError> {
    let room = session.room(&read.room).await?;
    let unread = session.unread(room).await?;
    let last = read.last.unwrap_or_else(|| unread.max(USUAL_LINES));
    let mut shown = session.lines(room, last).await?;
    out.list(&shown.lines, "nothing has been said here yet");
    session.mark_read(room, shown.next).await?;
    if !read.follow {
        return Ok(());
    }
    let mut events = session.events();
    let _task = session.run();
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            event = events.next() => if event.is_none() { return Ok(()) },
        }
        let more = session.lines_from(room, shown.next).await?;
        for line in &more.lines {
            out.show(line);
        }
        shown.next = more.next;
        session.mark_read(room, shown.next).await?;
    }
}

/// A part of a conversation.
pub(crate) struct Lines {
    /// What was said.
    pub(crate) lines: Vec<Line>,
    /// The number of the next message.
    pub(crate) next: u64,
}

impl Session {
    /// Says a text.
    pub(crate) async fn say(&self, room: GroupId, text: &str) -> Result<(), ChatError> {
        let content = Content::text(text).map_err(|_| ChatError::BadText)?;
        self.client().group(room).await?.send(&content).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_time_and_standing() {
        let mut line = Line {
            who: "anna".into(),
            text: "hello".into(),
            time_s: 3_600 * 25 + 60 * 7,
            standing: Standing::Proven,
            delivered: true,
        };
        assert_eq!(line.to_string(), "01:07 anna: hello");
        line.standing = Standing::Conflict;
        assert_eq!(line.to_string(), "01:07 !! anna: hello");
        line.standing = Standing::Own;
        line.delivered = false;
        assert_eq!(line.to_string(), "01:07 … anna: hello");
        assert_eq!(Line::system("x").clock(), "     ");
    }
}
