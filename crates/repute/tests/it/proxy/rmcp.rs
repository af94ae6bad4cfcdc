//! The Rust SDK on both sides of the proxy, in both eras.

use super::kit::{SECRET, logged};
use rmcp::model::{CallToolRequestParams, ContentBlock, ErrorCode, ProtocolVersion};
use rmcp::transport::TokioChildProcess;
use rmcp::{ClientLifecycleMode, ClientServiceExt as _, ServiceError};
use std::path::{Path, PathBuf};

/// The example `rmcp_server`, which cargo builds with the tests.
fn server() -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_repute")).parent().unwrap();
    let server = built.join("examples/rmcp_server");
    assert!(
        server.exists(),
        "build it first: cargo build -p repute --examples"
    );
    server
}

fn say(text: &str) -> CallToolRequestParams {
    let arguments = serde_json::json!({ "text": text });
    CallToolRequestParams::new("echo").with_arguments(arguments.as_object().unwrap().clone())
}

#[tokio::test]
async fn the_rust_client_and_server_talk_through_the_proxy_in_both_eras() {
    let eras = [
        ClientLifecycleMode::Initialize,
        ClientLifecycleMode::Discover {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        },
    ];
    for era in eras {
        let home = tempfile::tempdir().unwrap();
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_repute"));
        command
            .env("HOME", home.path())
            .args(["proxy", "--fail-closed", "--"])
            .arg(server());
        let transport = TokioChildProcess::new(command).unwrap();
        let client = ().serve_with_lifecycle(transport, era).await.unwrap();
        let tools = client.list_all_tools().await.unwrap();
        assert_eq!(tools[0].name, "echo");
        let said = client.call_tool(say("hello")).await.unwrap();
        assert_eq!(said.content, [ContentBlock::text("hello")]);
        let Err(ServiceError::McpError(error)) = client.call_tool(say(SECRET)).await else {
            panic!("it is not blocked")
        };
        assert_eq!(error.code, ErrorCode(-32_000));
        assert_eq!(error.data.unwrap()["gates"][0]["name"], "secrets");
        client.cancel().await.unwrap();
        let log = logged(home.path());
        let of_server = log
            .lines()
            .filter(|line| line.contains("\"agent_id\":\"rmcp-echo\""));
        assert_eq!(of_server.count(), 2, "{log}");
    }
}
