# Run as process 1 of a pid namespace: a worker dies with both of the pair, and an innocent process
# gets its number. It must be neither adopted nor signalled.
set -eu
nexusctl=$1
$nexusctl start -q
worker=$($nexusctl pid calm)
keeper=$($nexusctl daemon status -o json | sed 's/.*"keeper_pid": *\([0-9]*\).*/\1/' | tr -dc 0-9)
daemon=$($nexusctl daemon status -o name)
kill -STOP "$keeper" "$daemon"
kill -KILL "$keeper" "$daemon" "$worker"
# Process 1 reaps what is orphaned, so that the number is free.
while [ -e "/proc/$worker" ] || [ -e "/proc/$keeper" ]; do wait || true; sleep 0.01; done
for try in $(seq 50); do
    echo $((worker - 1)) >/proc/sys/kernel/ns_last_pid
    sleep 1000 &
    innocent=$!
    [ "$innocent" = "$worker" ] && break
    kill -KILL "$innocent"
done
[ "$innocent" = "$worker" ] || { echo "the number $worker could not be had"; exit 1; }
$nexusctl list
now=$($nexusctl pid calm)
[ "$now" != "$worker" ] || { echo "the innocent process was adopted"; exit 1; }
$nexusctl stop calm -q
$nexusctl delete calm -q
kill -0 "$innocent" || { echo "the innocent process was ended"; exit 1; }
$nexusctl kill -q
kill -0 "$innocent" || { echo "the innocent process was ended by kill"; exit 1; }
echo "all well"
