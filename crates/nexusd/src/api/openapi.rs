//! `GET /openapi.json`: the control API, for those who make clients of it.

use axum::body::Body;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::answer;
use super::table::{Gives, Method, Parameter, ROWS, Row};

/// The answer.
pub(super) async fn document() -> Response {
    answer::document("application/json", Body::from(whole().to_string()))
}

fn whole() -> Value {
    let mut paths = Map::new();
    for row in &ROWS {
        let methods = paths.entry(row.path).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            methods.insert(method(row.method).into(), operation(row));
        }
    }
    // The file is written by a test, from the types.
    let schemas: Value = serde_json::from_str(nexus_proto::SCHEMAS).unwrap_or_default();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Nexus",
            "version": nexus_proto::API,
            "summary": "The control API of nexusd.",
            "description": "HTTP/1.1 on the control socket: `curl --unix-socket \
                $NEXUS_HOME/nexus.sock http://nexus/v1/apps`. Who may do what is decided by the \
                peer's user and groups: `x-role` is the role that is needed, beside the daemon's \
                own user and root. A field is never removed or renamed within a version; new ones may \
                come.",
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "http://nexus", "description": "The control socket; the host's name is not looked at." }],
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

const fn method(method: Method) -> &'static str {
    match method {
        Method::Get => "get",
        Method::Post => "post",
    }
}

fn operation(row: &Row) -> Value {
    let (status, success) = success(row.gives);
    let mut operation = json!({
        "operationId": operation_id(row),
        "summary": row.says,
        "x-role": row.needs,
        "parameters": parameters(row),
        "responses": {
            status: success,
            "default": {
                "description": "What is wrong, and what to do next (RFC 9457).",
                "content": content("application/problem+json", schema("Problem")),
            },
        },
    });
    if let (Some(body), Some(operation)) = (row.takes, operation.as_object_mut()) {
        let content = content("application/json", schema(body));
        operation.insert("requestBody".into(), json!({ "required": true, "content": content }));
    }
    operation
}

/// `get_v1_apps_app_history`.
fn operation_id(row: &Row) -> String {
    let path = row.path.replace(['{', '}'], "").replace(['/', '.'], "_");
    format!("{}{path}", method(row.method))
}

fn parameters(row: &Row) -> Vec<Value> {
    let parts = row.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parts = parts.map(|name| {
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    });
    let key = row.keyed.then(|| {
        json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": true,
            "description": "A random text. The same key again begins nothing: it answers with \
                what the key began.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 128 },
        })
    });
    parts.chain(row.query.iter().map(parameter)).chain(key).collect()
}

fn parameter(parameter: &Parameter) -> Value {
    let schema = match parameter.kind {
        "array" => json!({ "type": "array", "items": { "type": "string" } }),
        kind => json!({ "type": kind }),
    };
    json!({
        "name": parameter.name,
        "in": "query",
        "required": false,
        "description": parameter.says,
        "schema": schema,
    })
}

fn success(gives: Gives) -> (&'static str, Value) {
    match gives {
        Gives::Document(name) => {
            ("200", json!({ "description": name, "content": content(JSON, schema(name)) }))
        }
        Gives::Accepted(name) => {
            ("202", json!({ "description": name, "content": content(JSON, schema(name)) }))
        }
        Gives::Stream(name, line) => {
            let mut kinds = content(JSON, schema(name));
            if let Some(kinds) = kinds.as_object_mut() {
                kinds.insert("application/jsonl".into(), json!({ "schema": schema(line) }));
            }
            ("200", json!({ "description": name, "content": kinds }))
        }
        Gives::Text(kind) => (
            "200",
            json!({ "description": "Text.", "content": content(kind, json!({ "type": "string" })) }),
        ),
        Gives::OpenApi => (
            "200",
            json!({
                "description": "OpenAPI 3.1.",
                "content": content(JSON, json!({ "type": "object" })),
            }),
        ),
    }
}

const JSON: &str = "application/json";

fn content(kind: &str, schema: Value) -> Value {
    json!({ kind: { "schema": schema } })
}

fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// All `$ref`s below a value.
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_type_that_is_named_is_described_and_no_other() {
        let document = whole();
        let mut named = BTreeSet::new();
        references(&document, &mut named);
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let known = schemas.keys().map(|name| format!("#/components/schemas/{name}")).collect();
        assert_eq!(named, known);
    }

    #[test]
    fn every_row_is_an_operation_of_its_own_and_is_answered_by_somebody() {
        let ids: BTreeSet<String> = ROWS.iter().map(operation_id).collect();
        assert_eq!(ids.len(), ROWS.len());
        for row in &ROWS {
            assert!(row.says.ends_with('.'), "{}", row.path);
            let verb = row
                .path
                .strip_prefix("/v1/apps/")
                .is_some_and(|verb| super::super::table::of_verb(verb).is_some());
            assert!(row.handler.is_some() || verb, "{}: nobody answers", row.path);
        }
    }
}
