//! One boot of the machine: QEMU, and beside it who shows it this machine's files.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::image::{Image, LossyDisk};

/// Memory of the machine.
const MEMORY: &str = "3G";
/// Where QEMU's package has the file server.
const FILE_SERVER: &str = "/usr/lib/qemu/virtiofsd";
/// Files that it may have open: it keeps each that the machine has looked at.
const FILES_MAX: &str = "500000";
/// How long it may take to have its socket.
const SOCKET: Duration = Duration::from_secs(20);

/// A machine that runs. Dropping it is a power cut.
pub(super) struct Guest {
    machine: Child,
    files: Child,
    lines: Receiver<String>,
}

/// What comes of a machine.
pub(super) enum Said {
    /// A line of its step.
    Line(String),
    /// It is off.
    Off,
    /// Nothing within the time.
    Nothing,
}

impl Guest {
    /// Turn it on, with a script as its step.
    pub(super) fn boot(image: &Image, script: &str) -> Result<Guest, String> {
        // What is in the machine's memory only is lost with it; what its disk was given is not.
        let disk = format!("file={},if=virtio,format=raw,cache=writeback", image.disk.display());
        Guest::boot_with(image, script, &["-drive", &disk])
    }

    /// The same with a disk that keeps what it was told to flush and nothing else, once the machine is
    /// off: see [`lossy`].
    ///
    /// [`lossy`]: super::lossy
    pub(super) fn boot_lossy(image: &Image, script: &str) -> Result<Guest, String> {
        let LossyDisk { copy, log } = image.lossy_disk()?;
        let disk = format!(
            "driver=blklogwrites,node-name=disk,file.driver=file,file.filename={},\
             log.driver=file,log.filename={}",
            copy.display(),
            log.display()
        );
        let device = "virtio-blk-pci,drive=disk,write-cache=on,discard=off,write-zeroes=off";
        Guest::boot_with(image, script, &["-blockdev", &disk, "-device", device])
    }

    fn boot_with(image: &Image, script: &str, disk: &[&str]) -> Result<Guest, String> {
        let first_root = image.with_step(script)?;
        let socket = image.dir.join("files.sock");
        let mut files = serve_files(image, &socket)?;
        let mut guest = Command::new("qemu-system-x86_64");
        // No hardware help: what runs this may be a virtual machine itself.
        guest.args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", MEMORY]);
        guest.args(["-nodefaults", "-nographic", "-no-reboot", "-nic", "none"]);
        guest.arg("-kernel").arg(&image.kernel).arg("-initrd").arg(first_root);
        guest.args(["-append", "console=ttyS0 quiet panic=-1"]);
        guest.args(["-object", &format!("memory-backend-memfd,id=mem,size={MEMORY},share=on")]);
        guest.args(["-numa", "node,memdev=mem"]);
        guest.args(["-chardev", &format!("socket,id=files,path={}", socket.display())]);
        guest.args(["-device", "vhost-user-fs-pci,chardev=files,tag=host"]);
        guest.args(disk);
        guest.args(["-serial", &format!("file:{}", image.dir.join("console").display())]);
        guest.args(["-serial", "stdio"]);
        let started = guest.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut machine = match started {
            Ok(machine) => machine,
            Err(error) => {
                end(&mut files);
                return Err(format!("qemu-system-x86_64: {error}"));
            }
        };
        let (sender, lines) = channel();
        if let Some(output) = machine.stdout.take() {
            std::thread::spawn(move || {
                let mut output = BufReader::new(output);
                let mut line = Vec::new();
                // Half a line, with which a power cut may end, is none.
                while output.read_until(b'\n', &mut line).is_ok() && line.ends_with(b"\n") {
                    let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                    line.clear();
                    if sender.send(text).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Guest { machine, files, lines })
    }

    /// The next line of its step.
    pub(super) fn said(&self, within: Duration) -> Said {
        match self.lines.recv_timeout(within) {
            Ok(line) => Said::Line(line),
            Err(RecvTimeoutError::Disconnected) => Said::Off,
            Err(RecvTimeoutError::Timeout) => Said::Nothing,
        }
    }

    /// Cut its power; what it had still said.
    pub(super) fn cut(mut self) -> Vec<String> {
        end(&mut self.machine);
        self.lines.iter().collect()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        end(&mut self.machine);
        end(&mut self.files);
    }
}

/// End it, if it has not ended by itself.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Show this machine's files, and no other file system than its root, read-only: in a mount
/// namespace of the server's own, so that nothing the machine does can reach them.
fn serve_files(image: &Image, socket: &Path) -> Result<Child, String> {
    let shown = image.dir.join("shown");
    std::fs::create_dir_all(&shown).map_err(|error| format!("{}: {error}", shown.display()))?;
    let _ = std::fs::remove_file(socket);
    let log = image.dir.join("files.log");
    let log = std::fs::File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let errors = log.try_clone().map_err(|error| format!("dup: {error}"))?;
    let mut server = Command::new("unshare");
    server.args(["--mount", "--propagation", "private", "sh", "-ec"]);
    server.arg(
        "mount --bind / \"$1\"; mount -o remount,bind,ro \"$1\"
        exec \"$0\" --socket-path=\"$2\" -o source=\"$1\" -o cache=always \
         -o sandbox=chroot --rlimit-nofile=\"$3\"",
    );
    server.arg(FILE_SERVER).arg(&shown).arg(socket).arg(FILES_MAX);
    let started = server.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
    let mut server = started.map_err(|error| format!("unshare: {error}"))?;
    let begin = Instant::now();
    while !socket.exists() {
        if let Ok(Some(status)) = server.try_wait() {
            return Err(format!("{FILE_SERVER}: {status}, see files.log beside the image"));
        }
        if begin.elapsed() > SOCKET {
            end(&mut server);
            return Err(format!("{FILE_SERVER}: no socket within {} s", SOCKET.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(server)
}
