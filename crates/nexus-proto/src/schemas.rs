//! JSON Schemas of requests and answers: made of the types by a test, and kept beside them.

/// A JSON object: each type's name → its schema, as OpenAPI 3.1 has them in `components.schemas`.
pub const SCHEMAS: &str = include_str!("schemas.json");

#[cfg(test)]
mod tests {
    use schemars::generate::{SchemaGenerator, SchemaSettings};

    use crate::*;

    fn generator(settings: SchemaSettings) -> SchemaGenerator {
        let place = |settings: &mut SchemaSettings| {
            settings.definitions_path = "/components/schemas".into();
        };
        settings.with(place).into_generator()
    }

    /// What clients may send may leave out what has a default; what we say never does.
    fn schemas() -> serde_json::Map<String, serde_json::Value> {
        let mut sent = generator(SchemaSettings::draft2020_12().for_deserialize());
        sent.subschema_for::<AppVerb>();
        sent.subschema_for::<Apply>();
        sent.subschema_for::<FlushLogs>();
        sent.subschema_for::<SendText>();
        sent.subschema_for::<SignalApps>();
        sent.subschema_for::<Start>();
        sent.subschema_for::<UpgradeDaemon>();
        let mut said = generator(SchemaSettings::draft2020_12().for_serialize());
        said.subschema_for::<Diff>();
        said.subschema_for::<Environment>();
        said.subschema_for::<Events>();
        said.subschema_for::<Flushed>();
        said.subschema_for::<Health>();
        said.subschema_for::<History>();
        said.subschema_for::<Logs>();
        said.subschema_for::<Operation>();
        said.subschema_for::<Problem>();
        said.subschema_for::<Saved>();
        said.subschema_for::<Snapshot>();
        said.subschema_for::<Targets>();
        said.subschema_for::<Version>();
        let mut all = said.take_definitions(true);
        for (name, schema) in sent.take_definitions(true) {
            let twice = all.insert(name.clone(), schema.clone());
            assert!(twice.is_none_or(|other| other == schema), "{name} is two things");
        }
        all
    }

    /// `NEXUS_BLESS=1` writes the file anew.
    #[test]
    fn schemas_are_those_of_the_types() {
        let text = serde_json::to_string_pretty(&schemas()).unwrap() + "\n";
        if std::env::var_os("NEXUS_BLESS").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/schemas.json");
            return std::fs::write(path, text).unwrap();
        }
        assert_eq!(SCHEMAS, text, "NEXUS_BLESS=1 cargo test -p nexus-proto writes it anew");
    }
}
