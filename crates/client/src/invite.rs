//! Owns invite links: making them, and their text form.
//!
//! Invariant: it is as secret as the room's public state; it never goes into an error or a log.

use crate::core::Core;
use crate::engine::plan::Plan;
use crate::error::{ClientError, Result};
use sordino_crypto::sha256;
use sordino_wire::{Digest, GroupId, InviteLink, JoinRule, encode, exact};
use zeroize::Zeroizing;

impl Core {
    /// Admits by invite from now on, with a new code.
    pub(crate) async fn renew_invites(&self, id: GroupId) -> Result<()> {
        let code = Digest(self.entropy.array());
        let mut policy = self.view(id, |group, _| group.policy()).await?;
        policy.join = JoinRule::Invite;
        policy.invite_code_hash = Some(sha256(code.as_ref()));
        let plan = Plan::ChangePolicy {
            policy: Box::new(policy),
            invite_code: Some(code),
        };
        self.commit(id, &plan).await
    }

    /// A link for somebody to come in.
    pub(crate) async fn invite_link(&self, id: GroupId) -> Result<InviteLink> {
        self.view(id, |group, _| {
            group.require_active()?;
            let policy = group.policy()?;
            let code = match policy.join {
                JoinRule::Closed => return Err(ClientError::NoInvite),
                JoinRule::Open | JoinRule::Connection => None,
                JoinRule::Invite => {
                    let code = group.keys.invite_code.ok_or(ClientError::NoInvite)?;
                    if Some(sha256(code.as_ref())) != policy.invite_code_hash {
                        return Err(ClientError::NoInvite);
                    }
                    Some(code)
                }
            };
            let current = group.current()?;
            Ok(InviteLink {
                hub_domain: group.domain().clone(),
                group_id: group.id(),
                generation: current.generation,
                ear_key: current.ear_key.duplicate(),
                code,
            })
        })
        .await
    }
}

const PREFIX: &str = "sordino-invite:";

/// A link that opens a group's public state, as text.
pub fn link_to_text(link: &InviteLink) -> Result<Zeroizing<String>> {
    let bytes = Zeroizing::new(encode(link)?);
    let mut text = String::with_capacity(PREFIX.len() + bytes.len() * 2);
    text.push_str(PREFIX);
    for byte in bytes.iter() {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    Ok(Zeroizing::new(text))
}

fn digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0')
}

/// Reads the text form.
pub fn link_from_text(text: &str) -> Result<InviteLink> {
    let digits = text
        .trim()
        .strip_prefix(PREFIX)
        .ok_or(ClientError::NoInvite)?;
    let bytes = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair)
                .ok()
                .filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect::<Option<Vec<u8>>>()
        .ok_or(ClientError::NoInvite)?;
    exact(&bytes).map_err(|_| ClientError::NoInvite)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sordino_wire::{Digest, Domain, GroupId, Secret32};

    #[test]
    fn a_link_survives_its_text_form() {
        let link = InviteLink {
            hub_domain: Domain::new("hub.example").unwrap(),
            group_id: GroupId([1; 16]),
            generation: 7,
            ear_key: Secret32::new([2; 32]),
            code: Some(Digest([3; 32])),
        };
        let text = link_to_text(&link).unwrap();
        assert_eq!(link_from_text(&text).unwrap(), link);
        assert!(link_from_text("sordino-invite:00ff").is_err());
        assert!(link_from_text("sordino-invite:é").is_err());
        assert!(link_from_text("hello").is_err());
    }
}
