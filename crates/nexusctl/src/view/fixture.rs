//! A fleet as the tests of the views show it.

use jiff::tz::TimeZone;
use nexus_proto::{
    AppView, DaemonView, EventView, HostView, InstanceView, LogFile, Snapshot, Status, Trouble,
};
use nexus_spec::Name;

use crate::look::Look;

/// A plain look of a width; 0 = a pipe.
pub(crate) fn look(width: usize) -> Look {
    let width = Some(width).filter(|width| *width > 0);
    Look { width, color: false, ascii: false, terminal: true, zone: TimeZone::UTC }
}

/// One instance in one state.
pub(crate) fn instance(id: u32, number: u16, status: Status) -> InstanceView {
    let up = status == Status::Online;
    InstanceView {
        id,
        instance: number,
        status,
        explain: if up { "running, as asked" } else { "see the last exit" }.to_owned(),
        says: None,
        ready_by: (status == Status::Online).then(|| "notify".to_owned()),
        healthy: None,
        pid: up.then_some(7402 + i32::from(number)),
        child: up.then_some(u64::from(id) + 100),
        generation: Some(3),
        restarts: 0,
        uptime_ms: up.then_some(187_200_000),
        started_at_unix_ms: up.then_some(1_795_000_000_000),
        again_in_ms: None,
        last_exit: None,
        last_exit_ago_ms: None,
        last_exit_asked: None,
        last_lived_ms: None,
        last_exit_code: None,
        cpu_percent: up.then_some(9.4),
        cpu_time_ms: up.then_some(17_596_800),
        memory_bytes: up.then_some(108_003_328),
        logs: vec![
            LogFile { stream: "out".into(), path: format!("/h/logs/app-out-{number}.log") },
            LogFile { stream: "err".into(), path: format!("/h/logs/app-error-{number}.log") },
        ],
        tree: "cgroup".into(),
    }
}

/// One app with so many instances in one state.
pub(crate) fn app(name: &str, first_id: u32, instances: u16, status: Status) -> AppView {
    let all = (0..instances).map(|number| instance(first_id + u32::from(number), number, status));
    let instances_view: Vec<InstanceView> = all.collect();
    let up = status == Status::Online;
    AppView {
        name: Name::new(name).unwrap(),
        namespace: "default".into(),
        status,
        ready: if up { instances } else { 0 },
        wanted: instances,
        restarts: 0,
        cpu_percent: up.then_some(9.4 * f64::from(instances)),
        memory_bytes: up.then_some(108_003_328 * u64::from(instances)),
        memory_high_bytes: None,
        memory_max_bytes: None,
        memory_hold_ms: 10_000,
        uptime_ms: up.then_some(187_200_000),
        generation: 3,
        version: 3,
        versions: Vec::new(),
        rollout: None,
        scaling: None,
        listen: Vec::new(),
        unadopted: Vec::new(),
        command: vec![
            "/usr/bin/node".into(),
            "/srv/app/server.js".into(),
            "--port".into(),
            "1".into(),
        ],
        cwd: "/srv/app".into(),
        health: None,
        ready_when: "notify".into(),
        stop_signal: "SIGTERM".into(),
        stop_tree: false,
        door: nexus_spec::Door::Ours,
        kill_timeout_ms: 10_000,
        restart_policy: "at most 16 unstable exits in 15m, backoff 100ms..15s".into(),
        env_names: vec!["PORT".into(), "REDIS_URL".into()],
        user: None,
        source: Some("/srv/app/ecosystem.toml".into()),
        trouble: None,
        watch: None,
        depends_on: Vec::new(),
        times: Vec::new(),
        instances: instances_view,
        build_log: None,
    }
}

/// An app that ends again and again.
pub(crate) fn crashing() -> AppView {
    let mut app = app("settlement", 6, 1, Status::Backoff);
    app.restarts = 16;
    app.trouble = Some(Trouble {
        what: "settlement/0 exited with code 3 after 0.2s, 16 times in 4m; next try in 28s".into(),
        instance: 0,
        last_lines: vec![
            "Error: cannot connect to redis 127.0.0.1:6379".into(),
            "    at connect (settlement.js:41:11)\x1b]0;title\x07".into(),
            String::new(),
        ],
        try_next: "nexusctl logs settlement --err".into(),
    });
    let one = &mut app.instances[0];
    one.restarts = 16;
    one.again_in_ms = Some(28_000);
    one.last_exit = Some("code 3".into());
    one.last_exit_ago_ms = Some(2_000);
    one.last_lived_ms = Some(200);
    one.last_exit_code = Some(3);
    app
}

/// A fleet of five.
pub(crate) fn snapshot() -> Snapshot {
    let mut api = app("api", 0, 4, Status::Online);
    api.listen = vec!["tcp://127.0.0.1:4100".into(), "unix:/run/api.sock".into()];
    api.memory_high_bytes = Some(536_870_912);
    api.memory_max_bytes = Some(2_147_483_648);
    let mut gateway =
        app("order-gateway-primary-of-the-trading-floor-in-frankfurt", 4, 2, Status::Partial);
    gateway.instances[0] = instance(4, 0, Status::Online);
    gateway.instances[1].status = Status::Starting;
    gateway.ready = 1;
    gateway.restarts = 1;
    gateway.instances[0].restarts = 1;
    gateway.instances[0].last_exit = Some("SIGKILL".into());
    gateway.instances[0].last_exit_ago_ms = Some(33_120_000);
    gateway.cpu_percent = Some(112.0);
    gateway.memory_bytes = Some(1_299_227_607);
    gateway.uptime_ms = Some(33_120_000);
    let mut wide = app("market-data", 7, 1, Status::Online);
    wide.namespace = "取引所システム".into();
    wide.uptime_ms = Some(190_000);
    let reporting = app("reporting", 8, 1, Status::Stopped);
    Snapshot {
        schema: "nexus.list/1".into(),
        generation: 42,
        generated_at: "2026-11-23T14:02:30.000Z".into(),
        daemon: DaemonView {
            version: "0.1.0".into(),
            home: "/h".into(),
            pid: 811,
            keeper_pid: 810,
            uptime_ms: 60_000,
            pair_uptime_ms: 1_040_400_000,
            nexusd_restarts: 1,
            keeper_restarts: 0,
            service: None,
            keeper_version: "0.1.0".into(),
            trees: "cgroup".into(),
        },
        host: HostView {
            name: "prod-api-01".into(),
            cpus: 8,
            cpu_percent: Some(21.4),
            load_1m: 1.44,
            memory_used_bytes: 3_435_973_836,
            memory_total_bytes: 16_750_372_454,
        },
        apps: vec![api, wide, gateway, reporting, crashing()],
    }
}

/// What happened to the one that ends again and again.
pub(crate) fn story() -> Vec<EventView> {
    let actor = || nexus_proto::Actor {
        uid: 1000,
        user: Some("alice".into()),
        pid: Some(4711),
        comm: "curl".into(),
    };
    let event =
        |id: u64, at: &str, kind: &str, detail: &str, by: &str, exit: Option<&str>| EventView {
            schema: "nexus.event/1".into(),
            id,
            at: at.into(),
            kind: kind.into(),
            app: Some(Name::new("settlement").unwrap()),
            instance: Some(0),
            child: None,
            pid: None,
            detail: detail.into(),
            by: by.into(),
            actor: (kind == "stop").then(actor),
            exit: exit.map(str::to_owned),
            last_lines: exit
                .map(|_| "Error: cannot connect to redis".to_owned())
                .into_iter()
                .collect(),
        };
    vec![
        event(1, "2026-11-22T09:11:02.000Z", "stop", "SIGTERM", "alice(1000)", None),
        event(2, "2026-11-23T13:58:28.000Z", "start", "pid 7811", "deploy(1001)", None),
        event(3, "2026-11-23T14:02:28.000Z", "exit", "after 0.2s (16th)", "nexusd", Some("code 3")),
    ]
}
