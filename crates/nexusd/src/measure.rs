//! Figures that are read when somebody looks: the host's, and the memory of workers.

use std::fs;
use std::sync::{Mutex, PoisonError};

use nexus_proto::{AppView, HostView};
use sysinfo::{MemoryRefreshKind, System};

/// Host figures: `sysinfo` without its table of processes.
pub(crate) fn host(view: &mut HostView) {
    static SYSTEM: Mutex<Option<System>> = Mutex::new(None);
    let mut system = SYSTEM.lock().unwrap_or_else(PoisonError::into_inner);
    if system.is_none() {
        *system = System::new().ok();
    }
    if let Some(system) = &mut *system {
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        view.memory_total_bytes = system.total_memory();
        view.memory_used_bytes = system.used_memory();
    }
    view.load_1m = System::load_average().map_or(0.0, |load| load.one);
    view.name = System::host_name().unwrap_or_default();
    view.cpus = crate::cpus::count();
}

/// Resident memory of every main process, and each app's sum.
pub(crate) fn memory(apps: &mut [AppView]) {
    let page = page_size();
    for app in apps {
        let mut sum = None;
        for instance in &mut app.instances {
            instance.memory_bytes = instance.pid.and_then(|pid| resident(pid, page));
            if let Some(bytes) = instance.memory_bytes {
                *sum.get_or_insert(0) += bytes;
            }
        }
        app.memory_bytes = sum;
    }
}

/// The second field of `/proc/PID/statm` (`proc(5)`), in pages.
fn resident(pid: i32, page: u64) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * page)
}

fn page_size() -> u64 {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or(4_096)
}
