//! Clients that mean harm: each is refused or cut off, nothing of it stays, and others go on being served.

use crate::kit::{Lab, event, one};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

fn metric(lab: &Lab, name: &str) -> u64 {
    let text = String::from_utf8(lab.get("/metrics").body).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |value| value.parse().unwrap())
}

fn wait_for(mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < 3 * PATIENCE, "it never came");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until nothing but the asking connection is open and no body is in memory.
fn nothing_stays(lab: &Lab) {
    let started = Instant::now();
    while (
        metric(lab, "repute_connections"),
        metric(lab, "repute_body_bytes_in_flight"),
    ) != (1, 0)
    {
        assert!(started.elapsed() < PATIENCE, "something stays");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether the server closes the connection, within our patience and whatever it says before.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    loop {
        match stream.read(&mut [0; 65_536]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A request with a good key whose body comes in chunks.
fn chunked(lab: &Lab, chunks: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        lab.pk
    );
    [head.as_bytes(), chunks].concat()
}

#[test]
fn headers_that_trickle_in_are_cut_off() {
    let lab = Lab::with(|config| config.header_timeout = Duration::from_millis(200));
    let mut stream = lab.connect();
    let started = Instant::now();
    let mut sent = 0;
    while stream.write_all(b"G").is_ok() {
        sent += 1;
        assert!(started.elapsed() < PATIENCE, "{sent} bytes and no end");
        std::thread::sleep(Duration::from_millis(20));
    }
    nothing_stays(&lab);
}

#[test]
fn a_body_that_trickles_in_ends_at_its_deadline() {
    let lab = Lab::with(|config| {
        (config.body_idle_timeout, config.body_timeout) = (PATIENCE, Duration::from_millis(200));
    });
    let mut stream = lab.connect();
    let head = format!(
        "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 10000\r\n\r\n",
        lab.pk
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let (started, mut answer) = (Instant::now(), [0; 12]);
    while stream.read_exact(&mut answer).is_err() {
        assert!(started.elapsed() < PATIENCE);
        let _ = stream.write_all(b" ");
    }
    assert_eq!(&answer, b"HTTP/1.1 408");
    drop(stream);
    nothing_stays(&lab);
}

#[test]
fn idle_connections_give_their_places_to_others() {
    let lab = Lab::with(|config| {
        (config.max_connections, config.header_timeout) = (20, Duration::from_millis(300));
    });
    let idle: Vec<TcpStream> = (0..60).map(|_| lab.connect()).collect();
    assert_eq!(
        lab.ingest(one("a")).status,
        202,
        "served after some of them were cut off"
    );
    drop(idle);
    nothing_stays(&lab);
}

#[test]
fn requests_sent_at_once_are_answered_one_by_one_in_order() {
    let lab = Lab::new();
    let mut stream = lab.connect();
    let requests: String = (0..1_000)
        .map(|number| format!("GET /health HTTP/1.1\r\nHost: x\r\nX-Request-Id: n{number}\r\n\r\n"))
        .collect();
    let mut writer = stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || writer.write_all(requests.as_bytes()).unwrap());
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut answers, mut piece) = (String::new(), [0; 65_536]);
    while answers.matches(r#"{"status":"ok"}"#).count() < 1_000 {
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "{answers}");
        answers.push_str(std::str::from_utf8(&piece[..read]).unwrap());
    }
    sender.join().unwrap();
    let ids: Vec<&str> = answers
        .lines()
        .filter_map(|line| line.strip_prefix("x-request-id: n"))
        .collect();
    let expected: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
    assert_eq!(ids, expected);
}

#[test]
fn a_client_that_takes_no_answer_is_cut_off() {
    let lab = Lab::with(|config| config.answer_idle_timeout = Duration::from_millis(200));
    let mut stream = lab.connect();
    stream
        .set_write_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n";
    // Until the server, which cannot get rid of its answers, reads no more.
    let started = Instant::now();
    while stream.write_all(request).is_ok() {
        assert!(started.elapsed() < PATIENCE);
    }
    nothing_stays(&lab);
}

#[test]
fn chunks_with_tricks_are_refused_and_hide_no_second_request() {
    let lab = Lab::with(|config| {
        (config.max_body_bytes, config.body_idle_timeout) = (10_000, Duration::from_millis(200));
    });
    let endless = [b"1;".to_vec(), vec![b'x'; 200_000]].concat();
    let trailers = [b"0\r\n".to_vec(), b"x: y\r\n".repeat(50_000)].concat();
    for chunks in [
        &b"ffffffffffffffff\r\n{}"[..],
        b"ffffffffffffffffff\r\n{}",
        b"-1\r\n{}",
        b"0x2\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}0\r\n\r\n",
        b"zz\r\n",
        &endless,
        &trailers,
    ] {
        let answer = lab.raw(&chunked(&lab, chunks), false);
        let (status, code, _) = answer.error();
        let shown = String::from_utf8_lossy(&chunks[..chunks.len().min(20)]).into_owned();
        assert!(
            [
                (400, "bad_json"),
                (408, "request_timeout"),
                (413, "body_too_large")
            ]
            .contains(&(status, code.as_str())),
            "{shown}: {status} {code}"
        );
    }
    let large = [
        b"2711\r\n".to_vec(),
        vec![b' '; 10_001],
        b"\r\n0\r\n\r\n".to_vec(),
    ]
    .concat();
    assert_eq!(lab.raw(&chunked(&lab, &large), false).error().1, "body_too_large");

    // Whoever believes the length sees a second request in what is the body to whoever believes the chunks.
    let body = one("a");
    let both = format!(
        "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{body}\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n",
        lab.pk,
        body.len()
    );
    let mut stream = lab.connect();
    stream.write_all(both.as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut answers = Vec::new();
    let _ = stream.read_to_end(&mut answers);
    let answers = String::from_utf8(answers).unwrap();
    assert!(
        answers.starts_with("HTTP/1.1 202 ") || answers.starts_with("HTTP/1.1 400 "),
        "read by its chunks, or not at all: {answers}"
    );
    drop(stream);
    nothing_stays(&lab);
}

#[test]
fn hostile_bodies_cost_little_and_leave_nothing() {
    let lab = Lab::new();
    let mebibytes = |text: &str, count: usize| text.repeat((count << 20) / text.len());
    let with = |field: &str| format!(r#"{{"events":[{}]}}"#, event("a", field)).into_bytes();
    let digits = format!(r#","x":{}"#, mebibytes("9", 4));
    let latency = |number: &str| {
        format!(r#"{{"events":[{{"agent_id":"a","passed":true,"gates":[],"total_latency_ms":{number}}}]}}"#)
            .into_bytes()
    };
    let no_utf8 = [with("")[..20].to_vec(), vec![0xc0, 0xaf], with("")[20..].to_vec()].concat();
    let surrogate = [
        with("")[..24].to_vec(),
        vec![0xed, 0xa0, 0x80],
        with("")[24..].to_vec(),
    ]
    .concat();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("only opened", mebibytes("[", 15).into_bytes(), "bad_json"),
        (
            "opened objects",
            mebibytes(r#"{"a":"#, 15).into_bytes(),
            "bad_json",
        ),
        (
            "deep and ignored",
            with(&format!(r#","x":{}"#, mebibytes("[", 8))),
            "bad_json",
        ),
        ("many digits, ignored", with(&digits), ""),
        ("many digits", latency(&mebibytes("9", 4)), "validation_error"),
        (
            "a long fraction",
            latency(&format!("0.{}", mebibytes("0", 4))),
            "",
        ),
        (
            "a far exponent",
            latency("1e999999999999999999999"),
            "validation_error",
        ),
        ("a far negative exponent", latency("1e-999999999999999999999"), ""),
        ("not a number", latency("NaN"), "bad_json"),
        ("infinite", latency("Infinity"), "bad_json"),
        ("a NUL", with(",\"tool\":\"a\0b\""), "bad_json"),
        ("a NUL between", b"{\0}".to_vec(), "bad_json"),
        ("an escaped NUL", with(r#","tool":"a\u0000b""#), ""),
        ("overlong UTF-8", no_utf8, "bad_json"),
        ("a raw surrogate", surrogate, "bad_json"),
        (
            "UTF-16",
            with("").iter().flat_map(|byte| [*byte, 0]).collect(),
            "bad_json",
        ),
        (
            "a known key twice",
            with(r#","passed":false"#),
            "validation_error",
        ),
        (
            "an unknown key 500,000 times",
            with(&r#","x":1"#.repeat(500_000)),
            "",
        ),
        ("a long key", with(&format!(r#","{}":1"#, mebibytes("k", 8))), ""),
        (
            "a long name",
            with(&format!(r#","tool":"{}""#, mebibytes("t", 8))),
            "validation_error",
        ),
        (
            "a long string of escapes",
            with(&format!(r#","tool":"{}""#, mebibytes(r"\ud83e", 8))),
            "validation_error",
        ),
        (
            "a million events",
            format!(r#"{{"events":[{}1]}}"#, "1,".repeat(1_000_000)).into_bytes(),
            "validation_error",
        ),
    ];
    let mut taken = 0;
    for (name, body, code) in cases {
        let answer = lab.ingest(&body);
        assert!(
            answer.body.len() < 20_000,
            "{name}: an answer of {} bytes",
            answer.body.len()
        );
        if code.is_empty() {
            assert_eq!(answer.status, 202, "{name}: {answer:?}");
            taken += 1;
        } else {
            let (status, told, _) = answer.error();
            assert_eq!((status, told.as_str()), (400, code), "{name}");
        }
    }
    assert_eq!(
        lab.get("/v1/events").json()["count"],
        taken,
        "what was refused is nowhere"
    );
    nothing_stays(&lab);
}

#[test]
fn bombs_of_any_packing_unpack_no_further_than_a_body_may() {
    let lab = Lab::with(|config| config.max_body_bytes = 1 << 20);
    let zeros = vec![b' '; 64 << 20];
    let members = gzip(&[b' '; 2_000]).repeat(10_000);
    let mut wide = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    wide.window_log(27).unwrap();
    wide.write_all(&zeros).unwrap();
    let wide = wide.finish().unwrap();
    for (name, encoding, body, code) in [
        ("gzip", "gzip", gzip(&zeros), "body_too_large"),
        ("many members", "gzip", members, "body_too_large"),
        (
            "zstd",
            "zstd",
            zstd::encode_all(&zeros[..], 19).unwrap(),
            "body_too_large",
        ),
        ("a window of 128 MiB", "zstd", wide, "body_too_large"),
        ("gzip in gzip", "gzip", gzip(&gzip(&zeros)), "bad_json"),
    ] {
        let answer = lab.send(
            "POST",
            "/v1/ingest",
            &lab.pk,
            &[("Content-Encoding", encoding)],
            &body,
        );
        assert_eq!(answer.error().1, code, "{name}");
    }
    nothing_stays(&lab);
}

/// The beginning of a body of so many bytes, and as much of it as is sent at first.
fn begun(lab: &Lab, key: &str, announced: usize, sent: usize) -> TcpStream {
    let mut stream = lab.connect();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {announced}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let _ = stream.write_all(&vec![b' '; sent]); // who is refused may be cut off
    stream
}

fn small(lab: &Lab, key: &str) -> u16 {
    lab.send("POST", "/v1/ingest", key, &[], one("a").as_bytes())
        .status
}

#[test]
fn what_is_announced_takes_no_memory_and_no_place_before_it_comes() {
    let lab = Lab::with(|config| (config.max_body_bytes, config.bytes_in_flight) = (1 << 20, 4 << 20));
    let other = lab.tenant("other");
    let silent: Vec<TcpStream> = (0..16).map(|_| begun(&lab, &lab.pk, 1 << 20, 0)).collect();
    wait_for(|| metric(&lab, "repute_connections") == 17);
    assert_eq!(metric(&lab, "repute_body_bytes_in_flight"), 0);
    assert_eq!((small(&lab, &lab.pk), small(&lab, &other.pk)), (202, 202));
    drop(silent);
    nothing_stays(&lab);
}

#[test]
fn one_organisation_leaves_half_of_the_bytes_in_flight_to_others() {
    let lab = Lab::with(|config| (config.max_body_bytes, config.bytes_in_flight) = (1 << 20, 4 << 20));
    let other = lab.tenant("other");
    let held: Vec<TcpStream> = (0..8)
        .map(|_| begun(&lab, &lab.pk, 1 << 20, (1 << 20) - 1))
        .collect();
    wait_for(|| {
        metric(
            &lab,
            "repute_requests_total{route=\"/v1/ingest\",method=\"POST\",code=\"503\"}",
        ) > 0
    });
    assert!(metric(&lab, "repute_body_bytes_in_flight") <= 2 << 20);
    assert_eq!(small(&lab, &other.pk), 202);
    drop(held);
    nothing_stays(&lab);
}

#[test]
fn a_body_of_the_largest_size_goes_through_alone_with_the_smallest_budget() {
    let lab = Lab::with(|config| (config.max_body_bytes, config.bytes_in_flight) = (1 << 20, 2 << 20));
    // Digits that hardly pack: some bytes below the limit when packed, at it when unpacked.
    let mut state = 1u64;
    let mut digits = String::new();
    while digits.len() < 1 << 20 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        digits += &format!("{:016x}", state ^ (state >> 33));
    }
    let mut body = format!(r#"{{"events":[{}],"x":""#, event("a", ""));
    body += &digits[..(1 << 20) - body.len() - 2];
    body += "\"}";
    assert_eq!(body.len(), 1 << 20);
    for (encoding, body) in [
        ("identity", body.clone().into_bytes()),
        ("gzip", gzip(body.as_bytes())),
        ("zstd", zstd::encode_all(body.as_bytes(), 1).unwrap()),
    ] {
        let headers = [("Content-Encoding", encoding)];
        let answer = lab.send("POST", "/v1/ingest", &lab.pk, &headers, &body);
        assert_eq!(answer.status, 202, "{encoding}");
        nothing_stays(&lab);
    }
}

#[test]
fn packed_bodies_are_unpacked_a_few_at_a_time() {
    let lab = Lab::new();
    let unpacked = 6 << 20;
    let mut wide = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    wide.window_log(23).unwrap();
    wide.write_all(&vec![b'['; unpacked]).unwrap();
    let packed = wide.finish().unwrap();
    let request = [
        format!(
            "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Encoding: zstd\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n",
            lab.pk,
            packed.len()
        )
        .as_bytes(),
        &packed,
    ]
    .concat();
    let mut streams: Vec<TcpStream> = (0..60)
        .map(|_| {
            let mut stream = lab.connect();
            stream.write_all(&request[..request.len() - 1]).unwrap();
            stream
        })
        .collect();
    for stream in &mut streams {
        stream.write_all(&request[request.len() - 1..]).unwrap();
    }
    let done = "repute_requests_total{route=\"/v1/ingest\",method=\"POST\",code=\"400\"}";
    let mut most = 0;
    wait_for(|| {
        most = most.max(metric(&lab, "repute_body_bytes_in_flight"));
        metric(&lab, done) == 60
    });
    assert!(most <= 4 * (8 << 20), "{most} bytes at once");
    drop(streams);
    nothing_stays(&lab);
}

#[test]
fn what_breaks_off_anywhere_leaves_nothing() {
    let lab = Lab::new();
    let body = one("a");
    let request = format!(
        "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{body}",
        lab.pk,
        body.len()
    );
    for end in (0..request.len()).step_by(7) {
        let mut stream = lab.connect();
        stream.write_all(&request.as_bytes()[..end]).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(is_closed(&mut stream), "cut after {end} bytes");
    }
    assert_eq!(lab.get("/v1/events").json()["count"], 0);
    nothing_stays(&lab);
}
