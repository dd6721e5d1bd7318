//! Owns a person's devices: adding one, listing them, removing one.
//!
//! Invariant: the code of a new device is shown and typed, never sent by us anywhere.

use super::home::{Home, Settings};
use super::hub;
use super::print::Printer;
use super::session::Pace;
use super::unlock::Unlocking;
use super::{ChatError, Session};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde::Serialize;
use sordino_client::{ClientConfig, Linking};
use std::fmt;

/// `sordino chat link`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Link {
    /// The hub of the account, by its domain
    #[arg(long, value_name = "DOMAIN", default_value = "127.0.0.1:8420")]
    hub: String,

    /// Show the code as text alone
    #[arg(long)]
    no_qr: bool,
}

/// A code of a new device.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Code {
    /// The code that the new device shows; spaces do no harm
    #[arg(required = true)]
    code: Vec<String>,
}

/// A device, by name.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Device {
    /// The device's name, or its first digits
    name: String,
}

/// A device, as it is listed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DeviceLine {
    /// Its name: random digits.
    pub(crate) name: String,
    /// Whether it is the one that says so.
    pub(crate) this: bool,
}

impl fmt::Display for DeviceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let this = if self.this { "  this device" } else { "" };
        write!(f, "{}{this}", self.name)
    }
}

/// A code that a new device shows.
#[derive(Serialize)]
struct ShownCode<'a> {
    code: &'a str,
}

impl fmt::Display for ShownCode<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

impl Link {
    pub(super) async fn run(
        self,
        home: &Home,
        unlocking: &Unlocking,
        out: &mut Printer,
    ) -> Result<(), ChatError> {
        // The same code is shown again after an interruption.
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
        let linking =
            Linking::start(Session::config(home, &key, settings.hub()?, Pace::AtOnce)).await?;
        let code = linking.code().to_owned();
        if !self.no_qr
            && let Ok(picture) = QrCode::new(code.as_bytes())
        {
            out.remark(&picture.render::<Dense1x2>().quiet_zone(true).build());
        }
        out.remark("On a device that you have, run `sordino chat link-device` with this code:");
        out.show(&ShownCode { code: &code });
        out.remark("Waiting for it; show the code to nobody else.");
        let client = linking.finish().await?;
        home.settle()?;
        out.remark("This device is linked. Rooms come in as your other devices bring it in.");
        super::account::whoami(&Session::of(client)?, out)
    }
}

impl Session {
    /// Adds the device that shows a code.
    pub(crate) async fn link_device(&self, code: &str) -> Result<String, ChatError> {
        let code: String = code.split_whitespace().collect();
        self.client().link_device(&code).await?;
        Ok("The device is linked; it joins your rooms by itself.".to_owned())
    }

    /// This user's devices.
    pub(crate) async fn devices(&self) -> Result<Vec<DeviceLine>, ChatError> {
        let devices = self.client().devices().await?;
        let own = self.client().credential().client;
        Ok(devices
            .iter()
            .map(|device| DeviceLine {
                name: super::session::short_name(device),
                this: *device == own,
            })
            .collect())
    }

    /// Removes one of this user's other devices.
    pub(crate) async fn remove_device(&self, name: &str) -> Result<String, ChatError> {
        let devices = self.client().devices().await?;
        let mut found = devices
            .iter()
            .filter(|device| super::session::short_name(device).starts_with(name));
        let (Some(device), None) = (found.next(), found.next()) else {
            return Err(ChatError::NoDevice(name.to_owned()));
        };
        self.client().remove_device(device).await?;
        Ok("The device is removed; your other devices and contacts get new keys.".to_owned())
    }
}

pub(super) async fn link(
    session: &Session,
    code: &Code,
    out: &mut Printer,
) -> Result<(), ChatError> {
    out.remark(&session.link_device(&code.code.concat()).await?);
    Ok(())
}

pub(super) async fn list(session: &Session, out: &mut Printer) -> Result<(), ChatError> {
    out.list(&session.devices().await?, "no devices");
    Ok(())
}

pub(super) async fn remove(
    session: &Session,
    device: &Device,
    out: &mut Printer,
) -> Result<(), ChatError> {
    out.remark(&session.remove_device(&device.name).await?);
    Ok(())
}
