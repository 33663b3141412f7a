//! A file system that stops answering in the middle of a write: FUSE, served by this test. There a
//! splice holds the lock of its pipe for as long as no answer comes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use nexus_tests::{Home, PROMPT, truth, wait_for};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::poll::{PollFd, PollFlags, poll};

use crate::worker;

/// Files in memory, by name: their numbers are 2 and up, the root's is 1.
#[derive(Default)]
struct Files {
    names: Vec<Vec<u8>>,
    bytes: BTreeMap<u64, Vec<u8>>,
}

/// A mounted file system. Dropping it ends it: whoever waits for it gets an error.
pub(crate) struct Served {
    pub(crate) at: PathBuf,
    hangs: Arc<AtomicBool>,
    /// What every write is answered with, unless it is 0.
    errno: Arc<AtomicI32>,
    over: Arc<AtomicBool>,
}

impl Served {
    pub(crate) fn new(at: PathBuf) -> Served {
        std::fs::create_dir(&at).unwrap();
        let device = File::options().read(true).write(true).open("/dev/fuse").unwrap();
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("nexus-test"), &at, Some("fuse"), flags, Some(options.as_str())).unwrap();
        let served =
            Served { at, hangs: Arc::default(), errno: Arc::default(), over: Arc::default() };
        let (hangs, over) = (Arc::clone(&served.hangs), Arc::clone(&served.over));
        let errno = Arc::clone(&served.errno);
        std::thread::spawn(move || serve(&device, &hangs, &errno, &over));
        served
    }

    /// Answer every write with this; `None` = well again.
    pub(crate) fn fail(&self, errno: Option<Errno>) {
        self.errno.store(errno.map_or(0, |errno| errno as i32), Ordering::SeqCst);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = umount2(&self.at, MntFlags::MNT_DETACH);
    }
}

/// Answer until it is over; writes wait while it hangs.
fn serve(device: &File, hangs: &AtomicBool, errno: &AtomicI32, over: &AtomicBool) {
    let (mut files, mut waiting) = (Files::default(), Vec::new());
    let mut buffer = vec![0; 1 << 20];
    while !over.load(Ordering::SeqCst) {
        if !hangs.load(Ordering::SeqCst) {
            for request in waiting.drain(..) {
                answer(device, &mut files, request, 0);
            }
        }
        let mut ready = [PollFd::new(device.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ready, 20_u8) != Ok(1) {
            continue;
        }
        let Ok(len) = { device }.read(&mut buffer) else { continue };
        let request = buffer[..len].to_vec();
        if number(&request, 4, 4) == 16 && hangs.load(Ordering::SeqCst) {
            waiting.push(request);
        } else {
            let failed = errno.load(Ordering::SeqCst);
            answer(device, &mut files, request, failed);
        }
    }
}

fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    bytes[at..at + len].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// One request, and what it fails with if it is a write and that is not 0 (linux/fuse.h, protocol 7.31).
fn answer(mut device: &File, files: &mut Files, request: Vec<u8>, failed: i32) {
    let (opcode, unique, node) =
        (number(&request, 4, 4), number(&request, 8, 8), number(&request, 16, 8));
    let body = &request[40..];
    let name = |from: usize| body[from..].split(|byte| *byte == 0).next().unwrap().to_vec();
    let mut out: Vec<u8> = Vec::new();
    let mut errno = 0_i32;
    match opcode {
        1 => match files.names.iter().position(|known| *known == name(0)) {
            Some(at) => out = files.entry(at as u64 + 2),
            None => errno = 2,
        },
        2 | 42 => return,
        3 => out = files.attributes(node),
        4 => {
            if number(body, 0, 4) & 8 != 0 {
                let size = usize::try_from(number(body, 16, 8)).unwrap();
                files.bytes.entry(node).or_default().resize(size, 0);
            }
            out = files.attributes(node);
        }
        14 | 27 => out = vec![0; 16],
        15 => {
            let (at, len) = (number(body, 8, 8) as usize, number(body, 16, 4) as usize);
            let bytes = files.bytes.get(&node).map_or(&[][..], Vec::as_slice);
            let begin = at.min(bytes.len());
            out = bytes[begin..bytes.len().min(begin + len)].to_vec();
        }
        16 if failed != 0 => errno = failed,
        16 => {
            let (at, len) = (number(body, 8, 8) as usize, number(body, 16, 4) as usize);
            let bytes = files.bytes.entry(node).or_default();
            bytes.resize(bytes.len().max(at + len), 0);
            bytes[at..at + len].copy_from_slice(&body[40..40 + len]);
            out.extend(u64::try_from(len).unwrap().to_le_bytes());
        }
        17 => out = vec![0; 80],
        18 | 20 | 25 | 28 | 29 | 34 => {}
        26 => {
            out.extend([7_u32, 31, 0, 0, 0, 128 * 1024].iter().flat_map(|word| word.to_le_bytes()));
            out.resize(64, 0);
        }
        35 => {
            files.names.push(name(16));
            let node = files.names.len() as u64 + 1;
            files.bytes.insert(node, Vec::new());
            out = files.entry(node);
            out.extend([0; 16]);
        }
        // ENOSYS
        _ => errno = 38,
    }
    let mut all = (u32::try_from(out.len()).unwrap() + 16).to_le_bytes().to_vec();
    all.extend((-errno).to_le_bytes());
    all.extend(unique.to_le_bytes());
    all.extend(out);
    // Whoever asked may have been killed.
    let _ = device.write(&all);
}

impl Files {
    fn attr(&self, node: u64) -> Vec<u8> {
        let size = self.bytes.get(&node).map_or(0, Vec::len) as u64;
        let mode: u32 = if node == 1 { 0o40700 } else { 0o100_600 };
        let mut out: Vec<u8> =
            [node, size, 0, 0, 0, 0].iter().flat_map(|n| n.to_le_bytes()).collect();
        let words = [0_u32, 0, 0, mode, 1, 0, 0, 0, 4096, 0];
        out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        out
    }

    fn attributes(&self, node: u64) -> Vec<u8> {
        [vec![0; 16], self.attr(node)].concat()
    }

    fn entry(&self, node: u64) -> Vec<u8> {
        [node.to_le_bytes().to_vec(), vec![0; 32], self.attr(node)].concat()
    }
}

pub(crate) fn written(truth: &Path) -> u64 {
    let entries = std::fs::read_dir(truth).unwrap().flatten();
    let numbers = entries.filter_map(|entry| std::fs::read(entry.path()).ok()?.try_into().ok());
    numbers.map(u64::from_le_bytes).sum()
}

#[test]
fn a_worker_can_be_stopped_while_its_log_is_on_a_disk_that_does_not_answer() {
    if !nix::unistd::geteuid().is_root() || !Path::new("/dev/fuse").exists() {
        println!("mounting needs root: nothing to try");
        return;
    }
    let home = Home::new();
    let served = Served::new(home.project().join("far"));
    let truth = home.project().join("truth");
    std::fs::create_dir(&truth).unwrap();
    let dir = truth.display().to_string();
    let args = ["--lines", "20", "--truth", &dir, "--ready-after", "0"];
    let log = served.at.join("stuck.log");
    let more = format!("ready = \"notify\"\nkill_timeout = \"2s\"\nout_file = {log:?}");
    home.write("ecosystem.toml", &worker("stuck", &args, &more));
    home.ctl(&["start"]).ok();
    wait_for(PROMPT, "lines", || (std::fs::metadata(&log).ok()?.len() > 4_096).then_some(()));

    served.hangs.store(true, Ordering::SeqCst);
    // The pipe's lock would stop it at once.
    let before = written(&truth);
    wait_for(PROMPT, "lines that nobody takes", || (written(&truth) > before + 500).then_some(()));
    home.ctl_within(Duration::from_secs(20), &["stop", "stuck"]).ok();

    served.hangs.store(false, Ordering::SeqCst);
    wait_for(PROMPT, "all lines", || truth::compare(std::slice::from_ref(&log), &truth).ok());
    home.ctl(&["kill"]).ok();
}
