//! The balancer over a discovery that the test steers.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tokio::sync::mpsc;
use tower::service_fn;

use super::*;

/// Updates as the test sends them.
struct Sent(mpsc::UnboundedReceiver<Update>);

impl Discover for Sent {
    fn poll_update(&mut self, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        self.0.poll_recv(cx)
    }
}

fn endpoints(last: &[u8]) -> Update {
    let endpoint =
        |last: &u8| Endpoint { address: SocketAddr::from(([10, 0, 0, *last], 80)), hostname: None, weight: 1 };
    Update::Endpoints(last.iter().map(endpoint).collect())
}

/// A connection that answers with its host and its number, until it is broken.
#[derive(Clone)]
struct Numbered {
    host: SocketAddr,
    number: usize,
    broken: Arc<AtomicBool>,
}

impl Service<Request<()>> for Numbered {
    type Response = Response<(SocketAddr, usize)>;
    type Error = std::io::Error;
    type Future = std::future::Ready<Result<Self::Response, std::io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        match self.broken.load(Ordering::Relaxed) {
            true => Poll::Ready(Err(std::io::Error::other("broken"))),
            false => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        std::future::ready(Ok(Response::new((self.host, self.number))))
    }
}

#[derive(Clone, Default)]
struct Connect {
    made: Arc<AtomicUsize>,
    newest: Arc<Mutex<Option<Arc<AtomicBool>>>>,
}

impl Service<Arc<Host>> for Connect {
    type Response = Numbered;
    type Error = std::io::Error;
    type Future = BoxFuture<std::io::Result<Numbered>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, host: Arc<Host>) -> Self::Future {
        let broken = Arc::new(AtomicBool::new(false));
        *self.newest.lock().unwrap() = Some(broken.clone());
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            tokio::task::yield_now().await;
            Ok(Numbered { host: host.address(), number, broken })
        })
    }
}

async fn settle() {
    for _ in 0..5 {
        tokio::task::yield_now().await;
    }
}

async fn call(balance: &Balance<Connect, Numbered>) -> Result<(SocketAddr, usize), Error> {
    balance.clone().oneshot(Request::new(())).await.map(Response::into_body)
}

#[tokio::test(start_paused = true)]
async fn first_requests_wait_for_the_first_endpoints_but_not_for_ever() {
    let begin = tokio::time::Instant::now();
    let (send, receive) = mpsc::unbounded_channel();
    let balance = Balance::new(Sent(receive), Connect::default());
    let found = async {
        send.send(Update::Failed("no answer".into())).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        send.send(endpoints(&[1])).unwrap();
    };
    let (answer, ()) = tokio::join!(call(&balance), found);
    assert_eq!((answer.unwrap().1, begin.elapsed()), (0, Duration::from_secs(1)));

    let begin = tokio::time::Instant::now();
    let (_silent, receive) = mpsc::unbounded_channel();
    let balance = Balance::new(Sent(receive), Connect::default());
    assert_eq!(call(&balance).await.unwrap_err().kind(), ErrorKind::NoHealthyUpstream);
    assert_eq!(begin.elapsed(), WARM_UP);
    assert_eq!(call(&balance).await.unwrap_err().kind(), ErrorKind::NoHealthyUpstream);
    assert_eq!(begin.elapsed(), WARM_UP);
}

#[tokio::test]
async fn hosts_come_and_go() {
    let (send, receive) = mpsc::unbounded_channel();
    let connect = Connect::default();
    let balance = Balance::new(Sent(receive), connect.clone());

    send.send(endpoints(&[1, 2])).unwrap();
    settle().await;
    let first: Vec<_> = [call(&balance).await.unwrap(), call(&balance).await.unwrap()].into();
    assert_ne!(first[0].0, first[1].0);
    send.send(endpoints(&[2, 3])).unwrap();
    send.send(Update::Failed("no answer: what is there stays".into())).unwrap();
    settle().await;
    let second: Vec<_> = [call(&balance).await.unwrap(), call(&balance).await.unwrap()].into();
    let stayed = SocketAddr::from(([10, 0, 0, 2], 80));
    let of = |calls: &[(SocketAddr, usize)]| calls.iter().find(|(host, _)| *host == stayed).copied();
    assert_eq!(of(&first), of(&second), "the host that stayed kept its connection");
    assert_eq!(connect.made.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn requests_that_come_together_make_one_connection() {
    let (send, receive) = mpsc::unbounded_channel();
    let connect = Connect::default();
    let balance = Balance::new(Sent(receive), connect.clone());
    send.send(endpoints(&[1])).unwrap();
    settle().await;
    let (one, other) = tokio::join!(call(&balance), call(&balance));
    assert_eq!(one.unwrap().1, other.unwrap().1);
    assert_eq!(connect.made.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_broken_connection_is_replaced_once_for_all() {
    let (send, receive) = mpsc::unbounded_channel();
    let connect = Connect::default();
    let balance = Balance::new(Sent(receive), connect.clone());
    send.send(endpoints(&[1])).unwrap();
    settle().await;
    assert_eq!(call(&balance).await.unwrap().1, 0);
    connect.newest.lock().unwrap().as_ref().unwrap().store(true, Ordering::Relaxed);
    let (one, other) = tokio::join!(call(&balance), call(&balance));
    assert_eq!((one.unwrap().1, other.unwrap().1), (1, 1));
}

#[tokio::test]
async fn a_failed_connect_names_the_host() {
    let (send, receive) = mpsc::unbounded_channel();
    let refuse = service_fn(|_: Arc<Host>| async { Err::<Numbered, _>(std::io::Error::other("refused")) });
    let balance = Balance::new(Sent(receive), refuse);
    send.send(endpoints(&[1])).unwrap();
    settle().await;
    let error = balance.oneshot(Request::new(())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectFailure);
    assert_eq!(error.to_string(), "host 10.0.0.1:80: refused");
}

#[tokio::test]
async fn the_control_task_ends_with_the_last_clone() {
    let (send, receive) = mpsc::unbounded_channel();
    let balance = Balance::new(Sent(receive), Connect::default());
    let clone = balance.clone();
    drop(balance);
    settle().await;
    assert!(!send.is_closed());
    drop(clone);
    settle().await;
    assert!(send.is_closed());
}

/// Always has one more report, for as long as anybody listens.
struct Restless(Arc<AtomicUsize>);

impl Discover for Restless {
    fn poll_update(&mut self, _: &mut Context<'_>) -> Poll<Option<Update>> {
        let reports = self.0.fetch_add(1, Ordering::Relaxed);
        Poll::Ready((reports < 100_000).then(|| endpoints(&[1])))
    }
}

#[tokio::test]
async fn a_discovery_that_never_rests_leaves_the_worker_to_others() {
    let reports = Arc::new(AtomicUsize::new(0));
    let balance = Balance::new(Restless(reports.clone()), Connect::default());
    call(&balance).await.unwrap();
    let reports = reports.load(Ordering::Relaxed);
    assert!(reports < 1000, "{reports} reports before the first answer");
}
