//! Owns `sordino invitations`.
//!
//! Invariant: what it prints is codes, one a line; everything else goes elsewhere.

use crate::fail;
use sordino_server::{Config, ConfigError, Environment, InvitationError, invitations};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// What `sordino invitations` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The configuration file of the server that the codes are for
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// How many codes
    #[arg(long, value_name = "N", default_value_t = 1)]
    count: u32,

    /// For how many days they are good
    #[arg(long, value_name = "D", default_value_t = 30)]
    days: u32,
}

/// Why there are no codes.
#[derive(Debug, thiserror::Error)]
enum CodesError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Invitation(#[from] InvitationError),
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
}

/// Runs the command.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    match print(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fail(&why),
    }
}

fn print(arguments: &Arguments) -> Result<(), CodesError> {
    let config = Config::read(&arguments.config)?.check(&Environment::of_process())?;
    let mut out = io::stdout().lock();
    for code in invitations(&config, arguments.count, arguments.days)? {
        writeln!(out, "{code}")?;
    }
    Ok(out.flush()?)
}
