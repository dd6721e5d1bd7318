//! Owns carrying out what the screen wishes, beside it.
//!
//! Invariant: orders run one after the other, in the order they were given; refreshing never waits
//! for them, and several wishes for it become one.

use super::orders::Order;
use super::state::{Row, Target};
use crate::chat::{ChatError, Line, Session};
use sordino_client::{Event, GroupId};
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Notify, mpsc};

/// Lines of a conversation that the screen keeps.
const SHOWN_LINES: usize = 500;
/// Orders that wait.
const ORDERS: usize = 64;

/// What the screen hears.
pub(super) enum News {
    /// The list.
    Rows(Vec<Row>),
    /// The conversation at a row.
    Lines(Target, Vec<Line>),
    /// Whether the hub answers.
    Online(bool),
    /// An order is carried out: what it has to say.
    Done(Vec<String>),
}

/// Who carries out orders.
pub(super) struct Obeying {
    session: Arc<Session>,
    orders: mpsc::Sender<(Order, Option<Target>)>,
    news: mpsc::Sender<News>,
    wanted: Arc<Wanted>,
}

/// What the next refresh shows.
#[derive(Default)]
struct Wanted {
    target: std::sync::Mutex<Option<Target>>,
    pending: AtomicBool,
    wake: Notify,
}

impl Obeying {
    pub(super) fn new(session: Session, news: mpsc::Sender<News>) -> Self {
        let session = Arc::new(session);
        let (orders, given) = mpsc::channel(ORDERS);
        let wanted = Arc::new(Wanted::default());
        tokio::spawn(carry_out(Arc::clone(&session), given, news.clone()));
        tokio::spawn(keep_fresh(
            Arc::clone(&session),
            Arc::clone(&wanted),
            news.clone(),
        ));
        Self {
            session,
            orders,
            news,
            wanted,
        }
    }

    /// Who this is.
    pub(super) fn title(&self) -> String {
        self.session.title()
    }

    /// Gives an order.
    pub(super) fn obey(&self, order: Order, target: Option<Target>) {
        if self.orders.try_send((order, target)).is_err() {
            let _ = self.news.try_send(News::Done(vec![
                "too much is under way; wait a moment".into(),
            ]));
        }
    }

    /// Asks for the list, and the conversation at a row.
    pub(super) fn refresh(&self, target: Option<Target>) {
        if let Ok(mut wanted) = self.wanted.target.lock() {
            *wanted = target;
        }
        self.wanted.pending.store(true, Ordering::Release);
        self.wanted.wake.notify_one();
    }
}

async fn keep_fresh(session: Arc<Session>, wanted: Arc<Wanted>, news: mpsc::Sender<News>) {
    loop {
        wanted.wake.notified().await;
        if !wanted.pending.swap(false, Ordering::AcqRel) {
            continue;
        }
        let target = wanted.target.lock().ok().and_then(|target| target.clone());
        let Ok(rows) = session.rows().await else {
            continue;
        };
        let online = News::Online(session.is_online());
        if news.send(News::Rows(rows)).await.is_err() || news.send(online).await.is_err() {
            return;
        }
        let Some(target) = target else {
            continue;
        };
        let lines = conversation(&session, &target).await;
        if news.send(News::Lines(target, lines)).await.is_err() {
            return;
        }
    }
}

/// What is to be seen at a row; a conversation that is looked at has been read.
async fn conversation(session: &Session, target: &Target) -> Vec<Line> {
    match target {
        Target::Room(room) => match session.lines(*room, SHOWN_LINES).await {
            Ok(shown) => {
                let _ = session.mark_read(*room, shown.next).await;
                shown.lines
            }
            Err(error) => vec![Line::system(&error.to_string())],
        },
        Target::Request(handle) => session.about_request(handle).await,
        Target::Invitation(name) => vec![Line::system(&format!(
            "You are invited into {name}; /join goes in."
        ))],
        Target::Person(handle) => session.about_person(handle).await,
    }
}

async fn carry_out(
    session: Arc<Session>,
    mut given: mpsc::Receiver<(Order, Option<Target>)>,
    news: mpsc::Sender<News>,
) {
    while let Some((order, target)) = given.recv().await {
        let notices = match carry_out_one(&session, order, target.as_ref()).await {
            Ok(notices) => notices,
            Err(error) => vec![error.to_string()],
        };
        if news.send(News::Done(notices)).await.is_err() {
            return;
        }
    }
}

async fn carry_out_one(
    session: &Session,
    order: Order,
    target: Option<&Target>,
) -> Result<Vec<String>, ChatError> {
    match order {
        Order::Say(text) => {
            session.say(here(target)?, &text).await?;
            Ok(Vec::new())
        }
        Order::Connect(handle) => session.connect(&handle).await.map(one),
        Order::Accept(handle) => session.accept(&handle).await.map(one),
        Order::Decline(handle) => session.decline(&handle).await.map(one),
        Order::Block(handle) => session.block(&handle).await.map(one),
        Order::Create { name, with } => {
            let made = session.create(&name, &with, false).await?;
            Ok(made.notices)
        }
        Order::Invite(handle) => session.invite(here(target)?, &handle).await.map(one),
        Order::Join => match target {
            Some(Target::Invitation(name)) => session.join(name).await.map(one),
            _ => Ok(one("choose the invitation in the list first")),
        },
        Order::Members => session.members(here(target)?).await.map(all),
        Order::Remove(handle) => session.remove(here(target)?, &handle).await.map(one),
        Order::Leave => session.leave(here(target)?).await.map(one),
        Order::LinkDevice(code) => session.link_device(&code).await.map(one),
        Order::Devices => session.devices().await.map(all),
        Order::Whoami => Ok(one(session.who()?)),
        // These are the screen's own.
        Order::Help | Order::Quit => Ok(Vec::new()),
    }
}

fn here(target: Option<&Target>) -> Result<GroupId, ChatError> {
    match target {
        Some(Target::Room(room)) => Ok(*room),
        _ => Err(ChatError::NoRoom("here".to_owned())),
    }
}

fn one(value: impl Display) -> Vec<String> {
    value.to_string().lines().map(str::to_owned).collect()
}

fn all<T: Display>(values: Vec<T>) -> Vec<String> {
    values.iter().flat_map(one).collect()
}

/// What the screen says of an event; most show by themselves.
pub(super) fn told(event: &Event) -> Option<String> {
    use crate::chat::Content;
    use crate::chat::short_name;
    let text = match event {
        Event::ConnectionRequested { .. } => "Somebody asks for a connection.".to_owned(),
        Event::Connected { user, .. } => format!("@{} is connected.", short_name(user)),
        Event::ConnectionIntruder { user, .. } => format!(
            "Somebody who is not @{} came into your conversation and is removed.",
            short_name(user)
        ),
        Event::Invited { user, .. } => format!("@{} invites you into a room.", short_name(user)),
        Event::IdentityConflict { person, .. } => format!(
            "Somebody says to be @{}, with another key than the one you know. Compare fingerprints.",
            crate::chat::person_name(person)
        ),
        Event::AccountKeyChanged { user } => {
            format!(
                "@{} has a new account key, signed by the old one.",
                short_name(user)
            )
        }
        Event::Evidence { .. } => "A member or the hub cheated; it was noticed.".to_owned(),
        Event::RolledBack { .. } => "The hub lost a part of a conversation.".to_owned(),
        Event::Halted { .. } => "The hub cheats; a room is not read any further.".to_owned(),
        Event::NotSent {
            content,
            may_have_arrived,
            ..
        } => {
            let what = match Content::read(content) {
                Content::Text(text) => text,
                Content::RoomName(name) => format!("the name {name}"),
                Content::Unknown => "a message".to_owned(),
            };
            match may_have_arrived {
                true => format!("Perhaps not sent, and not tried again: {what}"),
                false => format!("Not sent: {what}"),
            }
        }
        Event::Gap { .. } => "Some messages had expired before they were read.".to_owned(),
        _ => return None,
    };
    Some(text)
}
