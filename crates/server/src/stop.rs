//! Owns the signal that the server stops.
//!
//! Invariant: it goes from serving to stopping once, and everybody who waits learns of it.

use tokio::sync::watch;

/// Gives the signal. Dropping it gives the signal too.
pub(crate) struct Stopper(watch::Sender<bool>);

impl Stopper {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Somebody who waits for the signal.
    pub(crate) fn listener(&self) -> Stop {
        Stop(self.0.subscribe())
    }

    /// Gives the signal.
    pub(crate) fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// Waits for the signal.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Whether it was given.
    pub(crate) fn is_stopped(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Resolves once it was given. Dropping the future loses nothing.
    pub(crate) async fn stopped(&mut self) {
        // An error means that the stopper is gone, which is the signal as well.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }
}
