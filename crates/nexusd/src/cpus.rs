//! How many CPUs we may use: affinity, and the quota of our cgroup.

use std::fs;
use std::sync::LazyLock;

use nexus_spec::Instances;

/// CPUs that this process may use, at least 1, as they were when it began. `available_parallelism`
/// respects the affinity mask and the quotas of cgroup v1 and v2, and reads files to do so.
pub(crate) fn count() -> u16 {
    static CPUS: LazyLock<u16> = LazyLock::new(|| {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        u16::try_from(cpus).unwrap_or(u16::MAX)
    });
    *CPUS
}

/// The number of workers that `instances` means here; the least, where it follows their load.
pub(crate) fn resolve(instances: Instances) -> u16 {
    match instances {
        Instances::Count(count) => count.max(1),
        Instances::Max => count(),
        Instances::Auto(rule) => rule.min,
        Instances::AllBut(fewer) => count().saturating_sub(fewer).max(1),
    }
}

/// The kernel's identity of this boot.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}
