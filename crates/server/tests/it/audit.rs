//! `GET /v1/audit`: who changed what.

use crate::kit::{Lab, one};
use serde_json::{Value, json};
use server::accounts::{OrgSettings, SignatureRule};
use wire::timestamp;

/// All entries, page by page.
fn entries(lab: &Lab, limit: u32) -> Vec<Value> {
    let mut all = Vec::new();
    let mut path = format!("/v1/audit?limit={limit}");
    loop {
        let page = lab.send("GET", &path, &lab.sk, &[], b"").json();
        let entries = page["entries"].as_array().unwrap();
        assert!(entries.len() <= limit as usize && all.len() < 1_000);
        all.extend(entries.iter().cloned());
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/audit?limit={limit}&cursor={cursor}"),
            None => return all,
        }
    }
}

#[test]
fn every_change_is_listed_newest_first_with_who_made_it() {
    let lab = Lab::new();
    assert_eq!(lab.get("/v1/audit").error().1, "scope_missing");
    let admin = lab.send("GET", "/v1/whoami", &lab.sk, &[], b"").json()["key_id"].clone();
    let expires_at = "2999-01-01T00:00:00.000Z";
    let new = format!(r#"{{"kind":"publishable","name":"web","expires_at":"{expires_at}"}}"#);
    let made = lab.send("POST", "/v1/keys", &lab.sk, &[], new.as_bytes()).json();
    lab.send(
        "DELETE",
        &format!("/v1/keys/{}", made["id"].as_str().unwrap()),
        &lab.sk,
        &[],
        b"",
    );
    // Nothing happens: nothing is written down.
    lab.send("DELETE", "/v1/keys/999", &lab.sk, &[], b"");
    lab.send(
        "POST",
        "/v1/keys",
        &lab.sk,
        &[],
        br#"{"kind":"publishable","scopes":["admin"]}"#,
    );
    lab.send("DELETE", "/v1/agents/a", &lab.pk, &[], b"");
    lab.ingest(one("some agent").as_bytes());
    let erased = lab.send("DELETE", "/v1/agents/some%20agent", &lab.sk, &[], b"");
    assert_eq!(erased.status, 204);
    lab.set(OrgSettings {
        signature: SignatureRule::Timestamped,
        ..OrgSettings::default()
    });

    let all = entries(&lab, 100);
    let of = |actor: &Value, action: &str, key: Value, detail: Value| {
        let by = if actor.is_null() { "operator" } else { "key" };
        json!({ "actor": by, "actor_key_id": actor, "action": action, "key_id": key, "detail": detail })
    };
    let settings = |require_signature: Value| {
        json!({
            "max_agents": null, "ingest_rate_limit": null, "rate_limit": null, "require_signature": require_signature,
        })
    };
    let key = |kind: &str, scopes: &str, expires_at: Value| json!({ "kind": kind, "scopes": scopes, "expires_at": expires_at });
    let (operator, publishable) = (Value::Null, "ingest,evaluate,read");
    let expected = [
        of(&operator, "org.set", Value::Null, settings(json!("timestamped"))),
        of(&admin, "agent.erase", Value::Null, Value::Null),
        of(&admin, "key.revoke", made["id"].clone(), Value::Null),
        of(
            &admin,
            "key.create",
            made["id"].clone(),
            key("publishable", publishable, json!(expires_at)),
        ),
        of(
            &operator,
            "key.create",
            json!("2"),
            key("secret", "ingest,evaluate,read,admin", Value::Null),
        ),
        of(
            &operator,
            "key.create",
            json!("1"),
            key("publishable", publishable, Value::Null),
        ),
        of(&operator, "org.create", Value::Null, settings(json!(false))),
    ];
    let found: Vec<Value> = all
        .iter()
        .map(|entry| {
            let mut entry = entry.clone();
            let fields = entry.as_object_mut().unwrap();
            let at = fields.remove("at").unwrap();
            assert!(timestamp::parse(at.as_str().unwrap()).is_ok());
            fields.remove("id");
            entry
        })
        .collect();
    assert_eq!(found, expected);
    let ids: Vec<&str> = all.iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["7", "6", "5", "4", "3", "2", "1"]);
    for limit in [1, 3] {
        assert_eq!(entries(&lab, limit), all, "in pages of {limit}");
    }
    let text = Value::from(all).to_string();
    for secret in [made["key"].as_str().unwrap(), &lab.sk, "some agent"] {
        assert!(!text.contains(secret));
    }
}
