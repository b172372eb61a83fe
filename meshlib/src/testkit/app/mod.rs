//! Applications.

mod answer;

use std::{
    collections::BTreeMap,
    fmt,
    future::poll_fn,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};

use crate::{
    base::{
        ConnectionInfo, Drain,
        resources::{Acceptor, Network},
    },
    http::{grpc::Code, options::ServerOptions, serve::serve_connection},
};

/// What an application says when it is asked for its health (`grpc.health.v1.Health/Check`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// SERVING.
    #[default]
    Serving,
    /// NOT_SERVING.
    NotServing,
    /// Nothing at all.
    Silent,
}

/// What an application does with a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The request's body, once all of it is there and [`App::set_delay`] has passed.
    #[default]
    Echo,
    /// The request's body as it comes: a stream in both directions.
    Mirror,
    /// A byte at once and one after each interval, for ever: a stream from the server.
    Drip(Duration),
    /// This status of HTTP.
    Http(http::StatusCode),
    /// This status of gRPC.
    Grpc(Code),
    /// Nothing at all.
    Silent,
    /// The head of a response and a byte, then the end of the connection's stream.
    Break,
}

/// A scripted application, over HTTP/1.1 and HTTP/2 with prior knowledge. It answers as it was told, by default as an
/// echo that is healthy, with its name in `hostname`, and remembers who asked. Cloning shares the script, which
/// outlives what [`serve`](Self::serve)s it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use http::Request;
/// use meshlib::{base::resources::Network, http::Body, testkit::{Answer, App, Client, Testkit}};
///
/// let (kit, address) = (Testkit::seeded(1), "10.0.0.1:80".parse()?);
/// let app = App::new("one");
/// app.set_delay(Duration::from_secs(2));
/// app.on("/drip", Answer::Drip(Duration::from_secs(1)));
/// let serving = app.serve(&kit.network, address)?;
///
/// let client = Client::over(kit.network.connect(address).await?);
/// let reply = client.call(Request::post("http://one.test/").body(Body::from("hello"))?).await?;
/// assert_eq!((reply.status, &*reply.body, reply.took), (200, &b"hello"[..], Duration::from_secs(2)));
/// drop(serving); // as a process that is killed
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct App(Arc<Shared>);

struct Shared {
    name: String,
    begin: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    health: Health,
    delay: Duration,
    answers: BTreeMap<String, Answer>,
    otherwise: Answer,
    calls: usize,
    checks: Vec<Check>,
}

/// A health check that an application was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// When, since the application was made or the mesh began, in whole milliseconds.
    pub at: Duration,
    /// Whether a route led to it, as the edge's checks come by way of the sidecar; the sidecar's own do not.
    pub routed: bool,
}

/// Where an application is served. Dropped, it ends with its connections in the next turn of its runtime, as a process
/// that is killed.
#[derive(Debug)]
pub struct ServingApp {
    accepting: JoinSet<()>,
}

impl ServingApp {
    /// Ends it, and waits until its port is free.
    pub async fn end(mut self) {
        self.accepting.shutdown().await;
    }
}

impl App {
    /// A healthy echo.
    pub fn new(name: impl Into<String>) -> Self {
        Self::since(name, Instant::now())
    }

    /// The same; times count from `begin`.
    pub fn since(name: impl Into<String>, begin: Instant) -> Self {
        Self(Arc::new(Shared { name: name.into(), begin, state: Mutex::default() }))
    }

    /// Listens at `address`, on the ambient runtime.
    ///
    /// # Errors
    /// The address is in use.
    pub fn serve(&self, network: &dyn Network, address: SocketAddr) -> io::Result<ServingApp> {
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(network.bind(address)?, self.clone()));
        Ok(ServingApp { accepting })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What it says of its health from now on.
    pub fn set_health(&self, health: Health) {
        self.state().health = health;
    }

    /// How long an [`Answer::Echo`] takes from now on.
    pub fn set_delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// What it does with calls of exactly this path.
    pub fn on(&self, path: impl Into<String>, answer: Answer) {
        self.state().answers.insert(path.into(), answer);
    }

    /// What it does with all other calls.
    pub fn otherwise(&self, answer: Answer) {
        self.state().otherwise = answer;
    }

    /// How many calls, health checks aside, came.
    pub fn calls(&self) -> usize {
        self.state().calls
    }

    /// The health checks that came.
    pub fn checks(&self) -> Vec<Check> {
        self.state().checks.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("name", &self.0.name).field("calls", &self.calls()).finish_non_exhaustive()
    }
}

async fn accept(mut acceptor: Box<dyn Acceptor>, app: App) {
    let mut options = ServerOptions::default();
    // The proxies' times are what is looked at.
    (options.idle_timeout, options.stream_idle_timeout) = (Duration::ZERO, Duration::ZERO);
    let options = Arc::new(options);
    let mut connections = JoinSet::new();
    while let Ok(accepted) = poll_fn(|cx| acceptor.poll_accept(cx)).await {
        let info = Arc::new(ConnectionInfo::new(Some(accepted.peer), Some(accepted.local)));
        if let Ok(io) = accepted.socket.adopt() {
            connections.spawn(serve_connection(io, info, app.clone(), options.clone(), Drain::new()));
        }
        while connections.try_join_next().is_some() {}
    }
}
