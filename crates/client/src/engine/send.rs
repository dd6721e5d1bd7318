//! Owns application messages, out and in.
//!
//! Invariant: a message is kept with its ciphertext before it goes out and is sent with the same
//! bytes until the hub has it; it is encrypted again only where the hub certainly refused it. What
//! arrives is kept once, in the transaction that moves the cursor.

use crate::engine::commit_request::message_bytes;
use crate::engine::state::{Control, LoadedGroup, Step};
use crate::engine::tools::Tools;
use crate::envelope::Signing;
use crate::error::{ClientError, Result, mls};
use crate::events::{Event, Message, Person, Standing};
use crate::mls::{join_config, padding_for, protocol_message, signer};
use crate::records::{FORMAT, MessageRecord, OutgoingRecord, message_name};
use openmls::prelude::{OpenMlsProvider, ProcessedMessageContent, ProtocolMessage, Sender};
use sordino_crypto::sha256;
use sordino_rules::allows;
use sordino_wire::{
    Capability, DsRequest, MemberContent, MessageBytes, PseudonymousCredential, RequestBody,
    SendAsLeaf, SendMessage, SenderRule, encode, exact,
};
use tls_codec::VLBytes;
use zeroize::Zeroizing;

impl LoadedGroup {
    /// Encrypts a message and puts it into the outbox; returns its number there.
    pub(crate) fn queue_message(
        &mut self,
        tools: &Tools<'_>,
        content: &MemberContent,
    ) -> Result<u64> {
        self.require_active()?;
        let policy = self.policy()?;
        if !allows(&policy, &self.own_user()?, Capability::Send) {
            let reject = sordino_wire::Reject::Policy(Capability::Send);
            return Err(ClientError::NotAllowed(reject));
        }
        let number = self.state.next_outgoing;
        self.state.next_outgoing = number.saturating_add(1);
        let content = Zeroizing::new(encode(content)?);
        let outgoing = self.encrypt(tools, number, &content)?;
        self.state.outbox.push(outgoing);
        Ok(number)
    }

    /// Encrypts a message of the outbox again, for the epoch as it is now.
    pub(crate) fn encrypt_again(&mut self, tools: &Tools<'_>, number: u64) -> Result<()> {
        self.require_active()?;
        let content = self
            .outgoing(number)
            .map(|outgoing| outgoing.content.as_slice().to_vec());
        let Some(content) = content else {
            return Ok(());
        };
        let fresh = self.encrypt(tools, number, &content)?;
        self.replace_outgoing(fresh);
        Ok(())
    }

    /// Signs a message of the outbox again with a new time; ciphertext and nonce stay the same, so that
    /// the hub takes one of both, should a copy of the former request be on time later.
    pub(crate) fn sign_again(&mut self, tools: &Tools<'_>, number: u64) -> Result<()> {
        // Where the stream has a gap, it does not tell whether an earlier attempt came through.
        self.require_active()?;
        let Some(outgoing) = self.outgoing(number) else {
            return Ok(());
        };
        let epoch = outgoing.epoch;
        if epoch != self.epoch()? {
            return self.encrypt_again(tools, number);
        }
        let former = DsRequest::parse(outgoing.request.as_slice());
        let former = former.map_err(ClientError::NotAllowed)?.request;
        let nonce = former.auth.freshness().map(|freshness| freshness.nonce.0);
        let request = self.sign_message(tools, former.body, nonce)?;
        if let Some(outgoing) = self.state.outbox.iter_mut().find(|o| o.number == number) {
            outgoing.request = VLBytes::new(request);
        }
        Ok(())
    }

    pub(crate) fn outgoing(&self, number: u64) -> Option<&OutgoingRecord> {
        self.state.outbox.iter().find(|o| o.number == number)
    }

    fn replace_outgoing(&mut self, fresh: OutgoingRecord) {
        for outgoing in &mut self.state.outbox {
            if outgoing.number == fresh.number {
                *outgoing = fresh;
                return;
            }
        }
    }

    fn encrypt(
        &mut self,
        tools: &Tools<'_>,
        number: u64,
        content: &[u8],
    ) -> Result<OutgoingRecord> {
        let leaf = self.leaf(tools.device)?;
        let message = self.mls_encrypt(&leaf.key, content)?;
        let message_hash = sha256(&message);
        let message = MessageBytes::new(message)?;
        let body = match self.policy()?.senders {
            SenderRule::Anonymous => RequestBody::Send(SendMessage {
                head: self.head()?,
                message,
            }),
            SenderRule::Leaf => RequestBody::SendAsLeaf(SendAsLeaf {
                access: self.access()?,
                message,
            }),
        };
        Ok(OutgoingRecord {
            number,
            content: VLBytes::new(content.to_vec()),
            epoch: self.epoch()?,
            message_hash,
            request: VLBytes::new(self.sign_message(tools, body, None)?),
            accepted: 0,
        })
    }

    /// openmls sends nothing while proposals are pending. Those that must be committed are
    /// committed before; what is left here may wait, so it steps aside for a moment.
    fn mls_encrypt(&mut self, key: &sordino_crypto::SigningKey, content: &[u8]) -> Result<Vec<u8>> {
        let signer = signer(key);
        let tolerance = self.policy()?.epoch_tolerance;
        let config = join_config(padding_for(content.len()), tolerance);
        let (group, provider) = self.mls_mut()?;
        let pending: Vec<_> = group.pending_proposals().cloned().collect();
        if !pending.is_empty() {
            group
                .clear_pending_proposals(provider.storage())
                .map_err(mls("a proposal stays"))?;
        }
        group
            .set_configuration(provider.storage(), &config)
            .map_err(mls("the configuration is not kept"))?;
        let message = group
            .create_message(provider, &signer, content)
            .map_err(mls("the message cannot be encrypted"))?;
        for queued in pending {
            group
                .store_pending_proposal(provider.storage(), queued)
                .map_err(mls("a proposal is not kept"))?;
        }
        message_bytes(&message)
    }

    /// With a new nonce, or one that was used for the same body before.
    fn sign_message(
        &self,
        tools: &Tools<'_>,
        body: RequestBody,
        nonce: Option<[u8; 16]>,
    ) -> Result<Vec<u8>> {
        let mut occasion = tools.occasion(self, self.epoch()?);
        occasion.nonce = nonce.unwrap_or(occasion.nonce);
        if matches!(body, RequestBody::SendAsLeaf(_)) {
            let leaf = self.leaf(tools.device)?;
            let signing = Signing::Leaf {
                index: self.own_index()?,
                key: &leaf.key,
            };
            return tools.seal_on(self, &occasion, body, &signing, Some(&leaf.key));
        }
        let sender_key = self.sender_key()?;
        tools.seal_on(self, &occasion, body, &Signing::Epoch(&sender_key), None)
    }

    /// A message from the stream.
    pub(crate) fn process_application(
        &mut self,
        step: &mut Step,
        bytes: &[u8],
        time_s: u64,
    ) -> Result<()> {
        let hash = sha256(bytes);
        if let Some(place) = self
            .state
            .outbox
            .iter()
            .position(|outgoing| outgoing.message_hash == hash)
        {
            let own = self.state.outbox.remove(place);
            let sender = self.own_credential()?;
            let said = Said {
                sender,
                own: true,
                content: own.content.as_slice().to_vec(),
                time_s,
                epoch: own.epoch,
            };
            return self.take_content(step, said);
        }
        let received = self.decrypt(bytes);
        match received {
            Some(Received::Message {
                sender,
                content,
                epoch,
            }) => {
                if allows(&self.policy()?, &sender.user_pseudonym, Capability::Send) {
                    let said = Said {
                        sender,
                        own: false,
                        content,
                        time_s,
                        epoch,
                    };
                    self.take_content(step, said)?;
                }
            }
            Some(Received::NotForUs) => {}
            None => step.events.push(Event::Undecryptable { group: self.id() }),
        }
        Ok(())
    }

    /// An own message that the hub has, and whose echo will not be read.
    pub(crate) fn show_own(&mut self, step: &mut Step, own: &OutgoingRecord) -> Result<()> {
        step.repeats = false;
        let said = Said {
            sender: self.own_credential()?,
            own: true,
            content: own.content.as_slice().to_vec(),
            time_s: step.now_s,
            epoch: own.epoch,
        };
        self.take_content(step, said)
    }

    fn decrypt(&mut self, bytes: &[u8]) -> Option<Received> {
        let message = protocol_message(bytes).ok()?;
        if !matches!(message, ProtocolMessage::PrivateMessage(_)) {
            return None;
        }
        if message.epoch().as_u64() < self.state.joined_epoch {
            return Some(Received::NotForUs);
        }
        let (group, provider) = self.mls_mut().ok()?;
        let processed = group.process_message(provider, message).ok()?;
        let epoch = processed.epoch().as_u64();
        let by_member = matches!(processed.sender(), Sender::Member(_));
        let credential: Option<PseudonymousCredential> =
            exact(processed.credential().serialized_content()).ok();
        match processed.into_content() {
            ProcessedMessageContent::ApplicationMessage(message) if by_member => {
                Some(Received::Message {
                    sender: credential?,
                    content: message.into_bytes(),
                    epoch,
                })
            }
            ProcessedMessageContent::OwnPrivateMessage => Some(Received::NotForUs),
            _ => None,
        }
    }

    /// What members say is kept; what their clients arrange is acted upon after this step's entry.
    fn take_content(&mut self, step: &mut Step, said: Said) -> Result<()> {
        let sender = self.person(&said.sender)?;
        let content = exact::<MemberContent>(&Zeroizing::new(said.content));
        match content {
            Ok(MemberContent::Application(content)) => {
                if !step.repeats && (said.own || step.kind.admits(&sender)) {
                    let message = Message {
                        number: self.state.messages,
                        sender,
                        own: said.own,
                        content: content.into_vec(),
                        time_s: said.time_s,
                        epoch: said.epoch,
                    };
                    self.keep_message(step, message)?;
                }
            }
            Ok(content) => {
                step.control = Some(Control::Said {
                    sender,
                    own: said.own,
                    content,
                });
            }
            Err(_) => step.events.push(Event::Undecryptable { group: self.id() }),
        }
        Ok(())
    }

    fn keep_message(&mut self, step: &mut Step, message: Message) -> Result<()> {
        let number = message.number;
        self.state.messages = number.saturating_add(1);
        step.batch
            .put(message_name(self.id(), number), &record(&message))?;
        step.events.push(Event::Message {
            group: self.id(),
            message,
        });
        Ok(())
    }
}

/// A content with everything around it.
struct Said {
    sender: PseudonymousCredential,
    own: bool,
    content: Vec<u8>,
    time_s: u64,
    epoch: u64,
}

enum Received {
    Message {
        sender: PseudonymousCredential,
        content: Vec<u8>,
        epoch: u64,
    },
    /// Sent by this device in another life, or before it came in.
    NotForUs,
}

fn record(message: &Message) -> MessageRecord {
    let identity = message.sender.identity.as_ref();
    MessageRecord {
        format: FORMAT,
        user_pseudonym: message.sender.user_pseudonym.clone(),
        client_pseudonym: message.sender.client_pseudonym.clone(),
        user: identity.map(|identity| identity.user.clone()),
        client: identity.map(|identity| identity.client.clone()),
        account_key: identity.map(|identity| identity.account_key.clone()),
        own: u8::from(message.own),
        content: VLBytes::new(message.content.clone()),
        time_s: message.time_s,
        epoch: message.epoch,
    }
}

/// A message as it was kept.
pub(crate) fn message_of(number: u64, record: MessageRecord) -> Message {
    let identity = match (record.user, record.client, record.account_key) {
        (Some(user), Some(client), Some(account_key)) => Some(crate::events::Identity {
            user,
            client,
            account_key,
        }),
        _ => None,
    };
    Message {
        number,
        sender: Person {
            user_pseudonym: record.user_pseudonym,
            client_pseudonym: record.client_pseudonym,
            identity,
            standing: Standing::Unidentified,
        },
        own: record.own == 1,
        content: record.content.as_slice().to_vec(),
        time_s: record.time_s,
        epoch: record.epoch,
    }
}
