//! Apps that depend on others: who waits for whom, and what the one is told when the other fails.

use nexus_core::WAIT_MAX;
use nexus_spec::{AppSpec, Check, Health, Span, Until};

use crate::fleet::{chain, on, once, tell, tell_of_chain};

#[test]
fn each_starts_when_what_it_depends_on_is_ready() {
    tell(
        chain(),
        "
        0     start web api db | spawn #1 db/0, (api waits for db ready), (web waits for api ready)
        5     #1 spawned       |
        6     look             | api: waits for the apps that it depends on; db: running, not ready yet; web: waits for the apps that it depends on
        40    #1 ready         | db op1 done, spawn #3 api/0
        45    #3 spawned       |
        50    #3 ready         | api op1 done, spawn #5 web/0
        55    #5 spawned       |
        60    #5 ready         | web op1 done
        ",
    );
}

#[test]
fn those_that_depend_on_nobody_start_together() {
    tell(
        vec![on("api", &[("a", Until::Started), ("b", Until::Ready)]), on("a", &[]), on("b", &[])],
        "
        0     start api a b    | spawn #1 a/0, spawn #3 b/0, (api waits for a started)
        5     #3 spawned       |
        6     #3 ready         | b op1 done
        7     #1 spawned       | spawn #5 api/0
        8     #5 spawned       |
        9     #5 ready         | api op1 done
        10    #1 ready         | a op1 done
        ",
    );
}

#[test]
fn healthy_is_more_than_ready() {
    let health = Some(Health::new(Check::Exec("true".into())));
    tell(
        vec![on("api", &[("db", Until::Healthy)]), AppSpec { health, ..on("db", &[]) }],
        "
        0     start api db     | spawn #1 db/0, (api waits for db healthy)
        5     #1 spawned       |
        6     #1 ready         | db op1 done
        20    #1 ill           | api op1 waits for db healthy, term15 #1
        30    #1 exits 0       | ack #1, spawn #3 db/0
        35    #3 spawned       |
        40    #3 ready         |
        50    #3 well          | spawn #5 api/0
        ",
    );
}

#[test]
fn completed_is_an_end_with_0() {
    tell(
        vec![on("api", &[("migrate", Until::Completed)]), once("migrate")],
        "
        0     start api migrate | spawn #1 migrate/0, (api waits for migrate completed)
        5     #1 spawned       |
        90    #1 exits 0       | migrate op1 done, ack #1, spawn #3 api/0
        95    #3 spawned       |
        96    #3 ready         | api op1 done
        100   stop api         | term15 #3
        101   #3 exits 0       | api op2 done, ack #3
        110   start api        | spawn #5 api/0
        ",
    );
}

#[test]
fn one_that_ends_otherwise_is_told_of_and_waited_for() {
    tell(
        vec![on("api", &[("migrate", Until::Completed)]), once("migrate")],
        "
        0     start api migrate | spawn #1 migrate/0, (api waits for migrate completed)
        5     #1 spawned       |
        90    #1 exits 3       | migrate op1 failed 0 #1 Code(3) again never, api op1 waits for migrate completed, ack #1
        95    look             | api: waits for the apps that it depends on; migrate: exited in a way after which it is to stay down
        100   start migrate    | spawn #3 migrate/0
        105   #3 spawned       |
        110   #3 exits 0       | migrate op2 done, ack #3, spawn #5 api/0
        ",
    );
}

#[test]
fn a_start_that_fails_is_told_to_all_that_wait_and_they_start_by_themselves_later() {
    tell(
        chain(),
        "
        0     start web api db | spawn #1 db/0, (api waits for db ready), (web waits for api ready)
        5     #1 spawned       |
        10    #1 exits 1       | db op1 failed 0 #1 Code(1) again 10, api op1 waits for db ready, web op1 waits for api ready, ack #1, spawn #3 db/0
        15    #3 spawned       |
        20    #3 ready         | spawn #5 api/0
        25    #5 spawned       |
        30    #5 ready         | spawn #7 web/0
        ",
    );
}

#[test]
fn a_start_brings_up_what_it_depends_on_and_nothing_else() {
    tell(
        chain(),
        "
        0     start db api web | spawn #1 db/0, (api waits for db ready), (web waits for api ready)
        5     #1 spawned       |
        6     #1 ready         | db op1 done, spawn #3 api/0
        7     stop api db web  | web op1 superseded, web op2 done, api op1 superseded, term15 #3
        8     #3 exits 0       | api op2 done, ack #3, term15 #1
        9     #1 exits 0       | db op2 done, ack #1
        10    start api        | spawn #5 db/0, (api waits for db ready)
        15    #5 spawned       |
        20    #5 ready         | db op3 done, spawn #7 api/0
        25    #7 spawned       |
        30    #7 ready         | api op3 done
        31    look             | api: running, as asked; db: running, as asked; web: stopped, as asked
        ",
    );
}

#[test]
fn a_death_of_the_daemon_keeps_those_that_wait_waiting() {
    tell(
        chain(),
        "
        0     start web api db | spawn #1 db/0, (api waits for db ready), (web waits for api ready)
        5     #1 spawned       |
        10    resume #1=db     | (api waits for db ready), (web waits for api ready)
        40    #1 ready         | db op1 done, spawn #3 api/0
        45    resume #1=db,ready | (api waits for db ready), (web waits for api ready), spawn #5 api/0
        ",
    );
}

#[test]
fn after_a_reboot_all_come_up_in_order() {
    tell_of_chain(
        "
        10    resume           | (api waits for db ready), spawn #7 db/0, (web waits for api ready)
        15    #7 spawned       |
        20    #7 ready         | spawn #9 api/0
        ",
    );
}

#[test]
fn what_ended_with_the_machine_comes_back_in_order_and_each_by_its_policy() {
    tell_of_chain(
        "
        10    #3 exits 1       | ack #3, spawn #7 api/0
        11    #7 spawned       |
        12    resume cold #1=db,gone@9 #7=api,gone@9 #5=web,gone@9 | ack #7, (api waits for db ready), ack #1, spawn #9 db/0, ack #5, (web waits for api ready)
        15    #9 spawned       |
        16    resume #9=db     | (api waits for db ready), (web waits for api ready)
        20    #9 ready         | spawn #11 api/0
        25    #11 spawned      |
        26    #11 ready        | spawn #13 web/0
        27    #11 exits 1      | ack #11
        ",
    );
}

#[test]
fn an_end_of_what_it_depends_on_does_not_end_it_nor_keep_it_from_coming_back() {
    tell_of_chain(
        "
        10    #1 exits 1       | ack #1, spawn #7 db/0
        11    #3 exits 1       | ack #3, spawn #9 api/0
        12    look             | api: being started; db: being started; web: running, as asked
        ",
    );
}

#[test]
fn one_more_instance_waits_and_the_others_serve() {
    tell_of_chain(
        "
        10    stop db          | term15 #1
        11    #1 exits 0       | db op2 done, ack #1
        12    double api       | api op3 waits for db ready, (api waits for db ready)
        13    reload api       | term15 #3
        14    #3 exits 0       | ack #3, spawn #7 api/0
        15    #7 spawned       |
        16    #7 ready         | api op4 done
        17    start db         | spawn #9 db/0
        18    #9 spawned       |
        19    #9 ready         | db op5 done, spawn #11 api/1
        ",
    );
}

#[test]
fn it_is_enough_that_the_instances_are_gone_that_were_not_ready() {
    tell_of_chain(
        "
        10    stop web api     | term15 #5
        11    #5 exits 0       | web op2 done, ack #5, term15 #3
        12    #3 exits 0       | api op2 done, ack #3
        13    double db        | spawn #7 db/1
        14    #7 spawned       |
        15    #7 exits 1       | db op3 failed 1 #7 Code(1) again 15, ack #7, spawn #9 db/1
        16    #9 spawned       |
        17    start api        | (api waits for db ready)
        18    halve db         | term15 #9, spawn #11 api/0
        ",
    );
}

#[test]
fn whoever_waits_is_answered_after_half_an_hour() {
    assert_eq!(WAIT_MAX, Span(1_800_000));
    tell(
        vec![on("api", &[("migrate", Until::Completed)]), once("migrate")],
        "
        0     start api migrate | spawn #1 migrate/0, (api waits for migrate completed)
        5     #1 spawned       |
        1005  tick             | migrate op1 done
        1799999 tick           |
        1800000 tick           | api op1 waits for migrate completed
        1800001 #1 exits 0     | ack #1, spawn #3 api/0
        ",
    );
}

#[test]
fn a_job_that_has_not_run_yet_is_waited_for() {
    let job = AppSpec { name: on("job", &[]).name, ..crate::tell::job() };
    tell(
        vec![on("api", &[("job", Until::Completed)]), job],
        "
        0     start api job    | job op1 done, (api waits for job completed)
        1799999 tick           |
        1800000 tick           | api op1 waits for job completed
        ",
    );
}
