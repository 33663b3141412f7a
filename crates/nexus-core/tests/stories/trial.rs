//! A reload that tries its new workers first.

use nexus_spec::{AppSpec, Canary, RollbackOn, Rollout, Size, Span};

use crate::tell::{passed, tell, tell_all};

fn soaked(canary: Option<Canary>) -> AppSpec {
    rolled_back_on(canary, RollbackOn::default())
}

fn rolled_back_on(canary: Option<Canary>, rollback_on: RollbackOn) -> AppSpec {
    AppSpec { rollout: Rollout { canary, soak: Some(Span(1_000)), rollback_on }, ..passed() }
}

/// One, online, and its successor of a watched reload.
const TRIED: &str = "
        0     start           | spawn #1 0
        1     #1 spawned      |
        2     #1 ready        | op1 done
        10    reload other    | spawn #3 0
        11    #3 spawned      |
        ";

/// Three of them, online.
const THREE: &str = "
        0     start 3         | spawn #1 0, spawn #3 1, spawn #5 2
        1     #1 spawned      |
        1     #3 spawned      |
        1     #5 spawned      |
        2     #1 ready        |
        2     #3 ready        |
        2     #5 ready        | op1 done
";

#[test]
fn each_new_worker_is_watched_before_the_next() {
    let story = "
        10    reload with-3   | spawn #7 0
        11    #7 spawned      |
        20    #7 ready        | term15 #1
        30    #1 exits 0      | ack #1
        1029  tick            |
        1030  tick            | spawn #9 1
        1031  #9 spawned      |
        1040  #9 ready        | term15 #3
        1050  #3 exits 0      | ack #3
        2050  tick            | spawn #11 2
        2051  #11 spawned     |
        2060  #11 ready       | term15 #5
        2070  #5 exits 0      | ack #5
        3070  tick            | op2 done
        ";
    tell(soaked(None), &format!("{THREE}{story}"));
}

#[test]
fn canaries_are_watched_and_the_others_follow() {
    let story = "
        10    reload with-3   | spawn #7 0
        11    #7 spawned      |
        20    #7 ready        | term15 #1
        30    #1 exits 0      | ack #1
        500   #7 well         |
        1030  tick            | spawn #9 1
        1031  #9 spawned      |
        1040  #9 ready        | term15 #3
        1050  #3 exits 0      | ack #3, spawn #11 2
        1051  #11 spawned     |
        1060  #11 ready       | term15 #5
        1070  #5 exits 0      | op2 done, ack #5
        ";
    tell(soaked(Some(Canary::Percent(30))), &format!("{THREE}{story}"));
}

#[test]
fn a_canary_that_ends_by_itself_takes_the_reload_back() {
    let story = "
        10    reload with-3   | spawn #7 0
        11    #7 spawned      |
        20    #7 ready        | term15 #1
        30    #1 exits 0      | ack #1
        500   #7 exits 3      | ack #7, spawn #9 0
        501   #9 spawned      |
        510   #9 ready        | op2 rolled back: 0 #7 Code(3), 0 replaced, 0 stuck
        2000  tick            |
        ";
    tell(soaked(Some(Canary::Count(1))), &format!("{THREE}{story}"));
}

#[test]
fn a_canary_that_is_ill_takes_the_reload_back_beside_the_old_version() {
    tell_all(
        soaked(Some(Canary::Count(1))),
        "
        0     start           | keep app, keep pending, spawn #1 0
        1     #1 spawned      | (started)
        2     #1 ready        | keep pending, op1 done, (ready after 1)
        10    reload other    | keep app, (reload 1 to g2, beside), spawn #3 0
        11    #3 spawned      | (started)
        20    #3 ready        | keep slot 0, (ready after 9), (#1 by #3: Asked), term15 #1, (stopping)
        30    #1 exits 0      | ack #1, (watched 1 for 1000)
        500   #3 ill          | keep app, (breach 3 of 2 after 489), (rolling back), spawn #5 0
        501   #5 spawned      | (started)
        510   #5 ready        | keep slot 0, (ready after 9), (#3 by #5: Asked), term15 #3, (stopping)
        520   #3 exits 0      | keep app, op2 rolled back: 0 #3 OverLimit(Health), 0 replaced, 0 stuck, ack #3, (rolled back: 0 replaced, 0 stuck)
        ",
    );
}

#[test]
fn what_was_watched_is_not_watched_again_by_a_new_daemon() {
    let story = "
        10    reload with-3   | spawn #7 0
        11    #7 spawned      |
        20    #7 ready        | term15 #1
        30    #1 exits 0      | ack #1
        1030  tick            | spawn #9 1
        1031  #9 spawned      |
        1040  resume #7=0,ready,gen2 #3=1,ready #5=2,ready #9=1,gen2,until1400 |
        1050  #9 ready        | term15 #3
        1060  #3 exits 0      | ack #3
        2059  tick            |
        2060  tick            | spawn #11 2
        ";
    tell(soaked(None), &format!("{THREE}{story}"));
}

#[test]
fn as_many_ends_are_allowed_as_the_file_says_and_the_soak_waits_for_who_comes_back() {
    let story = "
        20    #3 ready        | term15 #1
        30    #1 exits 0      | ack #1
        900   #3 exits 3      | ack #3, spawn #5 0 +100
        901   #5 spawned      |
        1030  tick            |
        1100  #5 ready        | op2 done
        ";
    let rule = RollbackOn { restarts: 2, ..RollbackOn::default() };
    tell(rolled_back_on(None, rule.clone()), &format!("{TRIED}{story}"));
    let story = "
        20    #3 ready        | term15 #1
        30    #1 exits 0      | ack #1
        500   #3 exits 3      | ack #3, spawn #5 0 +100
        501   #5 spawned      |
        510   #5 ready        |
        520   resume #5=0,ready,gen2 |
        600   #5 exits 4      | ack #5, spawn #7 0
        601   #7 spawned      |
        610   #7 ready        | op2 rolled back: 0 #5 Code(4), 0 replaced, 0 stuck
        ";
    tell(rolled_back_on(None, rule), &format!("{TRIED}{story}"));
}

#[test]
fn one_that_is_never_ready_again_is_one_end_too_many() {
    let story = "
        20    #3 ready        | term15 #1
        30    #1 exits 0      | ack #1
        500   #3 exits 3      | ack #3, spawn #5 0 +100
        501   #5 spawned      |
        510   #5 exits 3      | ack #5, spawn #7 0
        511   #7 spawned      |
        520   #7 ready        | op2 rolled back: 0 #5 Code(3), 0 replaced, 0 stuck
        ";
    let rule = RollbackOn { restarts: 9, ..RollbackOn::default() };
    tell(rolled_back_on(None, rule), &format!("{TRIED}{story}"));
}

#[test]
fn an_illness_that_takes_nothing_back_is_dealt_with_after_the_reload() {
    let story = "
        20    #3 ready        | term15 #1
        30    #1 exits 0      | ack #1
        500   #3 ill          |
        1030  tick            | op2 done
        1500  #3 ill          | spawn #5 0
        ";
    let rule = RollbackOn { health: false, ..RollbackOn::default() };
    tell(rolled_back_on(None, rule), &format!("{TRIED}{story}"));
}

#[test]
fn a_line_of_a_new_worker_takes_the_reload_back_before_and_after_it_is_ready() {
    let rule = || RollbackOn { log: Some("panic".into()), ..RollbackOn::default() };
    let story = "
        15    #3 errs         | op2 rolled back: 0 #3 OverLimit(Log), 0 replaced, 0 stuck, term15 #3
        20    #3 exits 0      | ack #3
        ";
    tell(rolled_back_on(None, rule()), &format!("{TRIED}{story}"));
    let story = "
        0     start           | spawn #1 0
        1     #1 spawned      |
        2     #1 ready        | op1 done
        10    reload other    | spawn #3 0
        11    #3 errs         | op2 rolled back: 0 #3 OverLimit(Log), 0 replaced, 0 stuck, term15 #3
        12    #3 spawned      |
        13    #3 exits 0      | ack #3
        ";
    tell(rolled_back_on(None, rule()), story);
    let story = "
        15    #1 errs         |
        20    #3 ready        | term15 #1
        25    #1 errs         |
        30    #1 exits 0      | ack #1
        500   #3 errs         | spawn #5 0
        501   #5 spawned      |
        510   #5 ready        | term15 #3
        515   #5 errs         |
        520   #3 exits 0      | op2 rolled back: 0 #3 OverLimit(Log), 0 replaced, 0 stuck, ack #3
        ";
    tell(rolled_back_on(None, rule()), &format!("{TRIED}{story}"));
}

#[test]
fn what_is_looked_for_on_trial_means_nothing_after_it() {
    let story = "
        20    #3 ready        | term15 #1
        30    #1 exits 0      | ack #1
        1030  tick            | op2 done
        1040  #3 errs         |
        1050  #3 swells 60    |
        ";
    let rule =
        RollbackOn { log: Some("panic".into()), memory: Some(Size(50)), ..RollbackOn::default() };
    tell(rolled_back_on(None, rule), &format!("{TRIED}{story}"));
}

#[test]
fn more_memory_than_a_trial_allows_takes_the_reload_back_also_without_a_passed_socket() {
    let rule = RollbackOn { memory: Some(Size(50)), ..RollbackOn::default() };
    let spec = AppSpec { listen: Vec::new(), ..rolled_back_on(None, rule) };
    let story = "
        0     start           | spawn #1 0
        1     #1 spawned      |
        2     #1 ready        | op1 done
        10    reload other    | term15 #1
        20    #1 exits 0      | ack #1, spawn #3 0
        21    #3 spawned      |
        30    #3 swells 60    | term15 #3
        40    #3 exits 0      | ack #3, spawn #5 0
        41    #5 spawned      |
        50    #5 ready        | op2 rolled back: 0 #3 OverLimit(TrialMemory), 0 replaced, 0 stuck
        ";
    tell(spec, story);
}
