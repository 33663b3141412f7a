//! Deleting: down first, then forgotten.

use crate::tell::{api, tell, tell_all};

#[test]
fn an_app_is_forgotten_when_nothing_of_it_is_left() {
    tell_all(
        api(),
        "
        0     start            | keep app, keep pending, spawn #1 0
        5     #1 spawned       | (started)
        10    delete           | keep app, keep pending, op1 superseded, term15 #1, (stopping)
        11    look             | api/0 g1 r0: told to stop, then to be forgotten
        20    #1 exits 0 leaving | keep slot 0, (ended after 15)
        30    #1 tree gone     | keep gone, op2 done, ack #1, (deleted)
        31    look             |
        ",
    );
}

#[test]
fn a_stopped_app_is_forgotten_at_once_and_its_numbers_are_not_used_again() {
    tell_all(
        api(),
        "
        0     start            | keep app, keep pending, spawn #1 0
        5     stop             | keep app, keep pending, op1 superseded, term15 #1, (stopping)
        6     #1 exits 0       | keep pending, keep slot 0, op2 done, (ended after 1), ack #1
        7     delete           | keep gone, op3 done, (deleted)
        8     start            | keep app, keep pending, spawn #3 0
        ",
    );
}

#[test]
fn a_start_calls_a_deletion_off() {
    tell(
        api(),
        "
        0     start 2          | spawn #1 0, spawn #3 1
        5     #1 spawned       |
        5     #3 spawned       |
        10    delete           | op1 superseded, term15 #1, term15 #3
        11    start known 0    | op2 superseded
        12    #1 exits 0       | ack #1, spawn #5 0
        13    #3 exits 0       | ack #3
        14    #5 spawned       |
        64    tick             | op3 done
        65    look             | api/0 g1 r0: running, as asked; api/1 g1 r0: stopped, as asked
        ",
    );
}
