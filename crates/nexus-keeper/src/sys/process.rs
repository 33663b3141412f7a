//! Processes: make them, watch them, signal them by pidfd, learn how they ended.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::check;
use crate::wire::Ended;

/// Which side of the fork we are on.
pub(crate) enum Forked {
    /// The new process. It may do anything that a single-threaded process may.
    Child,
    /// The old one, with the child's pid and pidfd.
    Parent(i32, OwnedFd),
}

const CLONE_PIDFD: u64 = 0x1000;
const CLONE_FILES: u64 = 0x400;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Fork with a pidfd. `share_files`: the child begins with our descriptor table and must leave it
/// before it opens or closes anything. `cgroup`: where it begins its life.
///
/// # Errors
/// clone3's. Where a sandbox knows no clone3 (ENOSYS) and no cgroup is asked for, plain fork and
/// pidfd_open are used, without sharing.
pub(crate) fn fork(share_files: bool, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Forked> {
    let mut pidfd: RawFd = -1;
    // SAFETY: all zeroes is a valid clone_args.
    let mut args: libc::clone_args = unsafe { MaybeUninit::zeroed().assume_init() };
    args.flags = CLONE_PIDFD;
    args.pidfd = (&raw mut pidfd) as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    if share_files {
        args.flags |= CLONE_FILES;
    }
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: no CLONE_VM: the child has a copy of the memory and returns here like after fork(2).
    // The keeper has one thread, so no lock can be held by another.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) };
    match check(pid) {
        Ok(0) => Ok(Forked::Child),
        // SAFETY: the kernel has just created it for us.
        Ok(pid) => Ok(Forked::Parent(pid as i32, unsafe { OwnedFd::from_raw_fd(pidfd) })),
        Err(e) if e.raw_os_error() == Some(libc::ENOSYS) && cgroup.is_none() => plain_fork(),
        Err(e) => Err(e),
    }
}

fn plain_fork() -> io::Result<Forked> {
    // SAFETY: as in `fork`.
    match check(unsafe { libc::fork() }.into())? {
        0 => Ok(Forked::Child),
        pid => match pidfd_open(pid as i32) {
            Ok(pidfd) => Ok(Forked::Parent(pid as i32, pidfd)),
            Err(e) => {
                // SAFETY: our own unreaped child: the number cannot have been recycled.
                unsafe {
                    libc::kill(pid as i32, libc::SIGKILL);
                    libc::waitpid(pid as i32, std::ptr::null_mut(), 0);
                }
                Err(e)
            }
        },
    }
}

/// Set our own nice value.
///
/// # Errors
/// EACCES where it would go down without the right to.
pub(crate) fn set_nice(value: i8) -> io::Result<()> {
    // SAFETY: takes three numbers.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, value.into()) }.into()).map(|_| ())
}

/// Set one of our own limits, by the kernel's number for it.
///
/// # Errors
/// EPERM where a hard limit would be raised without the right to, EINVAL where there is no such
/// limit.
pub(crate) fn set_rlimit(resource: u8, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    let none = std::ptr::null_mut::<libc::rlimit64>();
    // SAFETY: the new limit lives through the call; a null for the old one means not wanted.
    let done = unsafe {
        libc::syscall(libc::SYS_prlimit64, 0, libc::c_uint::from(resource), &raw const limit, none)
    };
    check(done).map(|_| ())
}

/// A pidfd for a running process or a zombie.
pub(crate) fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes two numbers.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: just created, ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Whose a pidfd is; `None` once that one has been reaped.
pub(crate) fn pid_of(pidfd: BorrowedFd<'_>) -> Option<i32> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok()?;
    (pid > 0).then_some(pid)
}

/// Signal exactly that process.
///
/// # Errors
/// ESRCH when it has been reaped, EPERM.
pub(crate) fn signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo means the default one.
    let done =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, info, 0) };
    check(done).map(|_| ())
}

/// What waiting for a child says.
pub(crate) enum Waited {
    /// It has ended so; `reap` decided whether it is still a zombie.
    Ended(Ended),
    /// It has not.
    Not,
    /// It is not our child, or was reaped by somebody.
    NotOurs,
}

/// How our child ended; with `reap` it is forgotten by the kernel, else it stays a zombie.
pub(crate) fn wait(pidfd: BorrowedFd<'_>, reap: bool) -> Waited {
    let flags = libc::WEXITED | libc::WNOHANG | if reap { 0 } else { libc::WNOWAIT };
    match wait_id(libc::P_PIDFD, pidfd.as_raw_fd() as libc::id_t, flags) {
        Ok(Some((_, ended))) => Waited::Ended(ended),
        Ok(None) => Waited::Not,
        Err(_) => Waited::NotOurs,
    }
}

/// The pid of any ended child that is not yet reaped.
pub(crate) fn any_zombie() -> Option<i32> {
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    wait_id(libc::P_ALL, 0, flags).ok().flatten().map(|(pid, _)| pid)
}

/// Reap our child by number: safe, since an unreaped child's number is not recycled.
pub(crate) fn reap_pid(pid: i32) {
    // What can fail here (ECHILD) means that it is reaped already.
    let _ = wait_id(libc::P_PID, pid as libc::id_t, libc::WEXITED | libc::WNOHANG);
}

fn wait_id(
    kind: libc::idtype_t,
    id: libc::id_t,
    flags: libc::c_int,
) -> io::Result<Option<(i32, Ended)>> {
    // SAFETY: all zeroes is a valid siginfo; waitid fills it in.
    let mut info: libc::siginfo_t = unsafe { MaybeUninit::zeroed().assume_init() };
    loop {
        // SAFETY: `info` is ours to write to.
        match check(unsafe { libc::waitid(kind, id, &raw mut info, flags) }.into()) {
            Ok(_) => break,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    // SAFETY: for waitid these fields of the union are the valid ones (zero when nobody ended).
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return Ok(None);
    }
    let ended = match info.si_code {
        libc::CLD_EXITED => Ended::Code(status as u8),
        libc::CLD_DUMPED => Ended::Core(status),
        _ => Ended::Signal(status),
    };
    Ok(Some((pid, ended)))
}

/// What `wait(2)` calls a status, in our words.
pub(crate) fn ended_from_status(status: i32) -> Ended {
    match (status & 0x7f, status & 0x80 != 0) {
        (0, _) => Ended::Code((status >> 8) as u8),
        (signal, true) => Ended::Core(signal),
        (signal, false) => Ended::Signal(signal),
    }
}

/// The kernel's `struct pidfd_info`, first published size.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    pid: u32,
    tgid: u32,
    ppid: u32,
    ids: [u32; 8],
    exit_code: i32,
}
const PIDFD_INFO_EXIT: u64 = 1 << 3;
// _IOWR(0xFF, 11, struct pidfd_info)
const PIDFD_GET_INFO: u64 = (3 << 30) | ((size_of::<PidfdInfo>() as u64) << 16) | (0xFF << 8) | 11;

/// How a process that is not our child ended: known after its parent has reaped it, on Linux 6.15
/// and later.
pub(crate) fn exit_info(pidfd: BorrowedFd<'_>) -> Option<Ended> {
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: the request's size field is the struct's size, and the kernel writes no more.
    let done = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO as _, &raw mut info) };
    (done == 0 && info.mask & PIDFD_INFO_EXIT != 0).then(|| ended_from_status(info.exit_code))
}

/// End at once: no destructors, no buffers (they are the parent's).
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// Every signal's disposition back to the default, none blocked: what a program expects at its
/// start. Handlers are lost by exec anyway; "ignored" and the mask are not.
pub(crate) fn default_signals() {
    // The kernel's own struct: handler, flags, restorer, mask; all zero is SIG_DFL.
    let default = [0_usize; 4];
    for signal in 1..=libc::SIGRTMAX() {
        // By system call: the C library refuses the two signals that it keeps for itself, and its
        // posix_spawn leaves them ignored in whoever it starts, us too.
        // SAFETY: SIG_DFL runs no code of ours, and the kernel only reads `default`, which is as
        // long as its struct. EINVAL for SIGKILL and SIGSTOP is expected.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                std::ptr::null_mut::<usize>(),
                size_of::<u64>(),
            )
        };
    }
    // SAFETY: an empty set is initialised by sigemptyset before it is used.
    unsafe {
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
    }
}

/// What `exec` needs, allocated beforehand: so that it can follow a fork of a process with threads.
pub(crate) struct Command {
    // Both own what `pointers` point to.
    _strings: Vec<std::ffi::CString>,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
}

impl Command {
    /// Arguments and environment; strings with a NUL inside are dropped.
    pub(crate) fn new(argv: &[Vec<u8>], envp: &[Vec<u8>]) -> Command {
        let c = |list: &[Vec<u8>]| -> Vec<std::ffi::CString> {
            list.iter().filter_map(|s| std::ffi::CString::new(s.as_slice()).ok()).collect()
        };
        let (args, env) = (c(argv), c(envp));
        let point = |list: &[std::ffi::CString]| -> Vec<*const libc::c_char> {
            list.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
        };
        let (argv, envp) = (point(&args), point(&env));
        let strings = args.into_iter().chain(env).collect();
        Command { _strings: strings, argv, envp }
    }

    /// Execute; returns only the error.
    pub(crate) fn exec(&self, program: &std::ffi::CStr) -> io::Error {
        // SAFETY: both lists end with a null pointer and point to strings that `self` owns.
        unsafe { libc::execve(program.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr()) };
        io::Error::last_os_error()
    }

    /// Execute an open file (a program, not a script); returns only the error.
    pub(crate) fn exec_file(&self, program: RawFd) -> io::Error {
        let (argv, envp) = (self.argv.as_ptr(), self.envp.as_ptr());
        // SAFETY: as in `exec`; the empty path with AT_EMPTY_PATH means the descriptor itself.
        unsafe {
            libc::syscall(
                libc::SYS_execveat,
                program,
                c"".as_ptr(),
                argv,
                envp,
                libc::AT_EMPTY_PATH,
            )
        };
        io::Error::last_os_error()
    }
}

/// The file of the program that this process runs.
pub(crate) fn own_program() -> io::Result<OwnedFd> {
    Ok(std::fs::File::open("/proc/self/exe")?.into())
}
