//! Starting: when it is answered, and with what.

use nexus_spec::{AppSpec, Ready, Span};

use crate::tell::{api, notify, tell, tell_all};

#[test]
fn a_start_is_answered_when_all_are_online() {
    tell(
        api(),
        "
        0     start 2          | spawn #1 0, spawn #3 1
        5     #1 spawned       |
        6     #3 spawned       |
        55    tick             |
        56    tick             | op1 done
        56    look             | api/0 g1 r0: running, as asked; api/1 g1 r0: running, as asked
        ",
    );
}

#[test]
fn what_must_be_kept_comes_first_and_replies_next() {
    tell_all(
        notify(),
        "
        0     start            | keep app, keep pending, spawn #1 0
        5     #1 spawned       | (started)
        40    #1 ready         | keep pending, op1 done, (ready after 35)
        ",
    );
}

#[test]
fn without_a_word_about_readiness_a_second_is_enough() {
    tell(
        AppSpec { ready: Ready::Default, ..api() },
        "
        0     start            | spawn #1 0
        5     #1 spawned       |
        1004  tick             |
        1005  tick             | op1 done
        ",
    );
}

#[test]
fn without_a_rule_whatever_says_so_first_makes_it_ready() {
    tell_all(
        AppSpec { ready: Ready::Default, ..api() },
        "
        0     start            | keep app, keep pending, spawn #1 0
        5     #1 spawned       | (started)
        47    #1 ready         | keep pending, op1 done, (ready after 42)
        50    #1 ready         |
        1005  tick             |
        ",
    );
}

#[test]
fn a_delay_is_waited_for_whatever_is_said() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        5     #1 spawned       |
        6     #1 ready         |
        54    tick             |
        55    tick             | op1 done
        ",
    );
}

#[test]
fn no_delay_at_all_is_ready_at_once() {
    tell(
        AppSpec { ready: Ready::Delay(Span(0)), ..api() },
        "
        0     start            | spawn #1 0
        5     #1 spawned       | op1 done
        ",
    );
}

#[test]
fn ready_may_be_heard_before_the_spawn() {
    tell(
        notify(),
        "
        0     start            | spawn #1 0
        4     #1 ready         |
        5     #1 spawned       | op1 done
        ",
    );
}

#[test]
fn a_second_start_brings_back_what_is_down_and_tells_when_nothing_was() {
    tell(
        api(),
        "
        0     start 2          | spawn #1 0, spawn #3 1
        5     #1 spawned       |
        5     #3 spawned       |
        55    tick             | op1 done
        60    start 2          | op2 already running
        70    stop 1           | term15 #3
        75    #3 dies 15       | op3 done, ack #3
        80    start 2          | spawn #5 1
        85    #5 spawned       |
        135   tick             | op4 done
        140   start known 0    | op5 already running
        ",
    );
}

#[test]
fn another_spec_is_refused_while_it_runs_and_taken_when_it_is_down() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        5     #1 spawned       |
        10    start other      | op2 conflict
        11    start 2          | op3 conflict
        55    tick             | op1 done
        60    stop             | term15 #1
        65    #1 exits 0       | op4 done, ack #1
        70    start other      | spawn #3 0
        75    #3 spawned       |
        125   tick             | op5 done
        126   look             | api/0 g2 r0: running, as asked
        ",
    );
}

#[test]
fn a_start_that_fails_says_so_at_once_and_goes_on_trying() {
    tell(
        notify(),
        "
        0     start            | spawn #1 0
        5     #1 spawned       |
        10    #1 exits 3       | op1 failed 0 #1 Code(3) again 10, ack #1, spawn #3 0 +100
        15    #3 spawned       |
        20    #3 exits 3       | ack #3
        119   tick             |
        120   tick             | spawn #5 0 +200
        121   look             | api/0 g1 r2: being started
        ",
    );
}

#[test]
fn a_program_that_is_missing_is_given_up_at_once() {
    tell_all(
        api(),
        "
        0     start            | keep app, keep pending, spawn #1 0
        5     #1 spawned       | (started)
        6     #1 missing       | keep pending, keep slot 0, op1 failed 0 #1 NotSpawned(Permanent(2)) again never, (exited after 1), (errored after 0), ack #1
        7     look             | api/0 g1 r0: given up after its last exit; start it to try again
        ",
    );
}

#[test]
fn a_machine_without_room_is_asked_again_and_never_given_up() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        1     #1 no room       | op1 failed 0 #1 NotSpawned(Resources(11)) again 101, ack #1
        101   tick             | spawn #3 0 +100
        102   #3 no room       | ack #3
        302   tick             | spawn #5 0 +200
        303   #5 no room       | ack #5
        703   tick             | spawn #7 0 +400
        704   #7 no room       | ack #7
        1704  tick             | spawn #9 0 +800
        1705  #9 no room       | ack #9
        2705  tick             | spawn #11 0 +1000
        ",
    );
}

#[test]
fn a_start_overtakes_a_stop_that_is_under_way() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        5     #1 spawned       |
        55    tick             | op1 done
        60    stop             | term15 #1
        65    start            | op2 superseded
        70    #1 dies 15       | ack #1, spawn #3 0
        75    #3 spawned       |
        125   tick             | op3 done
        ",
    );
}

#[test]
fn nobody_knows_the_app() {
    tell(
        api(),
        "
        0     start known      | op1 not found
        1     stop             | op2 not found
        2     restart          | op3 not found
        3     delete           | op4 not found
        4     start            | spawn #1 0
        5     stop 1           | op6 not found
        6     restart 1        | op7 not found
        7     start known 1    | op8 not found
        ",
    );
}

#[test]
fn a_worker_that_asks_for_time_gets_it_to_become_ready_and_to_end() {
    tell(
        notify(),
        "
        0     start           | spawn #1 0
        5     #1 spawned      |
        200   #1 extends 900  |
        201   #1 extends 300  |
        305   tick            |
        500   resume #1=0,until900 |
        899   tick            |
        900   tick            | op1 failed 0 #1 NeverReady again 900, term15 #1
        901   #1 extends 2000 |
        1400  tick            |
        2000  tick            | kill #1
        2001  #1 dies 9       | ack #1, spawn #3 0 +100
        ",
    );
}

#[test]
fn time_that_is_asked_for_keeps_nobody_from_being_ready() {
    tell(
        api(),
        "
        0     start           | spawn #1 0
        5     #1 spawned      |
        6     #1 extends 900  |
        54    tick            |
        55    tick            | op1 done
        56    #1 ready        |
        ",
    );
}
