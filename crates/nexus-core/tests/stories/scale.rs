//! More instances and fewer, live; and a count that begins again.

use crate::tell::{api, passed, tell, tell_all};

#[test]
fn those_that_stay_are_left_alone() {
    tell_all(
        api(),
        "
        0     start           | keep app, keep pending, spawn #1 0
        1     #1 spawned      | (started)
        51    tick            | keep pending, op1 done, (ready after 50)
        60    scale 3         | keep app, keep pending, (scaled 1 to 3), spawn #3 1, spawn #5 2
        61    #3 spawned      | (started)
        61    #5 spawned      | (started)
        111   tick            | keep pending, op2 done, (ready after 50), (ready after 50)
        120   scale 1         | keep app, keep pending, term15 #5, term15 #3, (scaled 3 to 1)
        125   #5 exits 0      | ack #5
        126   #3 exits 0      | keep pending, op3 done, ack #3
        127   look            | api/0 g1 r0: running, as asked
        ",
    );
}

#[test]
fn none_at_all_keeps_the_first_place_and_comes_back() {
    tell(
        api(),
        "
        0     start 2         | spawn #1 0, spawn #3 1
        1     #1 spawned      |
        1     #3 spawned      |
        51    tick            | op1 done
        60    scale 0         | term15 #3, term15 #1
        65    #1 exits 0      | ack #1
        66    #3 exits 0      | op2 done, ack #3
        67    look            | api/0 g1 r0: stopped, as asked
        70    scale 2         | spawn #5 0, spawn #7 1
        71    #5 spawned      |
        71    #7 spawned      |
        121   tick            | op3 done
        122   scale 2         | op4 done
        ",
    );
}

#[test]
fn a_new_one_that_fails_ends_the_wait() {
    tell(
        api(),
        "
        0     start           | spawn #1 0
        1     #1 spawned      |
        51    tick            | op1 done
        60    scale 2         | spawn #3 1
        61    #3 exits 3      | op2 failed 1 #3 Code(3) again 61, ack #3, spawn #5 1 +100
        ",
    );
}

#[test]
fn an_abort_goes_back_to_the_number_of_before() {
    tell(
        api(),
        "
        0     start           | spawn #1 0
        1     #1 spawned      |
        51    tick            | op1 done
        60    scale 2         | spawn #3 1
        61    reload          | op3 busy with op2
        62    abort op2       | op2 aborted, term15 #3
        63    #3 dies 15      | op4 done, ack #3
        64    abort op2       | op5 cannot abort
        ",
    );
}

#[test]
fn a_count_begins_again() {
    tell(
        passed(),
        "
        0     start           | spawn #1 0
        1     #1 spawned      |
        2     #1 ready        | op1 done
        10    #1 exits 1      | ack #1, spawn #3 0 +100
        11    look            | api/0 g1 r1: being started
        12    reset           | op2 done
        13    look            | api/0 g1 r0: being started
        14    reset 3         | op3 not found
        ",
    );
}
