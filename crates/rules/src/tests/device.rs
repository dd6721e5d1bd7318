//! Devices, and what they sign and send.

use crate::*;
use openmls::credentials::{Credential, CredentialType, CredentialWithKey};
use openmls::prelude::{KeyPackage, KeyPackageBundle, MlsGroup};
use openmls_rust_crypto::OpenMlsRustCrypto;
use sordino_crypto::{ClientSecret, SigningKey, Slot, UserSecret, make_credential};
use sordino_wire::{
    COMMIT_AAD_FORMAT, CommitAad, Domain, GenerationStep, GroupId, IdentifierUri, IdentityRule,
    JoinRule, LeafOperation, LeafProof, List, POLICY_FORMAT, Permission, PolicySummary,
    PseudonymousCredential, Secret32, SenderRule,
};

pub(super) const GROUP: GroupId = GroupId([7; 16]);
pub(super) const GENERATION: u64 = 5;

pub(super) fn hub_domain() -> Domain {
    Domain::new("hub.example").unwrap()
}

/// openmls reads the wall clock when it checks lifetimes.
pub(super) fn now_s() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// One device, in the group or not.
pub(super) struct Device {
    pub(super) provider: OpenMlsRustCrypto,
    pub(super) leaf_key: SigningKey,
    pub(super) user_key: SigningKey,
    pub(super) credential: PseudonymousCredential,
    pub(super) group: Option<MlsGroup>,
}

impl Device {
    pub(super) fn new(user: u8, device: u8) -> Self {
        Self::rotated(user, device, 0)
    }

    pub(super) fn rotated(user: u8, device: u8, rotation: u32) -> Self {
        let slot = Slot::Group {
            user_secret_number: 0,
            hub_domain: hub_domain(),
            group_id: GROUP,
            rejoin: 0,
        };
        let user_secret = UserSecret::new(Secret32::new([user; 32]));
        let mut bytes = [user; 32];
        bytes[0] = device;
        let client_secret = ClientSecret::new(Secret32::new(bytes));
        let domain = Domain::new("home.example").unwrap();
        Self {
            provider: OpenMlsRustCrypto::default(),
            leaf_key: client_secret.leaf_key(&slot, rotation).unwrap(),
            user_key: user_secret.user_auth_key(&slot).unwrap(),
            credential: make_credential(&domain, &user_secret, &client_secret, &slot, rotation)
                .unwrap(),
            group: None,
        }
    }

    pub(super) fn user(&self) -> &IdentifierUri {
        &self.credential.user_pseudonym
    }

    pub(super) fn with_key(&self) -> CredentialWithKey {
        credential_with_key(&self.credential)
    }

    pub(super) fn bundle(&self) -> KeyPackageBundle {
        KeyPackage::builder()
            .leaf_node_capabilities(capabilities())
            .key_package_lifetime(key_package_lifetime(now_s()))
            .build(CIPHERSUITE, &self.provider, &self.leaf_key, self.with_key())
            .unwrap()
    }

    pub(super) fn key_package(&self) -> KeyPackage {
        self.bundle().key_package().clone()
    }
}

/// What MLS needs of a credential.
pub(super) fn credential_with_key(credential: &PseudonymousCredential) -> CredentialWithKey {
    let kind = CredentialType::Other(sordino_wire::PSEUDONYMOUS_CREDENTIAL_TYPE);
    let content = sordino_wire::encode(credential).unwrap();
    CredentialWithKey {
        credential: Credential::new(kind, content),
        signature_key: credential.signature_key.as_slice().into(),
    }
}

/// Both signatures for a leaf that joins a present user.
pub(super) fn proof(
    operation: LeafOperation,
    sibling: &Device,
    sibling_leaf: u32,
    leaf: &Device,
) -> LeafProof {
    proof_at(GENERATION, operation, sibling, sibling_leaf, leaf)
}

pub(super) fn proof_at(
    generation: u64,
    operation: LeafOperation,
    sibling: &Device,
    sibling_leaf: u32,
    leaf: &Device,
) -> LeafProof {
    let domain = hub_domain();
    let context = ProofContext {
        hub_domain: &domain,
        group_id: GROUP,
        generation,
    };
    let tbs = leaf_proof_tbs(&context, operation, &leaf.credential.signature_key);
    LeafProof {
        user_signature: sibling
            .user_key
            .sign_struct(LEAF_PROOF_LABEL, &tbs)
            .unwrap(),
        sibling_leaf,
        sibling_signature: sibling
            .leaf_key
            .sign_struct(LEAF_PROOF_LABEL, &tbs)
            .unwrap(),
    }
}

pub(super) fn aad(step: GenerationStep) -> CommitAad {
    CommitAad {
        format: COMMIT_AAD_FORMAT,
        generation: GENERATION,
        generation_step: step,
        proofs: List::default(),
        invite_code: None,
        request_id: None,
    }
}

pub(super) fn stays() -> CommitAad {
    aad(GenerationStep::Stays)
}

pub(super) fn moves() -> CommitAad {
    aad(GenerationStep::Moves)
}

pub(super) fn with_proofs(proofs: Vec<LeafProof>) -> CommitAad {
    CommitAad {
        proofs: List::new(proofs).unwrap(),
        ..stays()
    }
}

/// Every member may do everything, and everybody may come in.
pub(super) fn open_policy() -> PolicySummary {
    PolicySummary {
        format: POLICY_FORMAT,
        add: Permission::Members,
        remove: Permission::Members,
        change_policy: Permission::Members,
        send: Permission::Members,
        destroy: Permission::Members,
        join: JoinRule::Open,
        senders: SenderRule::Anonymous,
        identities: IdentityRule::All,
        epoch_tolerance: 2,
        max_members: 100,
        invite_code_hash: None,
        admins: List::default(),
    }
}

/// Signs a credential again after it was changed.
pub(super) fn resign(credential: &mut PseudonymousCredential, user: &Device) {
    let tbs = sordino_wire::PseudonymousCredentialTbs {
        client_pseudonym: credential.client_pseudonym.clone(),
        user_pseudonym: credential.user_pseudonym.clone(),
        signature_key: credential.signature_key.clone(),
        user_auth_key: credential.user_auth_key.clone(),
    };
    let signature = user.user_key.sign_struct("PseudonymousCredential", &tbs);
    credential.user_auth_signature = signature.unwrap();
}
