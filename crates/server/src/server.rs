//! Owns starting and stopping a server.
//!
//! Invariant: it serves only when everything is open and checked, and it has stopped only when
//! every acknowledged change is on the disk and nothing of it runs any more.

use self::assembly::{Assembled, assemble, limits};
use crate::engine::Engine;
use crate::error::{MaintenanceError, StartError};
use crate::folder::DataFolder;
use crate::http::{Acceptor, Networks, accept, metrics_router};
use crate::keys::{FileKeys, Keys, days_ahead};
use crate::maintenance::{self, Maintenance, MaintenanceReport};
use crate::settings::{ClientAddress, DomainChoice, ServerConfig};
use crate::signals::Signals;
use crate::stop::Stopper;
use crate::tls;
use sordino_store::{RedbOptions, RedbStore, Store};
use sordino_wire::{Domain, SignatureKey};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Starts servers.
pub struct Server;

/// A server that serves. Dropping it stops it without waiting for anything.
pub struct Running {
    local_addr: SocketAddr,
    hub_signature_key: SignatureKey,
    domain: Domain,
    metrics_addr: Option<SocketAddr>,
    data_dir: PathBuf,
    lost_deliveries: bool,
    encrypted: bool,
    stopper: Stopper,
    tasks: Vec<JoinHandle<()>>,
    maintenance: Arc<Maintenance>,
    store: RedbStore,
    // Last: the lock ends when all else has.
    _folder: DataFolder,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything under way was finished, or cut at the deadline; the store is closed.
    Gracefully,
    /// A second signal asked to stop at once. What was acknowledged is on the disk all the same.
    AtOnce,
}

/// Everything that is open, before it serves.
struct Opened {
    folder: DataFolder,
    store: RedbStore,
    keys: Keys,
    lost_deliveries: bool,
}

impl Server {
    /// Opens everything, and serves.
    pub async fn start(config: ServerConfig) -> Result<Running, StartError> {
        config.check()?;
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let listener = listen(config.listen).await?;
        let local_addr = listener.local_addr().map_err(|source| StartError::Listen {
            address: config.listen,
            source,
        })?;
        let domain = domain(&config.domain, local_addr)?;
        let metrics_listener = match config.metrics {
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let metrics_addr = metrics_listener.as_ref().and_then(|l| l.local_addr().ok());
        let opened = open(&config, &domain).await?;

        let encrypted = tls.is_some() || config.behind_proxy;
        let Assembled {
            router,
            engine,
            maintenance,
            limits,
            stopper,
            hub_signature_key,
        } = assemble(
            &config,
            &domain,
            &opened.folder,
            opened.keys,
            &opened.store,
            encrypted,
        )
        .await?;
        let networks = Arc::new(Networks::new(
            limits,
            Arc::clone(&config.clock),
            config.client_address.clone(),
            config.prefix_lengths,
        ));
        let acceptor = Acceptor {
            listener,
            tls,
            router,
            limits: config.limits,
            networks,
            stop: stopper.listener(),
        };
        let upkeep = maintenance::run(Arc::clone(&maintenance), stopper.listener());
        let mut tasks = vec![tokio::spawn(accept(acceptor)), tokio::spawn(upkeep)];
        if let Some(listener) = metrics_listener {
            let acceptor = metrics_acceptor(&config, listener, engine, &stopper)?;
            tasks.push(tokio::spawn(accept(acceptor)));
        }
        tracing::info!("serving");
        Ok(Running {
            local_addr,
            hub_signature_key,
            domain,
            metrics_addr,
            data_dir: config.data_dir,
            lost_deliveries: opened.lost_deliveries,
            encrypted,
            stopper,
            tasks,
            maintenance,
            store: opened.store,
            _folder: opened.folder,
        })
    }
}

impl Running {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where it shows numbers to its operator, if anywhere.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics_addr
    }

    /// Its domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The key with which it signs as the external sender of its groups.
    pub fn hub_signature_key(&self) -> &SignatureKey {
        &self.hub_signature_key
    }

    /// The address for clients.
    pub fn url(&self) -> String {
        let scheme = if self.encrypted { "https" } else { "http" };
        format!("{scheme}://{}", self.domain.as_str())
    }

    /// Its data folder.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Whether it started without its window keys, and lost what was not yet delivered.
    pub fn lost_deliveries(&self) -> bool {
        self.lost_deliveries
    }

    /// One round of upkeep now: expiry, window keys. It happens each minute by itself.
    pub async fn run_maintenance(&self) -> Result<MaintenanceReport, MaintenanceError> {
        self.maintenance.round().await
    }

    /// Stops: accepts nothing more, finishes what is under way, ends waiting readers, closes the
    /// store. Nothing of it runs when this returns.
    pub async fn shutdown(self) {
        tracing::info!("stopping");
        self.stopper.stop();
        for task in self.tasks {
            // A task that panicked has ended as well.
            let _ = task.await;
        }
        self.store.shutdown().await;
        tracing::info!("stopped");
    }

    /// Serves until a signal, then stops; a second signal stops at once.
    pub async fn run_until_signal(self, mut signals: Signals) -> Ended {
        signals.next().await;
        tokio::select! {
            () = self.shutdown() => Ended::Gracefully,
            () = signals.next() => Ended::AtOnce,
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Running(..)")
    }
}

/// Serves numbers, to whoever is on this machine.
fn metrics_acceptor(
    config: &ServerConfig,
    listener: TcpListener,
    engine: Arc<Engine>,
    stopper: &Stopper,
) -> Result<Acceptor, StartError> {
    Ok(Acceptor {
        listener,
        tls: None,
        router: metrics_router(engine),
        limits: config.limits,
        networks: Arc::new(Networks::new(
            limits(config)?,
            Arc::clone(&config.clock),
            ClientAddress::Unknown,
            config.prefix_lengths,
        )),
        stop: stopper.listener(),
    })
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen { address, source })
}

fn domain(choice: &DomainChoice, local_addr: SocketAddr) -> Result<Domain, StartError> {
    match choice {
        DomainChoice::Named(domain) => Ok(domain.clone()),
        DomainChoice::Listening => {
            Domain::new(local_addr.to_string()).map_err(|_| StartError::NoDomain)
        }
    }
}

/// Opens data folder, keys and store, in the order in which each can refuse before the next one
/// writes.
async fn open(config: &ServerConfig, domain: &Domain) -> Result<Opened, StartError> {
    let folder = DataFolder::open(&config.data_dir)?;
    let file_keys = FileKeys::open(
        &folder,
        &config.operator_key,
        config.clock.now_s(),
        days_ahead(config.stream_entry_days),
        config.accept_lost_deliveries,
    )?;
    let lost_deliveries = file_keys.lost_deliveries;
    if lost_deliveries {
        tracing::warn!("the window keys are new: everything not yet delivered is lost");
    }
    let database = folder.database();
    let path = database.clone();
    let store =
        tokio::task::spawn_blocking(move || RedbStore::open(&database, RedbOptions::default()));
    let store = store.await.map_err(|_| StartError::Damaged)?;
    let store = store.map_err(|source| StartError::Open { path, source })?;
    let keys = match file_keys.complete(&store, domain).await {
        Ok(keys) => keys,
        Err(refused) => {
            store.shutdown().await;
            return Err(refused);
        }
    };
    Ok(Opened {
        folder,
        store,
        keys,
        lost_deliveries,
    })
}

mod assembly;
#[cfg(feature = "simulation")]
pub(crate) mod in_process;
#[cfg(test)]
mod tests;
