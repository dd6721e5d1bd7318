//! Commits by a member.

use super::{As, Known, Member, MlsGroup, group_secret, sender_key};
use crate::surgery::Reader;
use mls_rs::MlsMessage;
use mls_rs::group::CommitOutput;
use sordino_crypto::{
    GroupSecret, SenderKey, keys_hash, make_key_object, seal_key_object, sha256, wrap_previous,
};
use sordino_wire::{
    Bytes, COMMIT_AAD_FORMAT, CommitAad, CommitIntent, CommitRequest, GenerationStep,
    IdentifierUri, IdentityEntry, JoinerDelivery, KeyCheck, KeyCheckTbs, LeafProof, List,
    NextGeneration, NextKeys, PartialGroupInfo, RequestBody, ResponseBody, WelcomeBundle, encode,
    exact,
};

/// What a commit does.
pub(crate) enum Do {
    Update,
    Move,
    /// What others proposed.
    Pending,
    /// Everybody with a user pseudonym.
    Remove(IdentifierUri),
}

pub(super) fn aad(generation: u64, moves: bool, proofs: Vec<LeafProof>) -> CommitAad {
    CommitAad {
        format: COMMIT_AAD_FORMAT,
        generation,
        generation_step: if moves {
            GenerationStep::Moves
        } else {
            GenerationStep::Stays
        },
        proofs: List::new(proofs).unwrap(),
        invite_code: None,
        request_id: None,
    }
}

/// Extensions and signature of a GroupInfo in its MLSMessage.
pub(super) fn partial(info: &MlsMessage) -> PartialGroupInfo {
    let bytes = info.to_bytes().unwrap();
    let mut reader = Reader::new(&bytes);
    // Message head, version, suite, group id, epoch.
    reader.fixed(8);
    reader.vector();
    reader.fixed(8);
    // Tree hash, transcript hash, context extensions.
    for _ in 0..3 {
        reader.vector();
    }
    let extensions = crate::surgery::vector(reader.vector());
    reader.vector();
    reader.fixed(4);
    let signature = crate::surgery::vector(reader.vector());
    assert!(reader.is_at_end());
    PartialGroupInfo {
        extensions: Bytes::new(extensions).unwrap(),
        signature: exact(&signature).unwrap(),
    }
}

/// A commit that is made, with the group that it leads to.
pub(super) struct Made {
    pub(super) commit: Vec<u8>,
    pub(super) group_info: PartialGroupInfo,
    pub(super) group: MlsGroup,
    pub(super) next: Option<GroupSecret>,
}

impl Member {
    /// The request for a commit, but for what goes to joiners.
    pub(super) fn commit_request(&self, made: &Made, entries: Vec<IdentityEntry>) -> CommitRequest {
        let ear = made.next.as_ref().map(|secret| secret.ear_key().unwrap());
        let ear_after = ear.as_ref().unwrap_or(self.ear());
        let sender = sender_key(&made.group);
        let epoch = made.group.current_epoch();
        let sender_after = SenderKey::new(sender.duplicate());
        let tbs = KeyCheckTbs {
            group_id: self.group_id,
            epoch,
            commit_hash: sha256(&made.commit),
            keys_hash: keys_hash(self.group_id, epoch, ear_after, &sender_after).unwrap(),
        };
        let wrapper = |secret: &GroupSecret| {
            let next = secret.wrapper_key().unwrap();
            let old = self.known[&self.generation].secret.as_ref()?;
            let old = old.wrapper_key().unwrap();
            Some(wrap_previous(&next, self.group_id, self.generation, &old).unwrap())
        };
        CommitRequest {
            access: self.access(),
            intent: CommitIntent::Apply,
            commit: Bytes::new(made.commit.clone()).unwrap(),
            group_info: made.group_info.clone(),
            next: NextKeys {
                sender_key: sender,
                generation: made.next.as_ref().map(|secret| NextGeneration {
                    ear_key: secret.ear_key().unwrap().secret().duplicate(),
                    wrapper: wrapper(secret),
                }),
            },
            key_check: KeyCheck {
                epoch,
                commit_hash: tbs.commit_hash,
                keys_hash: tbs.keys_hash,
                signature: self.leaf_key.sign_struct("KeyCheck", &tbs).unwrap(),
            },
            identity_entries: List::new(entries).unwrap(),
            welcome: None,
        }
    }

    fn build(&mut self, what: &Do) -> (CommitOutput, Made) {
        let moves = matches!(what, Do::Move | Do::Remove(_));
        let leaves = match what {
            Do::Remove(user) => self.leaves_of(user),
            _ => Vec::new(),
        };
        let generation = self.generation;
        let aad = encode(&aad(generation, moves, Vec::new())).unwrap();
        let group = self.group.as_mut().unwrap();
        let mut builder = group.commit_builder().authenticated_data(aad);
        for leaf in leaves {
            builder = builder.remove_member(leaf).unwrap();
        }
        let (output, secrets) = builder.build_detached().unwrap();
        let mut group = self.group().clone();
        group.apply_detached_commit(secrets).unwrap();
        let info = output.external_commit_group_info.as_ref().unwrap();
        let made = Made {
            commit: output.commit_message.to_bytes().unwrap(),
            group_info: partial(info),
            next: moves.then(|| group_secret(&group, generation + 1)),
            group,
        };
        (output, made)
    }

    fn leaves_of(&self, user: &IdentifierUri) -> Vec<u32> {
        let members = self.group().roster().members();
        let is_theirs = |identity: &mls_rs::identity::SigningIdentity| {
            crate::stack::credential_of(identity)
                .unwrap()
                .user_pseudonym
                == *user
        };
        members
            .into_iter()
            .filter(|member| is_theirs(&member.signing_identity))
            .map(|member| member.index)
            .collect()
    }

    /// A new entry for a new leaf of one's own. Who is let in at its own request comes without.
    fn entries_for(&mut self, what: &Do, made: &Made) -> Vec<IdentityEntry> {
        if !self.identified || !matches!(what, Do::Update | Do::Move) {
            return Vec::new();
        }
        let (wrapper, generation) = match &made.next {
            Some(secret) => (secret.wrapper_key().unwrap(), self.generation + 1),
            None => (self.wrapper(), self.generation),
        };
        vec![self.own_entry(&wrapper, generation)]
    }

    fn welcome(&mut self, output: &CommitOutput, made: &Made) -> Option<WelcomeBundle> {
        let welcome = output.welcome_messages.first()?.to_bytes().unwrap();
        let mut joiners = Vec::new();
        for asking in &self.asking {
            let recipient = asking.init_key.as_slice();
            let object = make_key_object(
                &self.client_key,
                &self.client_credential,
                &self.domain,
                self.group_id,
                made.group.current_epoch(),
                self.generation + u64::from(made.next.is_some()),
                made.next.as_ref().unwrap_or(self.secret()),
                &self.leaf_key.public(),
                sha256(&welcome),
                recipient,
            )
            .unwrap();
            joiners.push(JoinerDelivery {
                inbox: asking.inbox.clone(),
                key_object: seal_key_object(recipient, &object, &mut self.rng).unwrap(),
            });
        }
        Some(WelcomeBundle {
            welcome: Bytes::new(welcome).unwrap(),
            joiners: List::new(joiners).unwrap(),
        })
    }

    /// Commits; what the hub has taken holds.
    pub(crate) async fn commit(&mut self, what: Do) {
        let (output, made) = self.build(&what);
        let entries = self.entries_for(&what, &made);
        let mut request = self.commit_request(&made, entries);
        request.welcome = self.welcome(&output, &made);
        let (leaf, epoch) = (self.leaf(), self.epoch());
        let body = RequestBody::Commit(Box::new(request));
        let answer = self.ask(body, As::Leaf(leaf), epoch).await;
        assert!(matches!(answer, ResponseBody::Done(_)), "{answer:?}");
        self.enter(made.group, made.next.map(Known::of));
    }
}
