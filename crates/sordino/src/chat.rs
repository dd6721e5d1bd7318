//! Owns `sordino chat`: a person's terminal client, as commands for scripts and as a screen.
//!
//! Invariant: everything is done by the client library; a command that is interrupted goes on at
//! the next one.

mod account;
mod content;
mod devices;
mod error;
mod home;
mod hub;
mod people;
mod print;
mod rooms;
mod session;
mod talk;
mod unlock;

pub(crate) use content::Content;
pub(crate) use error::ChatError;
pub(crate) use session::{Session, person_name, short_name};
pub(crate) use talk::{Line, Standing};

use crate::fail;
use crate::screen;
use clap::Subcommand;
use home::Home;
use print::Printer;
use session::Pace;
use std::path::PathBuf;
use std::process::ExitCode;
use unlock::Unlocking;

/// What `sordino chat` takes. Without a command it opens the screen.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The folder that this device's chat lives in [default: ~/.sordino]
    #[arg(long, value_name = "FOLDER", global = true, env = "SORDINO_HOME")]
    home: Option<PathBuf>,

    #[command(flatten)]
    unlocking: Unlocking,

    /// Print JSON, a value a line
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Make an account at a hub, with this as its first device
    Register(account::Register),
    /// Say who this is, with the fingerprint that others compare
    Whoami,
    /// Look somebody up: prints the fingerprint of the account
    Lookup(people::Person),
    /// Ask somebody for a connection
    Connect(people::Person),
    /// List the people who ask for a connection
    Requests,
    /// Accept somebody's request
    Accept(people::Person),
    /// Decline somebody's request; nobody is told
    Decline(people::Person),
    /// Block somebody: no new groups with you, no more requests; nobody is told
    Block(people::Person),
    /// List the people you know
    Contacts,
    /// List the rooms, those with contacts included
    Rooms,
    /// Make a room
    Create(rooms::Create),
    /// Bring a contact into a room
    Invite(rooms::Member),
    /// List invitations into rooms
    Invitations,
    /// Go into a room that you are invited to
    Join(rooms::Room),
    /// List who is in a room
    Members(rooms::Room),
    /// Remove somebody from a room
    Remove(rooms::Member),
    /// Leave a room
    Leave(rooms::Room),
    /// Send a message to a room or a contact; without a text, one per line of standard input
    Send(talk::Send),
    /// Read a room or contact
    Read(talk::Read),
    /// Fetch what is new and finish what was begun
    Sync,
    /// On a new device: show a code that adds it to your account
    Link(devices::Link),
    /// On a device that you have: add the one that shows this code
    LinkDevice(devices::Code),
    /// List your devices
    Devices,
    /// Remove one of your devices: it is lost, or goes to somebody else
    RemoveDevice(devices::Device),
    /// Show the tokens that this device has left; new ones come by themselves
    Tokens,
    /// Delete the account: the handle is gone for good
    DeleteAccount(account::Delete),
}

/// Runs the command.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(why) => return fail(&ChatError::System(why)),
    };
    let done = runtime.block_on(chat(arguments));
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fail(&why),
    }
}

async fn chat(arguments: Arguments) -> Result<(), ChatError> {
    let home = Home::at(arguments.home)?;
    let unlocking = &arguments.unlocking;
    let mut printer = Printer::new(arguments.json);
    let command = match arguments.command {
        Some(Command::Register(register)) => {
            return register.run(&home, unlocking, &mut printer).await;
        }
        Some(Command::Link(link)) => return link.run(&home, unlocking, &mut printer).await,
        other => other,
    };
    let Some(command) = command else {
        let session = Session::open(&home, unlocking, Pace::Patient).await?;
        return screen::run(session).await;
    };
    let session = Session::open(&home, unlocking, Pace::AtOnce).await?;
    act(&session, command, &mut printer).await?;
    // What the command began is brought on as far as it goes now.
    session.sync().await
}

async fn act(session: &Session, command: Command, out: &mut Printer) -> Result<(), ChatError> {
    session.sync().await?;
    match command {
        Command::Register(_) | Command::Link(_) | Command::Sync => Ok(()),
        Command::Whoami => account::whoami(session, out),
        Command::Lookup(person) => people::look_up(session, &person, out).await,
        Command::Connect(person) => people::connect(session, &person, out).await,
        Command::Requests => people::requests(session, out).await,
        Command::Accept(person) => people::accept(session, &person, out).await,
        Command::Decline(person) => people::decline(session, &person, out).await,
        Command::Block(person) => people::block(session, &person, out).await,
        Command::Contacts => people::contacts(session, out).await,
        Command::Rooms => rooms::list(session, out).await,
        Command::Create(create) => rooms::create(session, &create, out).await,
        Command::Invite(member) => rooms::invite(session, &member, out).await,
        Command::Invitations => rooms::invitations(session, out).await,
        Command::Join(room) => rooms::join(session, &room, out).await,
        Command::Members(room) => rooms::members(session, &room, out).await,
        Command::Remove(member) => rooms::remove(session, &member, out).await,
        Command::Leave(room) => rooms::leave(session, &room, out).await,
        Command::Send(send) => talk::send(session, &send, out).await,
        Command::Read(read) => talk::read(session, &read, out).await,
        Command::LinkDevice(code) => devices::link(session, &code, out).await,
        Command::Devices => devices::list(session, out).await,
        Command::RemoveDevice(device) => devices::remove(session, &device, out).await,
        Command::Tokens => account::tokens(session, out),
        Command::DeleteAccount(delete) => delete.run(session, out).await,
    }
}
