//! A reload that tries its new workers first.

use nexus_spec::{AppSpec, Canary, Rollout, Span};

use crate::tell::{passed, tell, tell_all};

fn soaked(canary: Option<Canary>) -> AppSpec {
    AppSpec { rollout: Rollout { canary, soak: Some(Span(1_000)) }, ..passed() }
}

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
