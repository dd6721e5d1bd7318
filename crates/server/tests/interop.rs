//! An independent Privacy Pass client at a running hub (see `interop/README.md`).
#![allow(clippy::unwrap_used, clippy::panic)]

use sordino_server::{PublicQuota, Server, ServerConfig, TokenSettings};
use std::path::Path;
use std::process::Command;

/// With this set to `required`, what is missing is a failure.
const VARIABLE: &str = "SORDINO_INTEROP";

/// Why the test cannot run here.
fn missing(folder: &Path) -> Option<&'static str> {
    if Command::new("node").arg("--version").output().is_err() {
        return Some("there is no node");
    }
    let modules = folder.join("node_modules/@cloudflare/privacypass-ts");
    (!modules.exists()).then_some("interop/node_modules is missing: run npm ci there")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_client_draws_and_spends() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop");
    if let Some(reason) = missing(&folder) {
        let required = std::env::var(VARIABLE).is_ok_and(|value| value == "required");
        assert!(!required, "{reason}");
        println!("skipped, nothing was tested: {reason}");
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let mut config = ServerConfig::local(data.path());
    config.tokens = TokenSettings {
        public: Some(PublicQuota {
            tokens_per_hour: 1_000,
            tokens_per_network_per_hour: 1_000,
        }),
        ..TokenSettings::default()
    };
    let running = Server::start(config).await.unwrap();
    let url = running.url();
    let client = tokio::task::spawn_blocking(move || {
        Command::new("node")
            .arg("draw-and-spend.mjs")
            .arg(url)
            .current_dir(folder)
            .output()
            .unwrap()
    });
    let output = client.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    assert!(
        said.contains("tokens of the types 1 and 2 drawn and spent"),
        "{said}"
    );
    println!("{said}");
    running.shutdown().await;
}
