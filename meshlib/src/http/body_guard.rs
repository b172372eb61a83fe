//! A body that tells how it ended, once.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use std::sync::{Arc, atomic::{AtomicBool, Ordering}};
//! use http_body_util::BodyExt;
//! use meshlib::http::{Body, body_guard::{self, BodyEnd, BodyGuard}};
//!
//! struct Note(Arc<AtomicBool>);
//!
//! impl BodyGuard for Note {
//!     fn ended(&mut self, end: BodyEnd<'_>) {
//!         self.0.store(matches!(end, BodyEnd::Complete(_)), Ordering::Relaxed);
//!     }
//! }
//!
//! let complete = Arc::new(AtomicBool::new(false));
//! let body = body_guard::guard(Body::from("hello"), Note(complete.clone()));
//! body.collect().await.unwrap();
//! assert!(complete.load(Ordering::Relaxed));
//! # }
//! ```

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};

use super::body::Body;
use crate::base::Error;

/// How a body ended.
#[derive(Clone, Copy, Debug)]
pub enum BodyEnd<'a> {
    /// All of it was read, with these trailers.
    Complete(Option<&'a HeaderMap>),
    /// Reading it failed.
    Failed(&'a Error),
}

/// Told how a body ended, and dropped right after the body is. One that is dropped without being told belonged to a
/// body that was dropped before its end.
pub trait BodyGuard: Send + 'static {
    /// The body has ended.
    fn ended(&mut self, end: BodyEnd<'_>);

    /// May add to the error with which the body ended.
    fn explain(&mut self, error: Error) -> Error {
        error
    }
}

/// The same body, which tells `guard`. Costs one allocation; none for a body that has ended already.
pub fn guard<G: BodyGuard>(body: Body, mut guard: G) -> Body {
    if body.is_end_stream() {
        guard.ended(BodyEnd::Complete(None));
        return body;
    }
    Body::boxed(Guarded { body, guard, ended: false })
}

/// The body goes before its guard: the order of the fields.
struct Guarded<G> {
    body: Body,
    guard: G,
    ended: bool,
}

impl<G: BodyGuard> Guarded<G> {
    fn end(&mut self, end: BodyEnd<'_>) {
        if !std::mem::replace(&mut self.ended, true) {
            self.guard.ended(end);
        }
    }
}

// Neither part is ever pinned in place: a `Body` is `Unpin`, and a guard is only called.
impl<G> Unpin for Guarded<G> {}

impl<G: BodyGuard> http_body::Body for Guarded<G> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            None => self.end(BodyEnd::Complete(None)),
            Some(Err(error)) => self.end(BodyEnd::Failed(error)),
            Some(Ok(frame)) => match frame.trailers_ref() {
                Some(trailers) => self.end(BodyEnd::Complete(Some(trailers))),
                // Whoever knows the length does not ask again.
                None if self.body.is_end_stream() => self.end(BodyEnd::Complete(None)),
                None => {}
            },
        }
        Poll::Ready(frame.map(|frame| frame.map_err(|error| self.guard.explain(error))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http_body_util::{BodyExt, StreamBody};

    use super::*;
    use crate::base::ErrorKind;

    type Ends = Arc<Mutex<Vec<String>>>;

    struct Note(Ends);

    impl BodyGuard for Note {
        fn ended(&mut self, end: BodyEnd<'_>) {
            let end = match end {
                BodyEnd::Complete(trailers) => format!("complete, {} trailers", trailers.map_or(0, HeaderMap::len)),
                BodyEnd::Failed(error) => format!("{:?}", error.kind()),
            };
            self.0.lock().unwrap().push(end);
        }
    }

    impl Drop for Note {
        fn drop(&mut self) {
            self.0.lock().unwrap().push("dropped".into());
        }
    }

    fn guarded(body: Body) -> (Body, Ends) {
        let ends = Ends::default();
        (guard(body, Note(ends.clone())), ends)
    }

    fn frames(frames: Vec<Result<Frame<Bytes>, Error>>) -> Body {
        Body::new(StreamBody::new(futures_util::stream::iter(frames)))
    }

    #[tokio::test]
    async fn each_end_is_told_once() {
        let data = || Ok(Frame::data(Bytes::from_static(b"x")));
        let trailers = [("a".parse().unwrap(), "b".parse().unwrap())].into_iter().collect();
        let cases = [
            (Body::empty(), "complete, 0 trailers"),
            (Body::from("x"), "complete, 0 trailers"),
            (frames(vec![data()]), "complete, 0 trailers"),
            (frames(vec![data(), Ok(Frame::trailers(trailers))]), "complete, 1 trailers"),
            (frames(vec![data(), Err(Error::new(ErrorKind::UpstreamReset))]), "UpstreamReset"),
        ];
        for (body, end) in cases {
            let (body, ends) = guarded(body);
            let _ = body.collect().await;
            assert_eq!(*ends.lock().unwrap(), [end, "dropped"]);
        }
    }

    #[tokio::test]
    async fn the_last_frame_is_the_end_of_a_body_whose_length_is_known() {
        let (mut body, ends) = guarded(Body::from("x"));
        body.frame().await.unwrap().unwrap();
        assert_eq!(ends.lock().unwrap().len(), 1, "though nobody asked for more");
    }

    #[tokio::test]
    async fn a_body_that_is_dropped_tells_nothing() {
        let (body, ends) = guarded(Body::from("x"));
        drop(body);
        assert_eq!(*ends.lock().unwrap(), ["dropped"]);
    }
}
