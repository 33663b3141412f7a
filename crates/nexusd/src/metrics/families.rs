//! Every family of series: its name, what it says, and how it is drawn from a snapshot.

use nexus_proto::{AppView, InstanceView, Status};

use super::{INSTANCES_MAX, Scrape};

/// What the figures of a family are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only grows, until what it counts is replaced; its samples end with `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Always 1: what matters is in the labels; its sample ends with `_info`.
    Info,
}

/// One family.
pub(super) struct Family {
    /// Without the ending of its samples. A released name keeps its meaning.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// One sentence.
    pub(super) help: &'static str,
    /// The labels of its samples.
    pub(super) labels: &'static [&'static str],
    pub(super) samples: fn(&Scrape) -> Vec<Sample<'_>>,
}

impl Family {
    /// As it is queried.
    pub(super) fn sample_name(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.name),
            Kind::Gauge => self.name.to_owned(),
            Kind::Info => format!("{}_info", self.name),
        }
    }
}

/// One figure.
pub(super) struct Sample<'a> {
    pub(super) labels: Vec<(&'static str, std::borrow::Cow<'a, str>)>,
    pub(super) value: f64,
}

const APP: &[&str] = &["app", "namespace"];
const INSTANCE: &[&str] = &["app", "namespace", "instance"];
const PROCESS: &[&str] = &["process"];

pub(super) static FAMILIES: [Family; 27] = [
    gauge(
        "nexus_app_instances",
        "Instances in each state.",
        &["app", "namespace", "status"],
        |scrape| scrape.apps().flat_map(by_status).collect(),
    ),
    gauge("nexus_app_instances_wanted", "Instances that are wanted.", APP, |scrape| {
        scrape.each_app(|app| Some(f64::from(app.wanted)))
    }),
    gauge("nexus_app_instances_ready", "Instances that are ready.", APP, |scrape| {
        scrape.each_app(|app| Some(f64::from(app.ready)))
    }),
    counter("nexus_app_restarts", "Restarts that nobody asked for.", APP, |scrape| {
        scrape.each_app(|app| Some(app.restarts as f64))
    }),
    gauge("nexus_app_generation", "How often it was changed or restarted.", APP, |scrape| {
        scrape.each_app(|app| Some(app.generation as f64))
    }),
    gauge(
        "nexus_app_cpu_cores",
        "CPUs that the process trees of all instances keep busy.",
        APP,
        |scrape| scrape.each_app(|app| app.cpu_percent.map(|percent| percent / 100.0)),
    ),
    gauge(
        "nexus_app_memory_bytes",
        "Resident memory of the process trees of all instances.",
        APP,
        |scrape| scrape.each_app(|app| app.memory_bytes.map(|bytes| bytes as f64)),
    ),
    gauge(
        "nexus_app_memory_high_bytes",
        "Limit of each instance's memory that may be passed for a while; where there is one.",
        APP,
        |scrape| scrape.each_app(|app| app.memory_high_bytes.map(|bytes| bytes as f64)),
    ),
    gauge(
        "nexus_app_memory_max_bytes",
        "Limit of each instance's memory above which it is replaced; where there is one.",
        APP,
        |scrape| scrape.each_app(|app| app.memory_max_bytes.map(|bytes| bytes as f64)),
    ),
    gauge("nexus_instance_up", "1 while it is ready, else 0.", INSTANCE, |scrape| {
        scrape.each_instance(|one| Some(f64::from(u8::from(one.status == Status::Online))))
    }),
    counter("nexus_instance_restarts", "Restarts that nobody asked for.", INSTANCE, |scrape| {
        scrape.each_instance(|one| Some(one.restarts as f64))
    }),
    counter(
        "nexus_instance_cpu_seconds",
        "CPU time of its process tree since it was spawned.",
        INSTANCE,
        |scrape| scrape.each_instance(|one| one.cpu_time_ms.map(seconds)),
    ),
    gauge(
        "nexus_instance_memory_bytes",
        "Resident memory of its process tree.",
        INSTANCE,
        |scrape| scrape.each_instance(|one| one.memory_bytes.map(|bytes| bytes as f64)),
    ),
    gauge(
        "nexus_instance_start_time_seconds",
        "When it was spawned, in Unix time.",
        INSTANCE,
        |scrape| scrape.each_instance(|one| one.started_at_unix_ms.map(seconds)),
    ),
    gauge(
        "nexus_instances_omitted",
        "Instances without series of their own: all, where there are more than 2000.",
        &[],
        |scrape| {
            let all = scrape.apps().map(|app| app.instances.len()).sum::<usize>();
            one(if all > INSTANCES_MAX { all as f64 } else { 0.0 })
        },
    ),
    gauge("nexus_apps", "Apps that are known.", &[], |scrape| {
        one(scrape.snapshot.apps.len() as f64)
    }),
    Family {
        name: "nexus_build",
        kind: Kind::Info,
        help: "The version of nexusd.",
        labels: &["version"],
        samples: |scrape| {
            let version = scrape.snapshot.daemon.version.as_str().into();
            vec![Sample { labels: vec![("version", version)], value: 1.0 }]
        },
    },
    gauge("nexus_pair_uptime_seconds", "How long the pair has been there.", &[], |scrape| {
        one(seconds(scrape.snapshot.daemon.pair_uptime_ms))
    }),
    counter(
        "nexus_process_replacements",
        "How often it was replaced since the pair began.",
        PROCESS,
        |scrape| {
            let daemon = &scrape.snapshot.daemon;
            let counts =
                [("nexusd", daemon.nexusd_restarts), ("nexus-keeper", daemon.keeper_restarts)];
            let sample = |(name, count)| process(name, count as f64);
            counts.into_iter().map(sample).collect()
        },
    ),
    counter("nexus_process_cpu_seconds", "CPU time of one of the pair.", PROCESS, |scrape| {
        scrape.pair.iter().map(|one| process(one.name, one.cpu_seconds)).collect()
    }),
    gauge("nexus_process_memory_bytes", "Resident memory of one of the pair.", PROCESS, |scrape| {
        scrape.pair.iter().map(|one| process(one.name, one.memory_bytes as f64)).collect()
    }),
    gauge(
        "nexus_process_open_files",
        "Open files of one of the pair; from Linux 6.2 on.",
        PROCESS,
        |scrape| {
            let open = |one: &super::Process| Some(process(one.name, one.open_files? as f64));
            scrape.pair.iter().filter_map(open).collect()
        },
    ),
    gauge("nexus_host_cpus", "CPUs that we may use.", &[], |scrape| {
        one(f64::from(scrape.snapshot.host.cpus))
    }),
    gauge(
        "nexus_host_cpu_ratio",
        "Busy part of all CPUs of the host, from 0 to 1; while a worker runs.",
        &[],
        |scrape| {
            let busy = scrape.snapshot.host.cpu_percent;
            busy.map_or_else(Vec::new, |percent| one(percent / 100.0))
        },
    ),
    gauge("nexus_host_load1", "Average load of one minute.", &[], |scrape| {
        one(scrape.snapshot.host.load_1m)
    }),
    gauge("nexus_host_memory_used_bytes", "Memory of the host in use.", &[], |scrape| {
        one(scrape.snapshot.host.memory_used_bytes as f64)
    }),
    gauge("nexus_host_memory_total_bytes", "Memory of the host.", &[], |scrape| {
        one(scrape.snapshot.host.memory_total_bytes as f64)
    }),
];

type Samples = fn(&Scrape) -> Vec<Sample<'_>>;

const fn gauge(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    samples: Samples,
) -> Family {
    Family { name, kind: Kind::Gauge, help, labels, samples }
}

const fn counter(
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    samples: Samples,
) -> Family {
    Family { name, kind: Kind::Counter, help, labels, samples }
}

impl Scrape {
    fn apps(&self) -> impl Iterator<Item = &AppView> {
        self.snapshot.apps.iter()
    }

    /// A figure of each app that has it.
    fn each_app(&self, figure: impl Fn(&AppView) -> Option<f64>) -> Vec<Sample<'_>> {
        let sample = |app| Some(Sample { value: figure(app)?, labels: labels(app) });
        self.apps().filter_map(sample).collect()
    }

    /// A figure of each instance that has it, where they have series of their own.
    fn each_instance(&self, figure: impl Fn(&InstanceView) -> Option<f64>) -> Vec<Sample<'_>> {
        if !self.has_instances() {
            return Vec::new();
        }
        let all = self.apps().flat_map(|app| app.instances.iter().map(move |one| (app, one)));
        let sample = |(app, one): (_, &InstanceView)| {
            let mut labels = labels(app);
            labels.push(("instance", one.instance.to_string().into()));
            Some(Sample { value: figure(one)?, labels })
        };
        all.filter_map(sample).collect()
    }
}

fn labels(app: &AppView) -> Vec<(&'static str, std::borrow::Cow<'_, str>)> {
    vec![("app", app.name.as_str().into()), ("namespace", app.namespace.as_str().into())]
}

/// Every state that an instance may have, in each app: a rule must not miss one that is absent.
fn by_status(app: &AppView) -> impl Iterator<Item = Sample<'_>> {
    const STATES: [(Status, &str); 8] = [
        (Status::Online, "online"),
        (Status::Waiting, "waiting"),
        (Status::Starting, "starting"),
        (Status::Stopping, "stopping"),
        (Status::Backoff, "backoff"),
        (Status::Errored, "errored"),
        (Status::Scheduled, "scheduled"),
        (Status::Stopped, "stopped"),
    ];
    STATES.into_iter().map(|(status, word)| {
        let count = app.instances.iter().filter(|one| one.status == status).count();
        let mut labels = labels(app);
        labels.push(("status", word.into()));
        Sample { labels, value: count as f64 }
    })
}

fn one(value: f64) -> Vec<Sample<'static>> {
    vec![Sample { labels: Vec::new(), value }]
}

fn process(name: &'static str, value: f64) -> Sample<'static> {
    Sample { labels: vec![("process", name.into())], value }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}
