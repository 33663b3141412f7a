//! Figures of the host, read when somebody looks.

use std::sync::{LazyLock, Mutex, PoisonError};

use nexus_proto::HostView;
use sysinfo::{MemoryRefreshKind, System};

/// Host figures: `sysinfo` without its table of processes.
pub(crate) fn host(view: &mut HostView) {
    static SYSTEM: LazyLock<Mutex<Option<System>>> =
        LazyLock::new(|| Mutex::new(System::new().ok()));
    static NAME: LazyLock<String> = LazyLock::new(|| System::host_name().unwrap_or_default());
    if let Some(system) = &mut *SYSTEM.lock().unwrap_or_else(PoisonError::into_inner) {
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        view.memory_total_bytes = system.total_memory();
        view.memory_used_bytes = system.used_memory();
    }
    view.load_1m = System::load_average().map_or(0.0, |load| load.one);
    view.name.clone_from(&NAME);
    view.cpus = crate::cpus::count();
}
