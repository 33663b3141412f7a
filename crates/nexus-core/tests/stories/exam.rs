//! A command that examines a worker runs beside it, one at a time, and never outlives it.

use crate::tell::{notify, tell};

#[test]
fn a_command_runs_beside_the_worker_and_its_exit_is_told() {
    tell(
        notify(),
        "
        0     start           | spawn #1 0
        1     #1 spawned      |
        2     #1 is examined  | spawn #3 exam of 0
        3     #3 spawned      |
        4     #1 is examined  | no exam of #1
        5     #3 exits 1      | ack #3, exam of #1: Code(1)
        6     #1 is examined  | spawn #5 exam of 0
        7     #5 spawned      |
        8     #5 exits 0 leaving | exam of #1: Code(0)
        9     #1 is examined  | spawn #7 exam of 0
        10    #5 tree gone    | ack #5
        ",
    );
}

#[test]
fn a_command_that_takes_too_long_is_ended_and_has_failed() {
    tell(
        notify(),
        "
        0     start           | spawn #1 0
        1     #1 spawned      |
        2     #1 is examined  | spawn #3 exam of 0
        3     #3 spawned      |
        102   tick            |
        103   tick            | kill #3, exam of #1: NeverReady
        104   #1 is examined  | spawn #5 exam of 0
        105   #3 dies 9       | ack #3
        106   #5 missing      | ack #5, exam of #1: NotSpawned(Permanent(2))
        ",
    );
}

#[test]
fn a_command_ends_with_its_worker_and_a_stop_waits_for_it() {
    tell(
        notify(),
        "
        0     start           | spawn #1 0
        1     #1 spawned      |
        2     #1 ready        | op1 done
        3     #1 is examined  | spawn #3 exam of 0
        4     #3 spawned      |
        5     stop            | term15 #1
        6     #1 is examined  | no exam of #1
        7     #1 exits 0      | kill #3, no exam of #1, ack #1
        8     #3 dies 9       | op2 done, ack #3
        9     #1 is examined  | no exam of #1
        ",
    );
}

#[test]
fn a_new_daemon_ends_what_a_dead_one_had_begun() {
    tell(
        notify(),
        "
        0     start           | spawn #1 0
        1     #1 spawned      |
        2     #1 ready        | op1 done
        3     #1 is examined  | spawn #3 exam of 0
        4     #3 spawned      |
        5     resume #1=0,ready #3=exam | term15 #3
        6     #1 is examined  | spawn #5 exam of 0
        7     #3 dies 15      | ack #3
        ",
    );
}
