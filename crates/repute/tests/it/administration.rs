//! `repute org` and `repute key`, on a running server and on a stopped one.

use crate::kit::{Server, program, run, said};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn organisations_and_keys_are_administered_running_and_stopped() {
    let mut server = Server::start(&[]);
    let dir = server.path().to_str().unwrap().to_owned();
    let ask = |arguments: &[&str]| run(&[arguments, &["--data-dir", &dir, "--json"]].concat());
    let acme = json(&ask(&["org", "create", "acme", "--max-agents", "1"]));
    assert_eq!(
        (acme["name"].as_str(), acme["max_agents"].as_u64()),
        (Some("acme"), Some(1))
    );
    let made = json(&ask(&[
        "key", "create", "acme", "--kind", "secret", "--name", "ci",
    ]));
    default_key_works(&mut server, &made);
    assert!(said(&ask(&["org", "create", "acme"])).contains("there is an organisation `acme` already"));
    assert!(said(&ask(&["key", "list", "nobody"])).contains("there is no organisation `nobody`"));

    assert_eq!(server.stop(), Some(0));
    let limited = json(&ask(&["org", "set", "acme", "--require-signature", "true"]));
    assert_eq!(
        (
            limited["require_signature"].as_bool(),
            limited["max_agents"].as_u64()
        ),
        (Some(true), Some(1))
    );
    let keys = json(&ask(&["key", "list", "acme"]));
    assert_eq!(keys["keys"][0]["last4"], &made["key"].as_str().unwrap()[36..]);
    let id = made["id"].as_str().unwrap();
    assert!(said(&ask(&["key", "revoke", "acme", id])).contains("the last live secret key"));
    json(&ask(&["org", "set", "acme", "--require-signature", "false"]));

    server.start_again(&[]);
    json(&ask(&["key", "revoke", "acme", id]));
    server.publishable = made["key"].as_str().unwrap().to_owned();
    assert_eq!(
        server.get("/v1/whoami").1["code"],
        "auth_revoked",
        "revoking takes effect at once"
    );
    let names = json(&ask(&["org", "list"]));
    assert_eq!(
        [
            &names["organisations"][0]["name"],
            &names["organisations"][1]["name"]
        ],
        ["default", "acme"]
    );
}

fn default_key_works(server: &mut Server, made: &Value) {
    let first = std::mem::replace(&mut server.publishable, made["key"].as_str().unwrap().to_owned());
    assert_eq!(server.get("/v1/whoami").1["organisation"], "acme");
    server.publishable = first;
}

#[test]
fn a_limit_is_set_and_left_to_the_server_again() {
    let server = Server::start(&[]);
    let dir = server.path().to_str().unwrap().to_owned();
    let set = |arguments: &[&str]| {
        run(&[
            &["org", "set", "default"],
            arguments,
            &["--data-dir", &dir, "--json"],
        ]
        .concat())
    };
    let limits = |org: &Value| [org["max_agents"].as_u64(), org["ingest_rate_limit"].as_u64()];
    let some = json(&set(&["--max-agents", "5", "--ingest-rate-limit", "0"]));
    assert_eq!(limits(&some), [Some(5), Some(0)]);
    let fewer = json(&set(&["--max-agents", "default"]));
    assert_eq!(limits(&fewer), [None, Some(0)]);
    assert_eq!(server.get("/v1/whoami").1["limits"]["max_agents"], 1_000_000);

    let nothing = set(&[]);
    assert_eq!(
        (nothing.status.code(), said(&nothing).as_str()),
        (
            Some(1),
            "repute: nothing to set: name at least one setting, `repute org set --help` lists them\n"
        )
    );
    let wrong = set(&["--rate-limit", "-"]);
    assert_eq!(
        (wrong.status.code(), said(&wrong).as_str()),
        (
            Some(2),
            "repute: --rate-limit: `-` is neither a whole number nor `default`\n"
        )
    );
}

#[test]
fn a_stopped_servers_keys_are_sealed_under_the_master_key_of_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let master = dir.path().join("secret");
    std::fs::write(&master, "01".repeat(32) + "\n").unwrap();
    let with_master = |arguments: &[&str]| {
        let mut command = program(arguments);
        command.env("REPUTE_MASTER_KEY_FILE", &master);
        command
    };
    let mut server = Server::start_with_keys(&mut with_master(&[]));
    assert_eq!(server.stop(), Some(0));
    let made = with_master(&["key", "create", "default", "--kind", "secret", "--data-dir"])
        .arg(server.path())
        .output()
        .unwrap();
    assert_eq!((made.status.code(), said(&made)), (Some(0), String::new()));
    assert!(!server.path().join("master.key").exists());
    server.start_with(&mut with_master(&[]));
    assert!(
        !server.logged().contains("cannot be checked"),
        "{}",
        server.logged()
    );

    assert_eq!(server.stop(), Some(0));
    let other = program(&["key", "list", "default", "--data-dir"])
        .arg(server.path())
        .env("REPUTE_MASTER_KEY", "02".repeat(32))
        .output()
        .unwrap();
    assert_eq!(other.status.code(), Some(0));
    assert!(
        said(&other).contains("the master key does not open these secret keys"),
        "{}",
        said(&other)
    );
}

#[test]
fn what_the_operator_does_is_written_down() {
    let mut server = Server::start(&[]);
    let dir = server.path().to_str().unwrap().to_owned();
    let ask = |arguments: &[&str]| run(&[arguments, &["--data-dir", &dir, "--json"]].concat());
    json(&ask(&["org", "set", "default", "--max-agents", "7"]));
    let agent = br#"{"agent_id":"some agent"}"#;
    assert_eq!(server.client().post("/v1/agents", agent).unwrap().0, 201);
    json(&ask(&["org", "erase-agent", "default", "some agent"]));
    json(&ask(&["org", "create", "acme"]));
    assert_eq!(server.stop(), Some(0));
    json(&ask(&["key", "rotate-master"]));
    let empty = server.path().join("empty.jsonl");
    std::fs::write(&empty, "").unwrap();
    json(&ask(&["import", "default", empty.to_str().unwrap()]));
    server.start_again(&[]);
    let actions = |org: &str, more: &[&str]| -> Vec<String> {
        let listed = json(&ask(&[&["org", "audit", org], more].concat()));
        let entries = listed["entries"].as_array().unwrap().iter();
        let by_operator = entries.inspect(|entry| assert_eq!(entry["actor"], "operator"));
        by_operator
            .map(|entry| entry["action"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = [
        "events.import",
        "master_key.rotate",
        "agent.erase",
        "org.set",
        "key.create",
        "key.create",
        "org.create",
    ];
    assert_eq!(actions("default", &[]), all);
    assert_eq!(actions("default", &["--limit", "2"]), all[..2]);
    assert_eq!(actions("acme", &[]), ["org.create"]);
    let table = run(&["org", "audit", "acme", "--data-dir", &dir]);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(
        table.starts_with("id  at ") && table.contains("org.create"),
        "{table}"
    );
}

#[test]
fn an_organisation_whose_last_secret_key_expires_soon_is_warned_of() {
    let mut server = Server::start(&[]);
    let dir = server.path().to_str().unwrap().to_owned();
    let ask = |arguments: &[&str]| json(&run(&[arguments, &["--data-dir", &dir, "--json"]].concat()));
    let in_5_days = wire::timestamp::format(reputation::Micros(store::now().0 + 5 * 86_400 * 1_000_000));
    ask(&[
        "key",
        "create",
        "default",
        "--kind",
        "secret",
        "--expires-at",
        &in_5_days,
    ]);
    ask(&["org", "set", "default", "--require-signature", "true"]);
    ask(&["key", "revoke", "default", "2"]);
    assert_eq!(server.stop(), Some(0));
    server.start_again(&[]);
    let started = Instant::now();
    while !server.logged().contains("no secret key that is live by then") {
        assert!(started.elapsed() < Duration::from_secs(30), "{}", server.logged());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_directory_that_is_none_of_its_own_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_owned(), dir.path().join("nowhere")] {
        let output = program(&["org", "create", "acme", "--data-dir"])
            .arg(&path)
            .output()
            .unwrap();
        let sentence = format!(
            "repute: there is nothing of Repute's in {}: start the server first, or name its directory with --data-dir \
             (REPUTE_DATA_DIR)\n",
            path.display()
        );
        assert_eq!((output.status.code(), said(&output)), (Some(1), sentence));
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_process_that_does_not_listen_is_waited_for_but_not_for_ever() {
    let mut server = Server::start(&[]);
    let dir = server.path().to_str().unwrap().to_owned();
    assert_eq!(server.stop(), Some(0));
    let lock = File::open(server.path().join("lock")).unwrap();
    lock.lock().unwrap();
    let list = || run(&["org", "list", "--data-dir", &dir, "--json"]);
    std::thread::scope(|scope| {
        let asked = scope.spawn(list);
        std::thread::sleep(Duration::from_millis(300));
        assert!(!asked.is_finished());
        lock.unlock().unwrap();
        assert_eq!(
            json(&asked.join().unwrap())["organisations"][0]["name"],
            "default"
        );
    });
    lock.lock().unwrap();
    let refused = list();
    let sentence =
        format!("repute: another process is using {dir} but does not answer on {dir}/admin.sock: ");
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).starts_with(&sentence), "{}", said(&refused));
}

#[test]
fn an_agent_is_erased_on_a_running_and_on_a_stopped_server() {
    let mut server = Server::start(&[]);
    let dir = server.path().to_str().unwrap().to_owned();
    let erase = |agent: &str| {
        run(&[
            "org",
            "erase-agent",
            "default",
            agent,
            "--data-dir",
            &dir,
            "--json",
        ])
    };
    let event =
        |agent: &str| format!(r#"{{"agent_id":"{agent}","passed":true,"gates":[],"total_latency_ms":1}}"#);
    let body = format!(
        r#"{{"events":[{},{},{}]}}"#,
        event("one"),
        event("two"),
        event("three")
    );
    let mut client = server.client();
    assert_eq!(client.post("/v1/ingest", body.as_bytes()).unwrap().0, 202);
    drop(client);
    let agents = |server: &Server| server.get("/v1/agents").1["agents"].as_array().unwrap().len();
    assert_eq!(agents(&server), 3);
    assert_eq!(json(&erase("one"))["erased"], true);
    assert_eq!(agents(&server), 2);
    let again = erase("one");
    assert_eq!(again.status.code(), Some(1));
    assert!(
        said(&again).contains("there is no agent `one`"),
        "{}",
        said(&again)
    );
    assert_eq!(server.get("/v1/events").1["events"].as_array().unwrap().len(), 2);
    assert_eq!(server.stop(), Some(0));
    assert_eq!(json(&erase("two"))["erased"], true);
    let nobody = erase("nobody");
    let sentence = "repute: there is no agent `nobody` in the organisation `default`\n";
    assert_eq!(
        (nobody.status.code(), said(&nobody).as_str()),
        (Some(1), sentence)
    );
    assert!(
        said(&run(&["org", "erase-agent", "nobody", "two", "--data-dir", &dir])).contains("no organisation")
    );
    server.start_again(&[]);
    assert_eq!(agents(&server), 1);
}

#[test]
fn a_key_is_given_no_name_that_would_forge_a_row_of_the_list() {
    let mut server = Server::start(&[]);
    let dir = server.path().to_str().unwrap().to_owned();
    let create = |name: &str| run(&["key", "create", "default", "--name", name, "--data-dir", &dir]);
    let sentence = "repute: --name: has a control character\n";
    let refused = create("ci\n2   secret");
    assert_eq!(
        (refused.status.code(), said(&refused).as_str()),
        (Some(1), sentence)
    );
    assert_eq!(server.stop(), Some(0));
    let refused = create("ci\u{1b}[2J");
    assert_eq!(
        (refused.status.code(), said(&refused).as_str()),
        (Some(1), sentence)
    );
    assert_eq!(create("zwölf Größen").status.code(), Some(0));
}

/// All files below a directory, and what is in them, but for SQLite's logs, which come and go with whoever looks.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(contents(&path));
        } else if !["db-wal", "db-shm"]
            .map(OsStr::new)
            .map(Some)
            .contains(&path.extension())
        {
            files.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    files
}

/// A server that ran with its master key from elsewhere, stopped.
fn stopped_without_a_master_key() -> Server {
    let mut command = program(&[]);
    command.env("REPUTE_MASTER_KEY", "01".repeat(32));
    let mut server = Server::start_with_keys(&mut command);
    assert_eq!(server.stop(), Some(0));
    server
}

#[test]
fn commands_that_only_look_write_nothing() {
    let server = stopped_without_a_master_key();
    let dir = server.path().to_str().unwrap();
    let before = contents(server.path());
    for look in [
        &["key", "list", "default"][..],
        &["org", "list"],
        &["org", "audit", "default"],
        &["export", "default"],
    ] {
        let output = run(&[look, &["--data-dir", dir]].concat());
        assert_eq!(
            (output.status.code(), said(&output)),
            (Some(0), String::new()),
            "{look:?}"
        );
        let after = contents(server.path());
        assert!(before == after, "{look:?}: {:?}", after.keys());
    }
}

#[test]
fn no_command_makes_a_master_key_in_the_place_of_the_servers_own() {
    let server = stopped_without_a_master_key();
    let dir = server.path().to_str().unwrap();
    for change in [
        &["key", "create", "default", "--kind", "secret"][..],
        &["key", "rotate-master"],
    ] {
        let refused = run(&[change, &["--data-dir", dir]].concat());
        let sentence = "repute: there is no master key in the data directory: give the one that the server starts with as \
                        REPUTE_MASTER_KEY, or in the file that REPUTE_MASTER_KEY_FILE names\n";
        assert_eq!(
            (refused.status.code(), said(&refused).as_str()),
            (Some(1), sentence),
            "{change:?}"
        );
    }
    // What seals nothing needs none.
    json(&run(&["key", "create", "default", "--json", "--data-dir", dir]));
    json(&run(&["org", "create", "acme", "--json", "--data-dir", dir]));
    assert!(!server.path().join("master.key").exists());
}

#[test]
fn a_place_that_cannot_be_looked_at_or_is_half_a_backup_is_told_from_an_empty_one() {
    let place = tempfile::tempdir().unwrap();
    let list = |dir: &Path| {
        let output = program(&["org", "list", "--data-dir"]).arg(dir).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        said(&output)
    };
    let file = place.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert_eq!(
        list(&file),
        format!(
            "repute: cannot look at {}/repute.db: Not a directory (os error 20)\n",
            file.display()
        )
    );
    let half = place.path().join("half");
    std::fs::create_dir(&half).unwrap();
    std::fs::write(half.join("backup.unfinished"), "").unwrap();
    assert!(list(&half).contains("cut short"), "{}", list(&half));
}

#[test]
fn a_command_as_root_leaves_nothing_that_the_servers_own_user_could_not_open() {
    let mut server = Server::start(&[]);
    assert_eq!(server.stop(), Some(0));
    // Only root can give it to another user, and only then there is something to refuse.
    if chown(server.path().join("repute.db"), Some(65_534), Some(65_534)).is_err() {
        return;
    }
    let dir = server.path().to_str().unwrap();
    std::fs::remove_file(server.path().join("lock")).unwrap();
    let before = contents(server.path());
    for command in [
        &["org", "create", "acme"][..],
        &["repair"],
        &["import", "default", "-"],
    ] {
        let refused = run(&[command, &["--data-dir", dir]].concat());
        let sentence = format!(
            "repute: {dir} belongs to the user with the id 65534, and what root makes there, that user's server cannot open: \
             run this as that user (sudo -u '#65534' repute …)\n"
        );
        assert_eq!(
            (refused.status.code(), said(&refused)),
            (Some(1), sentence),
            "{command:?}"
        );
        assert!(before == contents(server.path()), "{command:?}");
    }
}
