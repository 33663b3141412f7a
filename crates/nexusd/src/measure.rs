//! Figures that are read when somebody looks: the host's, and the memory of workers.

use std::fs;
use std::io::Read;
use std::sync::{LazyLock, Mutex, PoisonError};

use nexus_proto::{AppView, HostView};
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

/// The second field of `/proc/PID/statm` (`proc(5)`), in pages. One read into a buffer of our own:
/// a file of `/proc` says nothing of its size.
fn resident(pid: i32, page: u64) -> Option<u64> {
    let mut statm = [0; 128];
    let length = fs::File::open(format!("/proc/{pid}/statm")).ok()?.read(&mut statm).ok()?;
    let mut words = statm[..length].split(|&byte| byte == b' ');
    let pages: u64 = std::str::from_utf8(words.nth(1)?).ok()?.parse().ok()?;
    Some(pages * page)
}

fn page_size() -> u64 {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or(4_096)
}
