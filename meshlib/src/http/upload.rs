//! What becomes of an upload that goes on when the response has begun.

use std::task::{Context, Poll};

use crate::base::{RequestInfo, info::Upload, task::AbortOnDropHandle};

/// Who goes on with the upload. It is kept beside the response's body, and ends with it.
pub(crate) enum UploadPump {
    /// The request's own server stream once it has a response to send. Until then it is whoever reads this response: an
    /// application that reads it to the end before it answers would wait for the host, and the host for the upload.
    Offered(RequestInfo),
    Task {
        _ends_with_this: AbortOnDropHandle<()>,
    },
}

impl UploadPump {
    /// Gives the upload to the request's own server stream, or spawns it.
    pub(crate) fn hand_over(upload: Upload, info: Option<&RequestInfo>) -> Self {
        let upload = match info {
            Some(info) => match info.offer_upload(upload) {
                Ok(()) => return Self::Offered(info.clone()),
                Err(upload) => upload,
            },
            None => upload,
        };
        Self::Task { _ends_with_this: AbortOnDropHandle::new(tokio::spawn(upload)) }
    }

    /// For whoever waits for more of the response: ready when the upload needs nobody here any more.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Offered(info) => info.poll_upload(cx),
            Self::Task { .. } => Poll::Pending,
        }
    }
}
