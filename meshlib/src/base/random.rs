//! Random numbers, all of one mesh from one seed.
//!
//! ```
//! use meshlib::base::resources::Random;
//!
//! let (one, same) = (Random::seeded(7), Random::seeded(7));
//! assert_eq!(one.fork().u64(..), same.fork().u64(..));
//! assert!(one.fork().usize(..3) < 3);
//! ```

use std::{
    ops::RangeBounds,
    sync::{Arc, Mutex, PoisonError},
};

/// Randomness from one seed. Cloning shares the sequence.
#[derive(Clone, Debug)]
pub struct Random(Arc<Mutex<Rng>>);

impl Random {
    /// Seeded by the operating system.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Rng::new())))
    }

    /// The same sequence for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Rng::seeded(seed))))
    }

    /// A generator of one's own, so that drawing needs no lock.
    pub fn fork(&self) -> Rng {
        Rng(self.0.lock().unwrap_or_else(PoisonError::into_inner).0.fork())
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

/// A generator of random numbers: fast, and not for secrets.
#[derive(Debug)]
pub struct Rng(fastrand::Rng);

impl Rng {
    /// Seeded by the operating system.
    pub fn new() -> Self {
        Self(fastrand::Rng::new())
    }

    /// The same sequence for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// A number in this range, which must not be empty.
    pub fn u64(&mut self, range: impl RangeBounds<u64>) -> u64 {
        self.0.u64(range)
    }

    /// A number in this range, which must not be empty.
    pub fn u128(&mut self, range: impl RangeBounds<u128>) -> u128 {
        self.0.u128(range)
    }

    /// A number in this range, which must not be empty.
    pub fn usize(&mut self, range: impl RangeBounds<usize>) -> usize {
        self.0.usize(range)
    }

    /// A number from 0 up to, and without, 1.
    pub fn f64(&mut self) -> f64 {
        self.0.f64()
    }
}

impl Default for Rng {
    fn default() -> Self {
        Self::new()
    }
}
