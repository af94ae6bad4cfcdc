//! Connections: accepted one by one up to a bound, served, and at the end drained.

use super::app::App;
use super::routes;
use super::socket::Socket;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// How long to wait after `accept` failed, for want of file descriptors usually.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Headers that hyper reads: more than our own check lets through, which still sees the request's id and route.
/// Beyond this it is hyper that refuses.
const MAX_HEADERS_READ: usize = 512;

/// Serves until `shutdown`, then drains.
pub(crate) async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let router = routes::router(Arc::clone(&app));
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(app.config.max_connections));
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = &mut shutdown => break,
        };
        let Some((stream, place)) = accepted else { continue };
        let service = TowerToHyperService::new(router.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(app.config.header_timeout)
            .max_headers(MAX_HEADERS_READ)
            .half_close(true)
            .serve_connection(TokioIo::new(Socket::new(stream, Arc::clone(&app))), service);
        let connection = graceful.watch(connection);
        let open = app.metrics.connection();
        tokio::spawn(async move {
            // A client that breaks off or sends no HTTP ends its own connection and nothing else.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection");
            }
            drop((place, open));
        });
    }
    drop(listener);
    app.drain();
    tokio::select! {
        () = graceful.shutdown() => {}
        () = tokio::time::sleep(app.config.drain_timeout) => {
            tracing::warn!("some requests did not finish in time and are cut off");
        }
    }
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Answers are small and written at once; waiting to fill a packet only delays them.
            let _ = stream.set_nodelay(true);
            Some((stream, place))
        }
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(ACCEPT_RETRY).await;
            None
        }
    }
}
