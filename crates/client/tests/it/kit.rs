//! A server on loopback that answers as it is told, and notes what it was asked.

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub(crate) const KEY: &str = "pk_live_AbCdEfGh01234567AbCdEfGh01234567";
pub(crate) const SECRET: &str = "sk_live_AbCdEfGh01234567AbCdEfGh01234567";
const PATIENCE: Duration = Duration::from_secs(20);

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
        body: String,
    },
    Cut,
    CutTheAnswer,
    Silence,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: body.to_string(),
        }
    }

    pub(crate) fn taken() -> Self {
        Self::json(202, &json!({"accepted": 1, "reputation_updates": []}))
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) raw: Vec<u8>,
    /// Unpacked.
    pub(crate) body: Value,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(&found.1)
    }

    pub(crate) fn events(&self) -> &[Value] {
        self.body["events"].as_array().map_or(&[], Vec::as_slice)
    }
}

type Script = Box<dyn FnMut(&Request) -> Reply + Send>;

/// A server that runs as long as the test.
#[derive(Clone)]
pub(crate) struct Scripted {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Request>>>,
    script: Arc<Mutex<Script>>,
}

impl Scripted {
    pub(crate) fn new(script: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            seen: Arc::default(),
            script: Arc::new(Mutex::new(Box::new(script))),
        };
        let shared = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = shared.clone();
                std::thread::spawn(move || shared.serve(stream.unwrap()));
            }
        });
        server
    }

    /// Answers one by one, then 202 for ever.
    pub(crate) fn replaying(replies: impl IntoIterator<Item = Reply>) -> Self {
        let mut replies: VecDeque<Reply> = replies.into_iter().collect();
        Self::new(move |_| replies.pop_front().unwrap_or_else(Reply::taken))
    }

    pub(crate) fn change(&self, script: impl FnMut(&Request) -> Reply + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(request) = read_request(&mut reader) {
            let reply = {
                let mut script = self.script.lock().unwrap();
                self.seen.lock().unwrap().push(request.clone());
                script(&request)
            };
            let stream = reader.get_mut();
            match reply {
                Reply::Answer {
                    status,
                    headers,
                    body,
                } => {
                    let mut head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n", body.len());
                    for (name, value) in headers {
                        head.push_str(&format!("{name}: {value}\r\n"));
                    }
                    let answer = format!("{head}\r\n{body}");
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
                Reply::Cut => return,
                Reply::CutTheAnswer => {
                    let _ =
                        stream.write_all(b"HTTP/1.1 202 Said\r\nContent-Length: 40\r\n\r\n{\"accepted\":");
                    return;
                }
                Reply::Silence => {
                    // Until the client gives up.
                    let _ = stream.read(&mut [0]);
                    return;
                }
            }
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let headers: Vec<(String, String)> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut request = Request {
        path: lines[0].split(' ').nth(1)?.to_owned(),
        headers,
        raw: Vec::new(),
        body: Value::Null,
    };
    let length = request
        .header("content-length")
        .map_or(0, |value| value.parse().unwrap());
    request.raw = vec![0; length];
    reader.read_exact(&mut request.raw).ok()?;
    let mut unpacked = Vec::new();
    if request.header("content-encoding") == Some("gzip") {
        flate2::read::GzDecoder::new(&*request.raw)
            .read_to_end(&mut unpacked)
            .unwrap();
    } else {
        unpacked.clone_from(&request.raw);
    }
    request.body = serde_json::from_slice(&unpacked).unwrap_or(Value::Null);
    Some(request)
}

/// Waits until that holds.
pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
