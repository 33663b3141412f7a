//! Reload: the successor is ready before the incumbent goes, and a failure keeps what was.

use nexus_spec::AppSpec;

use crate::tell::{api, passed, tell, tell_all};

#[test]
fn a_successor_is_ready_before_the_incumbent_goes() {
    tell_all(
        passed(),
        "
        0     start           | keep app, keep pending, spawn #1 0
        5     #1 spawned      | (started)
        40    #1 ready        | keep pending, op1 done, (ready after 35)
        50    reload          | keep app, (reload 1 to g2, beside), spawn #3 0
        55    #3 spawned      | (started)
        56    look            | api/0 g1 r0: running; its successor is being started
        90    #3 ready        | keep slot 0, (ready after 35), (#1 by #3: Asked), term15 #1, (stopping)
        91    look            | api/0 g2 r0: running; its predecessor is being drained
        99    #1 exits 0      | keep app, op2 done, ack #1, (reloaded g2)
        100   look            | api/0 g2 r0: running, as asked
        ",
    );
}

#[test]
fn one_after_another_and_the_next_when_the_first_is_drained() {
    tell(
        passed(),
        "
        0     start 3         | spawn #1 0, spawn #3 1, spawn #5 2
        1     #1 spawned      |
        1     #3 spawned      |
        1     #5 spawned      |
        2     #1 ready        |
        2     #3 ready        |
        2     #5 ready        | op1 done
        10    reload          | spawn #7 0
        ",
    );
}

#[test]
fn two_at_a_time() {
    tell(
        passed(),
        "
        0     start 3         | spawn #1 0, spawn #3 1, spawn #5 2
        1     #1 spawned      |
        1     #3 spawned      |
        1     #5 spawned      |
        2     #1 ready        |
        2     #3 ready        |
        2     #5 ready        | op1 done
        10    reload both     | spawn #7 0, spawn #9 1
        11    #7 spawned      |
        11    #9 spawned      |
        20    #9 ready        | term15 #3
        25    #3 exits 0      | ack #3, spawn #11 2
        ",
    );
}

#[test]
fn a_successor_that_is_never_ready_leaves_the_incumbent_serving() {
    tell(
        passed(),
        "
        0     start           | spawn #1 0
        5     #1 spawned      |
        40    #1 ready        | op1 done
        50    reload          | spawn #3 0
        55    #3 spawned      |
        354   tick            |
        355   tick            | op2 rolled back: 0 #3 NeverReady, 0 replaced, 0 stuck, term15 #3
        356   look            | api/0 g1 r0: running; its predecessor is being drained
        360   #3 dies 15      | ack #3
        361   look            | api/0 g1 r0: running, as asked
        ",
    );
}

#[test]
fn a_bad_new_spec_changes_nothing_not_even_for_those_that_were_replaced() {
    tell_all(
        passed(),
        "
        0     start 2         | keep app, keep pending, spawn #1 0, spawn #3 1
        1     #1 spawned      | (started)
        1     #3 spawned      | (started)
        2     #1 ready        | (ready after 1)
        2     #3 ready        | keep pending, op1 done, (ready after 1)
        10    reload with-2   | keep app, (reload 2 to g2, beside), spawn #5 0
        11    #5 spawned      | (started)
        20    #5 ready        | keep slot 0, (ready after 9), (#1 by #5: Asked), term15 #1, (stopping)
        21    #1 exits 0      | keep slot 1, ack #1, spawn #7 1
        22    #7 spawned      | (started)
        23    #7 exits 3      | keep app, ack #7, (kept: 1 #7 Code(3)), (rolling back), spawn #9 0
        24    #9 spawned      | (started)
        25    #9 ready        | keep slot 0, (ready after 1), (#5 by #9: Asked), term15 #5, (stopping)
        26    look            | api/0 g3 r0: running; its predecessor is being drained; api/1 g1 r0: running, as asked
        30    #5 exits 0      | keep app, op2 rolled back: 1 #7 Code(3), 0 replaced, 0 stuck, ack #5, (rolled back: 0 replaced, 0 stuck)
        31    look            | api/0 g3 r0: running, as asked; api/1 g1 r0: running, as asked
        32    start 2         | keep app, op3 already running
        ",
    );
}

#[test]
fn an_incumbent_that_ends_leaves_its_place_to_its_successor() {
    tell(
        passed(),
        "
        0     start           | spawn #1 0
        1     #1 spawned      |
        2     #1 ready        | op1 done
        10    reload          | spawn #3 0
        11    #3 spawned      |
        12    #1 exits 1      | ack #1
        13    look            | api/0 g2 r1: running, not ready yet
        20    #3 ready        | op2 done
        21    look            | api/0 g2 r1: running, as asked
        ",
    );
}

#[test]
fn without_a_passed_socket_each_is_stopped_first() {
    tell_all(
        api(),
        "
        0     start 2         | keep app, keep pending, spawn #1 0, spawn #3 1
        1     #1 spawned      | (started)
        1     #3 spawned      | (started)
        51    tick            | keep pending, op1 done, (ready after 50), (ready after 50)
        60    reload          | keep app, (reload 2 to g2, stop first), term15 #1, (stopping)
        65    #1 exits 0      | keep slot 0, (ended after 64), ack #1, spawn #5 0
        66    #5 spawned      | (started)
        116   tick            | keep slot 1, (ready after 50), term15 #3, (stopping)
        120   #3 exits 0      | keep slot 1, (ended after 119), ack #3, spawn #7 1
        121   #7 spawned      | (started)
        171   tick            | keep app, op2 done, (ready after 50), (reloaded g2)
        ",
    );
}

#[test]
fn stopped_first_and_failed_with_the_same_spec_is_a_failed_start() {
    tell(
        api(),
        "
        0     start 2         | spawn #1 0, spawn #3 1
        1     #1 spawned      |
        1     #3 spawned      |
        51    tick            | op1 done
        60    reload          | term15 #1
        65    #1 exits 0      | ack #1, spawn #5 0
        66    #5 exits 3      | op2 failed 0 #5 Code(3) again 66, ack #5, spawn #7 0 +100
        67    look            | api/0 g2 r1: being started; api/1 g1 r0: running, as asked
        ",
    );
}

#[test]
fn stopped_first_and_failed_with_a_new_spec_comes_back_with_the_old_one() {
    tell(
        api(),
        "
        0     start 2         | spawn #1 0, spawn #3 1
        1     #1 spawned      |
        1     #3 spawned      |
        51    tick            | op1 done
        60    reload with-2   | term15 #1
        65    #1 exits 0      | ack #1, spawn #5 0
        66    #5 exits 3      | ack #5, spawn #7 0
        67    #7 spawned      |
        117   tick            | op2 rolled back: 0 #5 Code(3), 0 replaced, 0 stuck
        118   look            | api/0 g3 r0: running, as asked; api/1 g1 r0: running, as asked
        ",
    );
}

#[test]
fn a_second_one_is_refused_and_may_take_over() {
    tell(
        passed(),
        "
        0     start           | spawn #1 0
        1     #1 spawned      |
        2     #1 ready        | op1 done
        10    reload          | spawn #3 0
        11    reload          | op3 busy with op2
        12    scale 3         | op4 busy with op2
        13    start           | op5 already running
        14    restart 0       | op6 busy with op2
        15    reload replacing | op2 superseded, term15 #3, spawn #5 0
        16    restart         | op7 superseded, term15 #5, term15 #1
        ",
    );
}

#[test]
fn an_abort_goes_back() {
    tell(
        passed(),
        "
        0     start 2         | spawn #1 0, spawn #3 1
        1     #1 spawned      |
        1     #3 spawned      |
        2     #1 ready        |
        2     #3 ready        | op1 done
        10    reload with-2   | spawn #5 0
        11    #5 spawned      |
        20    #5 ready        | term15 #1
        25    #1 exits 0      | ack #1, spawn #7 1
        30    abort op2       | term15 #7, spawn #9 0
        31    #9 spawned      |
        32    #9 ready        | term15 #5
        33    #5 exits 0      | op2 rolled back: aborted, 0 replaced, 0 stuck, op3 done, ack #5
        40    abort op2       | op4 cannot abort
        ",
    );
}

#[test]
fn a_stop_overtakes_it_and_leaves_neither_of_the_two() {
    tell(
        passed(),
        "
        0     start           | spawn #1 0
        1     #1 spawned      |
        2     #1 ready        | op1 done
        10    reload          | spawn #3 0
        11    stop            | op2 superseded, term15 #3, term15 #1
        12    #1 exits 0      | ack #1
        13    #3 dies 15      | op3 done, ack #3
        ",
    );
}

#[test]
fn the_build_comes_first_and_its_failure_changes_nothing() {
    tell(
        AppSpec { build: Some("make".into()), ..passed() },
        "
        0     start           | spawn #1 build alone
        1     #1 exits 0      | ack #1, spawn #3 0
        2     #3 spawned      |
        3     #3 ready        | op1 done
        10    reload          | spawn #5 build alone
        11    #5 exits 1      | op2 build failed Code(1), old serves, ack #5
        12    reload          | spawn #7 build alone
        13    stop 0          | op4 busy with op3
        14    #7 exits 0      | ack #7, spawn #9 0
        15    #9 spawned      |
        16    #9 ready        | term15 #3
        17    #3 exits 0      | op3 done, ack #3
        ",
    );
}

#[test]
fn more_instances_come_with_it_and_go_if_it_fails() {
    tell(
        passed(),
        "
        0     start           | spawn #1 0
        1     #1 spawned      |
        2     #1 ready        | op1 done
        10    reload with-2   | spawn #3 0
        11    #3 spawned      |
        12    #3 ready        | term15 #1
        13    #1 exits 0      | ack #1, spawn #5 1
        14    #5 exits 3      | ack #5, spawn #7 0
        15    #7 spawned      |
        16    #7 ready        | term15 #3
        17    #3 exits 0      | op2 rolled back: 1 #5 Code(3), 0 replaced, 0 stuck, ack #3
        18    look            | api/0 g3 r0: running, as asked
        ",
    );
}

#[test]
fn fewer_instances_go_last() {
    tell(
        passed(),
        "
        0     start 2         | spawn #1 0, spawn #3 1
        1     #1 spawned      |
        1     #3 spawned      |
        2     #1 ready        |
        2     #3 ready        | op1 done
        10    reload other    | spawn #5 0
        11    #5 spawned      |
        12    #5 ready        | term15 #1
        13    #1 exits 0      | ack #1, term15 #3
        14    #3 exits 0      | op2 done, ack #3
        ",
    );
}

#[test]
fn a_daemon_that_dies_goes_on_with_it() {
    tell(
        passed(),
        "
        0     start 2         | spawn #1 0, spawn #3 1
        1     #1 spawned      |
        1     #3 spawned      |
        2     #1 ready        |
        2     #3 ready        | op1 done
        10    reload with-2   | spawn #5 0
        11    resume #1=0,ready #3=1,ready | spawn #7 0
        12    resume #1=0,ready #3=1,ready #7=0,gen2 |
        13    #7 ready        | term15 #1
        14    resume #1=0,ready #3=1,ready #7=0,gen2,ready | term15 #1
        15    #1 exits 0      | ack #1, spawn #9 1
        16    resume #3=1,ready #7=0,gen2,ready #9=1,gen2,ready | term15 #3
        17    #3 exits 0      | op2 done, ack #3
        18    look            | api/0 g2 r0: running, as asked; api/1 g2 r0: running, as asked
        ",
    );
}

#[test]
fn a_successor_that_ended_meanwhile_is_not_replaced_by_what_the_keeper_put_in_its_place() {
    tell(
        passed(),
        "
        0     start           | spawn #1 0
        1     #1 spawned      |
        2     #1 ready        | op1 done
        10    reload          | spawn #3 0
        20    resume #1=0,ready #3=0,gen2,code3@15 #4=0,gen2,of#3 | op2 rolled back: 0 #3 Code(3), 0 replaced, 0 stuck, ack #3, term15 #4
        21    #4 dies 15      | ack #4
        22    look            | api/0 g1 r0: running, as asked
        ",
    );
}

#[test]
fn an_incumbent_that_is_being_drained_is_not_resurrected() {
    tell(
        passed(),
        "
        0     start           | spawn #1 0
        1     #1 spawned      |
        2     #1 ready        | op1 done
        10    reload          | spawn #3 0
        11    #3 spawned      |
        12    #3 ready        | term15 #1
        20    resume #1=0,ready,code1@15 #2=0,of#1 #3=0,gen2,ready | ack #1, term15 #2
        21    #2 dies 15      | op2 done, ack #2
        22    look            | api/0 g2 r0: running, as asked
        ",
    );
}

#[test]
fn the_new_spec_says_when_its_workers_are_ready_also_where_the_old_one_stops_first() {
    tell(
        api(),
        "
        0     start           | spawn #1 0
        5     #1 spawned      |
        55    tick            | op1 done
        60    reload saying   | term15 #1
        70    #1 exits 0      | ack #1, spawn #3 0
        75    #3 spawned      |
        80    #3 ready        | op2 done
        90    reload saying   | term15 #3
        95    #3 exits 0      | ack #3, spawn #5 0
        96    #5 spawned      |
        396   tick            | op3 failed 0 #5 NeverReady again 396, term15 #5
        ",
    );
}
