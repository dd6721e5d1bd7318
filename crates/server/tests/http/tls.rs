//! TLS: which protocol is inside, and what is refused at the start.

use crate::client::{Client, TestServer, Version, read_request};
use rustls::pki_types::{CertificateDer, ServerName};
use sordino_server::{Server, ServerConfig, StartError, TlsFiles};
use sordino_wire::media;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A certificate for localhost that nobody else trusts.
struct Certificate {
    folder: TempDir,
    der: CertificateDer<'static>,
}

impl Certificate {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
        let key = folder.path().join("key.pem");
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        set_mode(&key, 0o600);
        let der = made.cert.der().clone();
        Self { folder, der }
    }

    fn files(&self) -> TlsFiles {
        TlsFiles {
            cert: self.folder.path().join("cert.pem"),
            key: self.folder.path().join("key.pem"),
        }
    }

    fn connector(&self, protocols: &[&[u8]]) -> TlsConnector {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn both_protocols_are_inside() {
    let certificate = Certificate::new();
    let server = TestServer::start_with(|config| config.tls = Some(certificate.files())).await;
    assert!(server.running.url().starts_with("https://"));
    for (protocols, version) in [
        ([b"h2".as_slice(), b"http/1.1"].as_slice(), Version::Two),
        (&[b"http/1.1"], Version::One),
        (&[], Version::One),
    ] {
        let stream = TcpStream::connect(server.address()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = certificate
            .connector(protocols)
            .connect(name, stream)
            .await
            .unwrap();
        let agreed = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        assert_eq!(agreed.as_deref(), protocols.first().copied());
        let mut client = Client::over(stream, version).await;
        assert_eq!(client.get("/readyz").await.status, 200);
        client.ask(media::STREAMS, &read_request(0)).await;
    }
    server.running.shutdown().await;
}

#[tokio::test]
async fn a_key_that_others_can_read_is_refused() {
    let certificate = Certificate::new();
    let files = certificate.files();
    set_mode(&files.key, 0o644);
    let refusal = start(files).await;
    assert!(matches!(refusal, StartError::Exposed { .. }), "{refusal}");
}

#[tokio::test]
async fn what_is_no_certificate_is_refused() {
    let certificate = Certificate::new();
    let mut files = certificate.files();
    files.cert = certificate.folder.path().join("missing.pem");
    let refusal = start(files).await;
    assert!(matches!(refusal, StartError::Tls(_)), "{refusal}");
    assert!(refusal.to_string().contains("missing.pem"), "{refusal}");

    let mut files = certificate.files();
    files.cert = files.key.clone();
    let refusal = start(files).await;
    assert!(matches!(refusal, StartError::Tls(_)), "{refusal}");
}

async fn start(files: TlsFiles) -> StartError {
    let folder = tempfile::tempdir().unwrap();
    let mut config = ServerConfig::local(folder.path());
    config.tls = Some(files);
    Server::start(config).await.map(|_| ()).unwrap_err()
}
