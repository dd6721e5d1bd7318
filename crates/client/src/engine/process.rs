//! Owns what a member does with what it reads from its stream, entry by entry.
//!
//! Invariant: entries are taken in order and once; nothing in them is believed because the hub
//! delivered it. Every check of the hub is made again, and what fails one is evidence.

use crate::engine::commit_request::KEY_CHECK_LABEL;
use crate::engine::merge::Merged;
use crate::engine::state::{Control, LoadedGroup, Step};
use crate::engine::tools::Tools;
use crate::error::{ClientError, GroupStatus, Result, mls};
use crate::events::{Event, Evidence};
use crate::mls::{Exporter, protocol_message};
use crate::records::{GenerationRecord, Place, ProposalRecord, QuestionRecord, Trouble};
use openmls::prelude::{
    OpenMlsProvider, ProcessedMessage, ProcessedMessageContent, QueuedProposal, Sender,
    StagedCommit,
};
use sordino_crypto::{keys_hash, open_entry, sha256, verify_struct};
use sordino_rules::{
    Before, CommitView, Operation, PendingKind, PendingRef, Verdict, check_commit,
    check_no_repeats, check_proposal, resolve_app_data,
};
use sordino_wire::{
    CommitAad, CommitIntent, DeliveredCommit, DeliveredProposal, DeliveredReport, Delivery,
    DeliveryEvent, Digest, KeyCheckTbs, KeyQuestion, KeyQuestionTbs, NumberedEntry, Reject,
    SealedEntry, StreamPage, StreamRead, SuccessorPointer, SuccessorPointerTbs, encode, exact,
};
use tls_codec::VLBytes;

/// The label of a key question's signature.
pub(crate) const KEY_QUESTION_LABEL: &str = "KeyRequest";
/// The label of a successor pointer's signature.
pub(crate) const SUCCESSOR_LABEL: &str = "Successor";

/// Whether the rest of a page can be processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// It can.
    On,
    /// The stream changed, or the group has to recover first.
    Stop,
}

impl LoadedGroup {
    /// Processes one page of the stream; says whether anything was in it.
    pub(crate) fn process_page(
        &mut self,
        tools: &Tools<'_>,
        step: &mut Step,
        read: &StreamRead,
        page: &StreamPage,
    ) -> Result<bool> {
        let from = read.from;
        // The beginnings of two streams are both at 0.
        if self.state.cursor != from || self.read_stream() != Some(read.stream_id) {
            // Another task has processed it meanwhile.
            return Ok(true);
        }
        // Entries died unread, or the numbers began again after a long silence or a restore.
        if from != 0 && (page.oldest > from || page.next < from) {
            return self.gap(step).map(|()| true);
        }
        let mut any = false;
        for entry in page.entries.iter() {
            if self.state.cursor != 0 && entry.number < self.state.cursor {
                continue;
            }
            if self.state.cursor != 0 && entry.number > self.state.cursor {
                return self.gap(step).map(|()| true);
            }
            any = true;
            let flow = self.process_entry(tools, step, entry)?;
            // What the library itself acts upon decides how the next entry is taken.
            if flow == Flow::Stop || step.control.is_some() {
                break;
            }
        }
        Ok(any)
    }

    fn gap(&mut self, step: &mut Step) -> Result<()> {
        if self.external.is_some() {
            // What was built from a position that is gone is built again.
            self.external = None;
        }
        step.events.push(Event::Gap { group: self.id() });
        // The numbers may have begun again.
        self.state.read_to = None;
        self.note_trouble(Trouble::Lost);
        Ok(())
    }

    /// Whether a former life in this group has read an entry, and notes that it is read now:
    /// whoever is added again reads from where it was added, which may be before it was removed.
    fn was_read(&mut self, counter: u64, number: u64) -> Result<bool> {
        let place = Place {
            generation: self.generation()?,
            counter,
            number,
        };
        let repeats = self.state.read_to.is_some_and(|read| place <= read);
        if !repeats {
            self.state.read_to = Some(place);
        }
        Ok(repeats)
    }

    /// Notes where a stream begins that nobody has written to: what dies unread is missed then.
    pub(crate) fn note_beginning(&mut self, read: &StreamRead, page: &StreamPage) {
        let same = self.state.cursor == read.from && self.read_stream() == Some(read.stream_id);
        if same && read.from == 0 && page.entries.is_empty() {
            self.state.cursor = page.next;
        }
    }

    fn process_entry(
        &mut self,
        tools: &Tools<'_>,
        step: &mut Step,
        entry: &NumberedEntry,
    ) -> Result<Flow> {
        self.state.cursor = entry.number.saturating_add(1);
        let sealed = exact::<SealedEntry>(entry.entry.as_slice());
        let delivery = sealed
            .ok()
            .and_then(|sealed| open_entry(&self.delivery_key().ok()?, &sealed).ok());
        let Some(delivery) = delivery else {
            let event = self.evidence(Evidence::UnreadableEntry);
            step.events.push(event);
            return Ok(Flow::On);
        };
        if delivery.counter < self.state.counter {
            step.events.push(Event::RolledBack { group: self.id() });
            self.state.read_to = None;
        }
        self.state.counter = self.state.counter.max(delivery.counter);
        step.repeats = self.was_read(delivery.counter, entry.number)?;
        if self.external.is_some() {
            return self.await_external(tools, step, &delivery);
        }
        if self.mls.is_none() {
            return Ok(Flow::Stop);
        }
        self.process_event(tools, step, delivery)
    }

    fn process_event(
        &mut self,
        tools: &Tools<'_>,
        step: &mut Step,
        delivery: Delivery,
    ) -> Result<Flow> {
        match delivery.event {
            DeliveryEvent::Message(message) => {
                self.process_application(step, message.as_slice(), delivery.time_s)?;
            }
            DeliveryEvent::Commit(commit) => return self.process_commit(tools, step, &commit),
            DeliveryEvent::Proposal(proposal) => self.process_proposal(tools, step, &proposal)?,
            DeliveryEvent::KeyQuestion(question) => {
                self.process_question(tools, step, question)?;
            }
            DeliveryEvent::KeyQuestionAnswered(digest) => {
                self.state
                    .questions
                    .retain(|question| question.digest != digest);
            }
            DeliveryEvent::KeysConfirmed(generation) => {
                let confirmed = |due: &crate::records::DueGeneration| due.generation == generation;
                if self.state.confirmation.as_ref().is_some_and(confirmed) {
                    self.state.confirmation = None;
                }
            }
            DeliveryEvent::Frozen(pointer) => self.process_frozen(step, &pointer)?,
            DeliveryEvent::Reported(report) => self.process_report(step, &report)?,
            DeliveryEvent::Deleted => {
                self.state.status = GroupStatus::Deleted;
                step.events.push(Event::Deleted { group: self.id() });
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::On)
    }

    /// A commit: one's own, or somebody else's after every check.
    fn process_commit(
        &mut self,
        tools: &Tools<'_>,
        step: &mut Step,
        delivered: &DeliveredCommit,
    ) -> Result<Flow> {
        let hash = sha256(delivered.commit.as_slice());
        let own = |pending: &crate::records::PendingCommit| pending.commit_hash == hash;
        if self.state.pending.as_ref().is_some_and(own) {
            return self.merge_own(tools, step, delivered);
        }
        let Ok(message) = protocol_message(delivered.commit.as_slice()) else {
            return Ok(self.unprocessable(step, hash));
        };
        let (theirs, ours) = (message.epoch().as_u64(), self.epoch()?);
        if theirs < ours {
            return Ok(Flow::On);
        }
        if theirs > ours {
            self.gap(step)?;
            return Ok(Flow::Stop);
        }
        let (group, provider) = self.mls_mut()?;
        let Ok(processed) = group.process_message(provider, message) else {
            return Ok(self.unprocessable(step, hash));
        };
        let sender = processed.sender().clone();
        let aad = processed.aad().to_vec();
        let Some(staged) = self.staged(processed)? else {
            return Ok(self.unprocessable(step, hash));
        };
        let judged = check_no_repeats(delivered.commit.as_slice())
            .and_then(|()| self.judge(&staged, &sender, &aad));
        let Ok(verdict) = judged else {
            return Ok(self.halt(step, hash));
        };
        let entrance = (verdict.operation == Operation::ExternalJoinConnection)
            .then(|| exact::<CommitAad>(&aad).ok())
            .flatten();
        let joiner = verdict.members.get(verdict.committer).cloned();
        let flow = self.merge_other(tools, step, delivered, staged, verdict)?;
        if let (Some(aad), Some(joiner)) = (entrance, joiner) {
            step.control = Some(Control::Entered {
                joiner: self.person(&joiner.credential)?,
                request_id: aad.request_id,
            });
        }
        Ok(flow)
    }

    /// The staged commit of a processed message, with a policy change resolved.
    fn staged(&self, processed: ProcessedMessage) -> Result<Option<StagedCommit>> {
        Ok(match processed.into_content() {
            ProcessedMessageContent::StagedCommitMessage(staged) => Some(*staged),
            ProcessedMessageContent::UnresolvedAppDataCommit(unresolved) => {
                let group = self.mls()?;
                let updates = resolve_app_data(
                    unresolved.app_data_update_proposals(),
                    group.app_data_dictionary_updater(),
                );
                match updates {
                    Ok(updates) => group
                        .stage_app_data_commit(&self.provider, *unresolved, updates)
                        .ok(),
                    Err(_) => None,
                }
            }
            _ => None,
        })
    }

    /// The same judgement that the hub made, or should have made.
    fn judge(&self, staged: &StagedCommit, sender: &Sender, aad: &[u8]) -> Result<Verdict, Reject> {
        let unusable = |_: ClientError| Reject::InvalidCommit;
        let group = self.mls().map_err(unusable)?;
        let view =
            CommitView::from_staged(staged, sender, aad, group.public_group().group_context())?;
        let members = self.members().map_err(unusable)?;
        let policy = self.policy().map_err(unusable)?;
        let pending = self.pending().map_err(unusable)?;
        let before = Before {
            members: &members,
            policy: &policy,
            generation: self.generation().map_err(unusable)?,
            hub_domain: self.domain(),
            group_id: self.id(),
            pending: &pending,
            now_s: None,
        };
        let alone = members.len() > 1 && view.leaves_committer_alone(&members);
        let judged = check_commit(&before, &view, CommitIntent::Apply);
        match judged {
            // Whether a proposal got lost on its way is the hub's affair, not this commit's fault.
            Err(Reject::MissingProposals { hashes }) => {
                let known: Vec<PendingRef> = pending
                    .iter()
                    .filter(|pending| !hashes.as_slice().contains(&pending.hash))
                    .cloned()
                    .collect();
                let before = Before {
                    pending: &known,
                    ..before
                };
                check_commit(&before, &view, CommitIntent::Apply)
            }
            Err(_) if alone => check_commit(&before, &view, CommitIntent::Delete),
            judged => judged,
        }
    }

    fn merge_other(
        &mut self,
        tools: &Tools<'_>,
        step: &mut Step,
        delivered: &DeliveredCommit,
        staged: StagedCommit,
        verdict: Verdict,
    ) -> Result<Flow> {
        let evicted = staged.self_removed();
        let next = if evicted {
            None
        } else {
            self.check_keys(step, delivered, &staged, &verdict)?
        };
        let (group, provider) = self.mls_mut()?;
        group
            .merge_staged_commit(provider, staged)
            .map_err(mls("a commit does not merge"))?;
        self.after_merge(
            tools,
            step,
            Merged {
                delivered,
                verdict,
                next,
                evicted,
            },
        )
    }

    /// Compares the committer's signed statement with the keys that the commit really gives, and
    /// returns the next generation where there is one.
    fn check_keys(
        &mut self,
        step: &mut Step,
        delivered: &DeliveredCommit,
        staged: &StagedCommit,
        verdict: &Verdict,
    ) -> Result<Option<GenerationRecord>> {
        let crypto = self.provider.crypto();
        let generation = self.generation()?;
        let sender_key = staged.sender_key(crypto)?;
        let secret = match verdict.moves_generation {
            true => Some(staged.group_secret(crypto, generation.saturating_add(1))?),
            false => None,
        };
        let ear_key = match &secret {
            Some(secret) => secret.ear_key()?,
            None => self.ear_key()?,
        };
        let commit = sha256(delivered.commit.as_slice());
        let epoch = staged.epoch().as_u64();
        let check = &delivered.key_check;
        let committer = verdict.members.get(verdict.committer);
        let tbs = KeyCheckTbs {
            group_id: self.id(),
            epoch: check.epoch,
            commit_hash: check.commit_hash,
            keys_hash: check.keys_hash,
        };
        let signed = committer.is_some_and(|member| {
            let key = &member.credential.signature_key;
            verify_struct(key, KEY_CHECK_LABEL, &tbs, &check.signature).is_ok()
        });
        if !signed || check.commit_hash != commit || check.epoch != epoch {
            let event = self.evidence(Evidence::BadKeyCheck { commit });
            step.events.push(event);
        }
        if check.keys_hash != keys_hash(self.id(), epoch, &ear_key, &sender_key)? {
            if let (true, Some(member)) = (signed, committer) {
                let committer = self.person(&member.credential)?;
                let event = self.evidence(Evidence::WrongKeys { committer, commit });
                step.events.push(event);
            }
            let ear_key_before = self.current()?.ear_key.duplicate();
            self.note_trouble(Trouble::WrongKeys { ear_key_before });
        }
        Ok(match secret {
            Some(secret) => Some(GenerationRecord {
                generation: generation.saturating_add(1),
                ear_key: secret.ear_key()?.secret().duplicate(),
                group_secret: Some(secret.secret().duplicate()),
            }),
            None => None,
        })
    }

    fn unprocessable(&mut self, step: &mut Step, commit_hash: Digest) -> Flow {
        let event = self.evidence(Evidence::Unprocessable {
            commit: commit_hash,
        });
        step.events.push(event);
        let epoch = self.epoch().map_or(0, |epoch| epoch.saturating_add(1));
        self.note_trouble(Trouble::Unprocessable {
            commit_hash,
            epoch,
            spare: None,
        });
        Flow::Stop
    }

    fn halt(&mut self, step: &mut Step, commit: Digest) -> Flow {
        let event = self.evidence(Evidence::IllegalCommit { commit });
        step.events.push(event);
        step.events.push(Event::Halted { group: self.id() });
        self.state.status = GroupStatus::Halted;
        Flow::Stop
    }

    /// A proposal of a member, the hub or a joiner. What the rules refuse is not stored.
    pub(crate) fn process_proposal(
        &mut self,
        tools: &Tools<'_>,
        step: &mut Step,
        delivered: &DeliveredProposal,
    ) -> Result<()> {
        let Ok(message) = protocol_message(delivered.proposal.as_slice()) else {
            return Ok(());
        };
        if message.epoch().as_u64() != self.epoch()? {
            return Ok(());
        }
        let (group, provider) = self.mls_mut()?;
        let Ok(processed) = group.process_message(provider, message) else {
            return Ok(());
        };
        let queued = match processed.into_content() {
            ProcessedMessageContent::ProposalMessage(queued)
            | ProcessedMessageContent::ExternalJoinProposalMessage(queued) => *queued,
            _ => return Ok(()),
        };
        let members = self.members()?;
        let policy = self.policy()?;
        let pending = self.pending()?;
        let before = Before {
            members: &members,
            policy: &policy,
            generation: self.generation()?,
            hub_domain: self.domain(),
            group_id: self.id(),
            pending: &pending,
            now_s: None,
        };
        match check_proposal(&before, &queued) {
            Ok(kind) => {
                if !matches!(kind, PendingKind::Add(_)) {
                    let delay = tools.entropy.below(tools.delays.remove_s.saturating_add(1));
                    let due_s = step.now_s.saturating_add(delay);
                    self.state.removals_due_s.get_or_insert(due_s);
                }
                self.store_proposal(step, delivered, queued, kind)
            }
            Err(_) => Ok(()),
        }
    }

    fn store_proposal(
        &mut self,
        step: &mut Step,
        delivered: &DeliveredProposal,
        queued: QueuedProposal,
        kind: PendingKind,
    ) -> Result<()> {
        if let (PendingKind::Add(_), openmls::messages::proposals::Proposal::Add(add)) =
            (&kind, queued.proposal())
        {
            let joiner = sordino_rules::credential_of(add.key_package().leaf_node())
                .map_err(ClientError::NotAllowed)?;
            step.events.push(Event::JoinProposed {
                group: self.id(),
                user_pseudonym: joiner.user_pseudonym,
            });
        }
        self.state.proposals.push(ProposalRecord {
            message_hash: sha256(delivered.proposal.as_slice()),
            reference: VLBytes::new(encode(queued.proposal_reference_ref())?),
            inbox: delivered.inbox.clone(),
        });
        let (group, provider) = self.mls_mut()?;
        group
            .store_pending_proposal(provider.storage(), queued)
            .map_err(mls("a proposal is not kept"))
    }

    /// Somebody asks for the group's secret: answered later, by whoever is first.
    fn process_question(
        &mut self,
        tools: &Tools<'_>,
        step: &Step,
        question: KeyQuestion,
    ) -> Result<()> {
        let digest = sha256(&encode(&question)?);
        let tbs = KeyQuestionTbs {
            hub_domain: self.domain().clone(),
            group_id: self.id(),
            leaf_key: question.leaf_key.clone(),
            hpke_key: question.hpke_key.clone(),
            inbox: question.inbox.clone(),
            last_day: question.last_day,
        };
        let signed = verify_struct(
            &question.leaf_key,
            KEY_QUESTION_LABEL,
            &tbs,
            &question.signature,
        )
        .is_ok();
        let is_own = self.own_credential()?.signature_key == question.leaf_key;
        let member = self
            .members()?
            .by_signature_key(&question.leaf_key)
            .is_some();
        let known = self.state.questions.iter().any(|q| q.digest == digest);
        if !signed || is_own || !member || known || self.group_secret()?.is_none() {
            return Ok(());
        }
        let delay = tools.entropy.below(tools.delays.answer_s.saturating_add(1));
        self.state.questions.push(QuestionRecord {
            digest,
            question,
            due_s: step.now_s.saturating_add(delay),
        });
        Ok(())
    }

    fn process_frozen(&mut self, step: &mut Step, pointer: &SuccessorPointer) -> Result<()> {
        let tbs = SuccessorPointerTbs {
            group_id: self.id(),
            epoch: self.epoch()?,
            successor: pointer.group_id,
        };
        let members = self.members()?;
        let signed = members.get(pointer.leaf_index).is_some_and(|member| {
            let key = &member.credential.signature_key;
            verify_struct(key, SUCCESSOR_LABEL, &tbs, &pointer.signature).is_ok()
        });
        if signed {
            self.state.status = GroupStatus::Frozen;
            self.state.successor = Some(pointer.group_id);
            step.events.push(Event::Frozen {
                group: self.id(),
                successor: pointer.group_id,
            });
        }
        Ok(())
    }

    fn process_report(&self, step: &mut Step, report: &DeliveredReport) -> Result<()> {
        let members = self.members()?;
        let member = match members.get(report.leaf_index) {
            Some(member) => Some(self.person(&member.credential)?),
            None => None,
        };
        let event = self.evidence(Evidence::Reported {
            member,
            commit: report.commit_hash,
        });
        step.events.push(event);
        Ok(())
    }
}

/// The row that a stored number stands for.
pub(crate) fn operation_of(number: u8) -> Operation {
    Operation::ALL
        .get(usize::from(number))
        .copied()
        .unwrap_or(Operation::Update)
}
