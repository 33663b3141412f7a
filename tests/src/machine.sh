# The inside of a machine: runs in namespaces of its own, makes a root from an overlay of this
# machine's, and becomes systemd. $1: a directory with `disk/` (what survives a reboot) and `bin/`.
set -eu
W=$1; T=$W/mnt; R=$T/root
mkdir -p "$T"; mount -t tmpfs tmpfs "$T"; mkdir "$T/up" "$T/wk" "$R"
# The upper layer on a tmpfs: it must not be below the lower one, which is all of this machine.
mount -t overlay overlay -o lowerdir=/,upperdir="$T/up",workdir="$T/wk" "$R"
mount -t proc proc "$R/proc"
mount -t sysfs -o ro sysfs "$R/sys"
mount -t tmpfs -o mode=755 tmpfs "$R/sys/fs/cgroup"; umount "$R/sys/fs/cgroup"
mount -t cgroup2 cgroup2 "$R/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$R/dev"
for d in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
    IFS=: read -r n a b <<<"$d"; mknod -m 666 "$R/dev/$n" c "$a" "$b"
done
mkdir "$R/dev/pts" "$R/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$R/dev/pts"
ln -s pts/ptmx "$R/dev/ptmx"; ln -s /proc/self/fd "$R/dev/fd"
for i in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${i%:*}" "$R/dev/${i#*:}"; done
mount -t tmpfs -o mode=1777 tmpfs "$R/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$R/run"
# Knobs of the kernel are shared with the machine outside.
mount --bind "$R/proc/sys" "$R/proc/sys"; mount -o remount,bind,ro "$R/proc/sys"
hostname nexus-test; ip link set lo up
# What survives a reboot, and the programs.
for d in etc/systemd/system var/lib home; do
    mkdir -p "$W/disk/$d" "$R/$d"; mount --bind "$W/disk/$d" "$R/$d"
done
for p in "$W"/bin/*; do
    touch "$R/usr/local/bin/${p##*/}"; mount --bind "$p" "$R/usr/local/bin/${p##*/}"
    mount -o remount,bind,ro "$R/usr/local/bin/${p##*/}"
done
mount -t tmpfs -o mode=1777 tmpfs "$R/tmp"
mkdir -p "$R/home/alice"; chown 4242:4242 "$R/home/alice"; chmod 755 "$R/home"
echo 'alice:x:4242:4242::/home/alice:/bin/sh' >>"$R/etc/passwd"
echo 'alice:x:4242:' >>"$R/etc/group"
# Of the distribution only the journal; and what is enabled for multi-user.target.
mkdir -p "$R/run/systemd/system"
printf '[Unit]\nRequires=systemd-journald.service\nWants=multi-user.target\nAfter=systemd-journald.service\nAllowIsolate=yes\n' \
    >"$R/run/systemd/system/machine.target"
for u in systemd-udevd systemd-timesyncd systemd-logind systemd-networkd getty@tty1 dbus cron \
    systemd-user-sessions systemd-update-utmp systemd-update-utmp-runlevel systemd-hwdb-update; do
    ln -sf /dev/null "$R/run/systemd/system/$u.service"
done
for u in getty.target systemd-ask-password-wall.path dbus.socket; do
    ln -sf /dev/null "$R/run/systemd/system/$u"
done
rm -f "$R/etc/machine-id"; echo 0123456789abcdef0123456789abcdef >"$R/etc/machine-id"
cd "$R"; mkdir -p oldroot; pivot_root . oldroot; umount -l /oldroot
exec env -i container=nexus-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /usr/lib/systemd/systemd --unit=machine.target --log-target=console
