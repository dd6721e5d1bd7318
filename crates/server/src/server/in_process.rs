//! Owns a hub without a listener, on a store that somebody else has opened: for seeded worlds.
//!
//! Invariant: from the router on, requests take the way that they take in a server; upkeep happens
//! when it is asked for.

use super::assembly::assemble;
use crate::engine::Engine;
use crate::error::{MaintenanceError, StartError};
use crate::folder::DataFolder;
use crate::keys::{FileKeys, days_ahead};
use crate::maintenance::{Maintenance, MaintenanceReport};
use crate::settings::ServerConfig;
use crate::stop::Stopper;
use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use sordino_store::{RedbStore, Store};
use sordino_wire::{Domain, media};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use tower::ServiceExt;

/// A hub that is called, not connected to.
pub struct InProcess {
    router: Router,
    engine: Arc<Engine>,
    maintenance: Arc<Maintenance>,
    store: RedbStore,
    // While it lives, the folder is locked, and readers that wait go on.
    _folder: DataFolder,
    _stopper: Stopper,
}

/// An answer as it would go over a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// Whether the body is of the media type of octets.
    pub octets: bool,
    /// The body.
    pub body: Vec<u8>,
}

impl InProcess {
    /// Starts on a store; the keys are in the configuration's data folder.
    ///
    /// # Errors
    /// Those of [`crate::Server::start`].
    pub async fn start(
        config: &ServerConfig,
        domain: &Domain,
        store: RedbStore,
    ) -> Result<Self, StartError> {
        let folder = DataFolder::open(&config.data_dir)?;
        let file_keys = FileKeys::open(
            &folder,
            &config.operator_key,
            config.clock.now_s(),
            days_ahead(config.stream_entry_days),
            config.accept_lost_deliveries,
        )?;
        let keys = file_keys.complete(&store, domain).await?;
        let assembled = assemble(config, domain, &folder, keys, &store, false).await?;
        Ok(Self {
            router: assembled.router,
            engine: assembled.engine,
            maintenance: assembled.maintenance,
            store,
            _folder: folder,
            _stopper: assembled.stopper,
        })
    }

    /// Answers one request: a body that is posted, or a get where there is none.
    pub async fn answer(&self, path: &str, body: Option<Vec<u8>>) -> HttpAnswer {
        let request = match body {
            Some(body) => Request::post(path)
                .header(CONTENT_TYPE, media::OCTETS)
                .body(Body::from(body)),
            None => Request::get(path).body(Body::empty()),
        };
        let failed = HttpAnswer {
            status: 500,
            octets: false,
            body: Vec::new(),
        };
        let Ok(request) = request else {
            return failed;
        };
        let answered = self.router.clone().oneshot(request).await;
        let response = match answered {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let octets = response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|media_type| media_type == media::OCTETS);
        let status = response.status().as_u16();
        match whole(response.into_body()).await {
            Some(body) => HttpAnswer {
                status,
                octets,
                body,
            },
            None => failed,
        }
    }

    /// Whether the store takes changes.
    pub fn is_ready(&self) -> bool {
        self.engine.is_ready()
    }

    /// One round of upkeep by somebody who knows what time it is.
    ///
    /// # Errors
    /// Those of a server's round.
    pub async fn run_maintenance(&self) -> Result<MaintenanceReport, MaintenanceError> {
        self.maintenance.round().await
    }

    /// Ends in order.
    pub async fn shutdown(self) {
        self.store.shutdown().await;
    }
}

impl std::fmt::Debug for InProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InProcess(..)")
    }
}

async fn whole(mut body: Body) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame.ok()?.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Some(bytes)
}
