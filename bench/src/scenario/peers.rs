//! What people would use instead, on the same machine with the same bodies: what is installed here.

use crate::fleet::{self, Pace, Seen, Squad};
use crate::place::Place;
use crate::report::{Cell, Table};
use crate::server::{Scratch, Server, spawn_on};
use crate::traffic::Traffic;
use crate::traffic::ingest::Ingest;
use crate::traffic::nats::Nats;
use crate::traffic::postgres::Postgres;
use crate::traffic::redis::Redis;
use crate::traffic::wrapped::Wrapped;
use anyhow::{Context as _, Result, bail};
use rustix::fs::{Gid, Uid, chown};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Distinct bodies in all.
const POOL: usize = 1_024;
/// Who runs PostgreSQL, which refuses to be root: `nobody`.
const NOBODY: u32 = 65_534;

pub(crate) fn run(place: &Place) -> Result<Vec<Table>> {
    let mut table = Table::new(
        "peers: the same bodies into what people would use instead, server on one core",
        &[
            "service",
            "events/s",
            "server busy",
            "p50 ms",
            "p99 ms",
            "against ours",
        ],
    );
    let ours = {
        let shipped = place.repute("shipped", &[])?;
        let mut traffic = Ingest::usual(&place.keys);
        measure(place, &shipped.server, vec![&mut traffic], place.connections)?
    };
    let our_rate = ours.0.events_per_s();
    let mut row = |name: &str, measured: Result<Option<(Seen, f64)>>| match measured {
        Ok(Some((mut seen, busy))) => table.row([
            name.into(),
            Cell::Number(seen.events_per_s(), 0),
            Cell::Number(busy, 2),
            Cell::Number(seen.latencies.quantile_ms(0.5), 2),
            Cell::Number(seen.latencies.quantile_ms(0.99), 2),
            Cell::Number(seen.events_per_s() / our_rate, 3),
        ]),
        Ok(None) => table.note(format!("{name}: not installed here.")),
        Err(error) => table.note(format!("{name}: left out, it does not run here: {error:#}.")),
    };
    row("Repute as shipped", Ok(Some(ours)));
    for fsync in ["always", "everysec"] {
        row(
            &format!("Redis XADD of the raw body, appendfsync {fsync}"),
            redis(place, fsync),
        );
    }
    row("NATS JetStream, raw body", nats(place, None));
    row(
        "NATS JetStream, raw body, sync_interval: always",
        nats(place, Some("always")),
    );
    for (name, scores) in [
        ("PostgreSQL, insert", false),
        ("PostgreSQL, insert and scores", true),
    ] {
        row(name, postgres(place, scores));
    }
    table.note(
        "Redis and NATS keep the body as it is: nothing is parsed, counted, indexed or told from a repeat. What their kernel \
         side and, for PostgreSQL, its other processes use is not in `server busy`.",
    );
    Ok(vec![table])
}

/// Warm-up, then full load; the share of a core that the main process used.
fn measure(
    place: &Place,
    server: &Server,
    mut traffics: Vec<&mut dyn Traffic>,
    connections_each: usize,
) -> Result<(Seen, f64)> {
    let mut run = |time: Duration| -> Result<Seen> {
        let squad = |traffic| Squad {
            address: server.address,
            connections: connections_each,
            pace: Pace::Eager,
            traffic,
        };
        let mut squads: Vec<Squad<'_>> = traffics.iter_mut().map(|traffic| squad(&mut **traffic)).collect();
        let mut all = Seen::default();
        fleet::run(&mut squads, time, |_| Ok(()))?
            .iter()
            .for_each(|seen| all.join(seen));
        all.elapsed = time;
        Ok(all)
    };
    run(place.time / 2)?;
    let before = server.cpu()?;
    let seen = run(place.time)?;
    let busy = (server.cpu()? - before).as_secs_f64() / place.time.as_secs_f64();
    Ok((seen, busy))
}

fn redis(place: &Place, fsync: &str) -> Result<Option<(Seen, f64)>> {
    let Some(program) = installed("redis-server") else {
        return Ok(None);
    };
    let dir = Scratch::new(&place.dir, "redis")?;
    let address = free_address()?;
    let port = address.port().to_string();
    let mut command = Command::new(program);
    command.args([
        "--bind",
        "127.0.0.1",
        "--port",
        &port,
        "--save",
        "",
        "--appendonly",
        "yes",
    ]);
    command.args(["--appendfsync", fsync, "--dir"]).arg(dir.path());
    let server = start(place, &mut command, address)?;
    measure(
        place,
        &server,
        vec![&mut Wrapped::new(Redis, POOL)],
        place.connections,
    )
    .map(Some)
}

fn nats(place: &Place, sync: Option<&str>) -> Result<Option<(Seen, f64)>> {
    let Some(program) = installed("nats-server") else {
        return Ok(None);
    };
    let dir = Scratch::new(&place.dir, "nats")?;
    let address = free_address()?;
    let sync = sync.map_or(String::new(), |interval| format!(", sync_interval: {interval}"));
    let config = dir.path().join("nats.conf");
    let store = dir.path().join("store");
    std::fs::write(
        &config,
        format!(
            "listen: \"{address}\"\njetstream {{store_dir: \"{}\"{sync}}}\n",
            store.display()
        ),
    )?;
    let mut command = Command::new(program);
    command.arg("-c").arg(&config);
    let server = start(place, &mut command, address)?;
    Nats::new(place.connections).make_stream(address)?;
    let each = POOL.div_ceil(place.connections);
    let mut all: Vec<_> = (0..place.connections)
        .map(|at| Wrapped::new(Nats::new(at), each))
        .collect();
    let traffics = all.iter_mut().map(|one| one as &mut dyn Traffic).collect();
    measure(place, &server, traffics, 1).map(Some)
}

fn postgres(place: &Place, scores: bool) -> Result<Option<(Seen, f64)>> {
    let (Some(program), Some(initdb)) = (installed("postgres"), installed("initdb")) else {
        return Ok(None);
    };
    // Out of the way of directories that only their owner may pass.
    let dir = Scratch::new(
        &std::env::temp_dir(),
        &format!("bench-postgres-{}", std::process::id()),
    )?;
    let data = dir.path().join("data");
    std::fs::create_dir(&data)?;
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        chown(&data, Some(Uid::from_raw(NOBODY)), Some(Gid::from_raw(NOBODY)))?;
    }
    let as_nobody = |command: &mut Command| {
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.current_dir(&data);
    };
    let mut make = Command::new(initdb);
    make.args([
        "--auth",
        "trust",
        "--username",
        "postgres",
        "--encoding",
        "UTF8",
        "--pgdata",
    ])
    .arg(&data);
    as_nobody(&mut make);
    let made = make.output()?;
    if !made.status.success() {
        bail!("initdb: {}", String::from_utf8_lossy(&made.stderr));
    }
    let address = free_address()?;
    let port = address.port().to_string();
    let mut command = Command::new(program);
    command.args([
        "-p",
        &port,
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        "unix_socket_directories=",
    ]);
    command
        .args(["-c", "shared_buffers=1GB", "-c", "max_wal_size=8GB", "-D"])
        .arg(&data);
    as_nobody(&mut command);
    let server = start(place, &mut command, address)?;
    let protocol = Postgres { scores };
    let started = std::time::Instant::now();
    while let Err(error) = protocol.make_table(address) {
        if started.elapsed() > Duration::from_secs(10) {
            return Err(error);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    measure(
        place,
        &server,
        vec![&mut Wrapped::new(protocol, POOL)],
        place.connections,
    )
    .map(Some)
}

fn start(place: &Place, command: &mut Command, address: SocketAddr) -> Result<Server> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = spawn_on(command, &place.server_cores)?;
    Server::adopt(child, address)
}

/// Where a program lies, if it is installed.
fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let places = std::env::split_paths(&path).chain(postgres_places());
    places.map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Debian keeps PostgreSQL's programs out of the path.
fn postgres_places() -> Vec<PathBuf> {
    let versions = std::fs::read_dir(Path::new("/usr/lib/postgresql"))
        .into_iter()
        .flatten()
        .flatten();
    versions.map(|version| version.path().join("bin")).collect()
}

/// An address that nobody listens at.
fn free_address() -> Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?
        .local_addr()
        .context("a socket has an address")
}
