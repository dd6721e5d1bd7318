//! Owns what a load generator needs of a group: one message that is sent again and again, each time as
//! a new request, and the stream in which it arrives.
//!
//! To a hub, which opens no message, that is the same as new messages; making those would cost the
//! generator more than all of the hub's work. Nothing in the library uses it.

use crate::client::Client;
use crate::error::{ClientError, Result};
use crate::transport::{Endpoint, HubAddress, Transport};
use sordino_crypto::{SenderKey, sha256};
use sordino_wire::limits::{MAX_STREAM_ENTRIES, TIME_GRAIN_S};
use sordino_wire::{
    Authentication, Bytes, Digest, Domain, DsRequest, Freshness, GroupId, List, MemberContent,
    Nonce, ReadStreams, RequestBody, RequestTbs, ResponseBody, StreamId, StreamRead,
};

/// A message in the epoch in which it was made; the hub takes it for a few epochs more.
pub struct MessageTemplate {
    hub_domain: Domain,
    group_id: GroupId,
    epoch: u64,
    sender_key: SenderKey,
    body_hash: Digest,
    request: DsRequest,
    stream_id: StreamId,
}

impl MessageTemplate {
    /// Makes one of a group with anonymous senders. Nothing is sent or kept.
    pub async fn of(client: &Client, group: GroupId, content: &[u8]) -> Result<Self> {
        let content = MemberContent::Application(Bytes::new(content.to_vec())?);
        client
            .core
            .step(group, |group, tools, _| {
                let number = group.queue_message(tools, &content)?;
                let outgoing = group
                    .outgoing(number)
                    .map(|o| o.request.as_slice().to_vec());
                group.state.outbox.retain(|o| o.number != number);
                let bytes = outgoing.ok_or(ClientError::OutOfBounds)?;
                let parsed = DsRequest::parse(&bytes).map_err(ClientError::NotAllowed)?;
                Ok(Self {
                    hub_domain: group.domain().clone(),
                    group_id: group.id(),
                    epoch: group.epoch()?,
                    sender_key: group.sender_key()?,
                    body_hash: sha256(parsed.body_bytes),
                    request: parsed.request,
                    stream_id: group.stream()?,
                })
            })
            .await
    }

    /// A new request.
    pub fn request(&mut self, time_s: u64, nonce: [u8; 16]) -> Result<Vec<u8>> {
        let freshness = Freshness {
            epoch: self.epoch,
            time_s: time_s - time_s % TIME_GRAIN_S,
            nonce: Nonce(nonce),
        };
        let domain = self.hub_domain.clone();
        let tbs = RequestTbs::new(domain, self.group_id, freshness, self.body_hash);
        let mac = self.sender_key.mac(&tbs)?;
        self.request.auth = Authentication::EpochMember { freshness, mac };
        Ok(self.request.encode()?)
    }

    /// Where it arrives.
    pub fn stream_id(&self) -> StreamId {
        self.stream_id
    }
}

/// Connections of a load generator: each request is tried once.
pub struct Line(Transport);

impl Line {
    /// Connections to a hub, made as they are needed.
    pub fn new(hub: &HubAddress) -> Result<Self> {
        Ok(Self(Transport::new(hub, &[])?))
    }

    /// Sends a group operation. `None`: the hub did not look at it.
    pub async fn operation(&self, request: &[u8]) -> Result<Option<ResponseBody>> {
        self.0.post_once(Endpoint::Operation, request, 0).await
    }

    /// Reads one stream.
    pub async fn read(
        &self,
        stream_id: StreamId,
        from: u64,
        wait_s: u16,
    ) -> Result<Option<ResponseBody>> {
        let read = StreamRead {
            stream_id,
            from,
            max: u16::try_from(MAX_STREAM_ENTRIES).unwrap_or(u16::MAX),
        };
        let body = RequestBody::ReadStreams(ReadStreams {
            reads: List::new(vec![read])?,
            wait_s,
        });
        let auth = Authentication::Possession;
        let request = DsRequest { body, auth }.encode()?;
        self.0.post_once(Endpoint::Streams, &request, wait_s).await
    }
}
