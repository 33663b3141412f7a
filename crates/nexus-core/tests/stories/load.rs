//! A number of workers that follows their load.

use nexus_spec::{AppSpec, Autoscale, Instances};

use crate::tell::{notify, tell};

fn follows() -> AppSpec {
    let (up_after, down_after) = (Autoscale::UP_AFTER, Autoscale::DOWN_AFTER);
    let rule = Autoscale { min: 1, max: 3, target_cpu: 70, up_after, down_after };
    AppSpec { instances: Instances::Auto(rule), ..notify() }
}

const ONE: &str = "
        0     start           | spawn #1 0
        1     #1 spawned      |
        2     #1 ready        | op1 done
";

#[test]
fn more_and_fewer_and_those_that_stay_are_left_alone() {
    let story = "
        10    loaded 1 3      | undertake Load { from: 1, to: 3, used: 99 }
        10    follows 1 3     | spawn #3 1, spawn #5 2
        11    #3 spawned      |
        11    #5 spawned      |
        12    loaded 3 2      |
        13    #3 ready        |
        14    #5 ready        | op2 done
        90    loaded 3 2      | undertake Load { from: 3, to: 2, used: 99 }
        90    follows 3 2     | term15 #5
        91    loaded 2 1      |
        95    #5 exits 0      | op3 done, ack #5
        ";
    tell(follows(), &format!("{ONE}{story}"));
}

#[test]
fn beyond_its_bounds_or_at_a_bad_moment_nothing_happens() {
    let story = "
        10    loaded 1 4      |
        11    loaded 2 3      |
        20    reload other    | term15 #1
        21    loaded 1 2      |
        22    #1 exits 0      | ack #1, spawn #3 0
        23    #3 spawned      |
        24    #3 ready        | op2 done
        30    stop            | term15 #3
        31    loaded 1 2      |
        32    #3 exits 0      | op3 done, ack #3
        33    loaded 1 2      |
        ";
    tell(follows(), &format!("{ONE}{story}"));
    tell(
        notify(),
        &format!(
            "{ONE}
        10    loaded 1 2      |
        "
        ),
    );
}
