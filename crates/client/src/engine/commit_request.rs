//! Owns the request that carries a commit: next keys, key check, identity entries, Welcome.
//!
//! Invariant: the keys given to the hub are those that the commit gives to its members, and the
//! committer signs for that.

use crate::device::Leaf;
use crate::engine::plan::{Joiner, Plan};
use crate::engine::roster::credential_hash;
use crate::engine::state::LoadedGroup;
use crate::engine::tools::Tools;
use crate::envelope::{Signing, seal};
use crate::error::{ClientError, Result, mls};
use crate::records::{GenerationRecord, IdentityRecord, PendingCommit};
use openmls::prelude::{CommitMessageBundle, MlsMessageOut};
use sordino_crypto::{
    EarKey, GroupSecret, SenderKey, WrapperKey, keys_hash, make_key_object, seal_identity_entry,
    seal_key_object, sha256, wrap_previous,
};
use sordino_rules::{Operation, RequiredAuth, Verdict};
use sordino_wire::{
    Authentication, CommitIntent, CommitRequest, Digest, DsRequest, HandshakeBytes, IdentityEntry,
    IdentityLink, JoinerDelivery, KeyCheck, KeyCheckTbs, List, NextGeneration, NextKeys,
    PartialGroupInfo, PseudonymousCredential, RequestBody, Salt, SignatureBytes, WelcomeBundle,
    encode, exact,
};
use tls_codec::{Serialize as _, VLBytes};

/// The label of a [`KeyCheck`]'s signature.
pub(crate) const KEY_CHECK_LABEL: &str = "KeyCheck";

/// The keys of the epoch that a commit starts.
pub(crate) struct FreshKeys {
    pub(crate) sender_key: SenderKey,
    /// Where the generation moves.
    pub(crate) secret: Option<GroupSecret>,
}

/// What a commit consists of on the wire.
pub(crate) struct CommitParts {
    pub(crate) commit: Vec<u8>,
    pub(crate) welcome: Option<Vec<u8>>,
    pub(crate) group_info: PartialGroupInfo,
}

/// A commit that MLS has made, on its way into a request.
pub(crate) struct Draft<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) verdict: Verdict,
    pub(crate) parts: CommitParts,
    pub(crate) keys: FreshKeys,
    pub(crate) rotation: u32,
    pub(crate) new_leaf: Leaf,
    /// In the order of the commit's Adds.
    pub(crate) joiners: Vec<Joiner>,
}

/// What some commits carry.
#[derive(Default)]
pub(crate) struct Extras {
    pub(crate) entries: Vec<IdentityEntry>,
    pub(crate) welcome: Option<WelcomeBundle>,
}

/// The keys in force after a commit.
pub(crate) struct After {
    pub(crate) generation: u64,
    pub(crate) ear_key: EarKey,
    pub(crate) secret: Option<GroupSecret>,
}

impl After {
    fn wrapper_key(&self) -> Result<WrapperKey> {
        let secret = self.secret.as_ref().ok_or(ClientError::SecretUnknown)?;
        Ok(secret.wrapper_key()?)
    }
}

impl LoadedGroup {
    /// Turns a commit that MLS has made into a request, and notes both as pending.
    pub(crate) fn finish_commit(&mut self, tools: &Tools<'_>, draft: Draft<'_>) -> Result<()> {
        let extras = self.extras(tools, &draft)?;
        let epoch = self.epoch()?.saturating_add(1);
        let intent = draft.plan.intent();
        let next = self.next_generation(&draft.keys)?;
        let identities = new_identities(tools, &draft)?;
        let body = self.commit_request(
            intent,
            draft.parts,
            &draft.keys,
            epoch,
            &draft.new_leaf,
            extras,
        )?;
        let invite_code = match draft.plan {
            Plan::ChangePolicy { invite_code, .. } => *invite_code,
            _ => None,
        };
        let commit_hash = sha256(body.commit.as_slice());
        let request = self.sign_commit(tools, draft.verdict.auth, body, &draft.new_leaf)?;
        self.state.pending = Some(PendingCommit {
            commit_hash,
            epoch: self.epoch()?,
            request: VLBytes::new(request),
            rotation: draft.rotation,
            operation: operation_number(draft.verdict.operation),
            next,
            identities,
            invite_code,
            pays_identity: u8::from(draft.plan.is_update()),
        });
        Ok(())
    }

    /// Identity entries and Welcome of a commit.
    fn extras(&self, tools: &Tools<'_>, draft: &Draft<'_>) -> Result<Extras> {
        let after = self.after(&draft.keys)?;
        let mut links: Vec<(&PseudonymousCredential, IdentityLink)> = Vec::new();
        if draft.plan.is_update() {
            let own = &draft.new_leaf.credential;
            links.push((own, tools.device.link(own)?));
        }
        for joiner in &draft.joiners {
            if let Some(link) = &joiner.link {
                links.push((&joiner.credential, link.clone()));
            }
        }
        let entries = match draft.verdict.entry_leaves.is_empty() {
            true => Vec::new(),
            false => self.seal_entries(tools, &after, &links)?,
        };
        draft
            .verdict
            .check_entries(entries.len())
            .map_err(ClientError::NotAllowed)?;
        let welcome = match &draft.parts.welcome {
            Some(welcome) => Some(self.welcome_bundle(
                tools,
                welcome,
                &after,
                &draft.new_leaf,
                &draft.joiners,
            )?),
            None => None,
        };
        Ok(Extras { entries, welcome })
    }

    fn sign_commit(
        &self,
        tools: &Tools<'_>,
        auth: RequiredAuth,
        body: CommitRequest,
        new_leaf: &Leaf,
    ) -> Result<Vec<u8>> {
        let leaf = self.leaf(tools.device)?;
        let index = self.own_index()?;
        let signing = match auth {
            RequiredAuth::PseudonymousUser => Signing::User {
                index,
                key: &leaf.key,
                user_key: &leaf.user_key,
            },
            RequiredAuth::Leaf | RequiredAuth::Joiner => Signing::Leaf {
                index,
                key: &leaf.key,
            },
        };
        let body = RequestBody::Commit(Box::new(body));
        tools.seal(self, self.epoch()?, body, &signing, Some(&new_leaf.key))
    }

    /// The request, with its key check.
    pub(crate) fn commit_request(
        &self,
        intent: CommitIntent,
        parts: CommitParts,
        keys: &FreshKeys,
        epoch: u64,
        new_leaf: &Leaf,
        extras: Extras,
    ) -> Result<CommitRequest> {
        let after = self.after(keys)?;
        Ok(CommitRequest {
            access: self.access()?,
            intent,
            key_check: key_check(
                self.id(),
                epoch,
                &parts.commit,
                &after.ear_key,
                &keys.sender_key,
                &new_leaf.key,
            )?,
            commit: HandshakeBytes::new(parts.commit)?,
            group_info: parts.group_info,
            next: self.next_keys(keys)?,
            identity_entries: List::new(extras.entries)?,
            welcome: extras.welcome,
        })
    }

    /// The keys in force after a commit.
    pub(crate) fn after(&self, keys: &FreshKeys) -> Result<After> {
        let generation = self.generation()?;
        Ok(match &keys.secret {
            Some(secret) => After {
                generation: generation.saturating_add(1),
                ear_key: secret.ear_key()?,
                secret: Some(secret.duplicate()),
            },
            None => After {
                generation,
                ear_key: self.ear_key()?,
                secret: self.group_secret()?,
            },
        })
    }

    fn next_keys(&self, keys: &FreshKeys) -> Result<NextKeys> {
        let generation = match &keys.secret {
            None => None,
            Some(secret) => {
                let next = secret.wrapper_key()?;
                let wrapper = match self.wrapper_key()? {
                    Some(previous) => Some(wrap_previous(
                        &next,
                        self.id(),
                        self.generation()?,
                        &previous,
                    )?),
                    None => None,
                };
                Some(NextGeneration {
                    ear_key: secret.ear_key()?.secret().duplicate(),
                    wrapper,
                })
            }
        };
        Ok(NextKeys {
            sender_key: keys.sender_key.secret().duplicate(),
            generation,
        })
    }

    /// Seals identity links for the generation after a commit.
    pub(crate) fn seal_entries(
        &self,
        tools: &Tools<'_>,
        after: &After,
        links: &[(&PseudonymousCredential, IdentityLink)],
    ) -> Result<Vec<IdentityEntry>> {
        let wrapper = after.wrapper_key()?;
        links
            .iter()
            .map(|(credential, link)| {
                let salt = Salt(tools.entropy.array());
                Ok(seal_identity_entry(
                    &wrapper,
                    after.generation,
                    self.id(),
                    credential,
                    link,
                    salt,
                )?)
            })
            .collect()
    }

    fn welcome_bundle(
        &self,
        tools: &Tools<'_>,
        welcome: &[u8],
        after: &After,
        new_leaf: &Leaf,
        joiners: &[Joiner],
    ) -> Result<WelcomeBundle> {
        let secret = after.secret.as_ref().ok_or(ClientError::SecretUnknown)?;
        let mut deliveries = Vec::new();
        for joiner in joiners {
            let recipient = joiner.key_package.hpke_init_key().as_slice();
            let object = make_key_object(
                tools.device.client_key(),
                tools.device.credential(),
                self.domain(),
                self.id(),
                self.epoch()?.saturating_add(1),
                after.generation,
                secret,
                &new_leaf.key.public(),
                sha256(welcome),
                recipient,
            )?;
            let mut rng = tools.entropy.clone();
            deliveries.push(JoinerDelivery {
                inbox: joiner.inbox.clone(),
                key_object: seal_key_object(recipient, &object, &mut rng)?,
            });
        }
        Ok(WelcomeBundle {
            welcome: sordino_wire::Bytes::new(welcome.to_vec())?,
            joiners: List::new(deliveries)?,
        })
    }

    /// The same commit with a new time and nonce.
    pub(crate) fn sign_commit_again(
        &self,
        tools: &Tools<'_>,
        pending: &PendingCommit,
    ) -> Result<Vec<u8>> {
        let old = DsRequest::parse(pending.request.as_slice()).map_err(ClientError::NotAllowed)?;
        let leaf = self.leaf(tools.device)?;
        let index = self.own_index()?;
        let signing = match old.request.auth {
            Authentication::PseudonymousUser { .. } => Signing::User {
                index,
                key: &leaf.key,
                user_key: &leaf.user_key,
            },
            _ => Signing::Leaf {
                index,
                key: &leaf.key,
            },
        };
        let occasion = tools.occasion(self, pending.epoch);
        seal(old.request.body, &signing, &occasion)
    }

    /// The record of the generation that fresh keys start.
    pub(crate) fn next_generation(&self, keys: &FreshKeys) -> Result<Option<GenerationRecord>> {
        Ok(match &keys.secret {
            Some(secret) => Some(GenerationRecord {
                generation: self.generation()?.saturating_add(1),
                ear_key: secret.ear_key()?.secret().duplicate(),
                group_secret: Some(secret.secret().duplicate()),
            }),
            None => None,
        })
    }
}

/// The links that members learn with a commit, for this device itself.
fn new_identities(tools: &Tools<'_>, draft: &Draft<'_>) -> Result<Vec<IdentityRecord>> {
    if draft.verdict.entry_leaves.is_empty() {
        return Ok(Vec::new());
    }
    let mut records = Vec::new();
    if draft.plan.is_update() {
        let own = &draft.new_leaf.credential;
        records.push(IdentityRecord {
            credential: credential_hash(own)?,
            link: tools.device.link(own)?,
        });
    }
    for joiner in &draft.joiners {
        if let Some(link) = &joiner.link {
            records.push(IdentityRecord {
                credential: credential_hash(&joiner.credential)?,
                link: link.clone(),
            });
        }
    }
    Ok(records)
}

fn operation_number(operation: Operation) -> u8 {
    let place = Operation::ALL.iter().position(|row| *row == operation);
    place
        .and_then(|place| u8::try_from(place).ok())
        .unwrap_or(u8::MAX)
}

/// A committer's statement about the keys it gives.
pub(crate) fn key_check(
    group_id: sordino_wire::GroupId,
    epoch: u64,
    commit: &[u8],
    ear_key: &EarKey,
    sender_key: &SenderKey,
    new_leaf_key: &sordino_crypto::SigningKey,
) -> Result<KeyCheck> {
    let commit_hash: Digest = sha256(commit);
    let keys_hash = keys_hash(group_id, epoch, ear_key, sender_key)?;
    let tbs = KeyCheckTbs {
        group_id,
        epoch,
        commit_hash,
        keys_hash,
    };
    Ok(KeyCheck {
        epoch,
        commit_hash,
        keys_hash,
        signature: new_leaf_key.sign_struct(KEY_CHECK_LABEL, &tbs)?,
    })
}

/// The wire parts of what openmls hands out.
pub(crate) fn parts(bundle: CommitMessageBundle) -> Result<CommitParts> {
    let info = bundle
        .group_info()
        .ok_or(ClientError::Mls("no GroupInfo was made"))?;
    let group_info = PartialGroupInfo {
        extensions: sordino_wire::Bytes::new(encode(info.extensions())?)?,
        signature: exact::<SignatureBytes>(&encode(info.signature())?)?,
    };
    let (commit, welcome, _) = bundle.into_messages();
    Ok(CommitParts {
        commit: message_bytes(&commit)?,
        welcome: welcome.as_ref().map(message_bytes).transpose()?,
        group_info,
    })
}

/// An MLSMessage as bytes.
pub(crate) fn message_bytes(message: &MlsMessageOut) -> Result<Vec<u8>> {
    message
        .tls_serialize_detached()
        .map_err(mls("a message does not serialise"))
}
