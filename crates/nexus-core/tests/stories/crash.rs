//! Exits that nobody asked for.

use nexus_spec::{AppSpec, Restart};

use crate::tell::{api, notify, tell, tell_all};

fn rule(change: impl FnOnce(&mut Restart)) -> AppSpec {
    let mut spec = api();
    change(&mut spec.restart);
    spec
}

#[test]
fn a_crash_is_followed_by_longer_and_longer_waits_until_it_is_given_up() {
    tell_all(
        api(),
        "
        0     start            | keep app, keep pending, spawn #1 0
        5     #1 spawned       | (started)
        55    tick             | keep pending, op1 done, (ready after 50)
        60    #1 exits 1       | keep slot 0, (exited after 55), ack #1, spawn #3 0 +100
        61    #3 spawned       | (started)
        62    #3 exits 1       | keep slot 0, (exited after 1), ack #3
        162   tick             | spawn #5 0 +200
        163   #5 spawned       | (started)
        164   #5 dies 11       | keep slot 0, (exited after 1), ack #5
        364   tick             | spawn #7 0 alone
        365   #7 spawned       | (started)
        366   #7 exits unknown | keep slot 0, (exited after 1), (errored after 4), ack #7
        367   look             | api/0 g1 r3: given up after its last exit; start it to try again
        370   start            | keep app, keep pending, spawn #9 0
        371   look             | api/0 g1 r3: being started
        ",
    );
}

#[test]
fn after_a_stable_run_there_is_no_wait() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        5     #1 spawned       |
        55    tick             | op1 done
        60    #1 exits 1       | ack #1, spawn #3 0 +100
        65    #3 spawned       |
        115   tick             |
        1115  #3 exits 1       | ack #3, spawn #5 0 +100
        1120  #5 spawned       |
        1121  #5 exits 1       | ack #5
        1221  tick             | spawn #7 0 +200
        1225  #7 spawned       |
        1275  tick             |
        6275  #7 exits 1       | ack #7, spawn #9 0
        ",
    );
}

#[test]
fn a_crash_leaves_nothing_of_its_tree_before_it_is_started_again() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        5     #1 spawned       |
        55    tick             | op1 done
        60    #1 exits 1 leaving |
        61    look             | api/0 g1 r1: exited; the rest of its processes are being ended
        1060  tick             | kill #1
        2060  tick             | kill #1
        2100  #1 exits 1 leaving |
        2200  #1 tree gone     | ack #1, spawn #3 0 +100
        2201  look             | api/0 g1 r1: being started
        ",
    );
}

#[test]
fn never_ready_is_a_way_to_fail() {
    tell_all(
        notify(),
        "
        0     start            | keep app, keep pending, spawn #1 0
        5     #1 spawned       | (started)
        305   tick             | keep pending, keep slot 0, op1 failed 0 #1 NeverReady again 305, term15 #1, (stopping)
        306   look             | api/0 g1 r1: going down; what follows is decided when it is gone
        310   #1 dies 15       | keep slot 0, (exited after 300), ack #1, spawn #3 0 +100
        315   #3 spawned       | (started)
        615   tick             | keep slot 0, term15 #3, (stopping)
        620   #3 exits 0       | keep slot 0, (exited after 300), ack #3
        715   tick             | spawn #5 0 +200
        ",
    );
}

#[test]
fn some_exit_codes_mean_that_it_stays_down() {
    tell(
        rule(|rule| rule.stop_exit_codes = vec![0, 7]),
        "
        0     start            | spawn #1 0
        5     #1 spawned       |
        55    tick             | op1 done
        60    #1 exits 7       | ack #1
        61    look             | api/0 g1 r0: exited in a way after which it is to stay down
        70    start            | spawn #3 0
        71    #3 spawned       |
        75    #3 exits 0       | op2 done, ack #3
        80    start            | spawn #5 0
        ",
    );
}

#[test]
fn without_autorestart_it_stays_down_whatever_the_exit() {
    tell(
        rule(|rule| rule.auto = false),
        "
        0     start            | spawn #1 0 alone
        5     #1 spawned       |
        55    tick             | op1 done
        60    #1 dies 9        | ack #1
        61    look             | api/0 g1 r0: exited in a way after which it is to stay down
        ",
    );
}

#[test]
fn a_worker_that_will_not_come_back_ends_the_wait_for_the_others() {
    tell(
        AppSpec { ready: nexus_spec::Ready::Notify, ..rule(|rule| rule.stop_exit_codes = vec![7]) },
        "
        0     start 2          | spawn #1 0, spawn #3 1
        5     #1 spawned       |
        6     #3 spawned       |
        10    #1 ready         |
        20    #1 exits 7       | op1 failed 0 #1 Code(7) again never, ack #1
        30    #3 ready         |
        ",
    );
}

#[test]
fn a_crash_of_a_worker_that_was_ready_does_not_end_the_wait() {
    tell(
        notify(),
        "
        0     start 2          | spawn #1 0, spawn #3 1
        5     #1 spawned       |
        6     #3 spawned       |
        10    #1 ready         |
        20    #1 exits 1       | ack #1, spawn #5 0 +100
        25    #5 spawned       |
        30    #3 ready         |
        40    #5 ready         | op1 done
        ",
    );
}

#[test]
fn a_start_in_backoff_does_not_wait_for_its_end() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        1     #1 no room       | op1 failed 0 #1 NotSpawned(Resources(11)) again 101, ack #1
        2     look             | api/0 g1 r1: exited; waiting to be started again
        3     start            | spawn #3 0
        4     look             | api/0 g1 r0: being started
        101   tick             |
        ",
    );
}
