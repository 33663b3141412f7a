//! A worker that goes beyond a limit.

use nexus_spec::{AppSpec, Span};

use crate::tell::{api, notify, passed, tell, tell_all};

#[test]
fn a_worker_beyond_a_limit_is_stopped_and_started_and_the_figures_are_told() {
    tell_all(
        api(),
        "
        0     start            | keep app, keep pending, spawn #1 0
        5     #1 spawned       | (started)
        55    tick             | keep pending, op1 done, (ready after 50)
        2000  #1 uses 120      | keep slot 0, (breach 120 of 100 after 1995), term15 #1, (stopping)
        2001  #1 uses 130      |
        2010  #1 exits 0       | keep slot 0, (exited after 1995), ack #1, spawn #3 0
        2011  look             | api/0 g1 r1: being started
        ",
    );
}

#[test]
fn only_an_online_worker_is_judged_by_its_limit() {
    tell(
        notify(),
        "
        0     start            | spawn #1 0
        1     #1 uses 120      |
        5     #1 spawned       |
        6     #1 uses 120      |
        40    #1 ready         | op1 done
        41    stop             | term15 #1
        42    #1 uses 120      |
        43    #1 exits 0       | op2 done, ack #1
        44    #1 uses 120      |
        ",
    );
}

#[test]
fn a_limit_that_is_too_small_to_start_with_is_found_out_like_any_crash() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        5     #1 spawned       |
        55    tick             | op1 done
        56    #1 uses 120      | term15 #1
        57    #1 exits 0       | ack #1, spawn #3 0 +100
        58    #3 spawned       |
        108   tick             |
        109   #3 uses 120      | term15 #3
        110   #3 exits 0       | ack #3
        209   tick             | spawn #5 0 +200
        210   #5 spawned       |
        260   tick             |
        261   #5 uses 120      | term15 #5
        262   #5 exits 0       | ack #5
        461   tick             | spawn #7 0 alone
        462   #7 spawned       |
        512   tick             |
        513   #7 uses 120      | term15 #7
        514   #7 exits 0       | ack #7
        515   look             | api/0 g1 r3: given up after its last exit; start it to try again
        ",
    );
}

#[test]
fn with_a_passed_socket_its_successor_is_ready_before_it_goes() {
    tell_all(
        passed(),
        "
        0     start           | keep app, keep pending, spawn #1 0
        1     #1 spawned      | (started)
        2     #1 ready        | keep pending, op1 done, (ready after 1)
        2000  #1 uses 120     | keep slot 0, (breach 120 of 100 after 1999), spawn #3 0
        2001  #1 uses 120     |
        2002  #3 spawned      | (started)
        2030  #3 ready        | keep slot 0, (ready after 28), (#1 by #3: Breach), term15 #1, (stopping)
        2031  look            | api/0 g1 r1: running; its predecessor is being drained
        2040  #1 exits 0      | ack #1
        ",
    );
}

#[test]
fn a_successor_that_fails_leaves_it_serving_for_a_minute() {
    tell(
        passed(),
        "
        0     start           | spawn #1 0
        1     #1 spawned      |
        2     #1 ready        | op1 done
        2000  #1 uses 120     | spawn #3 0
        2002  #3 exits 3      | ack #3
        2003  look            | api/0 g1 r0: running, as asked
        3000  #1 uses 130     |
        62001 #1 uses 130     |
        62002 #1 uses 130     | spawn #5 0
        ",
    );
}

#[test]
fn a_worker_that_does_not_say_that_it_is_alive_is_replaced() {
    let spec = AppSpec { watchdog: Some(Span(1_000)), ..notify() };
    tell_all(
        spec.clone(),
        "
        0     start           | keep app, keep pending, spawn #1 0
        5     #1 spawned      | (started)
        40    #1 ready        | keep pending, op1 done, (ready after 35)
        900   #1 alive        |
        1899  tick            |
        1900  tick            | keep slot 0, (breach 1000 of 1000 after 1895), term15 #1, (stopping)
        1950  #1 exits 0      | keep slot 0, (exited after 1895), ack #1, spawn #3 0
        ",
    );
    // One that is watched beside its successor counts from its own readiness.
    tell(
        AppSpec { listen: passed().listen, ..spec },
        "
        0     start           | spawn #1 0
        5     #1 spawned      |
        40    #1 ready        | op1 done
        1040  tick            | spawn #3 0
        1045  #3 spawned      |
        1100  #1 alive        |
        1150  #3 ready        | term15 #1
        1160  #1 exits 0      | ack #1
        2149  tick            |
        2150  tick            | spawn #5 0
        ",
    );
}

#[test]
fn who_was_not_heard_in_a_pause_of_the_machine_has_his_time_anew() {
    tell(
        AppSpec { watchdog: Some(Span(1_000)), ..notify() },
        "
        0     start           | spawn #1 0
        5     #1 spawned      |
        40    #1 ready        | op1 done
        9000  tick            |
        9001  #1 alive        |
        10000 tick            |
        10001 tick            | term15 #1
        ",
    );
}

#[test]
fn a_new_daemon_begins_to_watch_anew() {
    tell(
        AppSpec { watchdog: Some(Span(1_000)), ..notify() },
        "
        0     start           | spawn #1 0
        5     #1 spawned      |
        40    #1 ready        | op1 done
        900   resume #1=0,ready |
        1899  tick            |
        1900  tick            | term15 #1
        ",
    );
}

#[test]
fn a_worker_that_is_ill_is_replaced_beside_where_that_can_be() {
    tell_all(
        passed(),
        "
        0     start           | keep app, keep pending, spawn #1 0
        5     #1 spawned      | (started)
        40    #1 ready        | keep pending, op1 done, (ready after 35)
        50    #1 well         |
        60    #1 ill          | keep slot 0, (breach 3 of 2 after 55), spawn #3 0 +100
        65    #3 spawned      | (started)
        70    #1 ill          |
        90    #3 ready        | keep slot 0, (ready after 25), (#1 by #3: Breach), term15 #1, (stopping)
        99    #1 exits 0      | ack #1
        100   look            | api/0 g1 r1: running, as asked
        ",
    );
}
