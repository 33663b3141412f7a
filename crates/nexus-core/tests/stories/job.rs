//! Apps that run at set times, and apps that are restarted at set times.

use nexus_spec::{AppSpec, Overlap, Schedule};

use crate::tell::{api, job, tell, tell_all};

fn overlapping(overlap: Overlap) -> AppSpec {
    let job = job();
    AppSpec { schedule: Schedule { overlap, ..job.schedule.clone() }, ..job }
}

#[test]
fn a_job_waits_for_its_time_runs_and_is_done() {
    tell_all(
        job(),
        "
        0     start            | keep app, keep pending, op1 done
        1     look             | api/0 g0 r0: exited in a way after which it is to stay down
        10    due              | keep app, (run), spawn #1 0 alone
        11    #1 spawned       | (started)
        20    #1 exits 0       | keep slot 0, (exited after 9), ack #1
        21    start            | keep app, op2 already running
        30    due              | keep app, (run), spawn #3 0 alone
        31    #3 spawned       | (started)
        81    tick             | (ready after 50)
        90    #3 exits 4       | keep slot 0, (exited after 59), ack #3
        95    stop             | keep app, keep pending, op3 done
        99    due              |
        ",
    );
}

#[test]
fn a_run_that_is_due_too_early_is_left_out() {
    tell_all(
        overlapping(Overlap::Skip),
        "
        0     start            | keep app, keep pending, op1 done
        10    due              | keep app, (run), spawn #1 0 alone
        11    #1 spawned       | (started)
        20    due              | (skipped)
        30    #1 exits 0       | keep slot 0, (exited after 19), ack #1
        ",
    );
}

#[test]
fn one_run_that_is_due_too_early_waits() {
    tell_all(
        overlapping(Overlap::Queue),
        "
        0     start            | keep app, keep pending, op1 done
        10    due              | keep app, (run), spawn #1 0 alone
        11    #1 spawned       | (started)
        20    due              | keep app, (queued)
        25    due              | (skipped)
        30    #1 exits 0       | keep app, (exited after 19), ack #1, (run), spawn #3 0 alone
        31    #3 spawned       | (started)
        40    due              | keep app, (queued)
        41    stop             | keep app, keep pending, term15 #3, (stopping)
        42    #3 exits 0       | keep pending, keep slot 0, op2 done, (ended after 11), ack #3
        ",
    );
}

#[test]
fn a_run_that_waits_is_not_forgotten_with_the_daemon() {
    tell(
        overlapping(Overlap::Queue),
        "
        0     start            | op1 done
        10    due              | spawn #1 0 alone
        11    #1 spawned       |
        20    due              |
        21    resume #1=0      |
        30    #1 exits 0       | ack #1, spawn #3 0 alone
        ",
    );
}

#[test]
fn a_run_that_is_due_stops_the_one_before() {
    tell_all(
        overlapping(Overlap::Replace),
        "
        0     start            | keep app, keep pending, op1 done
        10    due              | keep app, (run), spawn #1 0 alone
        11    #1 spawned       | (started)
        20    due              | keep app, (replaced), term15 #1, (stopping)
        21    #1 exits 0       | keep slot 0, (ended after 10), ack #1, spawn #3 0 alone
        ",
    );
}

#[test]
fn a_restart_runs_it_now_and_waits_for_a_good_end() {
    tell(
        job(),
        "
        0     start            | op1 done
        10    restart          | spawn #1 0 alone
        11    #1 spawned       |
        20    #1 exits 0       | op2 done, ack #1
        30    restart          | spawn #3 0 alone
        31    #3 spawned       |
        40    #3 exits 5       | op3 failed 0 #3 Code(5) again never, ack #3
        50    restart          | spawn #5 0 alone
        51    #5 spawned       |
        101   tick             | op4 done
        ",
    );
}

#[test]
fn a_new_version_of_a_job_runs_when_its_time_has_come() {
    tell(
        job(),
        "
        0     start            | op1 done
        5     reload other     | op2 done
        10    due              | spawn #1 0 alone
        11    #1 spawned       |
        12    reload           | op3 done
        20    #1 exits 0       | ack #1
        ",
    );
}

#[test]
fn what_cannot_be_run_is_tried_again_at_its_next_time() {
    tell(
        job(),
        "
        0     start            | op1 done
        10    due              | spawn #1 0 alone
        11    #1 missing       | ack #1
        20    due              | spawn #3 0 alone
        ",
    );
}

#[test]
fn while_nobody_is_there_a_job_ends_and_is_not_started_again() {
    tell(
        job(),
        "
        0     start                    | op1 done
        10    due                      | spawn #1 0 alone
        11    #1 spawned               |
        50    resume #1=0,code1@30     | ack #1
        51    look                     | api/0 g1 r0: exited in a way after which it is to stay down
        60    due                      | spawn #3 0 alone
        ",
    );
}

#[test]
fn a_restart_at_a_set_time_is_a_reload_of_our_own_and_a_stop_is_respected() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        1     #1 spawned       |
        51    tick             | op1 done
        60    cron             | undertake Cron
        60    undertaken       | term15 #1
        61    #1 exits 0       | ack #1, spawn #3 0
        62    #3 spawned       |
        112   tick             | op2 done
        120   stop             | term15 #3
        121   #3 exits 0       | op3 done, ack #3
        130   cron             |
        131   due              |
        ",
    );
}
