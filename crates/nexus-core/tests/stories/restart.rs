//! Restarting on request: all or one, with the stored spec or a new one.

use crate::tell::{api, notify, tell, tell_all};

#[test]
fn a_restart_is_answered_when_the_new_generation_is_online() {
    tell_all(
        api(),
        "
        0     start            | keep app, keep pending, spawn #1 0
        5     #1 spawned       | (started)
        55    tick             | keep pending, op1 done, (ready after 50)
        60    restart          | keep app, keep pending, term15 #1, (stopping)
        70    #1 dies 15       | keep slot 0, (ended after 65), ack #1, spawn #3 0
        75    #3 spawned       | (started)
        125   tick             | keep pending, op2 done, (ready after 50)
        126   look             | api/0 g2 r0: running, as asked
        ",
    );
}

#[test]
fn a_slot_that_was_down_is_started_by_a_restart() {
    tell(
        api(),
        "
        0     start 2          | spawn #1 0, spawn #3 1
        5     #1 spawned       |
        5     #3 spawned       |
        6     stop 1           | op1 superseded, term15 #3
        7     #3 exits 0       | op2 done, ack #3
        60    restart          | term15 #1, spawn #5 1
        65    #5 spawned       |
        70    #1 exits 0       | ack #1, spawn #7 0
        75    #7 spawned       |
        115   tick             |
        125   tick             | op3 done
        ",
    );
}

#[test]
fn one_instance_is_restarted_and_the_other_keeps_its_generation() {
    tell(
        api(),
        "
        0     start 2          | spawn #1 0, spawn #3 1
        5     #1 spawned       |
        5     #3 spawned       |
        55    tick             | op1 done
        60    restart 1        | term15 #3
        61    restart 0        | term15 #1
        70    #3 exits 0       | ack #3, spawn #5 1
        71    #1 exits 0       | ack #1, spawn #7 0
        75    #5 spawned       |
        76    #7 spawned       |
        125   tick             | op2 done
        126   tick             | op3 done
        127   look             | api/0 g3 r0: running, as asked; api/1 g3 r0: running, as asked
        ",
    );
}

#[test]
fn a_restart_with_a_new_spec_needs_no_stop() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        5     #1 spawned       |
        55    tick             | op1 done
        60    restart other    | term15 #1
        70    #1 exits 0       | ack #1, spawn #3 0
        75    #3 spawned       |
        125   tick             | op2 done
        130   start            | op3 conflict
        131   start other      | op4 already running
        ",
    );
}

#[test]
fn fewer_and_more_instances_come_with_a_restart() {
    tell(
        api(),
        "
        0     start 2          | spawn #1 0, spawn #3 1
        5     #1 spawned       |
        5     #3 spawned       |
        6     restart 1        | op1 superseded, term15 #3
        7     restart with 1   | op2 superseded, term15 #1
        8     #3 exits 0       | ack #3
        9     #1 exits 0       | ack #1, spawn #5 0
        10    #5 spawned       |
        60    tick             | op3 done
        70    restart with 3   | term15 #5, spawn #7 1, spawn #9 2
        75    #5 exits 0       | ack #5, spawn #11 0
        76    stop             | op4 superseded, term15 #11, term15 #7, term15 #9
        77    #7 exits 0       | ack #7
        78    #9 exits 0       | ack #9
        79    #11 exits 0      | op5 done, ack #11
        ",
    );
}

#[test]
fn a_surplus_worker_that_is_still_running_goes_before_a_stop_is_done() {
    tell(
        api(),
        "
        0     start 2          | spawn #1 0, spawn #3 1
        5     #1 spawned       |
        5     #3 spawned       |
        60    restart with 1   | op1 superseded, term15 #3, term15 #1
        65    #1 exits 0       | ack #1, spawn #5 0
        70    stop             | op2 superseded, term15 #5
        75    #5 exits 0       | ack #5
        560   tick             | kill #3
        1560  tick             | kill #3
        1561  #3 dies 9        | op3 done, ack #3
        ",
    );
}

#[test]
fn a_new_worker_that_fails_ends_the_wait_for_a_restart() {
    tell(
        notify(),
        "
        0     start            | spawn #1 0
        5     #1 spawned       |
        40    #1 ready         | op1 done
        50    restart          | term15 #1
        60    #1 exits 1       | ack #1, spawn #3 0
        65    #3 spawned       |
        70    #3 exits 1       | op2 failed 0 #3 Code(1) again 70, ack #3, spawn #5 0 +100
        71    look             | api/0 g2 r1: being started
        ",
    );
}
