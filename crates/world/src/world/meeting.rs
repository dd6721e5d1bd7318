//! Owns how a world begins: everybody registers, and knows somebody.

use super::{World, unexplained};
use crate::violation::Violation;
use sordino_client::{ClientError, ContactState};

impl World {
    /// Everybody registers and knows most of the others.
    pub(super) async fn meet(&mut self) -> Result<(), Violation> {
        for device in &mut self.devices {
            let (index, name) = (device.index, device.name);
            let registered = device.register().await;
            registered.map_err(unexplained(index, "register"))?;
            self.search.add("name", name.as_bytes());
        }
        for asker in 0..self.devices.len() {
            for asked in 0..asker {
                if asker.abs_diff(asked) == 1 || self.chance.one_in(2) {
                    self.connect(asker, asked).await?;
                }
            }
        }
        Ok(())
    }

    pub(crate) async fn connect(&mut self, asker: usize, asked: usize) -> Result<(), Violation> {
        let error = unexplained(asker, "connect");
        let (Some(from), Some(to)) = (self.devices.get(asker), self.devices.get(asked)) else {
            return Ok(());
        };
        let (Some(asking), Some(being_asked)) = (from.client.clone(), to.client.clone()) else {
            return Ok(());
        };
        let handle = to.handle().map_err(&error)?;
        asking.connect(&handle).await.map_err(&error)?;
        being_asked.sync_once().await.map_err(&error)?;
        let user = asking.credential().user;
        let requests = being_asked.connection_requests().await.map_err(&error)?;
        if let Some(request) = requests.iter().find(|request| request.from == user) {
            being_asked.accept(request.id).await.map_err(&error)?;
        }
        for _ in 0..3 {
            being_asked.sync_once().await.map_err(&error)?;
            asking.sync_once().await.map_err(&error)?;
        }
        let contact = asking.contact(&being_asked.credential().user).await;
        if contact.map_err(&error)?.state != ContactState::Connected {
            return Err(error(ClientError::NotConnected));
        }
        Ok(())
    }
}
