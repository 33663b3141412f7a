#!/bin/busybox sh
# The first program of the machine: its root is the host's, read-only, under an overlay whose upper
# layer is the machine's own disk; then systemd takes over.
set -e
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
while read -r module; do $b insmod "/modules/$module"; done </modules/order
$b mount -t virtiofs -o ro host /host
$b mount -t ext4 /dev/vda /disk
$b mkdir -p /disk/upper /disk/work
R=/root
$b mount -t overlay overlay -o lowerdir=/host,upperdir=/disk/upper,workdir=/disk/work $R
for d in proc sys dev; do $b mount --move /$d $R/$d; done
$b mkdir -p $R/dev/pts $R/dev/shm
$b mount -t devpts -o ptmxmode=0666,mode=620,gid=5 devpts $R/dev/pts
$b mount -t tmpfs -o mode=1777 tmpfs $R/dev/shm
for link in fd: stdin:/0 stdout:/1 stderr:/2; do
    $b ln -sf "/proc/self/fd${link#*:}" "$R/dev/${link%%:*}"
done
$b mount -t tmpfs -o mode=755 tmpfs $R/run
$b mount -t cgroup2 cgroup2 $R/sys/fs/cgroup
$b mkdir -p $R/run/systemd/system $R/run/vm
$b cp /step $R/run/vm/step
U=$R/run/systemd/system
# Of the distribution only the journal; and what is enabled for multi-user.target.
printf '[Unit]\nRequires=systemd-journald.service\nWants=multi-user.target vm.service\nAfter=systemd-journald.service\nAllowIsolate=yes\n' >$U/vm.target
# The step's output is all that is written to the second serial line.
printf '[Unit]\nDefaultDependencies=no\nAfter=multi-user.target\n[Service]\nType=exec\nExecStart=/bin/bash /run/vm/step\nStandardInput=null\nStandardOutput=file:/dev/ttyS1\nStandardError=inherit\nDelegate=yes\nKillMode=process\nLimitNOFILE=65536\n' >$U/vm.service
for enabled in $R/etc/systemd/system/multi-user.target.wants/*; do
    case ${enabled##*/} in
    nexusd*) ;;
    *) $b ln -sf /dev/null "$U/${enabled##*/}" ;;
    esac
done
for u in systemd-udevd systemd-timesyncd systemd-logind systemd-networkd getty@tty1 serial-getty@ttyS0 \
    dbus cron ssh systemd-tmpfiles-setup systemd-tmpfiles-clean systemd-user-sessions systemd-update-utmp systemd-update-utmp-runlevel systemd-hwdb-update; do
    $b ln -sf /dev/null $U/$u.service
done
for u in getty.target timers.target systemd-ask-password-wall.path dbus.socket; do $b ln -sf /dev/null $U/$u; done
$b ip link set lo up
exec $b switch_root $R /usr/lib/systemd/systemd --unit=vm.target --log-target=console
