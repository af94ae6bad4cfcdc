//! `repute proxy install` and `uninstall` on the files of clients.

use crate::kit::said;
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const DESKTOP: &str = ".config/Claude/claude_desktop_config.json";
const CODE: &str = ".claude.json";
const VSCODE: &str = ".config/Code/User/mcp.json";
const DESKTOP_TEXT: &str = "{\n  \"mcpServers\": {\n    \"echo\": {\n      \"command\": \"cat\",\n      \"args\": [\n        \"-u\"\n      ],\n      \"env\": { \"KEY\": \"hidden\" }\n    },\n    \"far\": { \"url\": \"https://example.org/mcp\" }\n  }\n}\n";
const CODE_TEXT: &str = r#"{"numStartups":3,"projects":{"/p":{"mcpServers":{"one":{"command":"cat"}}}}}"#;
const VSCODE_TEXT: &str = "{\n\t// mine\n\t\"servers\": { \"two\": { \"type\": \"stdio\", \"command\": \"cat\", \"args\": [], }, },\n}\n";

/// A home with three clients in it.
struct Home {
    dir: TempDir,
}

impl Home {
    fn new() -> Self {
        let home = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        for (file, text) in [(DESKTOP, DESKTOP_TEXT), (CODE, CODE_TEXT), (VSCODE, VSCODE_TEXT)] {
            home.write(file, text);
        }
        fs::create_dir(home.dir.path().join("project")).unwrap();
        home
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.dir.path().join(file)).unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_repute"));
        command.env_clear().env("HOME", self.dir.path());
        command
            .current_dir(self.dir.path().join("project"))
            .stdin(Stdio::null());
        command.arg("proxy").args(arguments).output().unwrap()
    }

    fn is_untouched(&self) -> bool {
        self.read(DESKTOP) == DESKTOP_TEXT && self.read(CODE) == CODE_TEXT && self.read(VSCODE) == VSCODE_TEXT
    }
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_dry_run_shows_the_change_and_changes_nothing() {
    let home = Home::new();
    let output = home.run(&["install", "--dry-run"]);
    let told = out(&output);
    assert!(output.status.success(), "{}", said(&output));
    for part in [
        "claude_desktop_config.json (claude-desktop)\n  echo: behind the proxy\n  far: as it is: not started by a command\n",
        "--- ",
        "-      \"command\": \"cat\",\n",
        "+      \"args\": [\"proxy\", \"--\", \"cat\",\n",
        ".claude.json (claude-code)\n  one: behind the proxy\n",
        "mcp.json (vscode)\n  two: behind the proxy\n",
        "dry run: nothing is changed\n",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    assert!(!told.contains("hidden"), "no line that stays is shown: {told}");
    assert!(home.is_untouched());
}

#[test]
fn nobody_asked_is_nobody_who_said_yes() {
    let home = Home::new();
    let output = home.run(&["install"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        out(&output).contains("+      \"args\""),
        "the change is shown first"
    );
    assert!(
        said(&output).contains("--yes changes the files"),
        "{}",
        said(&output)
    );
    assert!(home.is_untouched());
}

#[test]
fn installed_servers_run_behind_the_proxy_and_uninstalled_files_are_as_before() {
    let home = Home::new();
    let output = home.run(&["install", "--yes", "--", "--agent-id", "it's me", "--verbose"]);
    assert!(output.status.success(), "{}", said(&output));
    for (file, way, name) in [
        (DESKTOP, "/mcpServers", "echo"),
        (CODE, "/projects/~1p/mcpServers", "one"),
    ] {
        let config: Value = serde_json::from_str(&home.read(file)).unwrap();
        let server = &config.pointer(way).unwrap()[name];
        let words = server["args"]
            .as_array()
            .unwrap()
            .iter()
            .map(|word| word.as_str().unwrap());
        // As a client starts it.
        let mut child = Command::new(server["command"].as_str().unwrap())
            .args(words)
            .env("HOME", home.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"{\"hello\":1}\n").unwrap();
        assert_eq!(
            child.wait_with_output().unwrap().stdout,
            b"{\"hello\":1}\n",
            "{name}"
        );
    }
    assert!(home.read(VSCODE).contains("// mine"));
    let installed = [DESKTOP, CODE, VSCODE].map(|file| home.read(file));
    let again = home.run(&["install", "--yes"]);
    assert!(out(&again).contains("nothing to change"), "{}", out(&again));
    assert_eq!([DESKTOP, CODE, VSCODE].map(|file| home.read(file)), installed);
    let backups = out(&output)
        .lines()
        .filter_map(|line| line.strip_prefix("changed; as it was: "))
        .map(str::to_owned)
        .collect::<Vec<_>>();
    let mut kept: Vec<String> = backups
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    kept.sort();
    let mut before = [DESKTOP_TEXT, CODE_TEXT, VSCODE_TEXT];
    before.sort_unstable();
    assert_eq!(kept, before);
    assert!(home.run(&["uninstall", "--yes"]).status.success());
    assert!(home.is_untouched());
    assert!(out(&home.run(&["uninstall", "--yes"])).contains("nothing to change"));
}

#[test]
fn one_client_one_server_or_one_file_may_be_chosen() {
    let home = Home::new();
    assert!(
        home.run(&["install", "--yes", "--client", "vscode"])
            .status
            .success()
    );
    assert_eq!(
        (home.read(DESKTOP).as_str(), home.read(CODE).as_str()),
        (DESKTOP_TEXT, CODE_TEXT)
    );
    assert_ne!(home.read(VSCODE), VSCODE_TEXT);
    assert!(
        home.run(&["install", "--yes", "--server", "echo"])
            .status
            .success()
    );
    assert_eq!(home.read(CODE), CODE_TEXT);
    assert_ne!(home.read(DESKTOP), DESKTOP_TEXT);
    let file = home.dir.path().join(CODE);
    assert!(
        home.run(&["install", "--yes", "--file", file.to_str().unwrap()])
            .status
            .success()
    );
    assert_ne!(home.read(CODE), CODE_TEXT);
    // A project's own file, in the directory at hand.
    home.write(
        "project/.mcp.json",
        r#"{"mcpServers":{"three":{"command":"cat"}}}"#,
    );
    assert!(home.run(&["install", "--yes"]).status.success());
    assert!(home.read("project/.mcp.json").contains("\"proxy\""));
}

#[test]
fn what_is_not_understood_is_left_and_told() {
    let home = Home::new();
    home.write(CODE, r#"{"mcpServers":{"odd":{"command":7}}}"#);
    let output = home.run(&["install", "--yes"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).ends_with(".claude.json: mcpServers.odd.command: must be a string\n"),
        "{}",
        said(&output)
    );
    assert_eq!(home.read(CODE), r#"{"mcpServers":{"odd":{"command":7}}}"#);
    assert_ne!(home.read(DESKTOP), DESKTOP_TEXT, "the others are changed");
    for (arguments, sentence) in [
        (
            &["install", "--", "--no-such"][..],
            "flags of the proxy: unexpected argument '--no-such' found",
        ),
        (
            &["install", "--", "--max-message", "1"],
            "flags of the proxy: invalid value '1' for '--max-message <SIZE>': must be from 64KiB to 1GiB",
        ),
        (
            &["install", "--client", "none"],
            "--client: there is no client `none`",
        ),
        (
            &["install", "--program", "/bin/other"],
            "--program: must be named `repute`, so that `uninstall` knows it",
        ),
    ] {
        let output = home.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(said(&output), format!("repute: {sentence}\n"));
    }
}

#[test]
fn a_link_stays_a_link() {
    let home = Home::new();
    let path = home.dir.path().join(CODE);
    let real = home.dir.path().join("dotfiles.json");
    fs::rename(&path, &real).unwrap();
    std::os::unix::fs::symlink(&real, &path).unwrap();
    assert!(
        home.run(&["install", "--yes", "--client", "claude-code"])
            .status
            .success()
    );
    assert_eq!(fs::read_link(&path).unwrap(), Path::new(&real));
    assert!(fs::read_to_string(&real).unwrap().contains("\"proxy\""));
}
