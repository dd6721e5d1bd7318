//! `passive-client-random` in mls-rs: as the member whose keys the vectors hold, and as a watcher who
//! has none. With what `crates/hub/src/apply/vectors.rs` does in openmls, both stacks judge the
//! same messages alike.

use crate::load::{History, histories};
use mls_rs::client_builder::{
    BaseConfig, WithCryptoProvider, WithIdentityProvider, WithKeyPackageRepo,
};
use mls_rs::crypto::{HpkeSecretKey, SignatureSecretKey};
use mls_rs::external_client::builder as external;
use mls_rs::external_client::{ExternalClient, ExternalGroup, ExternalReceivedMessage};
use mls_rs::group::{CommitEffect, ReceivedMessage};
use mls_rs::identity::basic::BasicIdentityProvider;
use mls_rs::storage_provider::KeyPackageData;
use mls_rs::storage_provider::in_memory::InMemoryKeyPackageStorage;
use mls_rs::{CipherSuite, Client, CryptoProvider as _, Group, MlsMessage};
use mls_rs_codec::MlsEncode as _;
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

type Watcher = ExternalGroup<
    external::WithIdentityProvider<
        BasicIdentityProvider,
        external::WithCryptoProvider<RustCryptoProvider, external::ExternalBaseConfig>,
    >,
>;
type Member = Group<
    WithKeyPackageRepo<
        InMemoryKeyPackageStorage,
        WithIdentityProvider<
            BasicIdentityProvider,
            WithCryptoProvider<RustCryptoProvider, BaseConfig>,
        >,
    >,
>;

fn join(history: &History) -> Member {
    let crypto = RustCryptoProvider::default();
    let suite = crypto
        .cipher_suite_provider(CipherSuite::CURVE25519_AES128)
        .unwrap();
    let message = MlsMessage::from_bytes(&history.key_package.0).unwrap();
    let reference = message.key_package_reference(&suite).unwrap().unwrap();
    let key_package = message.into_key_package().unwrap();
    let store = InMemoryKeyPackageStorage::default();
    let data = KeyPackageData::new(
        key_package.mls_encode_to_vec().unwrap(),
        HpkeSecretKey::from(history.init_priv.0.clone()),
        HpkeSecretKey::from(history.encryption_priv.0.clone()),
        u64::MAX,
    );
    store.insert(reference.to_vec(), data);
    let public = key_package.signing_identity().signature_key.as_bytes();
    let seed_and_public = [history.signature_priv.0.as_slice(), public].concat();
    let client = Client::builder()
        .crypto_provider(crypto)
        .identity_provider(BasicIdentityProvider::new())
        .key_package_repo(store)
        .signing_identity(
            key_package.signing_identity().clone(),
            SignatureSecretKey::from(seed_and_public),
            CipherSuite::CURVE25519_AES128,
        )
        .build();
    let welcome = MlsMessage::from_bytes(&history.welcome.0).unwrap();
    client.join_group(None, &welcome, None).unwrap().0
}

fn watch(member: &Member) -> Watcher {
    ExternalClient::builder()
        .crypto_provider(RustCryptoProvider::default())
        .identity_provider(BasicIdentityProvider::new())
        .build()
        .observe_group(member.group_info_message(true).unwrap(), None, None)
        .unwrap()
}

fn is_refused(watcher: &Watcher, bytes: &[u8]) -> bool {
    let Ok(message) = MlsMessage::from_bytes(bytes) else {
        return true;
    };
    watcher.clone().process_incoming_message(message).is_err()
}

#[test]
fn mls_rs_follows_the_history_and_nothing_else() {
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let (mut commits, mut proposals, mut tampered) = (0, 0, 0);
    for history in histories() {
        let mut member = join(&history);
        let authenticator = member.epoch_authenticator().unwrap();
        assert_eq!(
            authenticator.as_bytes(),
            history.initial_epoch_authenticator.0
        );
        let mut watcher = watch(&member);
        let mut before: Option<&[u8]> = None;
        for epoch in &history.epochs {
            for proposal in &epoch.proposals {
                let message = MlsMessage::from_bytes(&proposal.0).unwrap();
                let taken = watcher.process_incoming_message(message.clone()).unwrap();
                assert!(matches!(taken, ExternalReceivedMessage::Proposal(_)));
                member.process_incoming_message(message).unwrap();
                proposals += 1;
            }
            let commit = epoch.commit.0.as_slice();
            // The two tags at the end are seen by members alone.
            let at = usize::try_from(rng.next_u64()).unwrap() % (commit.len() - 66);
            let mut changed = commit.to_vec();
            changed[at] ^= 1 << (rng.next_u32() % 8);
            assert!(is_refused(&watcher, &changed), "byte {at}");
            tampered += 1;
            assert!(before.is_none_or(|before| is_refused(&watcher, before)));

            let message = MlsMessage::from_bytes(commit).unwrap();
            let taken = watcher.process_incoming_message(message.clone()).unwrap();
            assert!(matches!(taken, ExternalReceivedMessage::Commit(_)));
            let ReceivedMessage::Commit(taken) = member.process_incoming_message(message).unwrap()
            else {
                panic!("not a commit");
            };
            assert!(matches!(taken.effect, CommitEffect::NewEpoch(_)));
            assert!(is_refused(&watcher, commit), "sent again");
            let authenticator = member.epoch_authenticator().unwrap();
            assert_eq!(authenticator.as_bytes(), epoch.epoch_authenticator.0);
            assert!(watcher.group_context() == member.context());
            commits += 1;
            before = Some(commit);
        }
    }
    assert_eq!((commits, proposals, tampered), (200, 1542, 200));
}
