//! The settings of connections: windows, limits, times. Plain values.
//!
//! ```
//! use std::time::Duration;
//! use meshlib::http::options::{CodecType, ServerOptions};
//!
//! let mut options = ServerOptions::default();
//! options.codec = CodecType::Http2;
//! options.idle_timeout = Duration::from_secs(60);
//! assert_eq!(options.http2.max_concurrent_streams, 1024);
//! ```

use std::{sync::Arc, time::Duration};

use crate::base::resources::Random;

/// HTTP/2 settings of one side (Envoy's `Http2ProtocolOptions`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Http2Options {
    /// Bytes that one stream may have in flight towards us. Default 256 KiB (`initial_stream_window_size`).
    pub initial_stream_window_size: u32,
    /// Bytes that one connection may have in flight towards us (`initial_connection_window_size`). Default 4 MiB
    /// downstream, 16 MiB upstream.
    pub initial_connection_window_size: u32,
    /// Streams that the peer may open at once, or that we open at once upstream. Default 1024.
    pub max_concurrent_streams: u32,
}

impl Http2Options {
    /// The defaults of connections from clients.
    pub const fn downstream() -> Self {
        Self {
            initial_stream_window_size: 256 << 10,
            initial_connection_window_size: 4 << 20,
            max_concurrent_streams: 1024,
        }
    }

    /// The defaults of connections to hosts.
    pub const fn upstream() -> Self {
        Self { initial_connection_window_size: 16 << 20, ..Self::downstream() }
    }
}

/// Limits and times of a downstream connection.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServerOptions {
    /// HTTP/2 settings.
    pub http2: Http2Options,
    /// Which codec serves the connection. Default [`CodecType::Auto`].
    pub codec: CodecType,
    /// The largest request head, in bytes; beyond it 431. Default 60 KiB (`max_request_headers_kb`).
    pub max_request_headers_bytes: u32,
    /// The most request header fields, cookie crumbs counted; beyond it 431. Default 100 (`max_headers_count`).
    pub max_request_headers_count: usize,
    /// From accepting to the first byte, then to a complete HTTP/2 preface; also the request headers' own time on
    /// HTTP/1 (408), and on HTTP/2 that of a header block that has begun. Default 10 s (`request_headers_timeout`);
    /// zero disables, and leaves silent clients to [`Self::idle_timeout`].
    pub request_headers_timeout: Duration,
    /// How long a stream may stand still. Default 5 min (`stream_idle_timeout`); zero disables.
    pub stream_idle_timeout: Duration,
    /// How long a connection may be without a stream. Default 1 h (`idle_timeout`); zero disables.
    pub idle_timeout: Duration,
    /// How long a connection is used; then it is told to go, as by a drain (`max_connection_duration`). Default zero:
    /// without end.
    pub max_connection_duration: Duration,
    /// Per cent of [`Self::max_connection_duration`]: up to so much is added, by chance, to that of each connection, so
    /// that not all come back at once (`max_connection_duration_jitter`). Default 0. Applied by
    /// [`Self::for_connection`].
    pub max_connection_duration_jitter: f64,
    /// How long the streams of a connection that was told to go for its age may still take; then they are reset (gRPC's
    /// `MAX_CONNECTION_AGE_GRACE`; Envoy has no such limit). Default zero: as long as they want.
    pub max_connection_duration_grace: Duration,
    /// How long an HTTP/2 connection that is told to go may be without a stream before the last GOAWAY, at most: the
    /// client's answer to the PING between the two GOAWAYs ends the wait (`drain_timeout`). Default 5 s.
    pub drain_timeout: Duration,
}

impl ServerOptions {
    /// How long a client may take until it is clear what it wants. Where that has no limit it is idle meanwhile.
    #[cfg(feature = "proxy")]
    pub(super) fn first_timeout(&self) -> Option<Duration> {
        [self.request_headers_timeout, self.idle_timeout].into_iter().find(|timeout| !timeout.is_zero())
    }

    /// The options of one connection: those of all, with the jitter drawn and added.
    #[must_use]
    pub fn for_connection(self: &Arc<Self>, random: &Random) -> Arc<Self> {
        let life = self.max_connection_duration;
        if life.is_zero() || self.max_connection_duration_jitter <= 0.0 {
            return self.clone();
        }
        let factor = 1.0 + random.fork().f64() * self.max_connection_duration_jitter / 100.0;
        let drawn = Duration::try_from_secs_f64(life.as_secs_f64() * factor);
        let (max_connection_duration, max_connection_duration_jitter) = (drawn.unwrap_or(life), 0.0);
        Arc::new(Self { max_connection_duration, max_connection_duration_jitter, ..Self::clone(self) })
    }
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            http2: Http2Options::downstream(),
            codec: CodecType::Auto,
            max_request_headers_bytes: 60 << 10,
            max_request_headers_count: 100,
            request_headers_timeout: Duration::from_secs(10),
            stream_idle_timeout: Duration::from_secs(300),
            idle_timeout: Duration::from_secs(3600),
            max_connection_duration: Duration::ZERO,
            max_connection_duration_jitter: 0.0,
            max_connection_duration_grace: Duration::ZERO,
            drain_timeout: Duration::from_secs(5),
        }
    }
}

/// Which codec serves a connection (`codec_type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecType {
    /// By ALPN, otherwise by the connection's first bytes.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
}
