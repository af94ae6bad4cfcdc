//! Connections: accepted one by one up to a bound, served, and at the end drained.

use super::app::App;
use super::observe::observe;
use super::routes::Side;
use super::socket::Socket;
use crate::Tls;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::convert::Infallible;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long to wait after `accept` failed, for want of file descriptors usually.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Headers that hyper reads: more than our own check lets through, which still sees the request's id and route.
/// Beyond this it is hyper that refuses.
const MAX_HEADERS_READ: usize = 512;

/// A door: where connections come in, and what they find.
pub(crate) struct Door {
    pub(crate) listener: TcpListener,
    pub(crate) side: Side,
    /// What is spoken before HTTP, if anything.
    pub(crate) tls: Option<Arc<Tls>>,
    /// Connections at once; one more waits to be accepted.
    pub(crate) max_connections: usize,
}

/// Serves until `shutdown`, then drains.
pub(crate) async fn serve(app: Arc<App>, door: Door, shutdown: impl Future<Output = ()> + Send) {
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(door.max_connections));
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&door.listener, &places) => accepted,
            () = &mut shutdown => break,
        };
        let Some((stream, place)) = accepted else { continue };
        let (app, side, watcher) = (Arc::clone(&app), door.side, graceful.watcher());
        let tls = door.tls.clone();
        tokio::spawn(async move {
            let open = app.metrics.connection();
            let ended = match tls {
                None => speak(&app, stream, side, watcher).await,
                Some(tls) => {
                    let shaken = tokio::select! {
                        shaken = shake_hands(&app, stream, &tls) => shaken,
                        // Nothing was asked yet, so there is nothing to finish.
                        () = app.drains() => Err(ErrorKind::ConnectionAborted.into()),
                    };
                    match shaken {
                        Ok(stream) => speak(&app, stream, side, watcher).await,
                        Err(error) => Err(error.into()),
                    }
                }
            };
            // A client that breaks off or sends no HTTP ends its own connection and nothing else.
            if let Err(error) = ended {
                tracing::debug!(%error, "connection");
            }
            drop((place, open));
        });
    }
    drop(door.listener);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = tokio::time::sleep(app.config.drain_timeout) => {
            tracing::warn!("some requests did not finish in time and are cut off");
        }
    }
}

/// HTTP on a connection, until either side ends it.
async fn speak(
    app: &Arc<App>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    side: Side,
    watcher: Watcher,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let service = service_fn(|request| {
        let answer = observe(Arc::clone(app), side, request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(app.config.header_timeout)
        .max_headers(MAX_HEADERS_READ)
        .half_close(true)
        .serve_connection(TokioIo::new(Socket::new(stream, Arc::clone(app))), service);
    Ok(watcher.watch(connection).await?)
}

/// The server's side of the TLS handshake, in the time that a request's headers may take.
async fn shake_hands(app: &App, stream: TcpStream, tls: &Tls) -> io::Result<TlsStream<TcpStream>> {
    let handshake = TlsAcceptor::from(tls.current()).accept(stream);
    let shaken = tokio::time::timeout(app.config.header_timeout, handshake).await;
    let shaken = shaken.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
    if shaken.is_err() {
        app.metrics.tls_handshake_failed();
    }
    shaken
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
