//! Waiting for the first listening socket that a worker opens, while it is young: nobody can be told
//! of that by the kernel without tracing the worker.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use nexus_core::ChildId;
use tokio::time::{Instant, sleep};

use super::{Found, Tools};
use crate::sockets::listeners;
use crate::stat;

/// A worker that is so old is ready anyway.
const YOUNG: Duration = Duration::from_secs(1);
/// From one look to the next: the first pause, the longest, and what each grows by.
const PAUSES: (Duration, Duration, f64) =
    (Duration::from_millis(20), Duration::from_millis(100), 1.25);
/// The most processes of a worker's tree, threads of each, and descriptors of each that are looked
/// at.
const PROCESSES_MAX: usize = 64;
const THREADS_MAX: usize = 256;
const DESCRIPTORS_MAX: usize = 4_096;

impl Tools {
    /// Look at a worker until it listens, or is not young any more.
    pub(super) async fn wait_for_socket(self, child: ChildId, main: i32) {
        let began = Instant::now();
        let Some(birth) = stat::start_ticks(main) else { return };
        // Whose turn does not come has been alive for long enough meanwhile.
        let Ok(_permit) = self.looks.acquire().await else { return };
        let (mut pause, longest, grows) = PAUSES;
        while began.elapsed() < YOUNG {
            sleep(pause).await;
            pause = pause.mul_f64(grows).min(longest);
            // Not on the loop's thread: a tree may be large.
            let look = tokio::task::spawn_blocking(move || look(main, birth));
            if let Ok(Some(address)) = look.await {
                return self.tell(Found::Listens(child, address)).await;
            }
        }
    }
}

/// Where somebody of the tree of `main`, which began at `birth`, listens.
fn look(main: i32, birth: u64) -> Option<String> {
    let mut sockets = HashSet::new();
    let mut tree = vec![main];
    let mut seen = 0;
    while let Some(pid) = tree.pop() {
        seen += 1;
        sockets_of(pid, &mut sockets);
        children_of(pid, &mut tree);
        tree.truncate(PROCESSES_MAX.saturating_sub(seen));
    }
    if sockets.is_empty() {
        return None;
    }
    let address = listeners::first_of(&sockets)?;
    // Else it has ended, and what was looked at may have been somebody else's.
    (stat::start_ticks(main) == Some(birth)).then_some(address)
}

fn sockets_of(pid: i32, sockets: &mut HashSet<u32>) {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = files.take(DESCRIPTORS_MAX).filter_map(|file| fs::read_link(file.path()).ok());
    let inode = |link: std::path::PathBuf| {
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u32>().ok()
    };
    sockets.extend(links.filter_map(inode));
}

/// Each thread has those that it has forked.
fn children_of(pid: i32, tree: &mut Vec<i32>) {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    for thread in threads.take(THREADS_MAX) {
        let list = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        tree.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_grandchild_opens_counts_and_what_another_has_does_not() {
        let text = "import socket, sys, time\ns = socket.create_server((\"127.0.0.1\", 0))\n\
                    print(s.getsockname()[1], flush=True)\ntime.sleep(60)";
        let _ours = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut shell = std::process::Command::new("sh")
            .args(["-c", "python3 -c \"$0\" & wait", text])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        let out = shell.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut port).unwrap();
        let main = shell.id().cast_signed();
        let birth = stat::start_ticks(main).unwrap();
        assert_eq!(look(main, birth), Some(format!("tcp://127.0.0.1:{}", port.trim())));
        assert_eq!(look(main, birth + 1), None);
        let mut tree = Vec::new();
        children_of(main, &mut tree);
        for pid in tree {
            let pid = nix::unistd::Pid::from_raw(pid);
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        }
        shell.wait().unwrap();
        assert_eq!(look(main, birth), None);
    }
}
