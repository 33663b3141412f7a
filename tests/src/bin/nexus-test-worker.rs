//! A worker that does what its arguments say, in their order, then waits to be told to stop.
//!
//! `--dump FILE` · `--err N` · `--long BYTES` · `--flood MIB` · `--lines MICROSECONDS --truth DIR` · `--serve` ·
//! `--drain` · `--tree DIR` · `--bare-tree DIR` · `--hold BYTES` · `--child-holds BYTES` · `--spin` ·
//! `--deaf` · `--await PREFIX` · `--ready-after MS` · `--exit-after MS --code N` · `--mortal DIR`
//!
//! With `--slow-init PROGRAM ARGUMENTS` it is no worker, but runs that program, and is then what an
//! init is that reaps nobody.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use nexus_worker::{Stop, Stream};

/// How long an idle connection may still ask after we have been told to stop.
const LAME_DUCK: Duration = Duration::from_secs(1);
/// How long a connection may idle; longer than any test.
const IDLE_MAX: Duration = Duration::from_secs(120);
/// The longest head of a request.
const HEAD_MAX: usize = 8 * 1024;

/// Room for the mark that a program of ours has in its file: with it the daemon takes a copy of us
/// for one, so that a test can have it try a program that never becomes ready.
static NO_MARK: [u8; 36] = *b"nexus-test-worker is no such program";

fn main() -> ExitCode {
    std::hint::black_box(&NO_MARK);
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [word, program, args @ ..] = &words[..]
        && word == "--slow-init"
    {
        return slow_init(program, args);
    }
    let mut args = words.into_iter();
    let mut asked = BTreeMap::new();
    let mut order = Vec::new();
    while let Some(word) = args.next() {
        let flag = ["--serve", "--drain", "--spin", "--deaf"].contains(&word.as_str());
        let value = if flag { String::new() } else { args.next().unwrap_or_default() };
        order.push(word.clone());
        asked.insert(word, value);
    }
    if let Some(role) = asked.get("--role") {
        return descendant(role, asked.get("--in").map(String::as_str).unwrap_or_default());
    }
    match carry_out(&order, &asked) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("nexus-test-worker: {error}");
            ExitCode::from(99)
        }
    }
}

fn carry_out(order: &[String], asked: &BTreeMap<String, String>) -> io::Result<u8> {
    let number = |key: &str| asked.get(key).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let path = |key: &str| PathBuf::from(asked.get(key).map(String::as_str).unwrap_or_default());
    let stop = Stop::install()?;
    let mut server = None;
    for word in order {
        match word.as_str() {
            "--dump" => dump(&path("--dump"))?,
            "--err" => (0..number("--err")).for_each(|line| eprintln!("complaint {line}")),
            "--long" => long_line(number("--long"))?,
            "--flood" => flood(number("--flood"))?,
            "--lines" => lines(Duration::from_micros(number("--lines")), &path("--truth"))?,
            "--serve" => {
                let drains = asked.contains_key("--drain");
                server = Some(thread::spawn(move || serve(stop, drains)));
            }
            "--tree" => tree(asked, "--tree")?,
            "--hold" => hold(number("--hold")),
            "--child-holds" => {
                start("holder", &number("--child-holds").to_string())?;
            }
            "--spin" => drop(thread::spawn(spin)),
            "--bare-tree" => tree(asked, "--bare-tree")?,
            "--await" => wait_for_file(asked),
            "--ready-after" => {
                thread::sleep(Duration::from_millis(number("--ready-after")));
                nexus_worker::ready()?;
            }
            "--mortal" => return mortal(&path("--mortal")),
            "--exit-after" => {
                thread::sleep(Duration::from_millis(number("--exit-after")));
                return Ok(u8::try_from(number("--code")).unwrap_or(98));
            }
            _ => {}
        }
    }
    stop.wait()?;
    while asked.contains_key("--deaf") {
        thread::sleep(IDLE_MAX);
    }
    match server.map(thread::JoinHandle::join) {
        Some(Ok(served)) => served.map(|()| 0),
        Some(Err(_)) => Ok(97),
        None => Ok(0),
    }
}

/// Run a program, say that it has ended, then adopt whatever becomes an orphan below us, and reap none
/// of it, until our input ends.
fn slow_init(program: &str, args: &[String]) -> ExitCode {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null());
    let adopts = nix::sys::prctl::set_child_subreaper(true).map_err(io::Error::from);
    match adopts.and_then(|()| command.status()) {
        Ok(status) => println!("{status}"),
        Err(error) => println!("{program}: {error}"),
    }
    let ended = io::copy(&mut io::stdin(), &mut io::sink());
    if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Until there is a file of this name and, after a dash, the number of our instance: what is to
/// happen in a certain state of us is not left to the clock.
fn wait_for_file(asked: &BTreeMap<String, String>) {
    let prefix = asked.get("--await").map(String::as_str).unwrap_or_default();
    let instance = std::env::var("NEXUS_INSTANCE").unwrap_or_default();
    let file = PathBuf::from(format!("{prefix}-{instance}"));
    while !file.exists() {
        thread::sleep(Duration::from_millis(5));
    }
}

/// Where it finds itself: environment, rights, descriptors, limits.
fn dump(file: &Path) -> io::Result<()> {
    let text = |name: &str| fs::read_to_string(format!("/proc/self/{name}"));
    let mut open = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fd")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // The directory itself is open while it is read.
        if let Ok(target) = fs::read_link(entry.path())
            && !target.to_string_lossy().ends_with("/fd")
        {
            open.insert(name, target);
        }
    }
    let env: BTreeMap<_, _> = std::env::vars().collect();
    let document = serde_json::json!({
        "pid": std::process::id(),
        "env": env,
        "args": std::env::args().collect::<Vec<_>>(),
        "cwd": std::env::current_dir()?,
        "open": open,
        "status": text("status")?,
        "limits": text("limits")?,
        "oom_score_adj": text("oom_score_adj")?.trim(),
        "session": nix::unistd::getsid(None)?.as_raw(),
        "group": nix::unistd::getpgrp().as_raw(),
    });
    let half = file.with_extension("half");
    fs::write(&half, document.to_string())?;
    fs::rename(half, file)
}

/// One line of so many bytes, its end without the line feed in the count.
fn long_line(bytes: u64) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let piece = [b'x'; 64 * 1024];
    let mut left = bytes;
    while left > 0 {
        let some = left.min(piece.len() as u64);
        out.write_all(piece.get(..some as usize).unwrap_or_default())?;
        left -= some;
    }
    out.write_all(b"\n")?;
    out.flush()
}

/// So many MiB of numbered lines of 1 KiB, as fast as they are taken.
fn flood(mebibytes: u64) -> io::Result<()> {
    const LINE: usize = 1024;
    let mut out = io::stdout().lock();
    let mut lines = vec![b'.'; 1024 * LINE];
    for mebibyte in 0..mebibytes {
        for (number, line) in (mebibyte * 1024..).zip(lines.chunks_exact_mut(LINE)) {
            line[LINE - 1] = b'\n';
            write!(&mut line[..16], "F {number:>13}")?;
        }
        // Past the buffer of the standard output, which would look for ends of lines.
        out.flush()?;
        fs::File::from(std::os::fd::AsFd::as_fd(&out).try_clone_to_owned()?).write_all(&lines)?;
    }
    Ok(())
}

/// Numbered lines for ever. After each that was written whole, its number goes into a file of the
/// name of our life: the truth that the log is compared with. A SIGKILL may come between the two.
fn lines(every: Duration, truth: &Path) -> io::Result<()> {
    let (life, truth) = life(truth)?;
    thread::spawn(move || {
        for number in 1_u64.. {
            // The padding varies, so that lines cross the boundaries of pages and reads.
            let padding = usize::try_from(number % 191).unwrap_or(0);
            let line = format!("L {life} {number} {:.<padding$} E\n", "");
            let whole = io::stdout().lock().write_all(line.as_bytes());
            if whole.is_err() || truth.write_all_at(&number.to_le_bytes(), 0).is_err() {
                return;
            }
            thread::sleep(every);
        }
    });
    Ok(())
}

/// Our pid, and how many had it before us; and a file of that name.
fn life(dir: &Path) -> io::Result<(String, fs::File)> {
    let pid = std::process::id();
    let mut before = 0;
    loop {
        let life = format!("{pid}.{before}");
        match fs::File::create_new(dir.join(&life)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => before += 1,
            file => return Ok((life, file?)),
        }
    }
}

/// Answer `GET /word` with our pid and the word, until told to stop. `--drain`: and then until
/// those who are connected have had their answer.
fn serve(stop: Stop, drains: bool) -> io::Result<()> {
    let listener = nexus_worker::listen_or_bind("127.0.0.1:0")?;
    let mut clients = Vec::new();
    while let Some(client) = listener.accept_until(stop)? {
        let client = thread::spawn(move || answer(client, stop));
        if drains {
            clients.retain(|client: &thread::JoinHandle<_>| !client.is_finished());
            clients.push(client);
        }
    }
    // What became of each connection is the client's to tell.
    clients.into_iter().for_each(|client| drop(client.join()));
    Ok(())
}

fn answer(mut client: Stream, stop: Stop) -> io::Result<()> {
    client.set_timeout(Some(IDLE_MAX))?;
    while client.next_request(stop, LAME_DUCK)? {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_MAX {
            if client.read(&mut byte)? == 0 {
                return Ok(());
            }
            head.extend_from_slice(&byte);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let path = head.split(' ').nth(1).unwrap_or_default();
        let body = format!("{} {path}\n", std::process::id());
        let close = stop.requested() || head.contains("Connection: close");
        let mode = if close { "close" } else { "keep-alive" };
        let length = body.len();
        let text = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: {mode}\r\n\r\n{body}"
        );
        client.write_all(text.as_bytes())?;
        if close {
            return Ok(());
        }
    }
    Ok(())
}

/// So much resident memory until the end.
fn hold(bytes: u64) {
    // Written, so that it is resident, with something else than the kernel's page of zeros.
    let held = vec![1_u8; usize::try_from(bytes).unwrap_or(0)];
    std::mem::forget(std::hint::black_box(held));
}

/// A short life of a length and with an end that depend on our pid. How it is going to end stands
/// beforehand in a file that is called by our number as a child, as `events` will tell it.
fn mortal(dir: &Path) -> io::Result<u8> {
    let pid = std::process::id();
    let worker = std::env::var("NEXUS_WORKER").unwrap_or_default();
    let child = worker.rsplit(':').next().unwrap_or_default();
    thread::sleep(Duration::from_millis(u64::from(50 + pid.wrapping_mul(2_654_435_761) % 600)));
    let code = u8::try_from(pid % 251).unwrap_or(0);
    let by_signal = pid.is_multiple_of(5);
    let end = if by_signal { "SIGUSR2".to_owned() } else { format!("code {code}") };
    let half = dir.join(format!(".{child}"));
    fs::write(&half, end)?;
    fs::rename(half, dir.join(child))?;
    if by_signal {
        let ourselves = nix::unistd::Pid::this();
        nix::sys::signal::kill(ourselves, nix::sys::signal::Signal::SIGUSR2)?;
    }
    Ok(code)
}

/// One CPU, all the time.
fn spin() {
    loop {
        std::hint::spin_loop();
    }
}

/// A child, its child, and a daemon in a session of its own whose parent has gone. `--bare-tree`:
/// the daemon has dropped its environment, so that only a cgroup knows whose it is.
fn tree(asked: &BTreeMap<String, String>, word: &str) -> io::Result<()> {
    let dir = asked.get(word).map(String::as_str).unwrap_or_default();
    let daemon = if word == "--tree" { "session" } else { "bare-session" };
    start("child", dir)?;
    start(daemon, dir)?.wait()?;
    Ok(())
}

fn start(role: &str, dir: &str) -> io::Result<Child> {
    Command::new(std::env::current_exe()?).args(["--role", role, "--in", dir]).spawn()
}

fn descendant(role: &str, dir: &str) -> ExitCode {
    if role == "holder" {
        hold(dir.parse().unwrap_or(0));
        loop {
            thread::sleep(IDLE_MAX);
        }
    }
    let next = match role {
        "child" => start("grandchild", dir).map(drop),
        "session" | "bare-session" => {
            nix::unistd::setsid().map_err(io::Error::from).and_then(|_| {
                let mut daemon = Command::new(std::env::current_exe()?);
                if role == "bare-session" {
                    daemon.env_clear();
                }
                daemon.args(["--role", "daemon", "--in", dir]).spawn().map(drop)
            })
        }
        _ => Ok(()),
    };
    if next.is_err() || role.ends_with("session") {
        return ExitCode::from(if next.is_err() { 96 } else { 0 });
    }
    // Renamed, so that a name that is there has a number in it.
    let pid = std::process::id().to_string();
    let half = Path::new(dir).join(format!(".{role}-{pid}"));
    let done = fs::write(&half, &pid).and_then(|()| fs::rename(&half, Path::new(dir).join(role)));
    if done.is_err() {
        return ExitCode::from(95);
    }
    loop {
        thread::sleep(IDLE_MAX);
    }
}
