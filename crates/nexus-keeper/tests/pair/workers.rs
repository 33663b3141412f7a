//! The programs that the cases run.

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::process::ExitCode;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// Be the worker that the word names.
pub(crate) fn be(role: &str, args: &[String]) -> ExitCode {
    match role {
        "probe" => probe(&args[0]),
        "nonblock" => {
            let flags =
                OFlag::from_bits_retain(fcntl(std::io::stdout(), FcntlArg::F_GETFL).unwrap());
            fcntl(std::io::stdout(), FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).unwrap();
            println!("nonblocking");
            nap()
        }
        "flags" => {
            let flags = fcntl(std::io::stdout().as_fd(), FcntlArg::F_GETFL).unwrap();
            println!("{}", flags & OFlag::O_NONBLOCK.bits());
            nap()
        }
        "lines" => lines(&args[0], &args[1]),
        _ => ExitCode::FAILURE,
    }
}

fn nap() -> ! {
    loop {
        std::thread::park();
    }
}

/// Write down all that a program can see of how it was started.
fn probe(out: &str) -> ExitCode {
    let mut text = String::new();
    let mut say = |key: &str, value: String| text.push_str(&format!("{key}\t{value}\n"));
    say("args", std::env::args().collect::<Vec<_>>().join("|"));
    for (key, value) in std::env::vars() {
        say(&format!("env {key}"), value);
    }
    say("cwd", std::env::current_dir().unwrap().display().to_string());
    say("pid", std::process::id().to_string());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    for line in status.lines() {
        for wanted in ["Umask:", "SigBlk:", "Uid:", "Gid:", "Groups:"] {
            if let Some(value) = line.strip_prefix(wanted) {
                say(
                    wanted.trim_end_matches(':'),
                    value.split_whitespace().collect::<Vec<_>>().join(" "),
                );
            }
        }
    }
    let limits =
        nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    say("nofile", format!("{} {}", limits.0, limits.1));
    say("oom", std::fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim().to_string());
    say("session", nix::unistd::getsid(None).unwrap().to_string());
    say("group", nix::unistd::getpgrp().to_string());
    let mut fds: Vec<i32> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    fds.sort_unstable();
    let linked = fds.iter().filter_map(|fd| {
        // The one of this very listing is gone by now.
        let to = std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
        Some(format!("{fd}={}", to.display()))
    });
    say("fds", linked.collect::<Vec<_>>().join(" "));
    let partial = format!("{out}.partial");
    std::fs::write(&partial, text).unwrap();
    std::fs::rename(partial, out).unwrap();
    ExitCode::from(42)
}

/// Numbered lines, one write each; how many were written, and how this will end, stands in a file
/// whose pages outlive any SIGKILL.
fn lines(dir: &str, slot: &str) -> ExitCode {
    let worker = std::env::var("NEXUS_WORKER").unwrap();
    let child: u64 = worker.rsplit(':').next().unwrap().parse().unwrap();
    let truth = std::fs::File::create(format!("{dir}/truth.{slot}.{child}")).unwrap();
    let tell = |count: u64, planned: u64| {
        let both = [count.to_le_bytes(), planned.to_le_bytes()].concat();
        truth.write_all_at(&both, 0).unwrap();
    };
    let mut state = child.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(std::process::id());
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let total = 200 + random() % 2_000;
    tell(0, 0);
    let stdout = std::io::stdout();
    for line in 0..total {
        let pad = "x".repeat((random() % 200) as usize);
        let text = format!("S{slot} C{child} N{line} {pad}\n");
        // One write: what the kernel has taken is one whole line.
        stdout.lock().write_all(text.as_bytes()).unwrap();
        stdout.lock().flush().unwrap();
        tell(line + 1, 0);
        if line % 16 == 0 {
            std::thread::sleep(std::time::Duration::from_micros(random() % 1_000));
        }
    }
    // 1 to 100: a code; above: a signal.
    let planned = 1 + random() % 100;
    if random().is_multiple_of(3) {
        tell(total, 1_009);
        crate::puppet::kill(std::process::id().cast_signed());
    }
    tell(total, planned);
    ExitCode::from(planned as u8)
}
