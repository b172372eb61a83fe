//! One body for requests and responses, whichever codec or service it comes from.
//!
//! The codecs' own bodies are kept as they are; only a foreign body is boxed.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use http_body_util::BodyExt;
//! use meshlib::http::Body;
//!
//! let body = Body::from("hello");
//! assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");
//! # }
//! ```

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use pin_project::pin_project;

use crate::base::{BoxError, Error};

type BoxBody = Pin<Box<dyn http_body::Body<Data = Bytes, Error = Error> + Send>>;

/// A stream of data frames that may end with trailers.
#[derive(Default)]
pub struct Body(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    #[cfg(feature = "proxy")]
    H1Request(super::h1::server::RequestBody),
    Boxed(BoxBody),
    #[cfg(feature = "proxy")]
    H1Response(super::h1::ResponseBody),
    #[cfg(feature = "proxy")]
    H2(super::h2::RecvBody),
}

impl Body {
    /// No data, no trailers.
    pub const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// A request's body from an HTTP/1 connection, unboxed.
    #[cfg(feature = "proxy")]
    pub(crate) const fn from_h1(body: super::h1::server::RequestBody) -> Self {
        Self(Kind::H1Request(body))
    }

    /// Any body. A [`Body`] comes out as it was, unboxed.
    pub fn new<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut body = Some(body);
        if let Some(own) = (&mut body as &mut dyn std::any::Any).downcast_mut::<Option<Self>>() {
            return own.take().unwrap_or_default();
        }
        match body {
            // One that has ended already, as of a GET, needs no box.
            Some(body) if !body.is_end_stream() => Self(Kind::Boxed(Box::pin(MapError(body)))),
            _ => Self::empty(),
        }
    }

    /// A body that fails as ours do: one allocation, where [`Body::new`] needs two.
    pub(crate) fn boxed(body: impl http_body::Body<Data = Bytes, Error = Error> + Send + 'static) -> Self {
        Self(Kind::Boxed(Box::pin(body)))
    }

    /// A message of an HTTP/1.1 connection.
    #[cfg(feature = "proxy")]
    pub(crate) fn h1(body: super::h1::ResponseBody) -> Self {
        Self(Kind::H1Response(body))
    }

    /// A stream of an HTTP/2 connection.
    #[cfg(feature = "proxy")]
    pub(crate) fn h2(body: super::h2::RecvBody) -> Self {
        Self(Kind::H2(body))
    }
}

impl From<Bytes> for Body {
    fn from(data: Bytes) -> Self {
        if data.is_empty() { Self::empty() } else { Self(Kind::Full(data)) }
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(data) => {
                let data = std::mem::take(data);
                self.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
            #[cfg(feature = "proxy")]
            Kind::H1Request(body) => Pin::new(body).poll_frame(cx),
            Kind::Boxed(body) => body.as_mut().poll_frame(cx),
            #[cfg(feature = "proxy")]
            Kind::H1Response(body) => body.poll_frame(cx),
            #[cfg(feature = "proxy")]
            Kind::H2(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(_) => false,
            #[cfg(feature = "proxy")]
            Kind::H1Request(body) => body.is_end_stream(),
            Kind::Boxed(body) => body.is_end_stream(),
            #[cfg(feature = "proxy")]
            Kind::H1Response(body) => body.is_end_stream(),
            #[cfg(feature = "proxy")]
            Kind::H2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(data) => SizeHint::with_exact(data.len() as u64),
            #[cfg(feature = "proxy")]
            Kind::H1Request(body) => body.size_hint(),
            Kind::Boxed(body) => body.size_hint(),
            #[cfg(feature = "proxy")]
            Kind::H1Response(body) => body.size_hint(),
            #[cfg(feature = "proxy")]
            Kind::H2(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body")
    }
}

/// A foreign body whose errors become ours.
#[pin_project]
struct MapError<B>(#[pin] B);

impl<B> http_body::Body for MapError<B>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.project().0.poll_frame(cx).map_err(Error::from_boxed)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
