//! The server: accept connections, serve them, drain.

mod app;
mod body;
mod books;
mod budget;
mod connection;
mod error;
mod guard;
mod handover;
mod message;
mod observe;
mod packing;
pub(crate) mod routes;
mod signature;
mod socket;
mod turns;
mod unread;

pub use routes::events::event;

use crate::accounts::Accounts;
use crate::{Config, Gates, Ledger, Metrics, Tls};
use app::App;
use connection::Door;
use routes::Side;
use std::future::Future;
use std::sync::Arc;
use store::Store;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Connections at once where the metrics are: theirs alone, so that no crowd of clients keeps the operator out.
const MAX_METRICS_CONNECTIONS: usize = 64;

/// The HTTP server, ready to run.
pub struct Server {
    app: Arc<App>,
    tls: Option<Arc<Tls>>,
    metrics: Option<TcpListener>,
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
            tls: None,
            metrics: None,
        }
    }

    /// Speaks TLS to clients.
    #[must_use]
    pub fn with_tls(mut self, tls: Arc<Tls>) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Serves `/metrics` here instead of beside the API; `/health` and `/ready` here as well. Always without TLS.
    #[must_use]
    pub fn with_metrics_at(mut self, listener: TcpListener) -> Self {
        self.metrics = Some(listener);
        self
    }

    /// Serves until `shutdown` completes, then lets the running requests finish, for as long as the
    /// setting allows.
    pub async fn run(self, listener: TcpListener, shutdown: impl Future<Output = ()> + Send) {
        let Self { app, tls, metrics } = self;
        let door = Door {
            listener,
            side: if metrics.is_none() {
                Side::Everybody
            } else {
                Side::Clients
            },
            tls,
            max_connections: app.config.max_connections,
        };
        let shutdown = async {
            shutdown.await;
            app.drain();
        };
        let Some(listener) = metrics else {
            return connection::serve(Arc::clone(&app), door, shutdown).await;
        };
        let apart = Door {
            listener,
            side: Side::Operators,
            tls: None,
            max_connections: MAX_METRICS_CONNECTIONS,
        };
        // They are there until the last request is answered.
        let (ended, end) = oneshot::channel::<()>();
        let clients = async {
            connection::serve(Arc::clone(&app), door, shutdown).await;
            drop(ended);
        };
        let operators = connection::serve(Arc::clone(&app), apart, async { drop(end.await) });
        tokio::join!(clients, operators);
    }
}
