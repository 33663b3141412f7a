//! `GET /v1/metrics`: the fleet for Prometheus, in OpenMetrics or in its older text format.
//!
//! Nothing is counted here: each answer is drawn from the snapshot of its moment. What there is, is
//! the table in `families.rs`; `docs/METRICS.md` is made of it.

mod families;
mod process;

use nexus_proto::Snapshot;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;

use families::{FAMILIES, Family, Kind};
use process::Process;

/// Instances that have series of their own at the most; with more of them only their apps have.
const INSTANCES_MAX: usize = 2_000;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// OpenMetrics 1.0.
    Open,
    /// Prometheus's text format 0.0.4, for those who read no other: node_exporter's textfiles.
    Classic,
}

impl Format {
    /// What a client takes, by its `Accept`; OpenMetrics unless it takes only plain text.
    pub(crate) fn of(accept: &str) -> Format {
        let open = accept.contains("application/openmetrics-text");
        if !open && accept.contains("text/plain") { Format::Classic } else { Format::Open }
    }

    /// The answer's `Content-Type`.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Format::Open => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The whole answer.
pub(crate) fn render(snapshot: Snapshot, format: Format) -> String {
    let pair = [("nexusd", snapshot.daemon.pid), ("nexus-keeper", snapshot.daemon.keeper_pid)];
    let pair = pair.into_iter().filter_map(|(name, pid)| Process::read(name, pid)).collect();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape { snapshot, pair }));
    let mut text = String::new();
    // A string takes everything.
    let _ = encode(&mut text, &registry);
    match format {
        Format::Open => text,
        Format::Classic => classic(&text),
    }
}

/// What one answer is drawn from.
#[derive(Debug)]
struct Scrape {
    snapshot: Snapshot,
    pair: Vec<Process>,
}

impl Scrape {
    fn has_instances(&self) -> bool {
        self.snapshot.apps.iter().map(|app| app.instances.len()).sum::<usize>() <= INSTANCES_MAX
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for family in &FAMILIES {
            let (name, help) = (family.name, family.help);
            let mut metric = encoder.encode_descriptor(name, help, None, family.kind.metric())?;
            for sample in (family.samples)(self) {
                let labels = sample.labels.as_slice();
                debug_assert!(labels.iter().map(|(label, _)| label).eq(family.labels), "{name}");
                match family.kind {
                    Kind::Info => metric.encode_info(&labels)?,
                    Kind::Gauge => metric.encode_family(&labels)?.encode_gauge(&sample.value)?,
                    Kind::Counter => metric
                        .encode_family(&labels)?
                        .encode_counter(&sample.value, None::<&Exemplar<NoLabelSet, f64>>)?,
                }
            }
        }
        Ok(())
    }
}

impl Kind {
    const fn metric(self) -> MetricType {
        match self {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Info => MetricType::Info,
        }
    }

    /// The word that the older format has for it.
    const fn classic(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge | Kind::Info => "gauge",
        }
    }
}

/// OpenMetrics names a family without the ending of its samples; the older format with it. Samples
/// are written alike.
fn classic(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    for line in open.lines() {
        let Some(comment) = line.strip_prefix("# ") else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        let mut words = comment.splitn(3, ' ');
        let (Some(word), Some(name), Some(rest)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let family = FAMILIES.iter().find(|family| family.name == name);
        let kind = family.map_or(Kind::Gauge, |family| family.kind);
        let sample = family.map_or_else(|| name.to_owned(), Family::sample_name);
        let rest = if word == "TYPE" { kind.classic() } else { rest };
        text.push_str(&format!("# {word} {sample} {rest}\n"));
    }
    text
}

#[cfg(test)]
mod tests;
