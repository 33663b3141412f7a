//! Waiting until something is true, with a deadline: the only place in the tests that sleeps.

use std::time::{Duration, Instant};

/// How long something may take that should take no time: long enough for a loaded machine.
pub const PROMPT: Duration = Duration::from_secs(20);

/// Between two looks.
const STEP: Duration = Duration::from_millis(2);

/// Ask `probe` until it answers, and return the answer. `what` completes "waited for …".
///
/// # Panics
/// When `deadline` has passed without an answer.
#[track_caller]
pub fn wait_for<T>(deadline: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        if begin.elapsed() >= deadline {
            panic!("waited {deadline:?} for {what}, in vain");
        }
        std::thread::sleep(STEP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_the_wait() {
        let mut looks = 0;
        let answer = wait_for(PROMPT, "the third look", || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(answer, 3);
    }

    #[test]
    #[should_panic(expected = "waited 10ms for nothing, in vain")]
    fn the_deadline_ends_it_too() {
        wait_for(Duration::from_millis(10), "nothing", || None::<()>);
    }
}
