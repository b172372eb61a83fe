//! A cluster whose discovery is fed by hand: from a new set of endpoints to the data path's picks.

use std::{
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use meshlib::{
    base::{
        Error, ErrorKind, Resources,
        resources::{BoxFuture, Rng},
    },
    cluster::{
        balance::{LbPolicy, Picks},
        config::{ClusterConfig, DiscoveryConfig, HealthCheckConfig},
        control::{Control, ControlHandle, ControlInputs},
        health::CustomCheck,
        host::Host,
    },
    discovery::{Discover, Endpoint, Update},
    http::ArcService,
};
use tokio::sync::mpsc;

/// Endpoint sets as they are handed in.
struct Handed(mpsc::UnboundedReceiver<Vec<Endpoint>>);

impl Discover for Handed {
    fn poll_update(&mut self, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        self.0.poll_recv(cx).map(|endpoints| endpoints.map(Update::Endpoints))
    }
}

/// `count` endpoints, `first` and those after it, whose weights are equal or run from 1 to 5.
pub fn endpoints(first: usize, count: usize, weighted: bool) -> Vec<Endpoint> {
    let endpoint = |at: usize| {
        let [_, high, middle, low] = u32::try_from(at).expect("fewer hosts").to_be_bytes();
        let weight = if weighted { at % 5 + 1 } else { 1 };
        Endpoint::new(SocketAddr::from(([10, high, middle, low], 80))).weight(u32::try_from(weight).expect("small"))
    };
    (first..first + count).map(endpoint).collect()
}

/// A control task, and the picks of one data path behind it.
pub struct Updates {
    sender: mpsc::UnboundedSender<Vec<Endpoint>>,
    control: ControlHandle,
    picks: Arc<Picks<()>>,
}

impl Updates {
    /// A cluster on the ambient runtime, without health checks.
    pub fn start(resources: &Resources) -> Self {
        Self::with(resources, Vec::new())
    }

    /// The same with a health check that each host passes at once.
    pub fn checked(resources: &Resources) -> Self {
        let check = CustomCheck::new("passes", |_| async { Ok::<_, std::io::Error>(()) });
        let second = Duration::from_secs(1);
        Self::with(resources, vec![HealthCheckConfig::custom(second, 3600 * second, 2, 2, check)])
    }

    fn with(resources: &Resources, checks: Vec<HealthCheckConfig>) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut config = ClusterConfig::new("echo", DiscoveryConfig::fixed([]));
        config.health_checks = checks;
        let connect = |_: &Arc<Host>| -> BoxFuture<Result<ArcService, Error>> {
            Box::pin(async { Err(Error::new(ErrorKind::ConnectFailure)) })
        };
        let mut inputs = ControlInputs::new(&config, Arc::new(connect), resources).expect("inputs");
        inputs.discover = Box::new(Handed(receiver));
        let control = Control::start(inputs, resources).expect("a control task");
        let picks = Picks::new(control.hosts(), &LbPolicy::default(), Rng::seeded(7), |_| ());
        Self { sender, control, picks }
    }

    /// Hands in a set that differs from the one before, and waits until it is what the data path picks from.
    pub async fn apply(&self, endpoints: Vec<Endpoint>) {
        let before = self.picks.hosts();
        self.sender.send(endpoints).expect("a control task");
        while Arc::ptr_eq(&before, &self.picks.hosts()) {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until `count` hosts are healthy.
    pub async fn healthy(&self, count: usize) {
        while self.control.hosts().load().healthy() != count {
            tokio::task::yield_now().await;
        }
    }

    /// The data path.
    pub fn picks(&self) -> &Picks<()> {
        &self.picks
    }
}
