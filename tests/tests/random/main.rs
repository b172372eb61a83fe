//! Random faults, and what holds all the same: no call is lost without a recorded reason, every gauge comes back to
//! zero, no call reaches a host that is not in the host set, the mesh recovers, nothing is left after its end.
//!
//! ```text
//! cargo test -p meshlib-tests --test random                   a few seeds
//! SIM_SEEDS=1000 cargo test -p meshlib-tests --test random    many of them
//! SIM_SEED=17 cargo test -p meshlib-tests --test random       this one
//! ```
//! A seed that fails prints itself and its trace.
#![cfg(test)]

mod faults;
mod invariants;
mod story;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use meshlib::testkit::{Happened, Trace};
use tokio::runtime::Builder;

/// How a story ended.
struct Told {
    violation: Option<String>,
    trace: Vec<Happened>,
}

/// Panics on any thread: one in a task would show nowhere else.
static PANICS: AtomicUsize = AtomicUsize::new(0);
/// Panics are counted for one story at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A runtime of its own for each seed, as two processes would have.
fn run(seed: u64) -> Told {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let (before, mut trace) = (PANICS.load(Ordering::SeqCst), Trace::new());
    // Caught, so that a story that panics is told as well.
    let told = catch_unwind(AssertUnwindSafe(|| runtime.block_on(story::tell(seed, &mut trace))));
    let mut violation = told.unwrap_or_else(|_| Some("the story itself".to_owned()));
    if PANICS.load(Ordering::SeqCst) != before {
        violation = Some(format!("something panicked; {violation:?}"));
    }
    Told { violation, trace: trace.events() }
}

fn count_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        before(info);
    }));
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|value| value.parse().expect("a number"))
}

#[test]
fn whatever_fails_the_mesh_stays_in_order() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    count_panics();
    let first = number("SIM_FIRST").unwrap_or(0);
    let seeds = number("SIM_SEED").map_or(first..first + number("SIM_SEEDS").unwrap_or(3), |seed| seed..seed + 1);
    for seed in seeds {
        let Told { violation, trace } = run(seed);
        if let Some(violation) = violation {
            trace.iter().for_each(|event| eprintln!("{event}"));
            panic!("seed {seed}: {violation}\nits trace is above; again: SIM_SEED={seed}");
        }
    }
}

#[test]
fn the_same_seed_has_the_same_trace() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let [one, other] = [(), ()].map(|()| run(2).trace);
    assert!(one.len() > 500, "there is much to tell: {}", one.len());
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(one.to_string(), other.to_string());
    }
    assert_eq!(one.len(), other.len());
}
