//! How many of a thousand connections each of four workers gets on the socket that they share.

use std::time::Instant;

use nexus_tests::{Home, Pace, Spread, free_port, program_dir};

use crate::Fault;
use crate::served::{SERVERS, Server, serve};
use crate::table::{Table, shown};

const WORKERS: u16 = 4;
const CONNECTIONS: usize = 1_000;
/// Of each pace; the worst one is shown.
const ROUNDS: usize = 5;

/// Measure.
pub(crate) fn measure() -> Result<Table, Fault> {
    let mut table = Table::new(&[
        "workers",
        "burst: least",
        "burst: most",
        "one by one: least",
        "one by one: most",
        "burst of 1,000 served in",
    ]);
    for server in SERVERS {
        eprintln!("measuring: {}", server.name);
        match of(server) {
            Ok(row) => table.row(row),
            Err(problem) => table.note(format!("{} was not measured: {problem}", server.name)),
        }
    }
    Ok(table)
}

fn of(server: &Server) -> Result<Vec<String>, Fault> {
    if !program_dir().join("nexusctl").is_file() {
        return Err("nexusctl is not built; run `cargo xtask bench`".to_owned());
    }
    let (home, port) = (Home::new(), free_port());
    serve(&home, server, port, WORKERS)?;
    let mut row = vec![server.name.to_owned()];
    let mut fastest: Option<f64> = None;
    for pace in [Pace::Burst, Pace::OneByOne] {
        let (mut least, mut most) = (usize::MAX, 0);
        for _ in 0..ROUNDS {
            let begin = Instant::now();
            let spread = Spread::open(port, CONNECTIONS, server.path, pace)
                .map_err(|error| error.to_string())?;
            if pace == Pace::Burst {
                let took = begin.elapsed().as_secs_f64() * 1e3;
                fastest = Some(fastest.map_or(took, |best| best.min(took)));
            }
            least = least.min(spread.smallest(usize::from(WORKERS)));
            most = most.max(spread.largest(usize::from(WORKERS)));
        }
        row.extend([format!("{least} %"), format!("{most} %")]);
    }
    row.push(shown(fastest, "ms"));
    Ok(row)
}
