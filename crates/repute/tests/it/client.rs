//! The Rust client against the real program: every typed call, and what it says when one fails.

use crate::kit::{Server, run, said};
use repute_client::{
    AgentsOrder, ApiError, Client, ClientBuilder, Evaluate, Event, EventFilter, Gate, State, Status,
    Telemetry,
};
use rustix::process::Signal;
use serde_json::Value;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

fn client(server: &Server) -> Client {
    let address = format!("http://{}/", server.address);
    Client::builder()
        .url(address)
        .api_key(&server.publishable)
        .build()
        .unwrap()
}

fn telemetry(server: &Server, key: &str) -> Telemetry {
    Telemetry::builder()
        .url(format!("http://{}", server.address))
        .api_key(key)
        .build()
        .unwrap()
}

#[test]
fn what_is_tracked_is_found_by_every_read() {
    let server = Server::start(&[]);
    let tracked = telemetry(&server, &server.publishable);
    for index in 0..230 {
        let gate = Gate::failed("pii", Duration::from_micros(1_500), "an email address 🦀");
        let gates = if index == 7 {
            vec![gate]
        } else {
            vec![Gate::skipped("pii")]
        };
        let event = Event::of_gates(gates).agent("a/ü .%").tool("send mail");
        tracked.track(event.at(std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + index)));
    }
    tracked.track(Event::new(true).agent("b"));
    assert!(tracked.flush(PATIENCE), "{:?}", tracked.books());

    let client = client(&server);
    let reputation = client.reputation("a/ü .%").unwrap();
    assert_eq!(
        (reputation.evaluations, reputation.passed, reputation.streak),
        (230, 229, 222)
    );
    assert_eq!(reputation.status, Status::Active);
    let both = client.reputations(&["b", "nobody", "a/ü .%"]).unwrap();
    assert_eq!(both[2], reputation);
    assert_eq!((both[0].evaluations, both[1].status), (1, Status::New));
    let many: Vec<String> = (0..250).map(|index| format!("agent {index}")).collect();
    let standing = client.reputations(&many).unwrap();
    assert!(standing.iter().map(|one| &one.agent_id).eq(&many));

    let all: Vec<_> = client
        .events(EventFilter::of_agent("a/ü .%"))
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(all.len(), 230);
    assert!(
        all.is_sorted_by(|one, next| one.created_at > next.created_at),
        "newest first"
    );
    let failed = EventFilter::of_agent("a/ü .%")
        .passed(false)
        .failed_gate("pii")
        .tool("send mail");
    let failed: Vec<_> = client.events(failed).collect::<Result<_, _>>().unwrap();
    assert_eq!(failed, all[222..223]);
    assert_eq!(failed[0].gates[0].reason.as_deref(), Some("an email address 🦀"));
    assert_eq!(failed[0].gates[0].latency_ms, 1.5);
    assert_eq!(client.event(&failed[0].id).unwrap(), failed[0]);
    let by_id = EventFilter::of_agent("a/ü .%").evaluation_id(all[3].evaluation_id.clone().unwrap());
    let span = by_id.from(&all[3].created_at).to(&all[3].created_at);
    assert_eq!(
        client.events(span).collect::<Result<Vec<_>, _>>().unwrap(),
        all[3..4]
    );

    client.register_agent("c").unwrap();
    let agents: Vec<_> = client
        .agents(AgentsOrder::AgentId)
        .collect::<Result<_, _>>()
        .unwrap();
    let names: Vec<&str> = agents.iter().map(|agent| &*agent.agent_id).collect();
    assert_eq!(names, ["a/ü .%", "b", "c"]);
    assert_eq!(
        (agents[0].eval_count, agents[0].score),
        (230, Some(reputation.score))
    );
    let who = client.whoami().unwrap();
    assert_eq!((&*who.organisation, &*who.kind), ("default", "publishable"));
}

#[test]
fn agents_beyond_a_page_are_all_listed_once() {
    let server = Server::start(&[]);
    let client = client(&server);
    let batch: Vec<Event> = (0..100).map(|_| Event::new(true)).collect();
    for hundred in 0..7 {
        let events: Vec<Event> = batch
            .iter()
            .enumerate()
            .map(|(at, event)| event.clone().agent(format!("agent-{:03}", hundred * 100 + at)))
            .collect();
        assert_eq!(client.ingest(&events).unwrap().accepted, 100);
    }
    for order in [AgentsOrder::AgentId, AgentsOrder::LastSeen] {
        let mut names: Vec<String> = client
            .agents(order)
            .map(|agent| agent.unwrap().agent_id)
            .collect();
        names.sort();
        let expected: Vec<String> = (0..700).map(|index| format!("agent-{index:03}")).collect();
        assert_eq!(names, expected, "{order:?}");
    }
}

#[test]
fn an_error_tells_all_that_the_server_said() {
    let server = Server::start(&[]);
    let client = client(&server);
    let good = Event::new(true).agent("a");
    let bad = Event::new(true).agent("a".repeat(201));
    let error = client.ingest(&[good.clone(), bad]).unwrap_err();
    assert_eq!(
        (error.status(), error.code()),
        (Some(400), Some("validation_error"))
    );
    assert_eq!(error.details()[0].event, 1);
    assert_eq!(error.details()[0].field, "agent_id");
    assert_eq!(
        error.to_string(),
        "events[1].agent_id: longer than 200 characters (400 validation_error)"
    );
    assert!(error.request_id().is_some_and(|id| server.logged().contains(id)));

    let error = client.event("no such").unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(404), Some("not_found")));
    let wrong = "pk_live_00000000000000000000000000000000";
    let address = format!("http://{}", server.address);
    let stranger = Client::builder().url(address).api_key(wrong).build().unwrap();
    assert_eq!(stranger.whoami().unwrap_err().code(), Some("auth_invalid"));
    let mut events = stranger.events(EventFilter::all());
    assert!(events.next().unwrap().is_err());
    assert!(events.next().is_none(), "a list ends with its error");
}

#[test]
fn bodies_are_signed_with_the_time_where_the_organisation_asks_for_it() {
    let server = Server::start(&[]);
    let dir = server.path().to_str().unwrap();
    let set = [
        "org",
        "set",
        "default",
        "--require-signature",
        "timestamped",
        "--json",
        "--data-dir",
        dir,
    ];
    let set = run(&set);
    let org: Value = serde_json::from_slice(&set.stdout).unwrap();
    assert_eq!(org["require_signature"], "timestamped", "{}", said(&set));
    let builder = || {
        Client::builder()
            .url(format!("http://{}", server.address))
            .api_key(&server.publishable)
    };
    let event = [Event::new(true).agent("a")];
    let ingest = |client: ClientBuilder| client.build().unwrap().ingest(&event);
    for unsigned in [builder(), builder().secret_key(&server.secret)] {
        assert_eq!(ingest(unsigned).unwrap_err().code(), Some("hmac_missing"));
    }
    let timed = builder().secret_key(&server.secret).sign_time(true);
    assert_eq!(ingest(timed.clone()).unwrap().accepted, 1);
    let limits = timed.build().unwrap().whoami().unwrap().limits;
    assert!(limits.require_signature && limits.require_timestamp);
}

#[test]
fn a_rate_limit_is_waited_for_if_it_is_short_and_told_if_it_is_long() {
    let server = Server::start(&["--rate-limit", "1"]);
    let address = format!("http://{}", server.address);
    let client = Client::builder()
        .url(address)
        .api_key(&server.publishable)
        .request_timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    client.whoami().unwrap();
    let error = client.whoami().unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(429), Some("rate_limited")));
    assert!(error.retry_after() > Some(Duration::from_secs(2)), "{error:?}");
}

#[test]
fn a_server_that_is_not_there_is_no_answer() {
    let mut server = Server::start(&[]);
    let client = client(&server);
    let _ = server.stop_with(Signal::KILL);
    assert!(matches!(client.whoami(), Err(ApiError::NoAnswer(_))));
}

#[test]
fn a_revoked_key_loses_nothing_until_another_comes() {
    let server = Server::start(&[]);
    let mut admin = crate::torture::client::Client::new(&server.address, &server.secret, PATIENCE);
    let (status, made) = admin.post("/v1/keys", br#"{"kind":"publishable"}"#).unwrap();
    assert_eq!(status, 201);
    let tracked = telemetry(&server, made["key"].as_str().unwrap());
    tracked.track(Event::new(true).agent("a"));
    assert!(tracked.flush(PATIENCE));

    let revoked = admin
        .request(
            "DELETE",
            &format!("/v1/keys/{}", made["id"].as_str().unwrap()),
            b"",
        )
        .unwrap();
    assert_eq!(revoked.0, 204);
    tracked.track(Event::new(true).agent("a"));
    assert!(!tracked.flush(PATIENCE));
    let books = tracked.books();
    assert_eq!(
        (books.state, books.delivered, books.waiting),
        (State::Paused, 1, 1)
    );
    tracked.set_api_key(&server.publishable).unwrap();
    assert!(tracked.flush(PATIENCE), "{:?}", tracked.books());
    assert_eq!(client(&server).reputation("a").unwrap().evaluations, 2);
}

#[test]
fn agents_beyond_the_limit_are_refused_and_the_others_arrive() {
    let server = Server::start(&["--max-agents", "1"]);
    let tracked = telemetry(&server, &server.publishable);
    for agent in ["a", "b", "a"] {
        tracked.track(Event::new(true).agent(agent));
    }
    assert!(!tracked.flush(PATIENCE));
    let books = tracked.books();
    assert_eq!(
        (books.delivered, &books.refused["agent_limit"]),
        (2, &1),
        "{books:?}"
    );
}

#[test]
fn an_output_is_judged_recorded_and_counted_once() {
    let server = Server::start(&[]);
    let client = client(&server);
    let letter = Evaluate::new("support-1", "write to jane@corp.example")
        .tool("send_mail")
        .latency(Duration::from_millis(420));
    let verdict = client.evaluate(&letter).unwrap();
    let failed: Vec<_> = verdict.gates.iter().filter(|gate| !gate.passed).collect();
    assert_eq!(
        failed
            .iter()
            .map(|gate| (gate.name.as_str(), gate.reason.as_deref()))
            .collect::<Vec<_>>(),
        [("pii", Some("email address detected in output"))]
    );
    assert_eq!((verdict.passed, verdict.duplicate), (false, false));
    assert_eq!(verdict.reputation.eval_count, 1);
    let again = client
        .evaluate(&letter.evaluation_id(verdict.evaluation_id.as_str()))
        .unwrap();
    assert_eq!((again.duplicate, again.reputation.eval_count), (true, 1));
    let events: Vec<_> = client
        .events(EventFilter::of_agent("support-1"))
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(
        events[0].evaluation_id.as_deref(),
        Some(verdict.evaluation_id.as_str())
    );
}
