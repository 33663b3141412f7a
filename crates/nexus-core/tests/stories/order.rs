//! Several apps in one operation: in the order of what depends on what, or in the reverse.

use nexus_spec::Until;

use crate::fleet::{on, tell, tell_of_chain};

#[test]
fn who_depends_on_another_is_stopped_before_it() {
    tell_of_chain(
        "
        10    stop api db web  | term15 #5
        11    look             | api: about to be told to stop; db: about to be told to stop; web: told to stop; not gone yet
        15    #5 exits 0       | web op2 done, ack #5, term15 #3
        20    #3 exits 0       | api op2 done, ack #3, term15 #1
        25    #1 exits 0       | db op2 done, ack #1
        ",
    );
}

#[test]
fn also_where_what_is_between_is_not_stopped() {
    tell_of_chain(
        "
        10    stop db web      | term15 #5
        15    #5 exits 0       | web op2 done, ack #5, term15 #1
        20    #1 exits 0       | db op2 done, ack #1
        21    look             | api: running, as asked; db: stopped, as asked; web: stopped, as asked
        ",
    );
}

#[test]
fn and_deleted_before_it() {
    tell_of_chain(
        "
        10    delete db api web | term15 #5
        15    #5 exits 0       | web op2 done, ack #5, term15 #3
        20    #3 exits 0       | api op2 done, ack #3, term15 #1
        25    #1 exits 0       | db op2 done, ack #1
        ",
    );
}

#[test]
fn what_does_not_go_holds_the_others_for_a_time() {
    tell(
        vec![on("api", &[("db", Until::Ready)]), on("db", &[])],
        "
        0     start api db     | spawn #1 db/0, (api waits for db ready)
        1     #1 spawned       |
        2     #1 ready         | db op1 done, spawn #3 api/0
        3     #3 spawned       |
        4     #3 ready         | api op1 done
        10    stop api db      | term15 #3
        510   tick             | kill #3
        5509  tick             | kill #3
        5510  tick             | term15 #1
        5515  #1 exits 0       | db op2 done, ack #1
        ",
    );
}

#[test]
fn one_is_held_for_as_long_as_the_longest_way_to_it_may_take() {
    tell(
        vec![on("api", &[("db", Until::Ready)]), on("web", &[("db", Until::Ready)]), on("db", &[])],
        "
        0     start api web db | spawn #1 db/0, (api waits for db ready), (web waits for db ready)
        1     #1 spawned       |
        2     #1 ready         | db op1 done, spawn #3 api/0, spawn #5 web/0
        3     #3 spawned       |
        4     #3 ready         | api op1 done
        5     #5 spawned       |
        6     #5 ready         | web op1 done
        10    stop api web db  | term15 #3, term15 #5
        510   tick             | kill #3, kill #5
        5509  tick             | kill #3, kill #5
        5510  tick             | term15 #1
        ",
    );
}

#[test]
fn one_that_is_held_may_end_by_itself_or_be_wanted_again() {
    tell_of_chain(
        "
        10    stop api db web  | term15 #5
        11    #1 exits 1       | db op2 done, ack #1
        12    start api        | spawn #7 db/0, api op2 superseded, api op3 already running
        15    #5 exits 0       | web op2 done, ack #5
        20    #7 spawned       |
        25    #7 ready         | db op3 done
        ",
    );
}

#[test]
fn a_death_of_the_daemon_keeps_the_order_of_stops() {
    tell_of_chain(
        "
        10    stop api db web  | term15 #5
        11    resume #1=db,ready #3=api,ready #5=web,ready | term15 #5
        15    #5 exits 0       | web op2 done, ack #5, term15 #3
        16    resume #1=db,ready #3=api,ready | term15 #3
        20    #3 exits 0       | api op2 done, ack #3, term15 #1
        ",
    );
}

#[test]
fn restarts_go_one_after_another() {
    tell_of_chain(
        "
        10    restart api db web | term15 #1
        15    #1 exits 0       | ack #1, spawn #7 db/0
        16    #7 spawned       |
        20    #7 ready         | db op2 done, term15 #3
        25    #3 exits 0       | ack #3, spawn #9 api/0
        26    #9 spawned       |
        30    #9 ready         | api op2 done, term15 #5
        35    #5 exits 0       | ack #5, spawn #11 web/0
        36    #11 spawned      |
        40    #11 ready        | web op2 done
        ",
    );
}

#[test]
fn a_restart_that_fails_leaves_those_that_depend_on_it_untouched() {
    tell_of_chain(
        "
        10    restart api db web | term15 #1
        15    #1 exits 0       | ack #1, spawn #7 db/0
        16    #7 spawned       |
        20    #7 exits 1       | db op2 failed 0 #7 Code(1) again 20, api op2 spared because of db, web op2 spared because of db, ack #7, spawn #9 db/0
        21    look             | api: running, as asked; db: being started; web: running, as asked
        ",
    );
}

#[test]
fn so_does_one_that_failed_while_nobody_was_there() {
    tell_of_chain(
        "
        10    restart api db web | term15 #1
        15    #1 exits 0       | ack #1, spawn #7 db/0
        16    #7 spawned       |
        17    resume cold #7=db,lost@17 #3=api,ready #5=web,ready | db op2 failed 0 #7 Unknown again 17, api op2 spared because of db, web op2 spared because of db, ack #7, spawn #9 db/0
        18    look             | api: running, as asked; db: being started; web: running, as asked
        ",
    );
}

#[test]
fn reloads_go_one_after_another_also_across_a_death_of_the_daemon() {
    tell_of_chain(
        "
        10    reload api db    | term15 #1
        15    #1 exits 0       | ack #1, spawn #7 db/0
        16    #7 spawned       |
        17    resume #7=db #3=api,ready #5=web,ready |
        20    #7 ready         | db op2 done, term15 #3
        25    resume #7=db,ready #3=api,ready #5=web,ready | term15 #3
        30    #3 exits 0       | ack #3, spawn #9 api/0
        35    #9 spawned       |
        36    #9 ready         | api op2 done
        ",
    );
}

#[test]
fn a_restart_brings_up_what_is_down_first() {
    tell_of_chain(
        "
        10    stop db          | term15 #1
        11    #1 exits 0       | db op2 done, ack #1
        12    restart api      | spawn #7 db/0
        13    #7 spawned       |
        14    #7 ready         | db op3 done, term15 #3
        15    double api       | api op3 superseded, spawn #9 api/1
        ",
    );
}

#[test]
fn so_does_one_that_is_refused_at_once() {
    tell_of_chain(
        "
        10    reload db        | term15 #1
        11    reload db web    | db op3 busy with op2, web op3 spared because of db
        15    #1 exits 0       | ack #1, spawn #7 db/0
        16    #7 spawned       |
        20    #7 ready         | db op2 done
        21    reload db web    | term15 #7
        ",
    );
}
