//! Back to a spec that an app has had.

use nexus_core::State;
use nexus_spec::AppSpec;

use crate::tell::{built, notify, passed, tell, tell_all};

/// `3 of 1 2x2`: which one it has, and which it has had, with how many instances.
pub(crate) fn versions(state: &State) -> String {
    let app = state.app("api").expect("an app");
    let had = app.versions().iter().map(|version| match version.instances {
        1 => format!(" {}", version.generation),
        many => format!(" {}x{many}", version.generation),
    });
    format!("{} of{}", app.version(), had.collect::<String>())
}

fn quick() -> AppSpec {
    notify()
}

/// With a second and a third spec, by reloads.
const THREE: &str = "
        0     start           | spawn #1 0
        1     #1 spawned      |
        2     #1 ready        | op1 done
        10    reload other    | term15 #1
        11    #1 exits 0      | ack #1, spawn #3 0
        12    #3 spawned      |
        13    #3 ready        | op2 done
        20    reload third    | term15 #3
        21    #3 exits 0      | ack #3, spawn #5 0
        22    #5 spawned      |
        23    #5 ready        | op3 done
        24    versions        | 3 of 1 2
";

#[test]
fn each_rollback_goes_a_step_further_back_and_what_is_left_can_be_named() {
    let story = "
        30    rollback        | term15 #5
        31    #5 exits 0      | ack #5, spawn #7 0
        32    #7 spawned      |
        33    #7 ready        | op4 done
        34    versions        | 2 of 1 3
        40    rollback        | term15 #7
        41    #7 exits 0      | ack #7, spawn #9 0
        42    #9 spawned      |
        43    #9 ready        | op5 done
        44    versions        | 1 of 2 3
        50    rollback        | op6 no version
        60    rollback 3      | term15 #9
        61    #9 exits 0      | ack #9, spawn #11 0
        62    #11 spawned     |
        63    #11 ready       | op7 done
        64    versions        | 3 of 1 2
        70    rollback 3      | op8 no version
        71    rollback 9      | op9 no version
        ";
    tell(quick(), &format!("{THREE}{story}"));
}

#[test]
fn what_was_gone_back_from_is_forgotten_when_something_new_comes() {
    let story = "
        30    rollback        | term15 #5
        31    #5 exits 0      | ack #5, spawn #7 0
        32    #7 spawned      |
        33    #7 ready        | op4 done
        34    versions        | 2 of 1 3
        40    restart limited | term15 #7
        41    #7 exits 0      | ack #7, spawn #9 0
        42    #9 spawned      |
        43    #9 ready        | op5 done
        44    versions        | 5 of 1 2
        ";
    tell(quick(), &format!("{THREE}{story}"));
}

#[test]
fn a_rollback_is_a_reload_and_a_failure_of_it_keeps_the_present_one() {
    tell(
        passed(),
        "
        0     start           | spawn #1 0
        1     #1 spawned      |
        2     #1 ready        | op1 done
        3     rollback        | op2 no version
        10    reload other    | spawn #3 0
        11    #3 spawned      |
        12    #3 ready        | term15 #1
        13    #1 exits 0      | op3 done, ack #1
        20    rollback        | spawn #5 0
        21    #5 spawned      |
        22    rollback        | op5 busy with op4
        23    #5 exits 3      | op4 rolled back: 0 #5 Code(3), 0 replaced, 0 stuck, ack #5
        24    versions        | 2 of 1
        ",
    );
}

#[test]
fn it_has_the_instances_that_it_had_and_outlives_the_daemon() {
    tell(
        passed(),
        "
        0     start           | spawn #1 0
        1     #1 spawned      |
        2     #1 ready        | op1 done
        5     scale 2         | spawn #3 1
        6     #3 spawned      |
        7     #3 ready        | op2 done
        10    reload other    | spawn #5 0
        11    #5 spawned      |
        12    #5 ready        | term15 #1
        13    #1 exits 0      | ack #1, term15 #3
        14    #3 exits 0      | op3 done, ack #3
        15    versions        | 2 of 1x2
        20    resume #5=0,ready,gen2 |
        21    versions        | 2 of 1x2
        30    rollback        | spawn #7 0
        31    #7 spawned      |
        32    resume #5=0,ready,gen2 #7=0,gen3,until330 |
        33    #7 ready        | term15 #5
        34    #5 exits 0      | ack #5, spawn #9 1
        35    #9 spawned      |
        36    #9 ready        | op4 done
        37    versions        | 1 of 2
        ",
    );
}

#[test]
fn what_it_has_had_is_kept_apart_and_a_start_with_another_spec_counts() {
    tell_all(
        quick(),
        "
        0     start           | keep app, keep pending, spawn #1 0
        1     #1 spawned      | (started)
        2     #1 ready        | keep pending, op1 done, (ready after 1)
        3     stop            | keep app, keep pending, term15 #1, (stopping)
        4     #1 exits 0      | keep pending, keep slot 0, op2 done, (ended after 3), ack #1
        5     start other     | keep app, keep pending, keep versions, spawn #3 0
        6     versions        | 2 of 1
        ",
    );
}

#[test]
fn a_rollback_builds_as_a_reload_does() {
    tell(
        built(),
        "
        0     start           | spawn #1 build alone
        1     #1 spawned      |
        2     #1 exits 0      | ack #1, spawn #3 0
        3     #3 spawned      |
        53    tick            | op1 done
        60    reload other    | spawn #5 build alone
        61    #5 spawned      |
        62    #5 exits 0      | ack #5, term15 #3
        63    #3 exits 0      | ack #3, spawn #7 0
        64    #7 spawned      |
        114   tick            | op2 done
        120   rollback        | spawn #9 build alone
        121   #9 spawned      |
        122   #9 exits 3      | op3 build failed Code(3), old serves, ack #9
        123   versions        | 2 of 1
        ",
    );
}
