//! Host sets of any size.

use std::{net::SocketAddr, sync::Arc};

use meshlib::base::resources::Rng;
use meshlib::cluster::{
    balance::{LbPolicy, Picks},
    host::{HealthFlags, Host},
    host_set::{HostSet, HostSetCell},
};

/// `count` healthy hosts, whose weights are equal or run from 1 to 5.
pub fn set(count: usize, weighted: bool) -> HostSet {
    let host = |at: usize| {
        let [_, high, middle, low] = u32::try_from(at).expect("fewer hosts").to_be_bytes();
        let weight = if weighted { at % 5 + 1 } else { 1 };
        let address = SocketAddr::from(([10, high, middle, low], 80));
        Arc::new(Host::new(address, None, u32::try_from(weight).expect("small"), HealthFlags::HEALTHY))
    };
    HostSet::new((0..count).map(host).collect(), 50.0)
}

/// A data path's picks from such a set.
pub fn picks(count: usize, weighted: bool) -> Arc<Picks<()>> {
    let cell = HostSetCell::new(set(count, weighted));
    Picks::new(&cell, &LbPolicy::default(), Rng::seeded(7), |_| ())
}
