//! `repute serve`: check the settings, open, listen, serve, drain, leave everything on disk.

use crate::address::Address;
use crate::admin;
use crate::data_dir::DataDir;
use crate::first_start;
use crate::housekeeping;
use crate::logging;
use crate::settings::{Secrets, ServeSettings};
use crate::usage::WrongSetting;
use crate::{huge_pages, open_files, unknown_variables};
use anyhow::{Context as _, Result, bail};
use journal::{LimitedDisk, OsDisk};
use server::accounts::Accounts;
use server::{Config, Gates, Ledger, Metrics, Server, Tls};
use std::fs;
use std::io::{self, Write as _, stdout};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Connections that wait to be accepted; the system may allow fewer.
const BACKLOG: u32 = 4_096;

/// What a server is made of, all of it open.
struct Parts {
    accounts: Arc<Accounts>,
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    ledger: Arc<Ledger>,
    gates: Arc<Gates>,
    tls: Option<Arc<Tls>>,
}

/// Runs the server until it's told to stop.
pub(crate) fn serve(given: &ServeSettings) -> Result<()> {
    given.check()?;
    let gates = gates(given)?;
    let tls = tls(given)?;
    let secrets = Secrets::from_environment()?;
    logging::start(given.log_format, given.log_level);
    huge_pages::avoid();
    let max_open_files = open_files::raise();
    open_files::check(max_open_files)?;
    let max_connections = given
        .max_connections
        .min(open_files::for_connections(max_open_files));
    let settings = &ServeSettings {
        max_connections,
        ..given.clone()
    };
    log_settings(settings, &secrets, max_open_files);
    if max_connections < given.max_connections {
        tracing::warn!(
            max_connections,
            max_open_files,
            "fewer connections than --max-connections (REPUTE_MAX_CONNECTIONS): the system allows too few open files \
             (ulimit -n)"
        );
    }
    unknown_variables::warn();
    warn_of_plain_text(settings);
    if let Some(tls) = &tls {
        tls.warn_of_dates();
    }
    let dir = DataDir::take(&settings.data_dir)?;
    if is_open_to_others(dir.path()) {
        tracing::warn!(
            data_dir = %dir.path().display(),
            "others than its owner can open this directory (chmod 700)"
        );
    }
    if let Some(backup) = store::adopt_backup(&OsDisk, dir.path())? {
        tracing::warn!(
            backup = backup.trim(),
            "this directory was a backup: what came after it is not here, and keys revoked since then work again"
        );
    }
    let accounts = Arc::new(dir.open_accounts_to_serve(secrets.master_key.as_deref())?);
    let metrics = Metrics::new();
    let ledger = Arc::new(Ledger::open(dir.path())?);
    let observer = server::observer(Arc::clone(&metrics), Arc::clone(&ledger));
    let store = Arc::new(open_store(settings, &dir, observer)?);
    if store.newest_frame() == 0 && ledger.covered() > 0 {
        bail!(
            "{} has no events, but {} counted some: is a disk not mounted? Put the log back, from a backup if need be; to begin \
             anew, take another --data-dir",
            dir.path().join("log").display(),
            server::ledger::DATABASE
        );
    }
    ledger.catch_up(&store);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let parts = Parts {
        accounts,
        store,
        metrics,
        ledger,
        gates,
        tls,
    };
    let outcome = runtime.block_on(run(settings, &secrets, &dir, &parts));
    runtime.shutdown_timeout(Duration::from_secs(1));
    parts.store.close();
    parts.ledger.flush()?;
    parts.accounts.close()?;
    tracing::info!("stopped; everything is on disk");
    outcome
}

async fn run(settings: &ServeSettings, secrets: &Secrets, dir: &DataDir, parts: &Parts) -> Result<()> {
    let Parts {
        accounts,
        store,
        metrics,
        ledger,
        gates,
        tls,
    } = parts;
    let listener = listen("--listen (REPUTE_LISTEN)", settings.listen)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let address = Address {
        scheme,
        socket: listener.local_addr()?,
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let hangup = signal(SignalKind::hangup())?;
    first_start::greet(accounts, secrets, dir.path(), address)?;
    let socket = admin_socket(dir, accounts, store);
    let housekeeping = housekeeping::spawn(accounts, store, ledger, dir.whereabouts()?);
    let mut server = Server::new(
        config(settings),
        Arc::clone(accounts),
        Arc::clone(store),
        Arc::clone(metrics),
        Arc::clone(ledger),
        Arc::clone(gates),
    );
    if let Some(tls) = tls {
        server = server.with_tls(Arc::clone(tls));
    }
    if let Some(address) = settings.metrics_listen {
        let listener = listen("--metrics-listen (REPUTE_METRICS_LISTEN)", address)?;
        tracing::info!(address = %listener.local_addr()?, "metrics are served apart");
        server = server.with_metrics_at(listener);
    }
    let reloaded = Reloaded {
        gates: Arc::clone(gates),
        tls: tls.clone(),
        metrics: Arc::clone(metrics),
    };
    let reloading = tokio::spawn(reload(hangup, reloaded));
    writeln!(stdout(), "listening on {address}")?;
    stdout().flush()?;
    let shutdown = async {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: finishing what runs"),
            _ = interrupt.recv() => tracing::info!("SIGINT: finishing what runs"),
        }
    };
    server.run(listener, shutdown).await;
    housekeeping.iter().for_each(tokio::task::JoinHandle::abort);
    reloading.abort();
    drop(socket);
    Ok(())
}

/// The gate sets of the file that the settings name.
fn gates(settings: &ServeSettings) -> Result<Arc<Gates>> {
    let gates = Gates::open(settings.gates.clone());
    let gates = gates.map_err(|error| WrongSetting::new(format!("--gates (REPUTE_GATES): {error}")))?;
    Ok(Arc::new(gates))
}

/// The certificate that the settings name.
fn tls(settings: &ServeSettings) -> Result<Option<Arc<Tls>>> {
    let (Some(certificate), Some(key)) = (&settings.tls_cert, &settings.tls_key) else {
        return Ok(None);
    };
    let tls = Tls::open(certificate.clone(), key.clone()).map_err(|error| {
        WrongSetting::new(format!(
            "--tls-cert (REPUTE_TLS_CERT), --tls-key (REPUTE_TLS_KEY): {error}"
        ))
    })?;
    Ok(Some(Arc::new(tls)))
}

/// Says what others could read.
fn warn_of_plain_text(settings: &ServeSettings) {
    if is_readable_on_the_way(settings) {
        tracing::warn!(
            listen = %settings.listen,
            "others can read keys and events on their way here: give --tls-cert and --tls-key, or listen on loopback behind a \
             proxy that has TLS"
        );
    }
    if let Some(key) = &settings.tls_key
        && is_open_to_others(key)
    {
        tracing::warn!(file = %key.display(), "--tls-key (REPUTE_TLS_KEY): others than its owner can open this file");
    }
}

/// Whether others than its owner can open a file or a directory.
fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0)
}

fn is_readable_on_the_way(settings: &ServeSettings) -> bool {
    settings.tls_cert.is_none() && !settings.listen.ip().is_loopback()
}

/// What SIGHUP reads again.
struct Reloaded {
    gates: Arc<Gates>,
    tls: Option<Arc<Tls>>,
    metrics: Arc<Metrics>,
}

/// Reads the gate sets and the certificate again whenever SIGHUP comes. What cannot be used leaves the old one of its
/// kind in force, and the other kind is none the worse for it.
async fn reload(mut hangup: Signal, reloaded: Reloaded) {
    let Reloaded { gates, tls, metrics } = reloaded;
    while hangup.recv().await.is_some() {
        let (reading, certificate) = (Arc::clone(&gates), tls.clone());
        let read = move || {
            let certificate = certificate.map(|tls| tls.reload().inspect(|()| tls.warn_of_dates()));
            (reading.reload(), certificate)
        };
        let (gates, tls) = match tokio::task::spawn_blocking(read).await {
            Ok(outcomes) => outcomes,
            Err(panic) => {
                tracing::error!(%panic, "SIGHUP: reading the files again");
                continue;
            }
        };
        match gates {
            Ok(true) => tracing::info!("SIGHUP: the gate sets were read again"),
            Ok(false) => tracing::info!("SIGHUP: there is no file of gate sets (--gates) to read again"),
            Err(error) => {
                metrics.gates_not_reloaded();
                tracing::error!(%error, "SIGHUP: the new gate sets are refused, the old ones stay in force");
            }
        }
        match tls {
            None => {}
            Some(Ok(())) => tracing::info!("SIGHUP: the certificate was read again"),
            Some(Err(error)) => {
                metrics.tls_not_reloaded();
                tracing::error!(%error, "SIGHUP: the new certificate is refused, the old one stays in force");
            }
        }
    }
}

/// Listens, with room for a crowd: all clients of a site may come back at once.
fn listen(setting: &str, address: SocketAddr) -> Result<TcpListener> {
    let listen = || -> io::Result<TcpListener> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        socket.set_reuseaddr(true)?; // as for any server: the port of one that was killed can be taken at once
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().with_context(|| format!("{setting}: cannot listen on {address}"))
}

/// Events matter more than administration: where there can be no socket (a path that is too long for one, a
/// file system without them), the server runs without.
fn admin_socket(dir: &DataDir, accounts: &Arc<Accounts>, store: &Arc<Store>) -> Option<admin::Socket> {
    match admin::listen(dir.path(), Arc::clone(accounts), Arc::clone(store)) {
        Ok(socket) => Some(socket),
        Err(error) => {
            tracing::warn!(
                "`repute org` and `repute key` only work once this server is stopped: {}",
                logging::whole(&error)
            );
            None
        }
    }
}

fn open_store(settings: &ServeSettings, dir: &DataDir, observer: Arc<dyn store::Observer>) -> Result<Store> {
    let mut options = store::Options {
        max_clock_ahead: settings.max_clock_ahead,
        window_cache: settings.window_cache,
        cache_bytes: settings.cache_bytes,
        retention: settings.retention,
        retention_bytes: settings.retention_bytes,
        scrub_bytes_per_second: settings.scrub_rate,
        compaction_bytes_per_second: settings.compaction_rate,
        ..store::Options::default()
    };
    options.journal.sync = !settings.no_sync;
    options.journal.max_segment_bytes = settings.max_segment;
    options.journal.first_segment_bytes = options.journal.first_segment_bytes.min(settings.max_segment);
    let disk = match settings.disk_room {
        Some(bytes) => open_files::few_of(LimitedDisk::new(bytes)),
        None => open_files::few_of(OsDisk),
    };
    Ok(Store::open(disk, dir.path(), options, observer)?)
}

fn config(settings: &ServeSettings) -> Config {
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    Config {
        max_body_bytes: size(settings.max_body),
        max_evaluate_body_bytes: size(settings.max_evaluate_body),
        ingest_rate_limit: settings.ingest_rate_limit,
        rate_limit: settings.rate_limit,
        max_agents: settings.max_agents,
        cors_origins: settings.cors_origin.clone(),
        bytes_in_flight: size(settings.bytes_in_flight),
        max_connections: settings.max_connections,
        drain_timeout: settings.drain_timeout,
        ..Config::default()
    }
}

/// One line with everything that is in force; of secrets only whether they are set.
fn log_settings(settings: &ServeSettings, secrets: &Secrets, max_open_files: usize) {
    let is_set = |set: bool| if set { "set" } else { "not set" };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        data_dir = %settings.data_dir.display(),
        listen = %settings.listen,
        tls_cert = settings.tls_cert.as_ref().map(|file| file.display().to_string()),
        metrics_listen = settings.metrics_listen.map(|address| address.to_string()),
        ingest_rate_limit = settings.ingest_rate_limit,
        rate_limit = settings.rate_limit,
        max_body_bytes = settings.max_body,
        max_evaluate_body_bytes = settings.max_evaluate_body,
        gates = settings.gates.as_ref().map(|file| file.display().to_string()),
        max_clock_ahead_s = settings.max_clock_ahead.as_secs(),
        max_agents = settings.max_agents,
        cors_origin = settings.cors_origin.join(","),
        window_cache = settings.window_cache,
        cache_bytes = settings.cache_bytes,
        bytes_in_flight = settings.bytes_in_flight,
        retention_s = settings.retention.map(|age| age.as_secs()),
        retention_bytes = settings.retention_bytes,
        scrub_rate_bytes = settings.scrub_rate,
        compaction_rate_bytes = settings.compaction_rate,
        max_connections = settings.max_connections,
        max_open_files,
        drain_timeout_s = settings.drain_timeout.as_secs(),
        log_format = ?settings.log_format,
        log_level = %settings.log_level,
        sync = !settings.no_sync,
        max_segment_bytes = settings.max_segment,
        master_key = is_set(secrets.master_key.is_some()),
        bootstrap_publishable_key = is_set(secrets.bootstrap_publishable.is_some()),
        bootstrap_secret_key = is_set(secrets.bootstrap_secret.is_some()),
        "starting"
    );
    if settings.no_sync {
        tracing::warn!("--no-sync: a power cut loses acknowledged events");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Given {
        #[command(flatten)]
        settings: ServeSettings,
    }

    #[test]
    fn only_beyond_this_machine_and_without_tls_others_can_read() {
        let is_readable = |arguments: &str| {
            let arguments = ["serve"].into_iter().chain(arguments.split(' '));
            is_readable_on_the_way(&Given::parse_from(arguments).settings)
        };
        for address in ["127.0.0.1:0", "127.8.8.8:80", "[::1]:0"] {
            assert!(!is_readable(&format!("--listen {address}")), "{address}");
        }
        for address in ["0.0.0.0:0", "[::]:0", "192.168.1.1:80", "[2001:db8::1]:80"] {
            assert!(is_readable(&format!("--listen {address}")), "{address}");
            assert!(
                !is_readable(&format!("--listen {address} --tls-cert c --tls-key k")),
                "{address}"
            );
        }
    }
}
