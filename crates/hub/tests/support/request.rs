//! Authentications of requests.

use super::{Actor, World};
use rand_chacha::rand_core::RngCore as _;
use sordino_crypto::{SenderKey, SigningKey, sha256};
use sordino_wire::{
    Authentication, DsRequest, Freshness, GroupId, Nonce, REQUEST_LABEL, RequestBody, RequestTbs,
    ResponseBody, Secret32, encode,
};

/// A kind of authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Possession,
    Epoch,
    Leaf,
    User,
    Joiner,
}

/// All that an authentication is made of; tests change any of it.
pub(crate) struct Signing {
    pub(crate) group_id: GroupId,
    pub(crate) epoch: u64,
    pub(crate) time_s: u64,
    pub(crate) nonce: Nonce,
    pub(crate) leaf_index: u32,
    pub(crate) leaf_key: SigningKey,
    pub(crate) user_key: SigningKey,
    pub(crate) sender_key: Secret32,
}

impl Signing {
    pub(crate) fn auth(&self, world: &World, kind: Kind, body: &RequestBody) -> Authentication {
        let freshness = Freshness {
            epoch: self.epoch,
            time_s: self.time_s,
            nonce: self.nonce,
        };
        let hash = sha256(&encode(body).unwrap());
        let tbs = RequestTbs::new(world.domain.clone(), self.group_id, freshness, hash);
        let sign = |key: &SigningKey| key.sign_struct(REQUEST_LABEL, &tbs).unwrap();
        match kind {
            Kind::Possession => Authentication::Possession,
            Kind::Epoch => Authentication::EpochMember {
                freshness,
                mac: SenderKey::new(self.sender_key.duplicate())
                    .mac(&tbs)
                    .unwrap(),
            },
            Kind::Leaf => Authentication::Leaf {
                freshness,
                leaf_index: self.leaf_index,
                signature: sign(&self.leaf_key),
            },
            Kind::User => Authentication::PseudonymousUser {
                freshness,
                leaf_index: self.leaf_index,
                leaf_signature: sign(&self.leaf_key),
                user_signature: sign(&self.user_key),
            },
            Kind::Joiner => Authentication::Joiner {
                freshness,
                signature_key: self.leaf_key.public(),
                signature: sign(&self.leaf_key),
            },
        }
    }

    pub(crate) fn bytes(&self, world: &World, kind: Kind, body: RequestBody) -> Vec<u8> {
        let auth = self.auth(world, kind, &body);
        DsRequest::free(body, auth).encode().unwrap()
    }
}

impl Actor {
    /// How this actor signs now.
    pub(crate) fn signing(&self, world: &mut World) -> Signing {
        let mut nonce = [0; 16];
        world.rng.fill_bytes(&mut nonce);
        let group = self.group.as_ref();
        Signing {
            group_id: self.group_id,
            epoch: group.map_or(0, |g| g.epoch().as_u64()),
            time_s: world.now_s - world.now_s % 60,
            nonce: Nonce(nonce),
            leaf_index: group.map_or(0, |g| g.own_leaf_index().u32()),
            leaf_key: self.leaf_key(),
            user_key: self.user_key(),
            sender_key: self.sender_key(),
        }
    }

    /// Signs and sends.
    pub(crate) fn request(&self, world: &mut World, kind: Kind, body: RequestBody) -> ResponseBody {
        let signing = self.signing(world);
        let auth = signing.auth(world, kind, &body);
        world.send(body, auth)
    }
}
