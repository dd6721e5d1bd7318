//! Keys of an ended epoch: gone, for whoever has the disk of then and all that the operator has now.

use crate::database::{Database, operator_keys, strip_record};
use redb::{Database as Redb, ReadableDatabase, TableHandle};
use sordino_crypto::OuterKeys;
use sordino_server::{Server, ServerConfig, TestClock, TokenSettings};
use sordino_tokens::{IssuerKey, parse_stored_key};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

const NOW_S: u64 = 20_700 * 86_400 + 1_000;
const DAY_S: u64 = 86_400;
/// Running and next, of each class.
const KEYS: usize = 4;

/// The private keys that open.
fn issuer_keys(outer: &OuterKeys, database: &Database) -> Vec<IssuerKey> {
    let rows = database.records.iter();
    let opened = rows.filter_map(|(key, value)| strip_record(outer, *key, value));
    opened
        .filter_map(|(_, plain)| parse_stored_key(&plain).ok())
        .collect()
}

fn spent_sets(data_dir: &Path) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    std::fs::copy(data_dir.join("hub.redb"), &copy).unwrap();
    let read = Redb::open(&copy).unwrap().begin_read().unwrap();
    let tables = read.list_tables().unwrap();
    tables
        .map(|table| table.name().to_owned())
        .filter(|name| name.starts_with("spent-1-"))
        .collect()
}

#[tokio::test]
async fn the_key_of_an_ended_epoch_is_gone_for_whoever_has_everything() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::new(NOW_S);
    let mut config = ServerConfig::local(folder.path());
    config.clock = Arc::new(clock.clone());
    config.tokens = TokenSettings {
        epoch_s: Some(DAY_S),
        ..TokenSettings::default()
    };
    let running = Server::start(config).await.unwrap();
    let then = Database::copy_of(folder.path());
    let sets_then = spent_sets(folder.path());
    // Whoever has everything at the time has the keys: the search finds what is there.
    let found = issuer_keys(&operator_keys(folder.path(), &then), &then);
    assert_eq!(found.len(), KEYS);
    assert!(sets_then.len() >= KEYS);

    // Some days later the hub has others, and nobody has these.
    for _ in 0..6 {
        clock.advance(DAY_S);
        running.run_maintenance().await.unwrap();
    }
    let now = Database::copy_of(folder.path());
    let outer = operator_keys(folder.path(), &now);
    let found_now = issuer_keys(&outer, &now);
    // The last epoch's may be within its two hours of grace.
    assert!(found_now.len() >= KEYS);
    let ids = |keys: &[IssuerKey]| keys.iter().map(|key| key.id().0).collect::<BTreeSet<_>>();
    assert!(ids(&found).is_disjoint(&ids(&found_now)));
    assert!(issuer_keys(&outer, &then).is_empty(), "an old key opens");
    assert!(sets_then.is_disjoint(&spent_sets(folder.path())));
    running.shutdown().await;
}
