//! How this worker is: for people, for the manager, for load balancers.

use std::fs;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::problem::Problem;

/// Memory figures are read from the kernel at most this often.
const MEMORY_FRESH: Duration = Duration::from_secs(1);

/// This process's memory in bytes, as the kernel counts it; null when it does not say.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Memory {
    rss: Option<u64>,
    #[serde(rename = "peakRss")]
    peak_rss: Option<u64>,
}

/// The last reading of [`Memory`].
#[derive(Debug, Default)]
pub(crate) struct Gauge(Mutex<Option<(Instant, Memory)>>);

impl Gauge {
    fn read(&self, now: Instant) -> Memory {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, memory)) = *last
            && now.duration_since(at) < MEMORY_FRESH
        {
            return memory;
        }
        let memory = memory(&fs::read_to_string("/proc/self/status").unwrap_or_default());
        *last = Some((now, memory));
        memory
    }
}

/// From proc_pid_status(5), which counts in KiB.
fn memory(status: &str) -> Memory {
    let bytes = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib * 1_024)
    };
    Memory { rss: bytes("VmRSS:"), peak_rss: bytes("VmHWM:") }
}

#[derive(Serialize)]
pub(crate) struct Health {
    status: &'static str,
    timestamp: String,
    /// The port of the first TCP listener; null when there is none.
    port: Option<u16>,
    environment: String,
    /// The worker's pid.
    worker: u32,
    /// Which worker of the app; null when nobody manages it.
    instance: Option<u32>,
    memory: Memory,
    /// Seconds since the start.
    uptime: f64,
    version: &'static str,
    symbols: usize,
    bars: usize,
}

/// `GET /api/health`: 200 as long as the worker answers at all, also while it drains.
pub(crate) async fn health(State(app): State<Arc<App>>) -> Json<Health> {
    let now = Instant::now();
    Json(Health {
        status: if app.is_draining() { "draining" } else { "ok" },
        timestamp: format!("{:.3}", Timestamp::now()),
        port: app.port,
        environment: app.settings.environment.clone(),
        worker: process::id(),
        instance: app.settings.instance,
        memory: app.memory.read(now),
        uptime: now.duration_since(app.started).as_millis() as f64 / 1_000.0,
        version: env!("CARGO_PKG_VERSION"),
        symbols: app.data.symbols().len(),
        bars: app.data.len(),
    })
}

/// `GET /live`: the process turns its loop.
pub(crate) async fn live() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

/// `GET /ready`: whether to send more requests here; 503 while draining.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    if app.is_draining() {
        let detail = "this worker has been asked to stop and takes no new connections";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "draining", detail));
    }
    Ok(Json(json!({ "status": "ready" })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_the_kernel_says_or_unknown() {
        let read = memory("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n");
        assert_eq!((read.rss, read.peak_rss), (Some(1_048_576), Some(2_097_152)));
        assert_eq!(memory("").rss, None);
        assert!(Gauge::default().read(Instant::now()).rss > Some(0));
    }
}
