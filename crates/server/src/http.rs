//! The server: accept connections, serve them, drain.

mod app;
mod body;
mod books;
mod budget;
mod connection;
mod error;
mod guard;
mod handover;
mod observe;
pub(crate) mod routes;
mod signature;
mod socket;

pub use routes::events::event;

use crate::accounts::Accounts;
use crate::{Config, Gates, Ledger, Metrics};
use app::App;
use std::future::Future;
use std::io;
use std::sync::Arc;
use store::Store;
use tokio::net::TcpListener;

/// The HTTP server, ready to run.
pub struct Server {
    app: Arc<App>,
}

impl Server {
    /// A server of these organisations and this store.
    #[must_use]
    pub fn new(
        config: Config,
        accounts: Arc<Accounts>,
        store: Arc<Store>,
        metrics: Arc<Metrics>,
        ledger: Arc<Ledger>,
        gates: Arc<Gates>,
    ) -> Self {
        Self {
            app: Arc::new(App::new(config, accounts, store, metrics, ledger, gates)),
        }
    }

    /// Serves until `shutdown` completes, then lets the running requests finish, for as long as the
    /// setting allows.
    ///
    /// # Errors
    /// Where the listener fails for good.
    pub async fn run(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> io::Result<()> {
        connection::serve(self.app, listener, shutdown).await
    }
}
