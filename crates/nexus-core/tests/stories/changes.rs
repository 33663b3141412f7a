//! Files of an app have changed.

use crate::tell::{api, built, passed, tell, tell_all};

#[test]
fn a_change_is_a_reload_of_our_own() {
    tell(
        passed(),
        "
        0     start            | spawn #1 0
        1     #1 spawned       |
        2     #1 ready         | op1 done
        5000  changed          | undertake Changed
        5000  undertaken       | spawn #3 0
        5001  #3 spawned       |
        5002  #3 ready         | term15 #1
        5003  #1 exits 0       | op2 done, ack #1
        ",
    );
}

#[test]
fn what_changes_meanwhile_is_done_after() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        1     #1 spawned       |
        20    changed          |
        21    changed          |
        51    tick             | op1 done, undertake Changed
        51    undertaken       | term15 #1
        60    changed          |
        61    #1 exits 0       | ack #1, spawn #3 0
        62    #3 spawned       |
        112   tick             | op2 done, undertake Changed
        112   undertaken       | term15 #3
        ",
    );
}

#[test]
fn who_is_stopped_stays_so() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        1     #1 spawned       |
        51    tick             | op1 done
        60    stop             | term15 #1
        61    changed          |
        62    #1 exits 0       | op2 done, ack #1
        63    changed          |
        64    start            | spawn #3 0
        65    #3 spawned       |
        115   tick             | op3 done
        ",
    );
}

#[test]
fn who_was_given_up_is_tried_again() {
    tell(
        api(),
        "
        0     start            | spawn #1 0
        1     #1 missing       | op1 failed 0 #1 NotSpawned(Permanent(2)) again never, ack #1
        2     changed          | undertake Changed
        2     undertaken       | spawn #3 0
        3     #3 spawned       |
        53    tick             | op2 done
        ",
    );
}

#[test]
fn what_is_built_is_built_again() {
    tell(
        built(),
        "
        0     start            | spawn #1 build alone
        1     #1 spawned       |
        2     #1 exits 0       | ack #1, spawn #3 0
        3     #3 spawned       |
        53    tick             | op1 done
        60    changed          | undertake Changed
        60    undertaken       | spawn #5 build alone
        61    #5 spawned       |
        62    changed          |
        63    #5 exits 1       | op2 build failed Code(1), old serves, ack #5, undertake Changed
        ",
    );
}

#[test]
fn an_app_that_changes_its_own_files_is_replaced_less_and_less_often() {
    let mut story = String::from("0 start | spawn #1 0\n1 #1 spawned |\n51 tick | op1 done\n");
    let (mut now, mut op, mut child) = (60_000, 2, 1);
    for pause in [0, 0, 0, 0, 0, 2_000, 4_000, 8_000, 16_000] {
        if pause == 0 {
            story += &format!("{now} changed | undertake Changed\n");
        } else {
            let until = now - 10 + pause;
            story += &format!("{now} changed |\n{} changed |\n", now + 1);
            story += &format!("{until} tick | undertake Changed\n");
            now = until;
        }
        let next = child + 2;
        story += &format!("{now} undertaken | term15 #{child}\n");
        story += &format!("{} #{child} exits 0 | ack #{child}, spawn #{next} 0\n", now + 1);
        story += &format!("{} #{next} spawned |\n{} tick | op{op} done\n", now + 2, now + 52);
        (now, op, child) = (now + 62, op + 1, next);
    }
    // Quiet for long enough: it is forgotten.
    now += 10_000;
    story += &format!("{now} changed | undertake Changed\n");
    tell(api(), &story);
}

#[test]
fn a_loop_is_told_and_a_stop_ends_it() {
    let failed = "NotSpawned(Permanent(2)) again never";
    let ended = "(exited after 0), (errored after 0)";
    let mut story = format!(
        "0 start | keep app, keep pending, spawn #1 0
         1 #1 missing | keep pending, keep slot 0, op1 failed 0 #1 {failed}, {ended}, ack #1\n"
    );
    for round in 0..5 {
        let (now, child, op) = (2 + 10 * round, 3 + 2 * round, 2 + round);
        story += &format!(
            "{now} changed | undertake Changed
             {now} undertaken | keep app, (reload 1 to g{op}, stop first), spawn #{child} 0
             {} #{child} missing | keep app, op{op} failed 0 #{child} {failed}, {ended}, \
             (rolled back: 1 replaced, 0 stuck), ack #{child}\n",
            now + 1
        );
    }
    story += "70    changed          | (held to 2043 after 5)
              71    changed          |
              72    stop             | keep app, keep pending, op7 done
              73    look             | api/0 g6 r0: stopped, as asked\n";
    tell_all(api(), &story);
}
