//! Stopping: the signal, the time-out, and what of the tree is left.

use nexus_spec::{AppSpec, Span};

use crate::tell::{api, notify, passed, tell, tell_all};

#[test]
fn a_stop_is_answered_when_nothing_is_left() {
    tell_all(
        notify(),
        "
        0     start            | keep app, keep pending, spawn #1 0
        5     #1 spawned       | (started)
        40    #1 ready         | keep pending, op1 done, (ready after 35)
        50    stop             | keep app, keep pending, term15 #1, (stopping)
        60    #1 exits 0 leaving | keep slot 0, (ended after 55)
        70    #1 tree gone     | keep pending, op2 done, ack #1
        71    look             | api/0 g1 r0: stopped, as asked
        ",
    );
}

#[test]
fn a_worker_that_does_not_listen_is_killed_again_and_again() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        5     #1 spawned       |
        55    tick             | op1 done
        60    stop             | term15 #1
        559   tick             |
        560   tick             | kill #1
        1559  tick             |
        1560  tick             | kill #1
        1561  #1 dies 9        | op2 done, ack #1
        ",
    );
}

#[test]
fn the_rest_of_a_tree_is_killed_at_the_same_time_out() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        5     #1 spawned       |
        55    tick             | op1 done
        60    stop             | term15 #1
        70    #1 exits 0 leaving |
        560   tick             | kill #1
        1560  tick             | kill #1
        1570  #1 tree gone     | op2 done, ack #1
        ",
    );
}

#[test]
fn a_worker_that_is_being_spawned_can_be_stopped() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        2     stop             | op1 superseded, term15 #1
        5     #1 spawned       |
        9     #1 dies 15       | op2 done, ack #1
        ",
    );
}

#[test]
fn a_spawn_that_fails_while_it_is_being_stopped_ends_the_stop() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        2     stop             | op1 superseded, term15 #1
        5     #1 missing       | op2 done, ack #1
        6     look             | api/0 g1 r0: stopped, as asked
        ",
    );
}

#[test]
fn a_stop_in_backoff_calls_the_restart_off() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        5     #1 spawned       |
        10    #1 exits 1       | op1 failed 0 #1 Code(1) again 10, ack #1, spawn #3 0 +100
        15    #3 spawned       |
        20    #3 exits 1       | ack #3
        21    look             | api/0 g1 r2: exited; waiting to be started again
        30    stop             | op2 done
        31    look             | api/0 g1 r1: stopped, as asked
        500   tick             |
        ",
    );
}

#[test]
fn one_instance_is_stopped_and_the_other_serves_on() {
    tell(
        api(),
        "
        0     start 2          | spawn #1 0, spawn #3 1
        5     #1 spawned       |
        5     #3 spawned       |
        10    stop 0           | op1 superseded, term15 #1
        11    stop 1           | term15 #3
        20    #3 exits 0       | op3 done, ack #3
        30    #1 exits 0       | op2 done, ack #1
        40    stop             | op4 done
        ",
    );
}

#[test]
fn a_stop_of_all_overtakes_the_start_of_one() {
    tell(
        api(),
        "
        0     start 2          | spawn #1 0, spawn #3 1
        5     #1 spawned       |
        5     #3 spawned       |
        6     start known 0    | op1 superseded
        7     stop             | op2 superseded, term15 #1, term15 #3
        8     #1 exits 0       | ack #1
        9     #3 exits 0       | op3 done, ack #3
        ",
    );
}

#[test]
fn an_echo_is_acknowledged_and_changes_nothing() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        5     #1 spawned       |
        10    stop             | op1 superseded, term15 #1
        20    #1 exits 0       | op2 done, ack #1
        21    #1 exits 0       | ack #1
        22    #1 spawned       |
        23    #1 ready         |
        24    #1 tree gone     | ack #1
        25    #77 exits 0 leaving |
        30    #77 tree gone    | ack #77
        31    look             | api/0 g1 r0: stopped, as asked
        ",
    );
}

#[test]
fn one_that_serves_has_time_to_finish_and_is_told_again_after_that() {
    let spec = AppSpec { drain_timeout: Span(2_000), ..notify() };
    tell_all(
        spec.clone(),
        "
        0     start           | keep app, keep pending, spawn #1 0
        5     #1 spawned      | (started)
        40    #1 ready        | keep pending, op1 done, (ready after 35)
        50    stop            | keep app, keep pending, term15 #1, (stopping)
        2049  tick            |
        2050  tick            | term15 #1, (not drained)
        2549  tick            |
        2550  tick            | kill #1, (killed)
        2551  #1 dies 9       | keep pending, keep slot 0, op2 done, (ended after 2546), ack #1
        ",
    );
    // Nothing is waited for when it has finished, nor where nothing was begun.
    tell(
        spec,
        "
        0     start           | spawn #1 0
        5     #1 spawned      |
        40    #1 ready        | op1 done
        50    restart         | term15 #1
        90    #1 exits 0 leaving |
        1089  tick            |
        1090  tick            | kill #1
        1091  #1 tree gone    | ack #1, spawn #3 0
        1100  #3 spawned      |
        1110  stop            | op2 superseded, term15 #3
        1610  tick            | kill #3
        ",
    );
}

#[test]
fn a_new_daemon_does_not_tell_one_again_that_finishes_what_it_has_begun() {
    tell(
        AppSpec { drain_timeout: Span(2_000), ..notify() },
        "
        0     start           | spawn #1 0
        5     #1 spawned      |
        40    #1 ready        | op1 done
        50    stop            | term15 #1
        900   resume #1=0,ready,told50 |
        2049  tick            |
        2050  tick            | term15 #1
        2060  resume #1=0,ready,told50 | term15 #1
        2560  tick            | kill #1
        ",
    );
}

#[test]
fn the_incumbent_of_a_reload_drains_beside_its_successor() {
    tell(
        AppSpec { drain_timeout: Span(2_000), ..passed() },
        "
        0     start           | spawn #1 0
        5     #1 spawned      |
        40    #1 ready        | op1 done
        50    reload          | spawn #3 0
        55    #3 spawned      |
        60    #3 ready        | term15 #1
        900   resume #1=0,ready,told60 #3=0,ready |
        1000  #1 extends 2500 |
        2060  tick            |
        2500  tick            | term15 #1
        2600  #1 exits 0      | op2 done, ack #1
        ",
    );
}
