//! Owns one group as it stands in memory: keys, state, MLS group.
//!
//! Invariant: what is in memory is what was last committed to the vault, plus the step under way;
//! a failed step throws the value away and the next one loads it again.

use crate::device::{Device, Leaf, domain_of};
use crate::engine::saved::Saved;
use crate::entropy::Entropy;
use crate::error::{ClientError, GroupStatus, Result, VaultError, mls};
use crate::events::{Event, Evidence, Person, Standing};
use crate::mls::{Exporter, Provider, group_id as mls_group_id};
use crate::records::{
    ExternalRecord, FORMAT, GenerationRecord, KeysRecord, MlsRecord, StateRecord, Trouble,
    external_name, keys_name, state_name,
};
use crate::vault::{Batch, Vault};
use openmls::prelude::{MlsGroup, OpenMlsProvider};
use sordino_crypto::{DeliveryKey, EarKey, GroupSecret, SenderKey, WrapperKey, stream_id};
use sordino_rules::{Members, PendingRef, policy_of};
use sordino_wire::{
    Digest, Domain, GroupAccess, GroupId, HeadAccess, IdentifierUri, MemberContent, PolicySummary,
    PseudonymousCredential, SignatureKey, StreamId,
};
use std::collections::BTreeSet;
use tls_codec::DeserializeBytes;

/// A group in memory.
pub(crate) struct LoadedGroup {
    pub(crate) keys: KeysRecord,
    pub(crate) state: StateRecord,
    pub(crate) provider: Provider,
    /// Absent where it is lost, or not there yet.
    pub(crate) mls: Option<MlsGroup>,
    /// An external commit that waits for its echo.
    pub(crate) external: Option<ExternalRecord>,
    pub(crate) saved: Saved,
}

/// What a step leaves behind beside the group itself.
pub(crate) struct Step {
    pub(crate) batch: Batch,
    pub(crate) events: Vec<Event>,
    /// What the library itself acts upon, in the same transaction, before the next entry.
    pub(crate) control: Option<Control>,
    /// What the group is for.
    pub(crate) kind: GroupKind,
    /// Messages of the outbox that the hub certainly does not have.
    pub(crate) unposted: BTreeSet<u64>,
    /// Whether the entry was read before, by a former leaf of this device.
    pub(crate) repeats: bool,
    /// The hub's time, for what becomes due.
    pub(crate) now_s: u64,
}

/// What a group is for, which decides what is taken from whom.
#[derive(Clone, Debug, Default)]
pub(crate) enum GroupKind {
    /// Whatever people use groups for.
    #[default]
    Room,
    /// A connection, with the contact once it is verified.
    Connection(Option<Partner>),
    /// This user's own devices.
    Devices,
}

/// The verified contact of a connection group.
#[derive(Clone, Debug)]
pub(crate) struct Partner {
    pub(crate) user: IdentifierUri,
    /// The account key, and those it has replaced.
    pub(crate) account_keys: Vec<SignatureKey>,
}

impl GroupKind {
    /// Whether what a member says to people is kept.
    pub(crate) fn admits(&self, sender: &Person) -> bool {
        match self {
            Self::Room => true,
            Self::Connection(partner) => {
                let identity = sender.identity.as_ref();
                let (Some(partner), Some(identity)) = (partner, identity) else {
                    return sender.standing == Standing::Own;
                };
                sender.standing == Standing::Own
                    || (identity.user == partner.user
                        && partner.account_keys.contains(&identity.account_key))
            }
            Self::Devices => false,
        }
    }
}

/// Something that the library acts upon by itself.
pub(crate) enum Control {
    /// A member's client said something to this one.
    Said {
        sender: Person,
        own: bool,
        content: MemberContent,
    },
    /// Somebody came into a connection group from outside.
    Entered {
        joiner: Person,
        request_id: Option<Digest>,
    },
}

impl Step {
    pub(crate) fn new(now_s: u64) -> Self {
        Self {
            batch: Batch::default(),
            events: Vec::new(),
            control: None,
            kind: GroupKind::default(),
            unposted: BTreeSet::new(),
            repeats: false,
            now_s,
        }
    }
}

impl LoadedGroup {
    /// Reads a group. Broken MLS state leaves a group without one, which then recovers.
    pub(crate) fn load(vault: &Vault, id: GroupId, entropy: &Entropy) -> Result<Option<Self>> {
        let Some(keys) = vault.get::<KeysRecord>(&keys_name(id))? else {
            return Ok(None);
        };
        if keys.format != FORMAT {
            return Err(VaultError::Format.into());
        }
        let mut state = match vault.get::<StateRecord>(&state_name(id)) {
            Ok(Some(state)) => state,
            // The keys alone suffice to come back.
            Ok(None) | Err(VaultError::Format | VaultError::Sealed) => {
                StateRecord::new(GroupStatus::Recovering, 0, 0, 0)
            }
            Err(error) => return Err(error.into()),
        };
        let (saved, values) = match Saved::load(vault, id) {
            Ok(loaded) => loaded,
            Err(VaultError::Format | VaultError::Sealed) => Default::default(),
            Err(error) => return Err(error.into()),
        };
        let provider = Provider::load(entropy.clone(), &values);
        let group = MlsGroup::load(provider.storage(), &mls_group_id(id)).unwrap_or(None);
        let usable = matches!(
            state.status,
            GroupStatus::Active | GroupStatus::Recovering | GroupStatus::Frozen
        );
        if group.is_none() && usable && state.trouble.is_empty() {
            state.status = GroupStatus::Recovering;
            state.trouble.push(Trouble::Lost);
        }
        Ok(Some(Self {
            keys,
            state,
            provider,
            mls: group,
            external: vault.get(&external_name(id)).unwrap_or(None),
            saved,
        }))
    }

    /// Adds all of the group to a transaction.
    pub(crate) fn save(&mut self, batch: &mut Batch) -> Result<()> {
        let id = self.id();
        batch.put(keys_name(id), &self.keys)?;
        batch.put(state_name(id), &self.state)?;
        self.saved.save(id, self.provider.dump(), batch)?;
        match &self.external {
            Some(external) => batch.put(external_name(id), external)?,
            None => batch.delete(external_name(id)),
        }
        Ok(())
    }

    /// Forgets MLS state that serves no more.
    pub(crate) fn drop_mls(&mut self) {
        self.mls = None;
        self.provider = self.provider.successor(&MlsRecord::default());
    }

    /// Whoever is out keeps no key.
    pub(crate) fn wipe_if_over(&mut self, step: &mut Step) {
        if matches!(
            self.state.status,
            GroupStatus::Removed | GroupStatus::Deleted
        ) {
            self.drop_mls();
            self.external = None;
            self.keys.generations.clear();
            self.drop_outbox(step);
            self.state.pending = None;
        }
    }

    pub(crate) fn id(&self) -> GroupId {
        self.keys.group_id
    }

    pub(crate) fn domain(&self) -> &Domain {
        &self.keys.hub_domain
    }

    /// The MLS group, where it is usable.
    pub(crate) fn mls(&self) -> Result<&MlsGroup> {
        self.mls
            .as_ref()
            .ok_or(ClientError::Inactive(self.state.status))
    }

    pub(crate) fn mls_mut(&mut self) -> Result<(&mut MlsGroup, &Provider)> {
        let group = self
            .mls
            .as_mut()
            .ok_or(ClientError::Inactive(self.state.status))?;
        Ok((group, &self.provider))
    }

    /// Refuses what only an active member can do.
    pub(crate) fn require_active(&self) -> Result<()> {
        if self.state.status == GroupStatus::Active {
            Ok(())
        } else {
            Err(ClientError::Inactive(self.state.status))
        }
    }

    pub(crate) fn epoch(&self) -> Result<u64> {
        Ok(self.mls()?.epoch().as_u64())
    }

    /// The keys of the generation in force.
    pub(crate) fn current(&self) -> Result<&GenerationRecord> {
        self.keys
            .generations
            .last()
            .ok_or(ClientError::Inactive(self.state.status))
    }

    pub(crate) fn generation(&self) -> Result<u64> {
        Ok(self.current()?.generation)
    }

    pub(crate) fn ear_key(&self) -> Result<EarKey> {
        Ok(EarKey::new(self.current()?.ear_key.duplicate()))
    }

    /// `group_secret_g`, where it is known.
    pub(crate) fn group_secret(&self) -> Result<Option<GroupSecret>> {
        let secret = self.current()?.group_secret.as_ref();
        Ok(secret.map(|secret| GroupSecret::new(secret.duplicate())))
    }

    pub(crate) fn wrapper_key(&self) -> Result<Option<WrapperKey>> {
        Ok(match self.group_secret()? {
            Some(secret) => Some(secret.wrapper_key()?),
            None => None,
        })
    }

    pub(crate) fn delivery_key(&self) -> Result<DeliveryKey> {
        Ok(self.ear_key()?.delivery_key()?)
    }

    /// The stream of the generation in force.
    pub(crate) fn stream(&self) -> Result<StreamId> {
        Ok(stream_id(&self.delivery_key()?, self.domain())?)
    }

    /// The stream that is to be read, where one is: a change of it outdates a read that waits.
    pub(crate) fn read_stream(&self) -> Option<StreamId> {
        let reads = match self.state.status {
            GroupStatus::Active | GroupStatus::Frozen => self.mls.is_some(),
            GroupStatus::Joining | GroupStatus::Recovering => self.external.is_some(),
            _ => false,
        };
        if reads { self.stream().ok() } else { None }
    }

    pub(crate) fn access(&self) -> Result<GroupAccess> {
        Ok(GroupAccess {
            group_id: self.id(),
            ear_key: self.current()?.ear_key.duplicate(),
        })
    }

    pub(crate) fn head(&self) -> Result<HeadAccess> {
        self.head_of(self.current()?)
    }

    /// The heads of all generations whose keys are known, the newest first: one of them is a head
    /// or a tombstone.
    pub(crate) fn known_heads(&self) -> Result<Vec<HeadAccess>> {
        let known = self.keys.generations.iter().rev();
        known.map(|generation| self.head_of(generation)).collect()
    }

    fn head_of(&self, generation: &GenerationRecord) -> Result<HeadAccess> {
        let ear_key = EarKey::new(generation.ear_key.duplicate());
        Ok(HeadAccess {
            group_id: self.id(),
            locator: ear_key.locator("head")?,
            head_key: ear_key.head_key()?.secret().duplicate(),
        })
    }

    pub(crate) fn sender_key(&self) -> Result<SenderKey> {
        self.mls()?.sender_key(self.provider.crypto())
    }

    /// Starts to use the keys of a generation; the one before is kept for a rekey.
    pub(crate) fn push_generation(&mut self, next: GenerationRecord) {
        self.keys
            .generations
            .retain(|known| known.generation < next.generation);
        let surplus = self.keys.generations.len().saturating_sub(1);
        self.keys.generations.drain(..surplus);
        self.keys.generations.push(next);
    }

    /// This device's leaf in the group.
    pub(crate) fn leaf(&self, device: &Device) -> Result<Leaf> {
        self.leaf_at(device, self.keys.rotation)
    }

    pub(crate) fn leaf_at(&self, device: &Device, rotation: u32) -> Result<Leaf> {
        let domain = domain_of(&device.credential().user)?;
        device.leaf(&domain, &self.keys.slot, rotation)
    }

    pub(crate) fn own_index(&self) -> Result<u32> {
        Ok(self.mls()?.own_leaf_index().u32())
    }

    pub(crate) fn members(&self) -> Result<Members> {
        Members::of_mls_group(self.mls()?).map_err(ClientError::NotAllowed)
    }

    pub(crate) fn policy(&self) -> Result<PolicySummary> {
        policy_of(self.mls()?.extensions()).map_err(ClientError::NotAllowed)
    }

    /// The own user pseudonym.
    pub(crate) fn own_user(&self) -> Result<IdentifierUri> {
        Ok(self.own_credential()?.user_pseudonym)
    }

    pub(crate) fn own_credential(&self) -> Result<PseudonymousCredential> {
        let leaf = self
            .mls()?
            .own_leaf_node()
            .ok_or(ClientError::Mls("no own leaf"))?;
        sordino_rules::credential_of(leaf).map_err(ClientError::NotAllowed)
    }

    /// The pending proposals as the rules see them.
    pub(crate) fn pending(&self) -> Result<Vec<PendingRef>> {
        let mut pending = Vec::new();
        for queued in self.mls()?.pending_proposals() {
            let reference = sordino_wire::encode(queued.proposal_reference_ref())?;
            let known = self
                .state
                .proposals
                .iter()
                .find(|record| record.reference.as_slice() == reference);
            let hash = known.map_or(Digest([0; 32]), |record| record.message_hash);
            pending.push(PendingRef::of(queued, hash).map_err(ClientError::NotAllowed)?);
        }
        Ok(pending)
    }

    /// Notes something to be put right, once.
    pub(crate) fn note_trouble(&mut self, trouble: Trouble) {
        if self.state.status == GroupStatus::Active && !matches!(trouble, Trouble::WrongKeys { .. })
        {
            self.state.status = GroupStatus::Recovering;
        }
        let same =
            |other: &Trouble| std::mem::discriminant(other) == std::mem::discriminant(&trouble);
        if !self.state.trouble.iter().any(same) {
            self.state.trouble.push(trouble);
        }
    }

    /// Loads the MLS group again after its storage was replaced.
    pub(crate) fn reload_mls(&mut self) -> Result<()> {
        self.mls = MlsGroup::load(self.provider.storage(), &mls_group_id(self.id()))
            .map_err(mls("the group does not load"))?;
        Ok(())
    }

    /// Evidence, as an event.
    pub(crate) fn evidence(&self, evidence: Evidence) -> Event {
        Event::Evidence {
            group: self.id(),
            evidence,
        }
    }
}

/// Reads a value of openmls, the whole of the bytes.
pub(crate) fn parse<T: DeserializeBytes>(bytes: &[u8], what: &'static str) -> Result<T> {
    T::tls_deserialize_exact_bytes(bytes).map_err(mls(what))
}
