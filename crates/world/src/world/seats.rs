//! Owns whether all who are in a group are together.
//!
//! Invariant: it asks the devices and the book, and changes nothing.

use super::World;
use crate::act::all_connections;
use sordino_client::{Client, GroupStatus, Person};
use sordino_wire::{GroupId, IdentifierUri};
use std::collections::BTreeMap;

/// Where one device is in one group.
struct Seat {
    device: usize,
    user: IdentifierUri,
    active: bool,
    busy: bool,
    leaving: bool,
    leaf: Option<IdentifierUri>,
    position: Option<(u64, Vec<u8>)>,
    members: Vec<Person>,
}

/// Whether all who are in a group are together, and if not, how.
fn table(seats: &[Seat], twice: &[IdentifierUri], hubs: Option<u64>) -> Option<String> {
    let active: Vec<&Seat> = seats.iter().filter(|seat| seat.active).collect();
    // Where all who can have asked to leave, nobody is left to commit it, or to answer.
    if seats.iter().all(|seat| seat.leaving)
        || (!active.is_empty() && active.iter().all(|seat| seat.leaving))
    {
        return None;
    }
    let first = active.first();
    for seat in seats.iter().filter(|seat| !seat.active) {
        // Whoever was removed while it could read nothing may never learn of it.
        let among = first.is_none_or(|first| first.holds(seat));
        if among {
            return Some(format!("device {} does not come back", seat.device));
        }
    }
    let first = first?;
    for seat in &active {
        let device = seat.device;
        if seat.busy && !seat.leaving {
            return Some(format!("device {device} is busy"));
        }
        if seat.position.as_ref().map(|(epoch, _)| *epoch) != hubs {
            return Some(format!("device {device} is not in the hub's epoch"));
        }
        if seat.position != first.position || seat.members.len() != first.members.len() {
            return Some(format!("device {device} differs"));
        }
        if !first.holds(seat) {
            return Some(format!("device {device} is not among the members"));
        }
    }
    let absent = first.members.iter().find(|member| {
        let user = member.identity.as_ref().map(|identity| &identity.user);
        let is_out = |user| !twice.contains(user) && seats.iter().all(|seat| seat.user != *user);
        user.is_some_and(is_out)
    });
    absent.map(|_| "a member does not come in".to_owned())
}

impl Seat {
    /// Whether another one is among the members, as this device sees them.
    fn holds(&self, other: &Self) -> bool {
        let mut leaves = self.members.iter().map(|member| &member.client_pseudonym);
        other
            .leaf
            .as_ref()
            .is_some_and(|leaf| leaves.any(|member| member == leaf))
    }
}
impl World {
    /// A group whose members are not together, and how.
    pub(super) async fn apart(&self) -> Option<(GroupId, String)> {
        let mut seats: BTreeMap<GroupId, Vec<Seat>> = BTreeMap::new();
        for (device, client) in self.clients() {
            for (id, seat) in self.seats(device, &client).await {
                seats.entry(id).or_default().push(seat);
            }
        }
        let hubs = |id| self.network.hub().ledger.epoch(id);
        // Whoever comes back while a group is deleted may never learn of it.
        seats.retain(|id, _| !self.network.hub().ledger.is_deleted(*id));
        seats.into_iter().find_map(|(id, seats)| {
            let twice: Vec<IdentifierUri> = self
                .clients()
                .filter(|(device, _)| self.linked.contains(&(*device, id)))
                .map(|(_, client)| client.credential().user)
                .filter(|user| self.invited.contains(&(user.clone(), id)))
                .collect();
            table(&seats, &twice, hubs(id)).map(|how| (id, how))
        })
    }

    /// Where a device is in each of its groups.
    async fn seats(&self, device: usize, client: &Client) -> Vec<(GroupId, Seat)> {
        let mut groups = client.groups();
        groups.extend(all_connections(client).await);
        let mut seats = Vec::new();
        for group in groups {
            let Ok(status @ (GroupStatus::Active | GroupStatus::Joining | GroupStatus::Recovering)) =
                group.status().await
            else {
                continue;
            };
            // Whoever has lost its state does not know.
            let known = self.leaves.get(&(device, group.id())).cloned();
            let own = group.own().await.ok().map(|own| own.client_pseudonym);
            let position = match (group.epoch().await, group.epoch_authenticator().await) {
                (Ok(epoch), Ok(authenticator)) => Some((epoch, authenticator)),
                _ => None,
            };
            let seat = Seat {
                device,
                user: client.credential().user,
                active: status == GroupStatus::Active,
                busy: group.is_busy().await.unwrap_or(true),
                leaving: self.leaving.contains(&(device, group.id())),
                leaf: own.or(known),
                position,
                members: group.members().await.unwrap_or_default(),
            };
            seats.push((group.id(), seat));
        }
        seats
    }
}
