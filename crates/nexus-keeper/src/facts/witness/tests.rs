//! Histories that keep the facts, and one for each way to break them.

use super::*;

const FIRST: Seen = Seen::Ordered { child: 1, next: Some(2), delay_ms: 50, stay_codes: Vec::new() };
const EXIT: Seen = Seen::Exited { child: 1, ended: Ended::Code(3), at_ms: 100, tree_gone: true };
const OVER: InRoll = InRoll {
    child: 1,
    respawn_of: None,
    stage: InRollStage::Exited { ended: Ended::Code(3), at_ms: 100, tree_gone: true },
};
const HEIR: InRoll = InRoll { child: 2, respawn_of: Some(1), stage: InRollStage::Alive };

fn respawned(read_ms: u64) -> Seen {
    Seen::Respawned { old: 1, new: 2, read_ms }
}

/// The fact that this history breaks.
fn broken(history: &[Seen]) -> Option<&'static str> {
    let mut witness = Witness::default();
    history.iter().find_map(|seen| witness.sees(seen).err()).map(|broken| broken.fact)
}

#[test]
fn a_whole_life_and_a_respawn_in_absence_break_nothing() {
    let life = [FIRST, Seen::Spawned(1), Seen::Running(1), EXIT, Seen::Acknowledged(1)];
    assert_eq!(broken(&life), None);
    let begun = Seen::Began(vec![OVER, HEIR]);
    let absence = [FIRST, Seen::Spawned(1), begun, respawned(150), Seen::Spawned(2)];
    assert_eq!(broken(&absence), None);
}

#[test]
fn each_fact_is_seen_to_be_broken() {
    let spawned = Seen::Spawned(1);
    let begun = |roll: &[InRoll]| Seen::Began(roll.to_vec());
    let cases: &[(&str, &[Seen])] = &[
        ("spawn-reports-in-order", &[FIRST, EXIT]),
        ("spawn-reports-in-order", &[FIRST, spawned.clone(), spawned.clone()]),
        ("spawn-reports-in-order", &[FIRST, spawned.clone(), Seen::TreeGone(1)]),
        ("failed-spawn-has-stage-and-errno", &[FIRST, Seen::Failed(1), EXIT]),
        ("exit-told-until-acknowledged", &[FIRST, spawned.clone(), begun(&[])]),
        ("exit-told-until-acknowledged", &[FIRST, spawned.clone(), EXIT, EXIT]),
        ("order-survives-or-never-ran", &[FIRST, FIRST]),
        ("respawned-before-spawned", &[Seen::Spawned(7)]),
        ("on-exit-in-absence-once", &[FIRST, spawned.clone(), respawned(150)]),
        ("on-exit-in-absence-once", &[FIRST, spawned.clone(), begun(&[OVER]), respawned(149)]),
        (
            "on-exit-in-absence-once",
            &[FIRST, spawned.clone(), begun(&[OVER]), respawned(150), respawned(150)],
        ),
        (
            "on-exit-in-absence-once",
            &[
                FIRST,
                spawned.clone(),
                Seen::Stopped(1),
                Seen::Settled,
                begun(&[OVER]),
                respawned(150),
            ],
        ),
        (
            "resumed-cancels",
            &[FIRST, spawned.clone(), begun(&[OVER]), Seen::Resumed, Seen::Settled, respawned(150)],
        ),
    ];
    for (fact, history) in cases {
        assert_eq!(broken(history), Some(*fact), "{history:?}");
        assert!(crate::facts::FACTS.iter().any(|known| known.name == *fact));
    }
}
