//! The one binary of Sordino. Thin: each command is a module with its arguments and a `run`.
//!
//! Owns the command line. Invariant: what a command does is in the libraries.

mod chat;
mod demo;
mod invitations;
mod load;
mod logging;
mod screen;
mod serve;

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use zeroizing_alloc::ZeroAlloc;

/// Wipes what is freed, so that what a request brought along, in whichever buffer, ends with it.
#[global_allocator]
static WIPING: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

/// A reduced-metadata delivery service for MLS groups.
#[derive(Debug, Parser)]
#[command(name = "sordino", version, about, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve as a hub.
    Serve(serve::Arguments),
    /// Talk with people, on the command line or on a screen
    Chat(chat::Arguments),
    /// Print invitation codes, with which people register at your hub
    Invitations(invitations::Arguments),
    /// Run a hub and clients on this machine, do the main job, and check what came of it
    Demo(demo::Arguments),
    /// Put a running hub under load, and tell how it did
    Load(load::Arguments),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Chat(arguments) => chat::run(arguments),
        Command::Invitations(arguments) => invitations::run(arguments),
        Command::Demo(arguments) => demo::run(arguments),
        Command::Load(arguments) => load::run(arguments),
    }
}

/// Tells why a command failed.
fn fail(why: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("sordino: {why}");
    ExitCode::FAILURE
}
