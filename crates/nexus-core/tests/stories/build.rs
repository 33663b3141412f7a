//! Build first, then run.

use nexus_spec::{AppSpec, Span};

use crate::tell::{built, tell, tell_all};

#[test]
fn no_worker_is_started_before_its_build_has_succeeded() {
    tell_all(
        built(),
        "
        0     start            | keep app, keep pending, (build), spawn #1 build alone
        5     #1 spawned       |
        90    #1 exits 0 leaving |
        95    #1 tree gone     | keep app, keep pending, ack #1, (built Code(0)), spawn #3 0
        99    #3 spawned       | (started)
        149   tick             | keep pending, op1 done, (ready after 50)
        200   stop             | keep app, keep pending, term15 #3, (stopping)
        210   #3 exits 0       | keep pending, keep slot 0, op2 done, (ended after 111), ack #3
        220   start known      | keep app, keep pending, spawn #5 0
        ",
    );
}

#[test]
fn a_new_app_whose_build_fails_is_not_kept() {
    tell_all(
        built(),
        "
        0     start            | keep app, keep pending, (build), spawn #1 build alone
        5     #1 spawned       |
        90    #1 exits 2       | keep gone, op1 build failed Code(2), ack #1, (built Code(2))
        91    start known      | op2 not found
        92    start            | keep app, keep pending, (build), spawn #3 build alone
        93    #3 missing       | keep gone, op3 build failed NotSpawned(Permanent(2)), ack #3, (built NotSpawned(Permanent(2)))
        ",
    );
}

#[test]
fn a_build_that_fails_leaves_the_workers_untouched() {
    tell(
        built(),
        "
        0     start            | spawn #1 build alone
        5     #1 exits 0       | ack #1, spawn #3 0
        6     #3 spawned       |
        56    tick             | op1 done
        60    restart other    | spawn #5 build alone
        70    #5 exits 1       | op2 build failed Code(1), ack #5
        71    look             | api/0 g1 r0: running, as asked
        80    restart other    | spawn #7 build alone
        85    #7 exits 0       | ack #7, term15 #3
        86    #3 exits 0       | ack #3, spawn #9 0
        87    #9 spawned       |
        137   tick             | op3 done
        138   look             | api/0 g2 r0: running, as asked
        140   restart          | term15 #9
        ",
    );
}

#[test]
fn a_stop_ends_the_build() {
    tell(
        built(),
        "
        0     start            | spawn #1 build alone
        5     #1 spawned       |
        10    stop             | op1 superseded, term15 #1
        510   tick             | kill #1
        520   #1 dies 9        | op2 done, ack #1
        530   start known      | spawn #3 build alone
        540   delete           | op3 superseded, term15 #3
        550   #3 dies 15       | op4 done, ack #3
        ",
    );
}

#[test]
fn the_same_start_again_joins_the_build_and_another_one_replaces_it() {
    tell(
        built(),
        "
        0     start            | spawn #1 build alone
        5     #1 spawned       |
        10    start            | op1 superseded
        20    start other      | op2 superseded, term15 #1
        30    #1 dies 15       | ack #1, spawn #3 build alone
        35    #3 exits 1       | op3 build failed Code(1), ack #3
        40    stop             | op4 not found
        ",
    );
}

#[test]
fn a_build_has_its_time_and_has_failed_after_it() {
    tell(
        AppSpec { build_timeout: Span(60_000), ..built() },
        "
        0     start            | spawn #1 build alone
        5     #1 spawned       |
        60004 tick           |
        60005 tick           | kill #1
        60006 #1 dies 9      | op1 build failed NeverReady, ack #1
        ",
    );
}

#[test]
fn a_restart_without_a_new_spec_overtakes_a_build() {
    tell(
        built(),
        "
        0     start            | spawn #1 build alone
        5     #1 exits 0       | ack #1, spawn #3 0
        6     #3 spawned       |
        56    tick             | op1 done
        60    restart other    | spawn #5 build alone
        65    restart          | op2 superseded, term15 #5, term15 #3
        70    #5 dies 15       | ack #5
        75    #3 exits 0       | ack #3, spawn #7 0
        76    #7 spawned       |
        126   tick             | op3 done
        ",
    );
}

#[test]
fn two_clients_may_wait_for_one_build() {
    tell(
        built(),
        "
        0     start 2          | spawn #1 build alone
        5     restart 1        | op1 superseded
        6     start known 0    |
        9     #1 exits 0       | ack #1, spawn #3 0, spawn #5 1
        10    #3 spawned       |
        11    #5 spawned       |
        60    tick             | op3 done
        61    tick             | op2 done
        ",
    );
}

#[test]
fn a_new_limit_is_no_reason_to_build() {
    tell(
        built(),
        "
        0     start            | spawn #1 build alone
        5     #1 exits 0       | ack #1, spawn #3 0
        6     #3 spawned       |
        56    tick             | op1 done
        60    restart limited  | term15 #3
        65    #3 exits 0       | ack #3, spawn #5 0
        66    #5 spawned       |
        116   tick             | op2 done
        ",
    );
}
