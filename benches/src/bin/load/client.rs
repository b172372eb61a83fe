//! A connection of either protocol, for one request at a time.

use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;

use crate::{
    BoxError,
    call::Call,
    connect::{Io, Target},
    h1,
};

/// How long a connection, or a call, may take before it has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    H1,
    /// HTTP/2.
    H2,
}

impl Protocol {
    /// Its name in a TLS handshake.
    pub(crate) fn alpn(self) -> &'static str {
        match self {
            Self::H1 => "http/1.1",
            Self::H2 => "h2",
        }
    }
}

/// An open connection.
pub(crate) enum Client {
    H1(Box<dyn Io>),
    H2(SendRequest<Bytes>),
}

impl Client {
    pub(crate) async fn connect(target: &Target, protocol: Protocol) -> Result<Self, BoxError> {
        let connect = async {
            Ok(match protocol {
                Protocol::H1 => Self::H1(target.stream().await?.0),
                Protocol::H2 => Self::H2(target.connect().await?.client),
            })
        };
        tokio::time::timeout(PATIENCE, connect).await?
    }

    pub(crate) async fn call(&mut self, call: &Call) -> Result<(), BoxError> {
        let made = async {
            match self {
                Self::H1(stream) => h1::call(stream, call.path()).await,
                Self::H2(client) => Ok(call.make(client.clone()).await?),
            }
        };
        tokio::time::timeout(PATIENCE, made).await?
    }
}
