//! Earliest deadline first: a heap of turns in one vector, changed in place.

use std::net::SocketAddr;

use super::HostSet;
use crate::base::resources::Rng;

/// Deadlines are moved back to zero when they pass this, long before a step of the heaviest host (2^-32) is lost in
/// the 52 bits of a float.
const REBASE: f64 = (1 << 16) as f64;

/// Turns by weight: virtual time passes, and a host of weight `w` has `w` turns in each unit of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Schedule {
    /// A binary heap: no entry is due before its parent.
    heap: Vec<Turn>,
    /// The deadline of the last pick.
    now: f64,
}

#[derive(Clone, Copy, Debug)]
struct Turn {
    due: f64,
    /// 1 / weight.
    step: f64,
    index: usize,
    /// Whose turn it is, also after an update. An address: a picker keeps no host alive.
    address: SocketAddr,
}

impl Turn {
    /// Earlier, or as early and in front: the order never depends on the heap's history.
    fn is_before(&self, other: &Self) -> bool {
        (self.due, self.index) < (other.due, other.index)
    }
}

impl Schedule {
    /// Hosts that stay keep what they have waited, as a share of their step; new ones come in at random.
    pub(super) fn update(&mut self, hosts: &HostSet, rng: &mut Rng) {
        let mut before = std::mem::take(&mut self.heap);
        before.sort_unstable_by_key(|turn| turn.address);
        for index in hosts.eligible() {
            let Some(host) = hosts.hosts().get(*index) else { continue };
            let (address, step) = (host.address(), 1.0 / f64::from(host.weight()));
            let kept = before.binary_search_by_key(&address, |turn| turn.address).ok();
            let wait = match kept.and_then(|position| before.get(position)) {
                Some(turn) => ((turn.due - self.now) / turn.step).clamp(0.0, 1.0),
                None => rng.f64(),
            };
            self.heap.push(Turn { due: wait * step, step, index: *index, address });
        }
        self.now = 0.0;
        for position in (0..self.heap.len() / 2).rev() {
            self.sift_down(position);
        }
    }

    /// The earliest turn whose host is not in `tried`, or the earliest of all. Without `tried` O(log n), else O(n).
    pub(super) fn pick(&mut self, tried: &[usize]) -> Option<usize> {
        let position = if tried.is_empty() { 0 } else { self.earliest_untried(tried).unwrap_or(0) };
        let turn = self.heap.get_mut(position)?;
        let (index, due) = (turn.index, turn.due);
        turn.due += turn.step;
        self.sift_down(position);
        if position == 0 {
            self.now = due;
        }
        if self.now > REBASE {
            self.rebase();
        }
        Some(index)
    }

    fn earliest_untried(&self, tried: &[usize]) -> Option<usize> {
        let mut best: Option<(usize, &Turn)> = None;
        for (position, turn) in self.heap.iter().enumerate().filter(|(_, turn)| !tried.contains(&turn.index)) {
            if best.is_none_or(|(_, earliest)| turn.is_before(earliest)) {
                best = Some((position, turn));
            }
        }
        best.map(|(position, _)| position)
    }

    fn sift_down(&mut self, mut position: usize) {
        loop {
            let child = |child: usize| self.heap.get(child).map(|turn| (child, *turn));
            let Some(first) = child(2 * position + 1) else { return };
            let smaller = match child(2 * position + 2) {
                Some(second) if second.1.is_before(&first.1) => second,
                _ => first,
            };
            if self.heap.get(position).is_none_or(|parent| !smaller.1.is_before(parent)) {
                return;
            }
            self.heap.swap(position, smaller.0);
            position = smaller.0;
        }
    }

    /// O(n), once in 65,536 units of virtual time.
    fn rebase(&mut self) {
        for turn in &mut self.heap {
            turn.due -= self.now;
        }
        self.now = 0.0;
    }
}
