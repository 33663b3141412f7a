//! The OpenAPI document against what is really answered.

use nexus_tests::{Home, misfits};
use serde_json::Value;

use crate::{AT_ONCE, shell};

/// A daemon with an app that runs and one that was given up.
fn fleet() -> (Home, Value) {
    let home = Home::new();
    let text =
        shell("up", "exec sleep 1000", AT_ONCE) + &shell("down", "exit 3", "max_restarts = 0");
    home.write("ecosystem.toml", &text);
    home.ctl(&["start"]).expect_code(10);
    home.until("down", "its being given up", |app| app.status() == "errored");
    let document = home.api("/openapi.json");
    (home, document)
}

#[test]
fn what_the_document_lists_is_answered_and_nothing_else_is() {
    let (home, document) = fleet();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    for (path, methods) in paths {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let listed = methods.get(method.to_lowercase()).is_some();
            if listed && path == "/v1/daemon/stop" {
                continue; // It would do so: it takes no key.
            }
            let asked = path.replace("{app}", "up").replace("{key}", "none");
            // Without a key and a body nothing is changed.
            let answer = home.ask(method, &asked, "", "").unwrap();
            let known = answer.status < 400 || answer.json()["code"] != "NX0405";
            // Each verb stands beside the apps' names: an app may be called so.
            let app = method == "GET" && path.starts_with("/v1/apps/");
            assert!(known == listed || (known && app), "{method} {path}: {}", answer.status);
            if answer.status >= 400 {
                assert_eq!(answer.kind, "application/problem+json", "{method} {path}");
            }
        }
    }
    let answer = home.ask("POST", "/v1/daemon/stop", "", "").unwrap();
    assert_eq!(shape(&document, "/v1/daemon/stop", "post", "202", &answer.json()), [""; 0]);
}

/// What of an answer is not as the document says.
fn shape(document: &Value, path: &str, method: &str, status: &str, said: &Value) -> Vec<String> {
    let answer = &document["paths"][path][method]["responses"][status];
    let schema = &answer["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{method} {path}: no {status}");
    misfits(document, schema, said)
}

#[test]
fn answers_have_the_shape_that_is_promised() {
    let (home, document) = fleet();
    for (path, asked) in [
        ("/v1/version", "/v1/version"),
        ("/v1/healthz", "/v1/healthz"),
        ("/v1/apps", "/v1/apps"),
        ("/v1/apps/{app}", "/v1/apps/down"),
        ("/v1/apps/{app}/env", "/v1/apps/up/env"),
        ("/v1/apps/{app}/history", "/v1/apps/up/history"),
        ("/v1/targets", "/v1/targets?t=all&t=up/0"),
        ("/v1/events", "/v1/events?last=50"),
    ] {
        assert_eq!(shape(&document, path, "get", "200", &home.api(asked)), [""; 0], "{asked}");
    }
    let keyed = "Idempotency-Key: k1\r\nContent-Type: application/json\r\n";
    let asked = r#"{"targets": ["up"]}"#;
    let begun = home.ask("POST", "/v1/apps/restart", keyed, asked).unwrap();
    assert_eq!(begun.status, 202, "{begun:?}");
    assert_eq!(shape(&document, "/v1/apps/restart", "post", "202", &begun.json()), [""; 0]);
    let operation = home.api("/v1/operations/k1?wait_ms=20000");
    assert_eq!(shape(&document, "/v1/operations/{key}", "get", "200", &operation), [""; 0]);
    let flushed = home.ask("POST", "/v1/apps/flush", keyed, asked).unwrap().json();
    assert_eq!(shape(&document, "/v1/apps/flush", "post", "200", &flushed), [""; 0]);
    let wish =
        r#"{"start": {"apps": [], "source": "x", "base_env": []}, "whole": false, "prune": false}"#;
    let refused = home.ask("POST", "/v1/diff", "", wish).unwrap();
    assert_eq!(refused.status, 422, "{refused:?}");
    let saved = home.ask("POST", "/v1/save", "", "").unwrap().json();
    assert_eq!(shape(&document, "/v1/save", "post", "200", &saved), [""; 0]);
}

#[test]
fn every_refusal_is_a_problem_document() {
    let (home, document) = fleet();
    let schema = &document["components"]["schemas"]["Problem"];
    for (method, path, status) in [
        ("GET", "/v1/apps?wait_ms=soon", 400),
        ("GET", "/v1/apps/%FF", 400),
        ("GET", "/v1/apps/nobody", 404),
        ("GET", "/v1/nothing", 404),
        ("POST", "/v1/apps/dance", 404),
        ("POST", "/v1/apps/stop", 400),
        ("POST", "/v1/resurrect", 400),
        ("DELETE", "/v1/version", 405),
    ] {
        let answer = home.ask(method, path, "", "").unwrap();
        assert_eq!((answer.status, answer.kind.as_str()), (status, "application/problem+json"));
        let problem = answer.json();
        assert_eq!(misfits(&document, schema, &problem), [""; 0], "{method} {path}");
        assert_eq!(problem["status"], status, "{method} {path}");
    }
}
