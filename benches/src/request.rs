//! Owns how requests are signed and MACed.

use crate::device::Device;
use crate::transport::now_s;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::RngCore as _;
use sordino_crypto::{SenderKey, sha256};
use sordino_wire::{
    Authentication, Digest, Domain, DsRequest, Freshness, GroupId, Nonce, REQUEST_LABEL,
    RequestBody, RequestTbs, encode,
};

fn freshness(epoch: u64, rng: &mut ChaCha20Rng) -> Freshness {
    let mut nonce = [0; 16];
    rng.fill_bytes(&mut nonce);
    let now_s = now_s();
    Freshness {
        epoch,
        time_s: now_s - now_s % 60,
        nonce: Nonce(nonce),
    }
}

/// What a request's signature is made of.
pub(crate) struct Signing {
    pub(crate) domain: Domain,
    pub(crate) group_id: GroupId,
    pub(crate) epoch: u64,
}

impl Signing {
    fn tbs(&self, body: &RequestBody, rng: &mut ChaCha20Rng) -> (Freshness, RequestTbs) {
        let freshness = freshness(self.epoch, rng);
        let hash = sha256(&encode(body).unwrap());
        let tbs = RequestTbs::new(self.domain.clone(), self.group_id, freshness, hash);
        (freshness, tbs)
    }

    pub(crate) fn by_joiner(
        &self,
        device: &Device,
        body: RequestBody,
        rng: &mut ChaCha20Rng,
    ) -> Vec<u8> {
        let (freshness, tbs) = self.tbs(&body, rng);
        let auth = Authentication::Joiner {
            freshness,
            signature_key: device.leaf_key.public(),
            signature: device.leaf_key.sign_struct(REQUEST_LABEL, &tbs).unwrap(),
        };
        DsRequest { body, auth }.encode().unwrap()
    }

    pub(crate) fn by_leaf(
        &self,
        device: &Device,
        leaf_index: u32,
        body: RequestBody,
        rng: &mut ChaCha20Rng,
    ) -> Vec<u8> {
        let (freshness, tbs) = self.tbs(&body, rng);
        let auth = Authentication::Leaf {
            freshness,
            leaf_index,
            signature: device.leaf_key.sign_struct(REQUEST_LABEL, &tbs).unwrap(),
        };
        DsRequest { body, auth }.encode().unwrap()
    }
}

/// One message that can be sent any number of times, each time as a new request. To a hub, which
/// cannot open it, this is the same as new messages; making those would cost the client more than
/// all of the hub's work.
pub struct SendTemplate {
    pub(crate) domain: Domain,
    pub(crate) group_id: GroupId,
    pub(crate) epoch: u64,
    pub(crate) sender_key: SenderKey,
    pub(crate) body_hash: Digest,
    pub(crate) request: DsRequest,
}

impl SendTemplate {
    /// A request of its own kind that nobody has authenticated.
    pub fn bare(&self) -> Vec<u8> {
        self.request.encode().unwrap()
    }

    /// The same sender with another body, which becomes the template's.
    pub fn carry(&mut self, body: RequestBody) {
        self.body_hash = sha256(&encode(&body).unwrap());
        self.request.body = body;
    }

    /// A new request.
    pub fn next(&mut self, rng: &mut ChaCha20Rng) -> Vec<u8> {
        let freshness = freshness(self.epoch, rng);
        let domain = self.domain.clone();
        let tbs = RequestTbs::new(domain, self.group_id, freshness, self.body_hash);
        let mac = self.sender_key.mac(&tbs).unwrap();
        self.request.auth = Authentication::EpochMember { freshness, mac };
        self.request.encode().unwrap()
    }
}
