//! Each row of the error table, and the order of the checks.

use crate::kit::{Lab, answer_on, event, one};
use reputation::Micros;
use server::accounts::{Actor, OrgSettings, SignatureRule};
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};
use wire::{KeyKind, Scope, Scopes, SignatureTime, SigningKey};

fn error(status: u16, code: &str, sentence: &str) -> (u16, String, String) {
    (status, code.to_owned(), sentence.to_owned())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_is_not_json_is_bad_json() {
    let lab = Lab::new();
    let deep = format!(r#"{{"events":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    for body in [&b"{"[..], b"", b"\xff\xfe", b"{} x", deep.as_bytes()] {
        let (status, code, _) = lab.ingest(body).error();
        assert_eq!(
            (status, code.as_str()),
            (400, "bad_json"),
            "{}",
            String::from_utf8_lossy(body)
        );
    }
    for encoding in ["gzip", "zstd"] {
        let answer = lab.send(
            "POST",
            "/v1/ingest",
            &lab.pk,
            &[("Content-Encoding", encoding)],
            b"not compressed",
        );
        let sentence = format!("the body is not whole {encoding} data");
        assert_eq!(answer.error(), error(400, "bad_json", &sentence));
    }
    assert_eq!(
        lab.get("/v1/agents").json()["agents"].as_array().unwrap().len(),
        0,
        "nothing is left behind"
    );
}

#[test]
fn what_the_endpoint_does_not_take_is_named_event_by_event() {
    let lab = Lab::new();
    let body = format!(
        r#"{{"events":[{},{},{}]}}"#,
        event("", ""),
        event("good", ""),
        event("a", r#","tool":7"#)
    );
    let answer = lab.ingest(&body);
    let (status, code, sentence) = answer.error();
    assert_eq!((status, code.as_str()), (400, "validation_error"));
    assert!(sentence.starts_with("events[0].agent_id: "), "{sentence}");
    let details = answer.json()["details"].clone();
    assert_eq!(
        (
            &details[0]["event"],
            &details[1]["event"],
            details.as_array().unwrap().len()
        ),
        (&0.into(), &2.into(), 2)
    );
    assert_eq!(details[1]["field"], "tool");
    let none = lab.get("/v1/events").json();
    assert_eq!(none["count"], 0, "a batch is taken whole or not at all");
    let many = format!(r#"{{"events":[{}]}}"#, vec![event("a", ""); 101].join(","));
    assert_eq!(lab.ingest(many).error().1, "validation_error");
    for path in [
        "/v1/events?limit=0",
        "/v1/events?limit=101",
        "/v1/events?nope=1",
        "/v1/events?limit=1&limit=2",
        "/v1/events?offset=100001",
        "/v1/events?passed=yes",
        "/v1/events?cursor=x",
        "/v1/agents?limit=501",
        "/v1/reputation",
        "/v1/whoami?x=1",
        "/v1/events?tool=a&offset=1",
    ] {
        assert_eq!(lab.get(path).error().1, "validation_error", "{path}");
    }
    for path in ["/v1/ingest?x=1", "/v1/agents?x=1", "/v1/keys?x=1"] {
        let answer = lab.send("POST", path, &lab.sk, &[], one("a").as_bytes());
        let expected = error(400, "validation_error", "x: no such parameter here");
        assert_eq!(answer.error(), expected, "{path}");
    }
}

#[test]
fn lenient_batches_keep_their_good_events() {
    let lab = Lab::new();
    let body = format!(r#"{{"events":[{},{}]}}"#, event("", ""), event("good", ""));
    let lenient = [("Prefer", "handling=lenient")];
    let answer = lab.send("POST", "/v1/ingest", &lab.pk, &lenient, body.as_bytes());
    assert_eq!(
        (answer.status, answer.header("preference-applied")),
        (202, Some("handling=lenient"))
    );
    let json = answer.json();
    assert_eq!(
        (&json["accepted"], &json["rejected"][0]["event"]),
        (&1.into(), &0.into())
    );
    let bad = format!(r#"{{"events":[{}]}}"#, event("", ""));
    assert_eq!(
        lab.send("POST", "/v1/ingest", &lab.pk, &lenient, bad.as_bytes())
            .status,
        400
    );
}

#[test]
fn of_a_preference_that_is_given_twice_the_first_counts() {
    let lab = Lab::new();
    let body = format!(r#"{{"events":[{},{}]}}"#, event("", ""), event("good", ""));
    let status = |prefer: &[&str]| {
        let headers: Vec<_> = prefer.iter().map(|one| ("Prefer", *one)).collect();
        lab.send("POST", "/v1/ingest", &lab.pk, &headers, body.as_bytes())
            .status
    };
    for lenient in [
        &["handling=lenient"][..],
        &["respond-async, Handling = \"lenient\"; x=y"],
        &["handling=lenient, handling=strict"],
        &["wait=5", "handling=lenient"],
    ] {
        assert_eq!(status(lenient), 202, "{lenient:?}");
    }
    for strict in [
        &["handling=strict, handling=lenient"][..],
        &["handling=strict", "handling=lenient"],
        &["wait=5; handling=lenient"],
        &["handling"],
    ] {
        assert_eq!(status(strict), 400, "{strict:?}");
    }
}

#[test]
fn who_asks_without_a_good_key_is_told_what_is_wrong_with_it() {
    let lab = Lab::new();
    let raw = |header: &str| {
        lab.raw(
            format!("GET /v1/events HTTP/1.1\r\nHost: x\r\n{header}\r\n").as_bytes(),
            false,
        )
    };
    for header in ["", "Authorization: Basic abc\r\n", "Authorization: Bearer\r\n"] {
        let answer = raw(header);
        assert_eq!(
            (answer.error().1.as_str(), answer.header("www-authenticate")),
            ("auth_missing", Some("Bearer"))
        );
    }
    let twice = format!(
        "Authorization: Bearer {0}\r\nAuthorization: Bearer {0}\r\n",
        lab.pk
    );
    assert_eq!(raw(&twice).error().1, "auth_missing");
    assert_eq!(
        raw("Authorization: Bearer pk_test_0000\r\n").error().1,
        "auth_format"
    );
    let unknown = format!("pk_live_{}", "0".repeat(32));
    assert_eq!(
        lab.send("GET", "/v1/events", &unknown, &[], b"").error().1,
        "auth_invalid"
    );
    assert_eq!(raw(&format!("Authorization: bEARER {}\r\n", lab.pk)).status, 200);
    let short = lab.key(
        KeyKind::Publishable,
        Scopes::default_of(KeyKind::Publishable),
        Some(Micros(lab.now().0 + 1)),
    );
    std::thread::sleep(Duration::from_millis(2));
    assert_eq!(
        lab.send("GET", "/v1/events", short.key.as_str(), &[], b"")
            .error()
            .1,
        "auth_revoked"
    );
}

#[test]
fn a_key_does_what_its_scopes_say() {
    let lab = Lab::new();
    let only = |scope: Scope| {
        lab.key(KeyKind::Publishable, [scope].into_iter().collect(), None)
            .key
    };
    let (reader, sender) = (only(Scope::Read), only(Scope::Ingest));
    let refused = lab.send("POST", "/v1/ingest", reader.as_str(), &[], one("a").as_bytes());
    assert_eq!(
        refused.error(),
        error(403, "scope_missing", "this key lacks the scope `ingest`")
    );
    assert_eq!(
        lab.send("GET", "/v1/events", sender.as_str(), &[], b"").error().1,
        "scope_missing"
    );
    assert_eq!(lab.get("/v1/keys").error().1, "scope_missing");
    assert_eq!(
        lab.send("POST", "/v1/ingest", sender.as_str(), &[], one("a").as_bytes())
            .status,
        202
    );
}

#[test]
fn a_new_agent_beyond_the_limit_is_refused_before_anything_is_counted() {
    let lab = Lab::new();
    lab.set(OrgSettings {
        max_agents: Some(1),
        ..OrgSettings::default()
    });
    let body = format!(r#"{{"events":[{},{}]}}"#, event("a", ""), event("b", ""));
    let answer = lab.ingest(&body);
    assert_eq!((answer.status, answer.error().1.as_str()), (403, "agent_limit"));
    assert_eq!(answer.json()["details"][0]["event"], 1);
    assert_eq!(lab.get("/v1/events").json()["count"], 0);
    let lenient = lab
        .send(
            "POST",
            "/v1/ingest",
            &lab.pk,
            &[("Prefer", "handling=lenient")],
            body.as_bytes(),
        )
        .json();
    assert_eq!(
        (&lenient["accepted"], &lenient["rejected"][0]["event"]),
        (&1.into(), &1.into())
    );
    let none = lab.send(
        "POST",
        "/v1/ingest",
        &lab.pk,
        &[("Prefer", "handling=lenient")],
        one("c").as_bytes(),
    );
    assert_eq!((none.status, &none.json()["accepted"]), (202, &0.into()));
    let metrics = String::from_utf8(lab.get("/metrics").body).unwrap();
    let refused = r#"repute_events_refused_total{reason="agent_limit"} 4"#; // two, one and one
    assert!(metrics.contains(refused), "{metrics}");
    for (path, body) in [
        ("/v1/agents", r#"{"agent_id":"c"}"#),
        ("/v1/evaluate", r#"{"agent_id":"c","output":"x"}"#),
    ] {
        let answer = lab.send("POST", path, &lab.pk, &[], body.as_bytes());
        assert_eq!(answer.error().1, "agent_limit", "{path}");
        assert_eq!(answer.json().get("details"), None, "{path}: it has no events");
    }
}

#[test]
fn a_signature_is_checked_before_anything_is_parsed() {
    let lab = Lab::new();
    let body = one("a");
    let send = |headers: &[(&str, &str)], body: &[u8]| lab.send("POST", "/v1/ingest", &lab.pk, headers, body);
    let good = SigningKey::new(&lab.sk).sign(body.as_bytes());
    let upper = format!("sha256={}", good.trim_start_matches("sha256=").to_uppercase());
    let wrong = SigningKey::new("sk_live_other").sign(body.as_bytes());
    assert_eq!(send(&[("X-Pecta-Signature", &good)], body.as_bytes()).status, 202);
    assert_eq!(
        send(&[("X-Repute-Signature", &upper)], body.as_bytes()).status,
        202
    );
    assert_eq!(lab.get("/v1/events?limit=1").json()["events"][0]["signed"], true);
    for header in [wrong.as_str(), "sha256=", "md5=00", "nonsense"] {
        assert_eq!(
            send(&[("X-Pecta-Signature", header)], b"not json").error().1,
            "hmac_invalid",
            "{header}"
        );
    }
    let both = [
        ("X-Pecta-Signature", good.as_str()),
        ("X-Repute-Signature", wrong.as_str()),
    ];
    assert_eq!(send(&both, body.as_bytes()).error().1, "hmac_invalid");
    let twice = [("X-Pecta-Signature", good.as_str()); 2];
    assert_eq!(send(&twice, body.as_bytes()).error().1, "hmac_invalid");
    let packed = gzip(body.as_bytes());
    let over_sent = SigningKey::new(&lab.sk).sign(&packed);
    let signed = [
        ("Content-Encoding", "gzip"),
        ("X-Pecta-Signature", over_sent.as_str()),
    ];
    assert_eq!(send(&signed, &packed).status, 202);

    lab.set(OrgSettings {
        signature: SignatureRule::Required,
        ..OrgSettings::default()
    });
    assert_eq!(send(&[], body.as_bytes()).error().1, "hmac_missing");
    let keys = lab.send("GET", "/v1/keys", &lab.sk, &[], b"").json();
    let secret = keys["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["kind"] == "secret")
        .unwrap()["id"]
        .clone();
    let path = format!("/v1/keys/{}", secret.as_str().unwrap());
    let (status, code, _) = lab.send("DELETE", &path, &lab.sk, &[], b"").error();
    assert_eq!((status, code.as_str()), (409, "last_secret_key"));
    lab.set(OrgSettings::default());
    assert_eq!(lab.send("DELETE", &path, &lab.sk, &[], b"").status, 204);
    assert_eq!(
        send(&[("X-Pecta-Signature", &good)], body.as_bytes()).error().1,
        "hmac_no_secret"
    );
}

#[test]
fn a_signature_over_the_time_is_good_for_300_seconds() {
    let lab = Lab::new();
    let body = one("a");
    let key = SigningKey::new(&lab.sk);
    let send = |headers: &[(&str, &str)]| {
        let answer = lab.send("POST", "/v1/ingest", &lab.pk, headers, body.as_bytes());
        if answer.status == 202 {
            return String::new();
        }
        let (_, code, sentence) = answer.error();
        format!("{code}: {sentence}")
    };
    let now_s = u64::try_from(lab.now().0 / 1_000_000).unwrap();
    let at = |unix_s: u64| SignatureTime::new(unix_s);
    let signed_at = |unix_s: u64, header: &str| {
        let (time, signature) = (at(unix_s), key.sign_at(&at(unix_s), body.as_bytes()));
        send(&[("X-Repute-Timestamp", time.as_str()), (header, &signature)])
    };
    let far = "hmac_invalid: X-Repute-Timestamp: more than 300 s from the server's clock: sign again, and look at your own clock";
    // A minute is left for a slow machine.
    for rule in [SignatureRule::Optional, SignatureRule::Timestamped] {
        lab.set(OrgSettings {
            signature: rule,
            ..OrgSettings::default()
        });
        for header in ["X-Pecta-Signature", "X-Repute-Signature"] {
            for near in [now_s - 240, now_s, now_s + 240] {
                assert_eq!(signed_at(near, header), "", "{rule:?}");
            }
            for wrong in [0, now_s - 301, now_s + 361] {
                assert_eq!(signed_at(wrong, header), far, "{rule:?}");
            }
        }
        // Neither the time nor the body can be exchanged, and a time that is sent is signed.
        let (time, plain) = (at(now_s), key.sign(body.as_bytes()));
        let other = key.sign_at(&at(now_s - 1), body.as_bytes());
        for signature in [plain.as_str(), other.as_str()] {
            let sent = [
                ("X-Repute-Timestamp", time.as_str()),
                ("X-Pecta-Signature", signature),
            ];
            assert!(
                send(&sent).starts_with("hmac_invalid: the signature matches"),
                "{rule:?}"
            );
        }
        let good = key.sign_at(&time, body.as_bytes());
        let twice = [
            ("X-Repute-Timestamp", time.as_str()),
            ("X-Repute-Timestamp", time.as_str()),
            ("X-Pecta-Signature", &good),
        ];
        assert!(send(&twice).starts_with("hmac_invalid"), "{rule:?}");
        let no_time = [
            ("X-Repute-Timestamp", "today"),
            ("X-Pecta-Signature", good.as_str()),
        ];
        assert_eq!(
            send(&no_time),
            "hmac_invalid: X-Repute-Timestamp: not a time in whole seconds since 1970"
        );
    }
    // What was captured without a time is of no use here.
    assert_eq!(
        send(&[("X-Pecta-Signature", &key.sign(body.as_bytes()))]),
        "hmac_missing: the organisation requires X-Repute-Timestamp and a signature over it and the body"
    );
    assert!(send(&[]).starts_with("hmac_missing"));
    assert!(send(&[("X-Repute-Timestamp", at(now_s).as_str())]).starts_with("hmac_missing"));
    let limits = lab.get("/v1/whoami").json()["limits"].clone();
    assert_eq!(
        (&limits["require_signature"], &limits["require_timestamp"]),
        (&true.into(), &true.into())
    );
}

#[test]
fn keys_rotate_with_overlap_and_the_last_live_one_stays() {
    let lab = Lab::new();
    lab.set(OrgSettings {
        signature: SignatureRule::Timestamped,
        ..OrgSettings::default()
    });
    let body = one("a");
    let ingest = |key: &str| {
        let time = SignatureTime::new(u64::try_from(lab.now().0 / 1_000_000).unwrap());
        let signature = SigningKey::new(key).sign_at(&time, body.as_bytes());
        let headers = [
            ("X-Repute-Timestamp", time.as_str()),
            ("X-Repute-Signature", signature.as_str()),
        ];
        lab.send("POST", "/v1/ingest", &lab.pk, &headers, body.as_bytes())
    };
    let revoke = |key: &str, id: &str| lab.send("DELETE", &format!("/v1/keys/{id}"), key, &[], b"");
    let made = lab
        .send("POST", "/v1/keys", &lab.sk, &[], br#"{"kind":"secret"}"#)
        .json();
    let (new, new_id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
    for key in [&lab.sk, new] {
        assert_eq!(ingest(key).status, 202, "both while they overlap");
    }
    // One that has expired counts as none: the other cannot go, and it can.
    let soon = Micros(lab.now().0 + 50_000);
    let short = lab.key(KeyKind::Secret, Scopes::default_of(KeyKind::Secret), Some(soon));
    let old_id = lab.send("GET", "/v1/whoami", &lab.sk, &[], b"").json()["key_id"].clone();
    assert_eq!(revoke(new, old_id.as_str().unwrap()).status, 204);
    assert_eq!(ingest(&lab.sk).error().1, "hmac_invalid");
    while lab.now() <= soon {
        std::thread::yield_now();
    }
    assert_eq!(ingest(short.key.as_str()).error().1, "hmac_invalid");
    let (status, code, _) = revoke(new, new_id).error();
    assert_eq!((status, code.as_str()), (409, "last_secret_key"));
    assert_eq!(revoke(new, &short.info.id.0.to_string()).status, 204);
    assert_eq!(ingest(new).status, 202);
}

#[test]
fn a_body_too_large_is_refused_on_the_wire_and_unpacked() {
    let lab = Lab::with(|config| config.max_body_bytes = 100_000);
    let sentence = "the body is larger than 100000 bytes: send fewer events";
    let large = vec![b' '; 100_001];
    assert_eq!(lab.ingest(&large).error(), error(413, "body_too_large", sentence));
    let bomb = vec![b' '; 50_000_000];
    let packed = [
        ("gzip", gzip(&bomb)),
        ("zstd", zstd::encode_all(&bomb[..], 3).unwrap()),
    ];
    for (encoding, body) in packed {
        assert!(body.len() < 100_000);
        let answer = lab.send(
            "POST",
            "/v1/ingest",
            &lab.pk,
            &[("Content-Encoding", encoding)],
            &body,
        );
        assert_eq!(
            answer.error(),
            error(413, "body_too_large", sentence),
            "{encoding}"
        );
    }
    let mut fits = one("a").into_bytes();
    fits.resize(100_000, b' ');
    assert_eq!(lab.ingest(&fits).status, 202);
}

#[test]
fn only_known_encodings_are_taken() {
    let lab = Lab::new();
    let head = format!(
        "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 2\r\n",
        lab.pk
    );
    let no_text = [head.as_bytes(), b"Content-Encoding: \xff\r\n\r\n{}"].concat();
    assert_eq!(lab.raw(&no_text, false).error().1, "unsupported_encoding");
    for encoding in ["br", "gzip, zstd", "deflate", "b\u{159}"] {
        let answer = lab.send(
            "POST",
            "/v1/ingest",
            &lab.pk,
            &[("Content-Encoding", encoding)],
            b"{}",
        );
        let (status, code, _) = answer.error();
        assert_eq!(
            (status, code.as_str()),
            (415, "unsupported_encoding"),
            "{encoding}"
        );
    }
    let body = one("a");
    let packed = [
        ("identity", body.clone().into_bytes()),
        ("gzip", gzip(body.as_bytes())),
        ("zstd", zstd::encode_all(body.as_bytes(), 3).unwrap()),
    ];
    for (encoding, body) in packed {
        assert_eq!(
            lab.send(
                "POST",
                "/v1/ingest",
                &lab.pk,
                &[("Content-Encoding", encoding)],
                &body
            )
            .status,
            202
        );
    }
}

#[test]
fn a_zstd_window_may_be_of_any_size_and_a_field_of_a_gzip_header_may_not() {
    let lab = Lab::new();
    let body = one("a");
    let mut wide = zstd::stream::write::Encoder::new(Vec::new(), 22).unwrap();
    wide.window_log(27).unwrap();
    wide.write_all(body.as_bytes()).unwrap();
    let wide = wide.finish().unwrap();
    let send = |encoding, body: &[u8]| {
        let headers = [("Content-Encoding", encoding)];
        lab.send("POST", "/v1/ingest", &lab.pk, &headers, body)
    };
    assert_eq!(send("zstd", &wide).status, 202);
    let mut named = flate2::GzBuilder::new()
        .comment(vec![b'c'; 1 << 20])
        .write(Vec::new(), flate2::Compression::fast());
    named.write_all(body.as_bytes()).unwrap();
    let named = named.finish().unwrap();
    let sentence = "the body's gzip header has a field of more than 65535 bytes";
    assert_eq!(
        send("gzip", &named).error(),
        error(400, "bad_json", sentence),
        "which is not to say that it is broken"
    );
}

#[test]
fn a_gzip_body_has_a_thousand_members_at_most() {
    let lab = Lab::new();
    let body = gzip(one("a").as_bytes());
    let send = |empty: usize| {
        let body = [body.clone(), gzip(b"").repeat(empty)].concat();
        lab.send(
            "POST",
            "/v1/ingest",
            &lab.pk,
            &[("Content-Encoding", "gzip")],
            &body,
        )
    };
    assert_eq!(send(999).status, 202);
    let sentence = "the body has more than 1000 gzip members: pack it as one";
    for beyond in [1_000, 800_000] {
        assert_eq!(send(beyond).error(), error(400, "bad_json", sentence));
    }
}

#[test]
fn a_zstd_body_that_is_damaged_is_never_too_large() {
    let lab = Lab::with(|config| config.max_body_bytes = 1 << 20);
    let one = one("a");
    let mut unsized_frame = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    unsized_frame.write_all(one.repeat(20).as_bytes()).unwrap();
    for whole in [
        unsized_frame.finish().unwrap(),
        zstd::bulk::compress(one.as_bytes(), 3).unwrap(),
        zstd::bulk::compress(one.repeat(20).as_bytes(), 3).unwrap(),
    ] {
        for bit in 8 * 6..8 * whole.len() {
            let mut body = whole.clone();
            body[bit / 8] ^= 1 << (bit % 8);
            let headers = [("Content-Encoding", "zstd")];
            let answer = lab.send("POST", "/v1/ingest", &lab.pk, &headers, &body);
            assert_ne!(answer.status, 413, "bit {bit}");
        }
    }
}

#[test]
fn a_zstd_body_that_unpacks_to_more_than_it_says_is_broken() {
    let lab = Lab::new();
    let mut body = zstd::bulk::compress(one("a").as_bytes(), 3).unwrap();
    // The size stands behind the magic number and a byte of flags.
    assert!(usize::from(body[5]) == one("a").len());
    body[5] -= 7;
    let headers = [("Content-Encoding", "zstd")];
    let answer = lab.send("POST", "/v1/ingest", &lab.pk, &headers, &body);
    assert_eq!(
        answer.error(),
        error(400, "bad_json", "the body is not whole zstd data")
    );
}

#[test]
fn a_request_names_its_host_once_and_codes_its_transfer_in_chunks_alone() {
    let lab = Lab::new();
    let key = &lab.pk;
    let ask = |version: &str, headers: &str| {
        let request =
            format!("POST /v1/agents HTTP/{version}\r\nAuthorization: Bearer {key}\r\n{headers}\r\n");
        let body = if headers.contains("chunked") {
            "10\r\n{\"agent_id\":\"ab\"}\r\n0\r\n\r\n"
        } else {
            "{\"agent_id\":\"ab\"}"
        };
        lab.raw(&[request.as_bytes(), body.as_bytes()].concat(), false)
    };
    assert_eq!(ask("1.0", "Content-Length: 17\r\n").status, 201);
    assert_eq!(ask("1.1", "Host: x\r\nContent-Length: 17\r\n").status, 201);
    assert_eq!(ask("1.1", "Host:\r\nContent-Length: 17\r\n").status, 201);
    for headers in ["", "Host: x\r\nHost: x\r\n"] {
        let refused = ask("1.1", &format!("{headers}Content-Length: 17\r\n"));
        let sentence = "Host: HTTP/1.1 asks for exactly one";
        assert_eq!(refused.error(), error(400, "validation_error", sentence));
        assert_eq!(refused.header("connection"), Some("close"));
    }
    for coding in [
        "gzip, chunked",
        "chunked, chunked",
        "gzip\r\nTransfer-Encoding: chunked",
    ] {
        let refused = ask("1.1", &format!("Host: x\r\nTransfer-Encoding: {coding}\r\n"));
        let (status, code, sentence) = refused.error();
        assert_eq!(
            (status, code.as_str()),
            (400, "validation_error"),
            "{coding}: {sentence}"
        );
        assert_eq!(refused.header("connection"), Some("close"));
    }
    assert_ne!(
        ask("1.1", "Host: x\r\nTransfer-Encoding: Chunked\r\n").error().1,
        "validation_error"
    );
}

#[test]
fn who_is_turned_away_before_a_small_body_came_reads_the_answer_and_goes_on() {
    let lab = Lab::with(|config| config.rate_limit = 1);
    let unknown = format!("pk_live_{}", "0".repeat(32));
    let mut stream = lab.connect();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    for (request, key, status) in [
        ("POST /v1/ingest", &unknown, 401),
        ("POST /v1/nope", &unknown, 404),
        ("PUT /v1/ingest", &unknown, 405),
        ("POST /v1/keys", &lab.pk, 403),
        ("POST /v1/keys", &lab.pk, 429),
    ] {
        let head = format!(
            "{request} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 1000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(30)); // the body is a packet of its own
        stream.write_all(&[b' '; 1_000]).unwrap();
        let answer = answer_on(&mut stream, false);
        assert_eq!((answer.status, answer.header("connection")), (status, None));
    }
    // Who asks first whether to send is told at once, and so is who would send much.
    for (bytes, expect) in [(1_000, "Expect: 100-continue\r\n"), (1 << 20, "")] {
        let head = format!(
            "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {unknown}\r\n{expect}Content-Length: {bytes}\r\n\r\n"
        );
        let answer = lab.raw(head.as_bytes(), false);
        assert_eq!((answer.status, answer.header("connection")), (401, Some("close")));
    }
}

#[test]
fn who_is_refused_while_sending_a_large_body_reads_the_answer() {
    let lab = Lab::with(|config| config.max_body_bytes = 8 << 20);
    // Beside a body that has its whole budget there is no room.
    let tight = Lab::with(|config| config.bytes_in_flight = 1 << 20);
    let mut first = tight.connect();
    let head = format!(
        "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 3000000\r\n\r\n",
        tight.pk
    );
    first.write_all(head.as_bytes()).unwrap();
    first.write_all(&vec![b' '; 2_000_000]).unwrap();
    let in_flight = || {
        let metrics = String::from_utf8(tight.get("/metrics").body).unwrap();
        let value = metrics
            .lines()
            .find_map(|line| line.strip_prefix("repute_body_bytes_in_flight "));
        value.unwrap().parse::<usize>().unwrap()
    };
    while in_flight() < 2_000_000 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let unknown = format!("pk_live_{}", "0".repeat(32));
    for (lab, path, key, bytes, status) in [
        (&lab, "/v1/ingest", &unknown, 5 << 20, 401),
        (&lab, "/v1/nope", &unknown, 5 << 20, 404),
        (&lab, "/v1/keys", &lab.pk, 5 << 20, 403),
        (&lab, "/v1/ingest", &lab.pk, 9 << 20, 413),
        (&tight, "/v1/ingest", &tight.pk, 5 << 20, 503),
        (&lab, "/v1/evaluate", &lab.pk, 5 << 20, 413),
    ] {
        for is_chunked in [false, true] {
            let mut stream = lab.connect();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let (length, end) = if is_chunked {
                (
                    format!("Transfer-Encoding: chunked\r\n\r\n{bytes:x}"),
                    "\r\n0\r\n\r\n",
                )
            } else {
                (format!("Content-Length: {bytes}\r\n"), "")
            };
            let head =
                format!("POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{length}\r\n");
            let case = format!("{path} {status} chunked: {is_chunked}");
            let request = [head.as_bytes(), &vec![b' '; bytes], end.as_bytes()].concat();
            stream.write_all(&request).expect(&case);
            let answer = answer_on(&mut stream, false);
            assert_eq!(
                (answer.status, answer.header("connection")),
                (status, Some("close")),
                "{case}"
            );
            assert_eq!(
                stream.read(&mut [0]).expect(&case),
                0,
                "{case}: the connection ends"
            );
        }
    }
    // Nobody reads without an end.
    let mut stream = lab.connect();
    let head = "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let piece = vec![b' '; 1 << 20];
    assert!((0..64).any(|_| stream.write_all(&piece).is_err()));
}

#[test]
fn a_stop_does_not_wait_for_the_rest_of_a_refused_body() {
    for announced in [6_000, 6_000_000] {
        let lab = Lab::with(|config| config.drain_timeout = Duration::from_secs(600));
        let mut stream = lab.connect();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let head = format!("POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Length: {announced}\r\n\r\n{{");
        stream.write_all(head.as_bytes()).unwrap();
        assert_eq!(answer_on(&mut stream, false).status, 401);
        let started = Instant::now();
        drop(lab);
        assert!(started.elapsed() < Duration::from_secs(8), "{announced}");
    }
}

#[test]
fn a_body_that_no_route_looks_at_is_thrown_away_too() {
    let lab = Lab::new();
    let mut stream = lab.connect();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let many = "X-Many: x\r\n".repeat(101);
    for (request, headers, status) in [("OPTIONS", "", 204), ("POST", many.as_str(), 431)] {
        let head = format!("{request} /v1/ingest HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: 10\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(30)); // the body is a packet of its own
        stream.write_all(&[b' '; 10]).unwrap();
        assert_eq!(answer_on(&mut stream, request == "OPTIONS").status, status);
    }
    stream
        .write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    assert_eq!(answer_on(&mut stream, false).status, 200);
}

#[test]
fn a_stalled_body_times_out() {
    let lab = Lab::with(|config| config.body_idle_timeout = Duration::from_millis(50));
    let head = format!(
        "POST /v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 100\r\n\r\n{{",
        lab.pk
    );
    let answer = lab.raw(head.as_bytes(), false);
    assert_eq!(
        answer.error(),
        error(408, "request_timeout", "the body did not arrive in time")
    );
}

#[test]
fn headers_are_bounded() {
    let lab = Lab::new();
    let answer = lab.send(
        "GET",
        "/v1/events",
        &lab.pk,
        &[("X-Large", &"x".repeat(33_000))],
        b"",
    );
    assert_eq!(answer.error().1, "headers_too_large");
    assert_eq!(answer.status, 431);
    // The kit sends Host, Authorization and Content-Length.
    let with = |headers: usize| {
        let more: Vec<(&str, &str)> = vec![("X-Many", "x"); headers - 3];
        lab.send("GET", "/v1/events", &lab.pk, &more, b"")
    };
    assert_eq!(with(100).status, 200);
    for beyond in [101, 512, 600] {
        let (status, code, _) = with(beyond).error();
        assert_eq!((status, code.as_str()), (431, "headers_too_large"), "{beyond}");
    }
}

#[test]
fn what_cannot_be_read_as_a_request_is_refused_like_everything_else() {
    let lab = Lab::new();
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(70_000));
    let large = format!(
        "GET /health HTTP/1.1\r\nX-Large: {}\r\n\r\n",
        "x".repeat(1_000_000)
    );
    let sentence = "the request line or the headers are larger than the server reads";
    for request in [long, large] {
        let answer = lab.raw(request.as_bytes(), false);
        assert_eq!(answer.error(), error(431, "headers_too_large", sentence));
    }
    for request in [
        "hello\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0",
        "GET /health HTTP/1.1\r\nX: a\0b\r\n\r\n",
        "GET /health HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
        "GET /health HTTP/1.1\r\nX : a\r\n\r\n",
        "POST /v1/ingest HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST /v1/ingest HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST /v1/ingest HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
    ] {
        let answer = lab.raw(request.as_bytes(), false);
        let expected = error(400, "validation_error", "the request is not well-formed HTTP/1.1");
        assert_eq!(answer.error(), expected, "{request}");
        assert_eq!(answer.header("connection"), Some("close"));
    }
    let metrics = String::from_utf8(lab.get("/metrics").body).unwrap();
    for counted in [
        r#"repute_requests_total{route="none",method="other",code="400"} 8"#,
        r#"repute_requests_total{route="none",method="other",code="431"} 2"#,
    ] {
        assert!(metrics.contains(counted), "{counted} is missing in {metrics}");
    }
}

#[test]
fn unknown_routes_and_methods_are_told() {
    let lab = Lab::new();
    assert_eq!(lab.get("/nope").error(), error(404, "not_found", "no such route"));
    let slash = "no such route: an agent_id is one path segment; write a slash in it as %2F";
    assert_eq!(
        lab.get("/v1/reputation/a/b").error(),
        error(404, "not_found", slash)
    );
    assert_eq!(
        lab.get("/v1/events/999").error(),
        error(404, "not_found", "no such event")
    );
    let answer = lab.send("PUT", "/v1/agents", &lab.pk, &[], b"");
    assert_eq!(
        answer.error(),
        error(405, "method_not_allowed", "this route does not take that method")
    );
    assert_eq!(answer.header("allow"), Some("GET,HEAD,POST"));
}

#[test]
fn more_requests_than_the_limit_are_told_when_to_come_again() {
    let lab = Lab::with(|config| (config.ingest_rate_limit, config.rate_limit) = (2, 1));
    let first = lab.ingest(one("a"));
    assert_eq!(first.header("ratelimit-policy"), Some("\"minute\";q=2;w=60"));
    assert_eq!(first.header("ratelimit"), Some("\"minute\";r=1;t=60"));
    assert_eq!(lab.ingest("{").status, 400, "a request with a good key counts");
    let refused = lab.ingest(one("a"));
    assert_eq!(
        (refused.status, refused.error().1.as_str()),
        (429, "rate_limited")
    );
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds));
    assert_eq!(
        (lab.get("/v1/events").status, lab.get("/v1/events").status),
        (200, 429)
    );
    assert_eq!(lab.get("/health").status, 200);
}

#[test]
fn an_organisations_own_limit_wins_and_what_is_shed_or_without_a_good_key_does_not_count() {
    let lab = Lab::with(|config| (config.ingest_rate_limit, config.bytes_in_flight) = (1, 300));
    lab.set(OrgSettings {
        ingest_rate_limit: Some(2),
        ..OrgSettings::default()
    });
    let held = hold_bytes(&lab);
    let unknown = format!("pk_live_{}", "0".repeat(32));
    let body = one("a");
    for _ in 0..3 {
        assert_eq!(
            lab.send("POST", "/v1/ingest", &unknown, &[], body.as_bytes())
                .status,
            401
        );
        assert_eq!(lab.ingest(vec![b' '; 300]).status, 503);
    }
    drop(held);
    let statuses = [0; 3].map(|_| lab.ingest(&body).status);
    assert_eq!(statuses, [202, 202, 429]);
}

/// A body of which one byte is there, so that no other is alone in memory.
fn hold_bytes(lab: &Lab) -> std::net::TcpStream {
    let mut stream = lab.connect();
    let head = format!(
        "POST /v1/agents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 2\r\n\r\n{{",
        lab.pk
    );
    stream.write_all(head.as_bytes()).unwrap();
    let started = std::time::Instant::now();
    while !String::from_utf8(lab.get("/metrics").body)
        .unwrap()
        .contains("repute_body_bytes_in_flight 1\n")
    {
        assert!(started.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(5));
    }
    stream
}

#[test]
fn too_much_in_flight_is_shed_before_the_body_is_read() {
    let lab = Lab::with(|config| config.bytes_in_flight = 50);
    let _held = hold_bytes(&lab);
    let answer = lab.ingest(one("a"));
    let (status, code, sentence) = answer.error();
    assert_eq!(
        (status, code.as_str(), answer.header("retry-after")),
        (503, "unavailable", Some("1"))
    );
    assert!(sentence.starts_with("not kept: "), "{sentence}");
}

#[test]
fn the_checks_come_in_their_order() {
    let lab = Lab::with(|config| config.max_body_bytes = 1_000);
    let large = vec![b'x'; 2_000];
    let bad_signature = [("X-Pecta-Signature", "nonsense"), ("Content-Encoding", "br")];
    let unknown = format!("pk_live_{}", "0".repeat(32));
    let send =
        |path: &str, key: &str, body: &[u8]| lab.send("POST", path, key, &bad_signature, body).error().1;
    assert_eq!(send("/v1/nope", &unknown, &large), "not_found");
    assert_eq!(send("/v1/ingest", &unknown, &large), "auth_invalid");
    assert_eq!(send("/v1/ingest", &lab.pk, &large), "body_too_large");
    assert_eq!(send("/v1/ingest", &lab.pk, b"{"), "hmac_invalid");
    for path in ["/v1/ingest?x=1", "/v1/evaluate?x=1"] {
        assert_eq!(send(path, &lab.pk, &vec![b'x'; 2 << 20]), "body_too_large");
        assert_eq!(send(path, &lab.pk, b"{"), "hmac_invalid", "{path}");
    }
    for path in [
        "/v1/ingest",
        "/v1/ingest?x=1",
        "/v1/evaluate?x=1",
        "/v1/agents?x=1",
    ] {
        let answer = lab.send("POST", path, &lab.pk, &bad_signature[1..], b"{");
        assert_eq!(answer.error().1, "unsupported_encoding", "{path}");
    }
}

#[test]
fn revoking_takes_effect_at_once() {
    let lab = Lab::new();
    let made = lab.key(
        KeyKind::Publishable,
        Scopes::default_of(KeyKind::Publishable),
        None,
    );
    let ask = || lab.send("GET", "/v1/whoami", made.key.as_str(), &[], b"");
    assert_eq!(ask().status, 200);
    lab.accounts
        .revoke_key(lab.org, made.info.id, lab.now(), Actor::Operator)
        .unwrap();
    assert_eq!(ask().error().1, "auth_revoked");
}

#[test]
fn what_is_changed_while_a_body_arrives_holds_for_that_body() {
    let lab = Lab::new();
    let body = one("a");
    let begin = |path: &str, key: &str| {
        let mut stream = lab.connect();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body.as_bytes()[..5]).unwrap();
        let in_flight = || String::from_utf8(lab.get("/metrics").body).unwrap();
        let started = std::time::Instant::now();
        while !in_flight().contains("repute_body_bytes_in_flight 5\n") {
            assert!(started.elapsed() < Duration::from_secs(10));
            std::thread::sleep(Duration::from_millis(5));
        }
        stream
    };
    let end = |mut stream: std::net::TcpStream| {
        stream.write_all(&body.as_bytes()[5..]).unwrap();
        let answer = answer_on(&mut stream, false);
        drop(stream);
        answer.error().1
    };
    for path in ["/v1/ingest", "/v1/evaluate", "/v1/agents", "/v1/keys"] {
        let made = lab.key(KeyKind::Secret, Scopes::default_of(KeyKind::Secret), None);
        let begun = begin(path, made.key.as_str());
        lab.accounts
            .revoke_key(lab.org, made.info.id, lab.now(), Actor::Operator)
            .unwrap();
        assert_eq!(end(begun), "auth_revoked", "{path}");
    }
    for path in ["/v1/ingest", "/v1/evaluate"] {
        lab.set(OrgSettings::default());
        let begun = begin(path, &lab.pk);
        lab.set(OrgSettings {
            signature: SignatureRule::Required,
            ..OrgSettings::default()
        });
        assert_eq!(end(begun), "hmac_missing", "{path}");
    }
    lab.set(OrgSettings {
        max_agents: Some(0),
        ..OrgSettings::default()
    });
    assert_eq!(lab.get("/v1/events").json()["count"], 0);
}
