//! The daemon was away: what the keeper did meanwhile, and what a new daemon makes of it.

use crate::tell::{api, built, notify, tell, tell_all};

#[test]
fn a_successor_that_the_keeper_has_spawned_is_taken_and_counted_once() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        1     #1 no room       | op1 failed 0 #1 NotSpawned(Resources(11)) again 101, ack #1
        101   tick             | spawn #3 0 +100
        105   #3 spawned       |
        110   #3 exits 1       | ack #3
        120   #3 respawned #4  |
        121   #4 spawned       |
        122   look             | api/0 g1 r2: running, not ready yet
        210   tick             |
        211   #3 respawned #4  |
        220   #4 exits 1       | ack #4
        221   look             | api/0 g1 r3: exited; waiting to be started again
        ",
    );
}

#[test]
fn a_successor_that_nobody_wants_any_more_is_ended() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        5     #1 spawned       |
        55    tick             | op1 done
        60    stop             | term15 #1
        65    #1 exits 1       | op2 done, ack #1
        66    #1 respawned #2  | term15 #2
        70    stop             |
        80    #2 dies 15       | op3 done, ack #2
        ",
    );
}

#[test]
fn a_successor_whose_place_is_taken_is_ended() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        5     #1 spawned       |
        60    #1 exits 1       | ack #1, spawn #3 0 +100
        61    #1 respawned #2  | term15 #2
        65    #3 spawned       |
        70    #2 dies 15       | ack #2
        115   tick             | op1 done
        116   look             | api/0 g1 r1: running, as asked
        ",
    );
}

#[test]
fn a_start_in_flight_ends_with_its_true_result() {
    tell(
        notify(),
        "
        0     start 2          | spawn #1 0, spawn #3 1
        5     resume #1=0,ready #3=1 |
        6     #3 spawned       |
        40    #3 ready         | op1 done
        50    resume #1=0,ready #3=1,ready |
        60    restart 0        | term15 #1
        65    resume #1=0,ready #3=1,ready | term15 #1
        70    #1 exits 0       | ack #1, spawn #5 0
        71    resume #3=1,ready #5=0,gen2,code3@71 | op2 failed 0 #5 Code(3) again 71, ack #5, spawn #7 0 +100
        ",
    );
}

#[test]
fn an_order_that_was_lost_is_given_again() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        1     resume           | spawn #3 0
        5     #3 spawned       |
        55    tick             | op1 done
        60    stop             | term15 #3
        61    resume #3=0      | term15 #3
        70    #3 exits 0       | op2 done, ack #3
        80    resume           |
        81    look             | api/0 g1 r0: stopped, as asked
        ",
    );
}

#[test]
fn an_exit_is_counted_once_however_often_it_is_told() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        5     #1 spawned       |
        55    tick             | op1 done
        60    #1 exits 1 leaving |
        70    resume #1=0,code1@60,tree |
        71    #1 exits 1 leaving |
        72    look             | api/0 g1 r1: exited; the rest of its processes are being ended
        80    resume #1=0,code1@60 | ack #1, spawn #3 0 +100
        81    #1 exits 1       | ack #1
        82    look             | api/0 g1 r1: being started
        ",
    );
}

#[test]
fn a_crash_that_the_keeper_has_mended_is_counted_when_the_daemon_is_back() {
    tell_all(
        api(),
        "
        0     start            | keep app, keep pending, spawn #1 0
        5     #1 spawned       | (started)
        55    tick             | keep pending, op1 done, (ready after 50)
        90    resume #1=0,code1@60 #2=0,of#1 | keep slot 0, (exited after 60), ack #1, (ready after 50)
        91    #1 exits 1       | ack #1
        92    #1 respawned #2  |
        93    look             | api/0 g1 r1: running, as asked
        95    resume #1=0,code1@60 #2=0,of#1,code1@94 | keep slot 0, ack #1, (ready after 50), (exited after 94), ack #2
        96    look             | api/0 g1 r2: exited; waiting to be started again
        ",
    );
}

#[test]
fn backoff_goes_on_where_it_was() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        1     #1 no room       | op1 failed 0 #1 NotSpawned(Resources(11)) again 101, ack #1
        50    resume           |
        100   tick             |
        101   tick             | spawn #3 0 +100
        102   look             | api/0 g1 r1: being started
        ",
    );
}

#[test]
fn given_up_and_resting_stay_so() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        1     #1 missing       | op1 failed 0 #1 NotSpawned(Permanent(2)) again never, ack #1
        50    resume           |
        51    look             | api/0 g1 r0: given up after its last exit; start it to try again
        ",
    );
}

#[test]
fn the_newest_that_is_ready_serves_and_nobody_else() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        5     resume #1=0,ready #3=0,ready #5=0 #9=4 | op1 done, term15 #9, term15 #1, term15 #5
        6     #1 exits 0       | ack #1
        7     #5 exits 0       | ack #5
        8     #9 exits 0       | ack #9
        9     #3 exits 1       | ack #3, spawn #11 0 +100
        ",
    );
}

#[test]
fn a_build_goes_on_without_the_daemon() {
    tell(
        built(),
        "
        0     start            | spawn #1 build alone
        5     resume #1=build  |
        6     resume #1=build,code0@6 | ack #1, spawn #3 0
        7     resume #1=build,code0@6 #3=0 | ack #1
        60    tick             | op1 done
        61    resume #3=0,ready |
        62    restart other    | spawn #5 build alone
        63    resume #3=0,ready | spawn #7 build alone
        64    #7 exits 1       | op2 build failed Code(1), ack #7
        65    look             | api/0 g1 r0: running, as asked
        ",
    );
}

#[test]
fn a_deletion_goes_on_without_the_daemon() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        5     delete           | op1 superseded, term15 #1
        6     resume #1=0      | term15 #1
        7     resume #1=0,code0@6 | op2 done, ack #1
        8     look             |
        ",
    );
}

#[test]
fn a_worker_of_an_older_generation_is_replaced_while_someone_waits_for_that() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        5     #1 spawned       |
        55    tick             | op1 done
        60    restart          | term15 #1
        61    resume #1=0,code1@61 #2=0,of#1 | ack #1, term15 #2
        65    #2 dies 15       | ack #2, spawn #4 0
        66    look             | api/0 g2 r0: being started
        ",
    );
}

#[test]
fn an_heir_of_a_worker_whose_restart_was_overtaken_does_not_serve() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        5     #1 spawned       |
        55    tick             | op1 done
        60    #1 exits 1 leaving |
        61    restart          |
        70    resume #1=0,code1@60 #2=0,of#1 | ack #1, term15 #2
        75    #2 dies 15       | ack #2, spawn #4 0
        76    look             | api/0 g2 r0: being started
        ",
    );
}

#[test]
fn an_heir_that_serves_goes_on_serving_whatever_was_kept_since() {
    tell(
        api(),
        "
        0     start 2          | spawn #1 0, spawn #3 1
        5     #1 spawned       |
        5     #3 spawned       |
        55    tick             | op1 done
        70    resume #1=0,code1@60 #2=0,of#1 #3=1,ready | ack #1
        71    start 2          | op2 already running
        72    resume #2=0,of#1 #3=1,ready |
        73    look             | api/0 g1 r1: running, as asked; api/1 g1 r0: running, as asked
        ",
    );
}

#[test]
fn an_heir_that_had_no_process_yet_gets_it_when_the_keeper_tells() {
    tell(
        notify(),
        "
        0     start            | spawn #1 0
        5     #1 spawned       |
        20    #1 ready         | op1 done
        70    resume #1=0,code1@60 #2=0,of#1,unborn | ack #1
        71    look             | api/0 g1 r1: being started
        72    #1 respawned #2  |
        73    look             | api/0 g1 r1: running, not ready yet
        80    #2 ready         |
        81    look             | api/0 g1 r1: running, as asked
        ",
    );
}
