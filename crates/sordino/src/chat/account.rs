//! Owns making and showing the account.

use super::home::{Home, Settings};
use super::hub;
use super::print::Printer;
use super::session::{Pace, short_name};
use super::unlock::Unlocking;
use super::{ChatError, Session};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sordino_client::{
    AccountReject, Client, ClientConfig, ClientError, Clock as _, Handle, IdentifierUri, OnWork,
    RegisterWith, SystemClock, TokenClass,
};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// `sordino chat register`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Register {
    /// The name that others find you by
    handle: String,

    /// The hub, by its domain; for a development hub on this machine its address
    #[arg(long, value_name = "DOMAIN", default_value = "127.0.0.1:8420")]
    hub: String,

    /// The code that the provider gave you, where it asks for one
    #[arg(long, value_name = "CODE")]
    invitation: Option<String>,
}

/// `sordino chat delete-account`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Delete {
    /// The handle once more, so that it does not happen by accident
    handle: String,
}

/// Who somebody is.
#[derive(Serialize)]
pub(crate) struct Who {
    pub(crate) handle: String,
    pub(crate) user: String,
    pub(crate) fingerprint: String,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  {}", self.handle, self.user)?;
        write!(f, "  fingerprint {}", self.fingerprint)
    }
}

/// A handle as somebody typed it, with or without `@`.
pub(super) fn handle(text: &str) -> Result<Handle, ChatError> {
    let bare = text.trim().trim_start_matches('@');
    Handle::from_input(bare).map_err(|_| ChatError::BadHandle(text.to_owned()))
}

impl Register {
    pub(super) async fn run(
        self,
        home: &Home,
        unlocking: &Unlocking,
        out: &mut Printer,
    ) -> Result<(), ChatError> {
        let handle = handle(&self.handle)?;
        // An attempt that was broken off goes on with the same folder, keys and passphrase.
        let (settings, key) = if home.is_begun() {
            let settings = home.settings()?;
            let key = unlocking.open(&settings.seal)?;
            (settings, key)
        } else {
            let hub = hub::address(&self.hub)?;
            hub::answers(&ClientConfig::new("", [0; 32], hub.clone())).await?;
            let (seal, key) = unlocking.choose()?;
            (Settings::new(&hub, seal), key)
        };
        if home.is_taken() {
            return Err(ChatError::SomebodyHere(home.path().to_owned()));
        }
        home.begin(&settings)?;
        let with = match self.invitation {
            Some(code) => RegisterWith::Invitation(code),
            None => RegisterWith::ProofOfWork {
                on_work: out.is_for_people().then(working),
            },
        };
        let config = Session::config(home, &key, settings.hub()?, Pace::AtOnce);
        let client = Client::register(config, &handle, with)
            .await
            .map_err(explained)?;
        home.settle()?;
        out.remark("Registered. Tell others your handle, and compare fingerprints with them.");
        whoami(&Session::of(client)?, out)
    }
}

impl Who {
    pub(super) fn new(user: &IdentifierUri, fingerprint: String) -> Self {
        Self {
            handle: format!("@{}", short_name(user)),
            user: user.as_str().to_owned(),
            fingerprint,
        }
    }
}

impl Delete {
    pub(super) async fn run(self, session: &Session, out: &mut Printer) -> Result<(), ChatError> {
        let named = handle(&self.handle)?;
        if named.as_str() != short_name(&session.client().credential().user) {
            return Err(ChatError::BadHandle(self.handle));
        }
        session.client().delete_account().await?;
        out.remark("The account is deleted. This folder can be removed.");
        Ok(())
    }
}

/// Says who this is.
pub(super) fn whoami(session: &Session, out: &mut Printer) -> Result<(), ChatError> {
    out.show(&session.who()?);
    Ok(())
}

/// Tokens of one kind that are left.
#[derive(Serialize)]
struct Tokens {
    good_for: &'static str,
    left: usize,
    until_s: u64,
    hours: u64,
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            good_for,
            left,
            hours,
            ..
        } = self;
        write!(f, "{left:>4}  for {good_for}, for {hours} hours more")
    }
}

/// Shows what is left of the tokens that pay for rooms, inboxes and look-ups.
pub(super) fn tokens(session: &Session, out: &mut Printer) -> Result<(), ChatError> {
    let now_s = SystemClock.now_s();
    let tokens = session.client().tokens().into_iter().map(|balance| Tokens {
        good_for: match balance.class {
            TokenClass::Write => "rooms and key packages",
            TokenClass::Contact => "looking up and asking people",
        },
        left: balance.left,
        until_s: balance.end_s,
        hours: balance.end_s.saturating_sub(now_s).div_ceil(3_600),
    });
    let tokens: Vec<Tokens> = tokens.collect();
    out.list(
        &tokens,
        "None: this hub asks for none, or they are not drawn yet.",
    );
    Ok(())
}

/// Shows how the proof of work comes on, on terminals alone.
fn working() -> OnWork {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("registering {bar:30} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    Arc::new(move |progress| {
        bar.set_length(progress.expected.max(progress.tried));
        bar.set_position(progress.tried);
    })
}

/// What a registration's refusal means to a person.
fn explained(error: ClientError) -> ChatError {
    match error {
        ClientError::AccountRefused(AccountReject::OtherAdmission) => ChatError::InvitationNeeded,
        other => other.into(),
    }
}
