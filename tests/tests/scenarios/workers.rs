//! Two workers: connections are spread evenly, stay where they are, and share nothing but limits.

use std::{
    collections::BTreeMap,
    sync::Arc,
    thread::{self, ThreadId},
};

use meshlib::base::{Resources, resources::Workers};
use tokio::sync::oneshot;

use crate::support::{app::App, eventually, file::File, h2::Client, proxy::Proxy, watched::WatchedNetwork};

/// Threads that run a worker each, until dropped.
struct Threads {
    runtimes: Vec<tokio::runtime::Handle>,
    _stop: Vec<oneshot::Sender<()>>,
}

impl Threads {
    fn start(count: usize) -> Self {
        let (mut runtimes, mut stop) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let (stopper, stopped) = oneshot::channel::<()>();
            runtimes.push(runtime.handle().clone());
            stop.push(stopper);
            thread::spawn(move || runtime.block_on(async { drop(stopped.await) }));
        }
        Self { runtimes, _stop: stop }
    }
}

/// A proxy with two workers.
struct TwoWorkers {
    proxy: Proxy,
    network: Arc<WatchedNetwork>,
    _threads: Threads,
}

impl TwoWorkers {
    async fn start(file: File) -> Self {
        let (threads, network) = (Threads::start(2), Arc::new(WatchedNetwork::default()));
        let workers = Workers::Runtimes(threads.runtimes.clone());
        let resources = Resources::default().with_network(network.clone()).with_workers(workers);
        Self { proxy: Proxy::start_on(file, None, resources).await, network, _threads: threads }
    }

    async fn clients(&self, count: usize) -> Vec<Client> {
        let mut clients = Vec::new();
        for _ in 0..count {
            let client = Client::connect(self.proxy.address()).await;
            client.call(client.request("GET", "/"), b"").await.expect("an answer");
            clients.push(client);
        }
        clients
    }
}

fn count(threads: &[ThreadId]) -> Vec<usize> {
    let mut counts = BTreeMap::<String, usize>::new();
    for thread in threads {
        *counts.entry(format!("{thread:?}")).or_default() += 1;
    }
    counts.into_values().collect()
}

#[tokio::test]
async fn connections_are_spread_evenly_and_stay() {
    let app = App::echo().await;
    let two = TwoWorkers::start(File::to([app.address()])).await;
    let mut clients = two.clients(8).await;
    for client in &clients {
        for _ in 0..10 {
            client.call(client.request("POST", "/"), b"hello").await.expect("an answer");
        }
    }
    let threads = two.network.downstream.threads();
    assert_eq!(count(&threads), [4, 4], "each worker has half of them");
    let upstream = two.network.upstream.threads();
    assert_eq!(count(&upstream), [1, 1], "and one connection of its own to the application");
    assert_eq!(app.connections(), 2);

    // Whose worker has become empty again is the next one's.
    let idle = threads[0];
    let mut of_idle = threads.iter().map(|thread| *thread == idle);
    clients.retain(|_| !of_idle.next().expect("a thread for each"));
    assert_eq!(clients.len(), 4);
    eventually("four are gone", || two.proxy.gauge("http.ingress.downstream_cx_active") == 4).await;
    let _later = two.clients(4).await;
    assert!(two.network.downstream.threads()[8..].iter().all(|thread| *thread == idle), "the new ones went there");
}

/// 1024 requests are under way, half of them on each worker: there is no room for another one on either.
#[tokio::test]
async fn limits_are_of_the_cluster_not_of_the_worker() {
    let app = App::start(|mut exchange| async move {
        match exchange.head.uri.path() {
            "/slow" => exchange.gone().await,
            _ => exchange.answer(http::Response::builder(), "".into(), None),
        }
    })
    .await;
    let two = TwoWorkers::start(File::to([app.address()])).await;
    let clients = two.clients(2).await;
    assert_eq!(count(&two.network.downstream.threads()), [1, 1]);
    let mut calls = Vec::new();
    for client in &clients {
        for _ in 0..512 {
            calls.push(client.begin(client.request("POST", "/slow")).await);
        }
    }
    let active = || two.proxy.gauge("cluster.app.upstream_rq_active");
    eventually("1024 requests are under way", || active() == 1024).await;
    assert_eq!(two.proxy.gauge("cluster.app.circuit_breakers.default.rq_open"), 1);
    for client in &clients {
        let answer = client.call(client.request("GET", "/"), b"").await.expect("an answer");
        assert_eq!((answer.status.as_u16(), answer.header("x-envoy-overloaded")), (503, "true"));
    }
    let overflows = two.proxy.log().find(|line| line.outcome().contains(" 503 UO 0 81")).await;
    assert_eq!(overflows.outcome(), "GET / HTTP/2 503 UO 0 81");
    calls.truncate(1023);
    eventually("there is room again", || active() == 1023).await;
    let answer = clients[0].call(clients[0].request("GET", "/"), b"").await.expect("an answer");
    assert_eq!(answer.status, 200);
    drop(calls);
    eventually("every gauge is back to zero", || active() == 0).await;
}
