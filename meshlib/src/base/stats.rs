//! Counters, gauges and histograms under Envoy's dotted names.
//!
//! A handle is looked up once, when configuration is read, and costs one relaxed addition afterwards. Each look-up
//! makes a shard of its own, so that workers that build their own stacks never share a cache line; reading sums the
//! shards.
//!
//! ```
//! use meshlib::base::Stats;
//!
//! let stats = Stats::new();
//! let (one, other) = (stats.counter("cluster.echo.upstream_rq_total"), stats.counter("cluster.echo.upstream_rq_total"));
//! one.add(2);
//! other.increment();
//! assert_eq!(stats.counter_value("cluster.echo.upstream_rq_total"), Some(3));
//! ```

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

/// A monotonic count.
#[derive(Clone, Debug)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `amount`.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }
}

/// A level that goes up and down.
#[derive(Clone, Debug)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// Raises the level by one until the guard is dropped.
    pub fn enter(&self) -> GaugeGuard {
        self.add(1);
        GaugeGuard(self.clone())
    }

    /// Moves the level.
    pub fn add(&self, amount: i64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Sets this handle's share of the level.
    pub fn set(&self, level: i64) {
        self.0.store(level, Ordering::Relaxed);
    }
}

/// Holds a [`Gauge`] up by one.
#[derive(Debug)]
pub struct GaugeGuard(Gauge);

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

/// Eight buckets to each power of two: a quantile is off by 12.5 % at most.
const BUCKETS_PER_OCTAVE: u64 = 8;
/// 32 octaves of eight buckets: values up to 2^34 keep their place, larger ones fall into the last bucket.
const BUCKETS: usize = 256;

/// A distribution of whole numbers: milliseconds, bytes.
#[derive(Clone)]
pub struct Histogram(Arc<[AtomicU64; BUCKETS]>);

impl Histogram {
    /// Records one value.
    pub fn record(&self, value: u64) {
        if let Some(bucket) = self.0.get(bucket_of(value)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Histogram")
    }
}

fn bucket_of(value: u64) -> usize {
    if value < BUCKETS_PER_OCTAVE {
        return value as usize;
    }
    let octave = u64::from(value.ilog2()) - 2;
    let within = (value >> (octave - 1)) - BUCKETS_PER_OCTAVE;
    ((octave * BUCKETS_PER_OCTAVE + within) as usize).min(BUCKETS - 1)
}

/// The smallest value of a bucket.
fn bucket_floor(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < BUCKETS_PER_OCTAVE {
        return bucket;
    }
    let octave = bucket / BUCKETS_PER_OCTAVE;
    (BUCKETS_PER_OCTAVE + bucket % BUCKETS_PER_OCTAVE) << (octave - 1)
}

/// What a histogram holds, added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistogramSnapshot(Vec<u64>);

impl HistogramSnapshot {
    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The sum of the values, each taken as the floor of its bucket.
    pub fn sum(&self) -> u64 {
        self.0.iter().enumerate().map(|(bucket, count)| bucket_floor(bucket) * count).sum()
    }

    /// How many values were `limit` or less, to the precision of a bucket.
    pub fn count_up_to(&self, limit: u64) -> u64 {
        self.0.iter().take(bucket_of(limit) + 1).sum()
    }

    /// The value below which `quantile` (0 to 1) of the values lie; `None` without values.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let wanted = quantile * count as f64;
        let mut seen = 0.0;
        for (bucket, in_bucket) in self.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            let in_bucket = *in_bucket as f64;
            if seen + in_bucket >= wanted {
                let (floor, next) = (bucket_floor(bucket) as f64, bucket_floor(bucket + 1) as f64);
                return Some(floor + (next - floor) * ((wanted - seen) / in_bucket).clamp(0.0, 1.0));
            }
            seen += in_bucket;
        }
        None
    }
}

/// One stat as it stands: what `/stats` prints.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StatValue {
    /// A count.
    Counter(u64),
    /// A level.
    Gauge(i64),
    /// A distribution.
    Histogram(HistogramSnapshot),
}

/// The registry. Cloning shares it; there is none besides the ones that are made.
#[derive(Clone, Default)]
pub struct Stats(Arc<Mutex<BTreeMap<String, Shards>>>);

enum Shards {
    Counter { folded: u64, live: Vec<Arc<AtomicU64>> },
    Gauge { live: Vec<Arc<AtomicI64>> },
    Histogram { folded: Vec<u64>, live: Vec<Arc<[AtomicU64; BUCKETS]>> },
}

impl Stats {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new shard of the counter `name`.
    pub fn counter(&self, name: impl Into<String>) -> Counter {
        let shard = Arc::new(AtomicU64::new(0));
        let mut stats = self.lock();
        let entry = stats.entry(name.into()).or_insert_with(|| Shards::Counter { folded: 0, live: Vec::new() });
        entry.fold();
        if let Shards::Counter { live, .. } = entry {
            live.push(shard.clone());
        }
        Counter(shard)
    }

    /// A new shard of the gauge `name`.
    pub fn gauge(&self, name: impl Into<String>) -> Gauge {
        let shard = Arc::new(AtomicI64::new(0));
        let mut stats = self.lock();
        let entry = stats.entry(name.into()).or_insert_with(|| Shards::Gauge { live: Vec::new() });
        entry.fold();
        if let Shards::Gauge { live } = entry {
            live.push(shard.clone());
        }
        Gauge(shard)
    }

    /// A new shard of the histogram `name`.
    pub fn histogram(&self, name: impl Into<String>) -> Histogram {
        let shard = Arc::new(std::array::from_fn(|_| AtomicU64::new(0)));
        let mut stats = self.lock();
        let empty = || Shards::Histogram { folded: vec![0; BUCKETS], live: Vec::new() };
        let entry = stats.entry(name.into()).or_insert_with(empty);
        entry.fold();
        if let Shards::Histogram { live, .. } = entry {
            live.push(shard.clone());
        }
        Histogram(shard)
    }

    /// The counter `name`, summed; `None` if nobody asked for it yet.
    pub fn counter_value(&self, name: &str) -> Option<u64> {
        match self.lock().get(name)?.value() {
            StatValue::Counter(value) => Some(value),
            _ => None,
        }
    }

    /// The gauge `name`, summed; `None` if nobody asked for it yet.
    pub fn gauge_value(&self, name: &str) -> Option<i64> {
        match self.lock().get(name)?.value() {
            StatValue::Gauge(value) => Some(value),
            _ => None,
        }
    }

    /// Every stat, in the order of the names.
    pub fn snapshot(&self) -> Vec<(String, StatValue)> {
        self.lock().iter().map(|(name, shards)| (name.clone(), shards.value())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Shards>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shards {
    fn value(&self) -> StatValue {
        match self {
            Self::Counter { folded, live } => {
                StatValue::Counter(folded + live.iter().map(|shard| shard.load(Ordering::Relaxed)).sum::<u64>())
            }
            Self::Gauge { live } => StatValue::Gauge(live.iter().map(|shard| shard.load(Ordering::Relaxed)).sum()),
            Self::Histogram { folded, live } => {
                let mut sum = folded.clone();
                live.iter().for_each(|shard| add_buckets(&mut sum, shard));
                StatValue::Histogram(HistogramSnapshot(sum))
            }
        }
    }

    /// Keeps the sum of shards that nobody holds any more, and forgets them.
    fn fold(&mut self) {
        match self {
            Self::Counter { folded, live } => live.retain(|shard| {
                let held = Arc::strong_count(shard) > 1;
                *folded += if held { 0 } else { shard.load(Ordering::Relaxed) };
                held
            }),
            Self::Gauge { live } => live.retain(|shard| Arc::strong_count(shard) > 1),
            Self::Histogram { folded, live } => live.retain(|shard| {
                let held = Arc::strong_count(shard) > 1;
                if !held {
                    add_buckets(folded, shard);
                }
                held
            }),
        }
    }
}

fn add_buckets(sum: &mut [u64], shard: &[AtomicU64; BUCKETS]) {
    for (sum, bucket) in sum.iter_mut().zip(shard) {
        *sum += bucket.load(Ordering::Relaxed);
    }
}

impl fmt::Debug for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stats").field("len", &self.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_shards_keep_their_counts() {
        let stats = Stats::new();
        stats.counter("a").add(3);
        stats.counter("a").add(4);
        stats.histogram("h").record(5);
        stats.histogram("h").record(6);
        assert_eq!(stats.counter_value("a"), Some(7));
        let StatValue::Histogram(histogram) = stats.snapshot().remove(1).1 else { panic!("a histogram") };
        assert_eq!((histogram.count(), histogram.sum()), (2, 11));
    }

    #[test]
    fn gauges_return_to_zero() {
        let stats = Stats::new();
        let guard = stats.gauge("g").enter();
        assert_eq!(stats.gauge_value("g"), Some(1));
        drop(guard);
        assert_eq!(stats.gauge_value("g"), Some(0));
    }

    #[test]
    fn buckets_are_consecutive_and_quantiles_within_an_eighth() {
        for value in 0..100_000_u64 {
            let bucket = bucket_of(value);
            assert!(bucket_floor(bucket) <= value && value < bucket_floor(bucket + 1), "{value} in {bucket}");
        }
        let stats = Stats::new();
        let histogram = stats.histogram("h");
        (1..=1000).for_each(|value| histogram.record(value));
        let Some((_, StatValue::Histogram(snapshot))) = stats.snapshot().pop() else { panic!("a histogram") };
        let median = snapshot.quantile(0.5).unwrap();
        assert!((440.0..=565.0).contains(&median), "{median}");
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }
}
