use super::*;
use proptest::prelude::*;

fn wrapper() -> Action {
    Action::Install(Wrapper {
        program: "/opt/repute".to_owned(),
        flags: vec!["--fail-closed".to_owned()],
    })
}

fn install(text: &str) -> (String, Vec<Server>) {
    edited(text, &wrapper(), &[]).unwrap()
}

fn misread(text: &str) -> String {
    edited(text, &wrapper(), &[]).unwrap_err().to_string()
}

/// Files as clients and people write them.
const FILES: [&str; 8] = [
    r#"{"mcpServers":{"a":{"command":"npx","args":["-y","pkg"],"env":{"K":"v"}}}}"#,
    "{\n  \"mcpServers\": {\n    \"a\": {\n      \"command\": \"npx\",\n      \"args\": [\n        \"-y\",\n        \"pkg\"\n      ]\n    }\n  }\n}\n",
    r#"{ "servers": { "a": { "type": "stdio", "command": "/bin/a" } }, "inputs": [] }"#,
    "{\r\n\t\"mcpServers\": {\"a\": {\"args\": [ ], \"command\": \"c\\u0061t\", \"unknown\": {\"x\": 1.50}}}}\r\n",
    "// mine\n{\"servers\": {/* here */ \"a\": {\"command\": \"a b\", // why\n \"args\": [ // none\n ], },}}",
    r#"{"numStartups":7,"projects":{"/p/q":{"mcpServers":{"a":{"command":"x","args":["--","proxy"]}},"z":1},"/r":{}},"mcpServers":{}}"#,
    r#"{"theme":"x","context_servers":{"a":{"source":"custom","command":"uvx","args":["m" , "n"]}}}"#,
    r#"{"mcpServers":{"a":{"args":[], "command":"é\"\\"}}}"#,
];

#[test]
fn only_the_command_and_the_beginning_of_its_arguments_change() {
    let (after, servers) = install(FILES[0]);
    assert_eq!(
        after,
        r#"{"mcpServers":{"a":{"command":"/opt/repute","args":["proxy", "--fail-closed", "--", "npx","-y","pkg"],"env":{"K":"v"}}}}"#
    );
    assert_eq!(servers.len(), 1);
    assert_eq!(
        (servers[0].name.as_str(), servers[0].outcome),
        ("a", Outcome::Changed)
    );
    let (after, _) = install(FILES[2]);
    assert_eq!(
        after,
        r#"{ "servers": { "a": { "type": "stdio", "command": "/opt/repute", "args": ["proxy", "--bare", "--fail-closed", "--", "/bin/a"] } }, "inputs": [] }"#
    );
}

#[test]
fn taking_it_away_gives_the_bytes_of_before() {
    for file in FILES {
        let (with, servers) = install(file);
        assert!(with != file && servers[0].outcome == Outcome::Changed, "{file}");
        let (again, servers) = install(&with);
        assert_eq!((&again, servers[0].outcome), (&with, Outcome::Already));
        let (without, servers) = edited(&with, &Action::Uninstall, &[]).unwrap();
        assert_eq!((without.as_str(), servers[0].outcome), (file, Outcome::Changed));
        let (again, servers) = edited(&without, &Action::Uninstall, &[]).unwrap();
        assert_eq!((again.as_str(), servers[0].outcome), (file, Outcome::Already));
    }
}

#[test]
fn a_file_that_the_client_wrote_anew_meanwhile_gets_its_command_back() {
    let with: serde_json::Value = serde_json::from_str(&install(FILES[0]).0).unwrap();
    let pretty = serde_json::to_string_pretty(&with).unwrap();
    let (without, _) = edited(&pretty, &Action::Uninstall, &[]).unwrap();
    let without: serde_json::Value = serde_json::from_str(&without).unwrap();
    assert_eq!(
        without,
        serde_json::from_str::<serde_json::Value>(FILES[0]).unwrap()
    );
    // Also where the member that was added has moved.
    let moved = r#"{"servers":{"a":{"args":["proxy","--bare","--","/bin/a"],"command":"/opt/repute"}}}"#;
    let (without, _) = edited(moved, &Action::Uninstall, &[]).unwrap();
    assert_eq!(without, r#"{"servers":{"a":{"args":[],"command":"/bin/a"}}}"#);
}

#[test]
fn servers_over_the_network_are_left_and_one_may_be_named() {
    let text = r#"{"mcpServers":{"r":{"url":"https://x"},"h":{"type":"http","command":"x"},"a":{"command":"x"},"b":{"command":"y"}}}"#;
    let (_, servers) = install(text);
    let outcomes: Vec<_> = servers.iter().map(|server| server.outcome).collect();
    use Outcome::{Changed, Remote};
    assert_eq!(outcomes, [Remote, Remote, Changed, Changed]);
    let (after, servers) = edited(text, &wrapper(), &["b".to_owned()]).unwrap();
    assert!(
        servers.len() == 1 && after.contains(r#""a":{"command":"x"}"#),
        "{after}"
    );
    let missing = edited(text, &wrapper(), &["c".to_owned()]).unwrap_err();
    assert_eq!(missing.to_string(), "there is no server `c`");
}

#[test]
fn what_is_not_understood_is_refused_with_its_place() {
    for (text, sentence) in [
        (
            "",
            "no servers: there is neither `mcpServers`, `servers` nor `context_servers`",
        ),
        ("[]", "the file: must be an object"),
        (r#"{"mcpServers":[]}"#, "mcpServers: must be an object"),
        (r#"{"mcpServers":{"a":7}}"#, "mcpServers.a: must be an object"),
        (
            r#"{"mcpServers":{"a":{}}}"#,
            "mcpServers.a: has neither `command` nor `url`",
        ),
        (
            r#"{"servers":{"a":{"command":["x"]}}}"#,
            "servers.a.command: must be a string",
        ),
        (
            r#"{"servers":{"a":{"command":"x","args":"y"}}}"#,
            "servers.a.args: must be a list of strings",
        ),
        (
            r#"{"servers":{"a":{"command":"x","args":[1]}}}"#,
            "servers.a.args: must be a list of strings",
        ),
        (
            r#"{"servers":{"a":{"command":"x","command":"y"}}}"#,
            "servers.a.command: is there twice",
        ),
        (r#"{"servers":{},"servers":{}}"#, "servers: is there twice"),
        (
            r#"{"projects":{"/p":{"mcpServers":1}}}"#,
            "projects./p.mcpServers: must be an object",
        ),
    ] {
        assert_eq!(misread(text), sentence, "{text}");
    }
    for text in ["{", "{'servers':{}}", "{servers:{}}", "{\"servers\":{}} x"] {
        assert!(misread(text).starts_with("not JSON: "), "{text}");
    }
}

proptest! {
    #[test]
    fn any_command_comes_back_as_it_was(
        command in any::<String>(), args in prop::option::of(prop::collection::vec(any::<String>(), 0..4)), pretty in any::<bool>(),
    ) {
        let mut server = serde_json::json!({ "command": command, "z": [1] });
        if let Some(args) = args { server["args"] = args.into(); }
        let value = serde_json::json!({ "mcpServers": { "a": server } });
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        // A server that looks like the proxy is taken for one.
        prop_assume!(!command.contains("repute"));
        let (with, _) = install(&text);
        let read: serde_json::Value = serde_json::from_str(&with).unwrap();
        let arguments = read["mcpServers"]["a"]["args"].as_array().unwrap();
        let at = arguments.iter().position(|word| word == "--").unwrap();
        prop_assert_eq!(arguments[at + 1].as_str().unwrap(), command);
        prop_assert_eq!(edited(&with, &Action::Uninstall, &[]).unwrap().0, text);
    }
}
