//! What the machine boots: a kernel of the distribution, and a first root of one static program.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::packages;

/// Brings the newest kernel, whose number is in its name.
const KERNEL: &str = "linux-image-cloud-amd64";
/// Brings the first program of the machine.
const BUSYBOX: &str = "busybox-static";
/// What is needed before the root is there, in this order. `ext4` is built in.
const MODULES: &[&str] = &[
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci",
    "drivers/block/virtio_blk",
    "fs/fuse/fuse",
    "fs/fuse/virtiofs",
    "fs/overlayfs/overlay",
];
const INIT: &str = include_str!("init.sh");
/// The disk's size. It is sparse: only what is written takes room.
const DISK: &str = "4G";

/// A kernel, the first root without its step, and an empty disk.
pub(super) struct Image {
    /// Where all of it is.
    pub(super) dir: PathBuf,
    /// The kernel that is booted.
    pub(super) kernel: PathBuf,
    /// Its release, as `uname -r` says it.
    pub(super) release: String,
    /// The disk, which survives a boot.
    pub(super) disk: PathBuf,
}

/// What a machine writes to in place of its disk, and what is written down of it.
pub(super) struct LossyDisk {
    pub(super) copy: PathBuf,
    pub(super) log: PathBuf,
}

impl Image {
    /// Fetch and make what is missing below `dir`, with a fresh disk.
    pub(super) fn make(dir: &Path) -> Result<Image, String> {
        fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let fetched = fetch(dir)?;
        let boot = fetched.join("boot");
        let release = names(&boot)?
            .iter()
            .find_map(|name| name.strip_prefix("vmlinuz-").map(str::to_owned))
            .ok_or_else(|| format!("{}: no vmlinuz in it", boot.display()))?;
        let kernel = boot.join(format!("vmlinuz-{release}"));
        let root = dir.join("root");
        let image = Image { dir: dir.to_owned(), kernel, release, disk: dir.join("disk.img") };
        image.first_root(&fetched, &root)?;
        run(Command::new("truncate").args(["-s", "0"]).arg(&image.disk))?;
        run(Command::new("truncate").args(["-s", DISK]).arg(&image.disk))?;
        run(Command::new("mke2fs").args(["-q", "-F", "-t", "ext4"]).arg(&image.disk))?;
        Ok(image)
    }

    /// A copy of the disk and an empty log, for one boot.
    pub(super) fn lossy_disk(&self) -> Result<LossyDisk, String> {
        let (copy, log) = (self.dir.join("disk.copy"), self.log());
        run(Command::new("cp").args(["--sparse=always"]).arg(&self.disk).arg(&copy))?;
        fs::File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        Ok(LossyDisk { copy, log })
    }

    /// What was written down of a lossy disk.
    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("disk.log")
    }

    /// The directory that becomes the first root.
    fn first_root(&self, fetched: &Path, root: &Path) -> Result<(), String> {
        for place in ["bin", "modules", "proc", "sys", "dev", "host", "disk", "root"] {
            make_dir(&root.join(place))?;
        }
        copy(&fetched.join("bin/busybox"), &root.join("bin/busybox"))?;
        let modules = fetched.join("lib/modules").join(&self.release).join("kernel");
        let mut order = String::new();
        for module in MODULES {
            let name = module.rsplit('/').next().unwrap_or(module);
            copy(&modules.join(format!("{module}.ko")), &root.join(format!("modules/{name}.ko")))?;
            order += &format!("{name}.ko\n");
        }
        write(&root.join("modules/order"), &order)?;
        write(&root.join("init"), INIT)?;
        let runs = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(root.join("init"), runs).map_err(|error| format!("chmod: {error}"))
    }

    /// The first root with a script in it, which systemd runs once it is up.
    pub(super) fn with_step(&self, script: &str) -> Result<PathBuf, String> {
        let root = self.dir.join("root");
        write(&root.join("step"), script)?;
        let busybox = root.join("bin/busybox");
        let mut list = Command::new(&busybox);
        list.args(["find", "."]).current_dir(&root);
        let listed = list.output().map_err(|error| format!("busybox find: {error}"))?;
        let archive = self.dir.join("first-root.cpio");
        let file = fs::File::create(&archive)
            .map_err(|error| format!("{}: {error}", archive.display()))?;
        let mut pack = Command::new(&busybox);
        pack.args(["cpio", "-o", "-H", "newc"]).current_dir(&root);
        let mut packing = pack
            .stdin(Stdio::piped())
            .stdout(file)
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("busybox cpio: {error}"))?;
        if let Some(mut names) = packing.stdin.take() {
            names.write_all(&listed.stdout).map_err(|error| format!("busybox cpio: {error}"))?;
        }
        match packing.wait() {
            Ok(status) if status.success() => Ok(archive),
            Ok(status) => Err(format!("busybox cpio: {status}")),
            Err(error) => Err(format!("busybox cpio: {error}")),
        }
    }
}

/// The packages' files, unpacked but not installed: what is booted here is nothing to this machine.
fn fetch(dir: &Path) -> Result<PathBuf, String> {
    let fetched = dir.join("fetched");
    if fetched.join("bin/busybox").is_file() && fetched.join("boot").is_dir() {
        return Ok(fetched);
    }
    let debs = dir.join("packages");
    make_dir(&debs)?;
    packages::apt(&["update"])?;
    let output = Command::new("apt-cache")
        .args(["depends", "--important", KERNEL])
        .output()
        .map_err(|error| format!("apt-cache: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let newest = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))
        .filter(|name| name.starts_with("linux-image-"))
        .ok_or_else(|| format!("apt-cache knows no {KERNEL} (it is Debian's, for amd64)"))?;
    let mut download = Command::new("apt-get");
    run(download.args(["-qq", "download", newest, BUSYBOX]).current_dir(&debs))?;
    for name in names(&debs)? {
        run(Command::new("dpkg-deb").arg("-x").arg(debs.join(name)).arg(&fetched))?;
    }
    Ok(fetched)
}

fn names(dir: &Path) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

fn make_dir(dir: &Path) -> Result<(), String> {
    fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map(drop).map_err(|error| format!("{}: {error}", from.display()))
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}

/// Run a program to its end, which must be a good one.
pub(super) fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).status();
    match status.map_err(|error| format!("{program}: {error}"))? {
        status if status.success() => Ok(()),
        status => Err(format!("{program}: {status}")),
    }
}
