//! Discoveries of an application that has its endpoints already: in a channel, in a stream.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::Stream;
use tokio::sync::watch;

use super::{Discover, Endpoint, Update};
use crate::base::resources::BoxFuture;

/// Endpoint sets from a stream: each item is all of them, or a failure that changes nothing.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// use std::future::poll_fn;
/// use meshlib::discovery::{Discover, Endpoint, Streamed, Update};
///
/// let answers = [Ok(vec![Endpoint::new("192.0.2.1:80".parse().unwrap())]), Err("the registry is down")];
/// let mut discover = Streamed::new(futures_util::stream::iter(answers));
/// let Some(Update::Endpoints(endpoints)) = poll_fn(|cx| discover.poll_update(cx)).await else { panic!("endpoints") };
/// assert_eq!(endpoints.len(), 1);
/// let update = poll_fn(|cx| discover.poll_update(cx)).await;
/// assert_eq!(update, Some(Update::Failed("the registry is down".into())));
/// # }
/// ```
pub struct Streamed<S>(Pin<Box<S>>);

impl<S> Streamed<S>
where
    S: Stream + Send,
    S::Item: Into<Update>,
{
    /// Items are [`Update`]s, `Vec<Endpoint>`, or a `Result` of the latter. When the stream ends, what it said last
    /// stays.
    pub fn new(stream: S) -> Self {
        Self(Box::pin(stream))
    }
}

impl<S> Discover for Streamed<S>
where
    S: Stream + Send,
    S::Item: Into<Update>,
{
    fn poll_update(&mut self, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        self.0.as_mut().poll_next(cx).map(|item| item.map(Into::into))
    }
}

impl<S> fmt::Debug for Streamed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streamed")
    }
}

impl From<Vec<Endpoint>> for Update {
    fn from(endpoints: Vec<Endpoint>) -> Self {
        Self::Endpoints(endpoints)
    }
}

impl<E: fmt::Display> From<Result<Vec<Endpoint>, E>> for Update {
    fn from(answer: Result<Vec<Endpoint>, E>) -> Self {
        answer.map_or_else(|error| Self::Failed(error.to_string()), Self::Endpoints)
    }
}

/// The endpoint set that a channel holds, now and whenever it changes.
///
/// A channel that begins empty says nothing yet: a cluster over it is warm with the first set that is sent, empty or
/// not. When the sender is gone, what it sent last stays.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// use std::future::poll_fn;
/// use meshlib::discovery::{Discover, Endpoint, Update, Watched};
///
/// let (sender, receiver) = tokio::sync::watch::channel(Vec::new());
/// let mut discover = Watched::new(receiver);
/// assert!(!discover.is_settled());
/// let endpoints = vec![Endpoint::new("192.0.2.1:80".parse().unwrap())];
/// sender.send_replace(endpoints.clone());
/// assert_eq!(poll_fn(|cx| discover.poll_update(cx)).await, Some(Update::Endpoints(endpoints)));
/// assert!(discover.is_settled());
/// # }
/// ```
pub struct Watched {
    changed: BoxFuture<Option<watch::Receiver<Vec<Endpoint>>>>,
    settled: bool,
}

impl Watched {
    /// What `endpoints` holds.
    pub fn new(mut endpoints: watch::Receiver<Vec<Endpoint>>) -> Self {
        if !endpoints.borrow().is_empty() {
            endpoints.mark_changed();
        }
        Self { changed: Box::pin(changed(endpoints)), settled: false }
    }
}

async fn changed(mut endpoints: watch::Receiver<Vec<Endpoint>>) -> Option<watch::Receiver<Vec<Endpoint>>> {
    endpoints.changed().await.ok()?;
    Some(endpoints)
}

impl Discover for Watched {
    fn poll_update(&mut self, cx: &mut Context<'_>) -> Poll<Option<Update>> {
        let changed_now = ready!(Future::poll(self.changed.as_mut(), cx));
        self.settled = true;
        let Some(mut receiver) = changed_now else {
            self.changed = Box::pin(std::future::pending());
            return Poll::Ready(None);
        };
        let endpoints = receiver.borrow_and_update().clone();
        self.changed = Box::pin(changed(receiver));
        Poll::Ready(Some(Update::Endpoints(endpoints)))
    }

    fn is_settled(&self) -> bool {
        self.settled
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(last: u8) -> Endpoint {
        Endpoint::new(([10, 0, 0, last], 80).into())
    }

    fn poll(discover: &mut impl Discover) -> Poll<Option<Update>> {
        discover.poll_update(&mut Context::from_waker(std::task::Waker::noop()))
    }

    #[test]
    fn a_channel_tells_what_it_holds_and_each_change() {
        let (sender, receiver) = watch::channel(vec![endpoint(1)]);
        let mut discover = Watched::new(receiver);
        assert_eq!(poll(&mut discover), Poll::Ready(Some(vec![endpoint(1)].into())));
        assert!(poll(&mut discover).is_pending());
        sender.send_replace(vec![endpoint(2)]);
        sender.send_replace(Vec::new());
        assert_eq!(poll(&mut discover), Poll::Ready(Some(Vec::new().into())), "the last one counts");
        drop(sender);
        assert_eq!(poll(&mut discover), Poll::Ready(None));
        assert!(poll(&mut discover).is_pending());
    }

    #[test]
    fn a_channel_that_begins_empty_says_nothing_yet() {
        let (sender, receiver) = watch::channel(Vec::new());
        let mut discover = Watched::new(receiver);
        assert!(poll(&mut discover).is_pending() && !discover.is_settled());
        sender.send_replace(Vec::new());
        assert!(poll(&mut discover).is_ready() && discover.is_settled(), "empty on purpose");
    }
}
