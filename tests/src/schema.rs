//! Whether a document is what its JSON Schema says: as much of JSON Schema as ours use, and more
//! strictly, for a field that the schema does not know is a misfit too.

use serde_json::Value;

/// Everything in `value` that does not fit `schema`; `document` is where `$ref` points into.
pub fn misfits(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(document, schema, value, "", &mut found);
    found
}

fn check(document: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(pointer) = schema["$ref"].as_str() {
        return match document.pointer(pointer.trim_start_matches('#')) {
            Some(schema) => check(document, schema, value, at, found),
            None => found.push(format!("{at}: no {pointer}")),
        };
    }
    for choice in ["anyOf", "oneOf"] {
        if let Some(schemas) = schema[choice].as_array() {
            let fits = |schema: &&Value| misfits(document, schema, value).is_empty();
            if !schemas.iter().any(|schema| fits(&schema)) {
                found.push(format!("{at}: {value} fits none of {schemas:?}"));
            }
            return;
        }
    }
    let constant = schema.get("const").is_some_and(|one| one != value);
    let listed = schema["enum"].as_array().is_some_and(|all| !all.contains(value));
    if constant || listed {
        found.push(format!("{at}: {value} is not one of its values"));
    }
    if !has_type(&schema["type"], value) {
        found.push(format!("{at}: {value} is no {}", schema["type"]));
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        for (number, value) in values.iter().enumerate() {
            check(document, items, value, &format!("{at}/{number}"), found);
        }
    }
    if let (Some(fields), Some(object)) = (schema["properties"].as_object(), value.as_object()) {
        let required = schema["required"].as_array().into_iter().flatten();
        let missing = required.filter_map(Value::as_str).filter(|name| !object.contains_key(*name));
        found.extend(missing.map(|name| format!("{at}: no {name}")));
        for (name, value) in object {
            match fields.get(name) {
                Some(schema) => check(document, schema, value, &format!("{at}/{name}"), found),
                None => found.push(format!("{at}: {name} is not in the schema")),
            }
        }
    }
}

fn has_type(kind: &Value, value: &Value) -> bool {
    match kind {
        Value::Array(kinds) => kinds.iter().any(|kind| has_type(kind, value)),
        Value::String(kind) => match kind.as_str() {
            "array" => value.is_array(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "null" => value.is_null(),
            "number" => value.is_number(),
            "object" => value.is_object(),
            "string" => value.is_string(),
            _ => false,
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_fits_or_it_is_said_where_it_does_not() {
        let document = json!({"defs": {"Word": {"type": "string"}}});
        let schema = json!({
            "type": "object",
            "required": ["a", "b"],
            "properties": {
                "a": {"type": ["integer", "null"]},
                "b": {"type": "array", "items": {"$ref": "#/defs/Word"}},
                "c": {"anyOf": [{"$ref": "#/defs/Word"}, {"type": "null"}]},
                "d": {"enum": ["x", "y"]},
            },
        });
        let said = |value: Value| misfits(&document, &schema, &value).join("; ");
        assert_eq!(said(json!({"a": null, "b": ["x"], "c": null, "d": "y"})), "");
        assert_eq!(said(json!({"a": 1.5, "b": []})), "/a: 1.5 is no [\"integer\",\"null\"]");
        assert_eq!(said(json!({"a": 1})), ": no b");
        assert_eq!(said(json!({"a": 1, "b": [1]})), "/b/0: 1 is no \"string\"");
        assert_eq!(said(json!({"a": 1, "b": [], "z": 1})), ": z is not in the schema");
        assert!(said(json!({"a": 1, "b": [], "c": 1})).contains("fits none of"));
        assert!(said(json!({"a": 1, "b": [], "d": "z"})).contains("is not one of its values"));
    }
}
