//! Owns putting a hub together from what is open: services, mint, engine, routes, upkeep.
//!
//! Invariant: a hub that is connected to and one that is called are the same from the router on.

use crate::app::{App, Services};
use crate::engine::Engine;
use crate::error::StartError;
use crate::folder::DataFolder;
use crate::http::router;
use crate::keys::{Keys, days_ahead};
use crate::maintenance::Maintenance;
use crate::mint::{self, Mint};
use crate::random;
use crate::settings::ServerConfig;
use crate::stop::Stopper;
use axum::Router;
use rand_core::RngCore;
use sordino_accounts::{Accounts, AccountsConfig};
use sordino_crypto::{OuterKeys, SigningKey};
use sordino_hub::{Hub, HubConfig};
use sordino_limiter::{Limits, Naming};
use sordino_store::RedbStore;
use sordino_wire::{Domain, SignatureKey};
use std::sync::Arc;

/// A hub that serves nobody yet.
pub(super) struct Assembled {
    pub(super) router: Router,
    pub(super) engine: Arc<Engine>,
    pub(super) maintenance: Arc<Maintenance>,
    pub(super) limits: Arc<Limits>,
    pub(super) stopper: Stopper,
    pub(super) hub_signature_key: SignatureKey,
}

/// Puts it together. `encrypted`: whether clients reach it under https.
pub(super) async fn assemble(
    config: &ServerConfig,
    domain: &Domain,
    folder: &DataFolder,
    keys: Keys,
    store: &RedbStore,
    encrypted: bool,
) -> Result<Assembled, StartError> {
    let services = services(config, domain, &keys.signing, &keys.outer)?;
    let hub_signature_key = services.hub.signature_key().clone();
    let mint = mint(config, domain, &keys.outer, store).await?;
    let limits = limits(config)?;
    let engine = Arc::new(Engine::new(
        store.clone(),
        Arc::clone(&config.clock),
        domain.clone(),
        Arc::clone(&limits),
        mint,
    ));
    let maintenance = Arc::new(Maintenance::new(
        Arc::clone(&engine),
        keys.outer,
        folder.window_keys(),
        days_ahead(config.stream_entry_days),
    ));
    let stopper = Stopper::new();
    let app = App::new(
        services,
        Arc::clone(&engine),
        config.tokens.public,
        config.limits,
        stopper.listener(),
        encrypted,
    );
    Ok(Assembled {
        router: router(Arc::new(app)),
        engine,
        maintenance,
        limits,
        stopper,
        hub_signature_key,
    })
}

fn services(
    config: &ServerConfig,
    domain: &Domain,
    signing_key: &SigningKey,
    outer: &Arc<OuterKeys>,
) -> Result<Services, StartError> {
    let hub_config = HubConfig {
        stream_entry_days: config.stream_entry_days,
        inactive_days: config.inactive_days,
        ..HubConfig::new(domain.clone())
    };
    let accounts_config = AccountsConfig {
        domain: domain.clone(),
        registration: config.registration,
    };
    let hub = Hub::new(hub_config, signing_key, Arc::clone(outer));
    let accounts = Accounts::new(accounts_config, Arc::clone(outer));
    Ok(Services {
        hub: Arc::new(hub.map_err(|_| StartError::Service)?),
        accounts: Arc::new(accounts.map_err(|_| StartError::Service)?),
    })
}

/// The mint with its keys, read or made.
async fn mint(
    config: &ServerConfig,
    domain: &Domain,
    outer: &Arc<OuterKeys>,
    store: &RedbStore,
) -> Result<Arc<Mint>, StartError> {
    let mint = Mint::new(domain.clone(), Arc::clone(outer), config.tokens.clone());
    let mint = Arc::new(mint.map_err(|_| StartError::Service)?);
    mint::rotate(&mint, store, config.clock.now_s(), mint::Change::IfNone)
        .await
        .map_err(StartError::Upkeep)?;
    Ok(mint)
}

/// All buckets, full, under names of this process.
pub(super) fn limits(config: &ServerConfig) -> Result<Arc<Limits>, StartError> {
    let mut rng = random::generator().map_err(|_| StartError::Randomness)?;
    let mut key = [0; 32];
    rng.fill_bytes(&mut key);
    Ok(Arc::new(Limits::new(&config.budgets, Naming::new(key))))
}
