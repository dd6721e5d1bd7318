//! A hub at an https address.
#![cfg(feature = "rustls")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use sordino_client::{
    Client, ClientConfig, ClientError, GroupSettings, Handle, HubAddress, RegisterWith,
};
use sordino_server::{Server, ServerConfig, TlsFiles};

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_behind_tls() {
    let directory = tempfile::tempdir().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certified = rcgen::generate_simple_self_signed(names).unwrap();
    let (chain, key) = (
        directory.path().join("chain.pem"),
        directory.path().join("key.pem"),
    );
    std::fs::write(&chain, certified.cert.pem()).unwrap();
    std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let mut config = ServerConfig::local(directory.path().join("hub"));
    config.tls = Some(TlsFiles { cert: chain, key });
    let hub = Server::start(config).await.unwrap();
    let address = HubAddress {
        url: hub.url(),
        domain: hub.domain().clone(),
    };
    assert!(address.url.starts_with("https://"));
    let handle = |name: &str| Handle::new(name).unwrap();

    let mut config = ClientConfig::new(directory.path().join("alice"), [1; 32], address.clone());
    config.extra_roots = vec![certified.cert.der().to_vec()];
    let alice = Client::register(config, &handle("alice"), RegisterWith::work())
        .await
        .unwrap();
    let group = alice.create_group(GroupSettings::closed()).await.unwrap();
    group.send(b"over TLS").await.unwrap();
    group.catch_up().await.unwrap();
    assert_eq!(group.messages(0, 1).await.unwrap()[0].content, b"over TLS");

    // A certificate that nobody vouches for is not trusted.
    let config = ClientConfig::new(directory.path().join("bob"), [1; 32], address);
    let outcome = Client::register(config, &handle("bob"), RegisterWith::work()).await;
    assert!(matches!(outcome, Err(ClientError::Unreachable)));
    hub.shutdown().await;
}
