//! How long a spawn takes, with few and with many workers. Printed, not judged tightly: the
//! machine may be busy.

use std::time::{Duration, Instant};

use nexus_keeper::{Order, Report};

use crate::puppet::Puppet;
use crate::{Case, case, swept};

pub(crate) const CASES: &[Case] =
    &[case("spawn_latency_by_cgroup", latency), swept("spawn_latency_by_sweep", latency)];

const SAMPLES: u64 = 100;

fn latency(puppet: &mut Puppet) {
    puppet.pipe(1);
    let template = puppet.program("/bin/sleep", &["sleep", "1000"]);
    puppet.template(3, &template);
    let mut next = 1;
    // Few enough for a machine that runs other tests beside this one; more by the variable.
    let many = std::env::var("NEXUS_LATENCY_CHILDREN").ok().and_then(|n| n.parse().ok());
    for population in [10, many.unwrap_or(400)] {
        while next <= population {
            puppet.spawn(next);
            next += 1;
            if next % 64 == 0 {
                puppet.sync();
            }
        }
        puppet.running(population);
        puppet.sync();
        puppet.reports.clear();
        let mut times: Vec<Duration> = (0..SAMPLES)
            .map(|_| {
                let started = Instant::now();
                puppet.spawn(next);
                puppet.running(next);
                let time = started.elapsed();
                next += 1;
                time
            })
            .collect();
        times.sort_unstable();
        let micros = |i: usize| times[i].as_micros();
        puppet.said += &format!(
            " [{population} children: order to exec p50 {} µs, p99 {} µs]",
            micros(times.len() / 2),
            micros(times.len() - 2)
        );
        // A hundred times what is promised, in a build of any kind, on a machine of any load: only a
        // mistake of another kind is that slow. The figure is printed.
        assert!(times[times.len() / 2] < Duration::from_millis(30), "{}", puppet.said);
        for child in next - SAMPLES..next {
            puppet.send(Order::Kill { child });
            puppet.until(|r| matches!(r, Report::Exited { child: c, .. } if *c == child));
        }
    }
}
