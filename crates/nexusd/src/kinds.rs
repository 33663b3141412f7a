//! Every name that stands in the files of the state, by the version of their format: one that is
//! added makes a new version, since a program of the older one would leave it out, or the line. A
//! version that no release has may still grow.

use serde::Deserialize;
use serde::de::value::Error as Plain;
use serde::de::{Deserializer, Error as _, Visitor};

use crate::lines::VERSION;
use crate::records::Entry;

/// Says what it is asked for, in place of an answer.
struct Ask;

impl<'de> Deserializer<'de> for Ask {
    type Error = Plain;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Plain> {
        Err(Plain::custom(format!("{name}: {}", fields.join(" "))))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        words: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Plain> {
        Err(Plain::custom(format!("{name}: {}", words.join(" "))))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Plain> {
        Err(Plain::custom("of many forms"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

fn names<'de, T: Deserialize<'de>>() -> String {
    T::deserialize(Ask).err().map_or_else(String::new, |names| names.to_string())
}

macro_rules! all {
    ($($kind:ty),+ $(,)?) => { [$((stringify!($kind), names::<$kind>())),+] };
}

fn ours() -> Vec<(&'static str, String)> {
    all![
        crate::exits::How,
        crate::exits::StoredExit,
        crate::history::StoredVersion,
        crate::ops::Op,
        crate::ops::Upgrade,
        crate::origin::Origin,
        crate::note::Proof,
        crate::runs::Run,
        crate::records::StoredApp,
        crate::records::StoredGoal,
        crate::records::StoredNext,
        crate::records::StoredPending,
        crate::records::StoredPlan,
        crate::records::StoredSecrets,
        crate::records::StoredSlot,
        crate::records::StoredWant,
        crate::rolling::StoredBack,
        crate::rolling::StoredLimit,
        crate::rolling::StoredReload,
        crate::rolling::StoredSuccessor,
        nexus_proto::Actor,
        nexus_proto::AppResult,
        nexus_proto::DaemonResult,
        nexus_proto::EventView,
        nexus_proto::OpState,
        nexus_proto::Operation,
        nexus_proto::Verdict,
    ]
    .into()
}

fn asked_for() -> Vec<(&'static str, String)> {
    use nexus_spec::*;
    all![
        AppSpec, Autoscale, Backoff, Bound, Canary, Check, Door, Health, Inherit, Instances,
        Limits, Listen, LogFiles, LogFormat, Memory, Missed, OnFull, Overlap, Ready, Restart,
        Rlimit, RollbackOn, Rollout, RunAs, Schedule, Source, Stdin, Stop, Until, Watch,
    ]
    .into()
}

/// A socket stands among the fields of its address, so that its own are told to nobody beforehand:
/// one that has all of them shows them.
fn socket() -> String {
    let text = || Some(String::new());
    let whole = nexus_spec::Socket {
        address: nexus_spec::Listen::Unix("/".into()),
        name: text(),
        backlog: Some(1),
        mode: Some(1),
        user: text(),
        group: text(),
        reuse_port: true,
    };
    let value = serde_json::to_value(whole).unwrap();
    let names: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    format!("Socket: {}", names.join(" "))
}

#[test]
fn what_is_kept_has_a_version_of_its_own() {
    let no_kind = serde_json::from_str::<Entry>(r#"{"kind":"?"}"#).unwrap_err().to_string();
    let kinds = no_kind.split_once("expected one of ").unwrap().1.replace(['`', ','], "");
    let kinds = kinds.split(" at line").next().unwrap().to_owned();
    let mut all = vec![format!("Entry: {kinds}")];
    for (kind, names) in ours().into_iter().chain(asked_for()) {
        assert!(names.contains(": "), "{kind}: {names}");
        all.push(names);
    }
    all.push(socket());
    let all = all.join("\n") + "\n";
    let file = format!("{}/golden/state-{VERSION}.txt", env!("CARGO_MANIFEST_DIR"));
    let known = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        all == known,
        "what is kept is no longer what format {VERSION} keeps. If a release has that, raise \
         `lines::VERSION` and put a state of format {VERSION} into `tests/fixtures`; \
         in its file in `golden`:\n{all}"
    );
}
