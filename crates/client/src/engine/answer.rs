//! Owns requests of a member that are neither commits nor messages.
//!
//! Invariant: the group's secret is sealed to a key that a current leaf signed for, and to no other.

use crate::engine::commit_request::message_bytes;
use crate::engine::process::SUCCESSOR_LABEL;
use crate::engine::state::LoadedGroup;
use crate::engine::tools::Tools;
use crate::envelope::Signing;
use crate::error::{ClientError, Result, mls};
use crate::mls::signer;
use openmls::ciphersuite::hash_ref::ProposalRef;
use openmls::prelude::{MlsGroup, OpenMlsProvider};
use sordino_crypto::{make_key_object, seal_key_object, sha256};
use sordino_wire::{
    AnswerKeyRequest, Digest, GroupAccess, HandshakeBytes, List, ProposalsRequest, Reinitialise,
    RequestBody, SuccessorPointer, SuccessorPointerTbs,
};

impl LoadedGroup {
    /// An answer to a key request.
    pub(crate) fn answer_question(&mut self, tools: &Tools<'_>, digest: Digest) -> Result<Vec<u8>> {
        let secret = self.group_secret()?.ok_or(ClientError::SecretUnknown)?;
        let question = self
            .state
            .questions
            .iter()
            .find(|question| question.digest == digest)
            .map(|question| question.question.clone())
            .ok_or(ClientError::NoSuchMember)?;
        let leaf = self.leaf(tools.device)?;
        let recipient = question.hpke_key.as_slice();
        let object = make_key_object(
            tools.device.client_key(),
            tools.device.credential(),
            self.domain(),
            self.id(),
            self.epoch()?,
            self.generation()?,
            &secret,
            &leaf.key.public(),
            sha256(b""),
            recipient,
        )?;
        let mut rng = tools.entropy.clone();
        let body = RequestBody::AnswerKeyRequest(AnswerKeyRequest {
            head: self.head()?,
            question: digest,
            key_object: seal_key_object(recipient, &object, &mut rng)?,
        });
        let sender_key = self.sender_key()?;
        tools.seal(
            self,
            self.epoch()?,
            body,
            &Signing::Epoch(&sender_key),
            None,
        )
    }

    /// "I leave": a SelfRemove that the others must commit.
    pub(crate) fn propose_leaving(&mut self, tools: &Tools<'_>) -> Result<Vec<u8>> {
        self.require_active()?;
        let own = self.own_index()?;
        if self.pending()?.iter().any(|p| p.leaving() == Some(own)) {
            return Err(ClientError::NotAllowed(sordino_wire::Reject::BeingRemoved));
        }
        let leaf = self.leaf(tools.device)?;
        let signer = signer(&leaf.key);
        let (group, provider) = self.mls_mut()?;
        let before: Vec<_> = references(group);
        let message = group
            .leave_group_via_self_remove(provider, &signer)
            .map_err(mls("leaving cannot be proposed"))?;
        // It counts when the hub delivers it, like everybody else's.
        for reference in references(group) {
            if !before.contains(&reference) {
                group
                    .remove_pending_proposal(provider.storage(), &reference)
                    .map_err(mls("a proposal stays"))?;
            }
        }
        let body = RequestBody::Proposals(ProposalsRequest {
            access: self.access()?,
            proposals: List::new(vec![HandshakeBytes::new(message_bytes(&message)?)?])?,
            inbox: None,
        });
        crate::recover::leaf_request(self, tools, self.epoch()?, body)
    }

    /// "Go on over there": a signed pointer.
    pub(crate) fn freeze(&self, tools: &Tools<'_>, target: GroupAccess) -> Result<Vec<u8>> {
        self.require_active()?;
        let leaf = self.leaf(tools.device)?;
        let epoch = self.epoch()?;
        let tbs = SuccessorPointerTbs {
            group_id: self.id(),
            epoch,
            successor: target.group_id,
        };
        let body = RequestBody::Reinitialise(Reinitialise {
            access: self.access()?,
            pointer: SuccessorPointer {
                group_id: target.group_id,
                leaf_index: self.own_index()?,
                signature: leaf.key.sign_struct(SUCCESSOR_LABEL, &tbs)?,
            },
            target,
        });
        crate::recover::leaf_request(self, tools, epoch, body)
    }
}

fn references(group: &MlsGroup) -> Vec<ProposalRef> {
    group
        .pending_proposals()
        .map(|queued| queued.proposal_reference_ref().clone())
        .collect()
}
