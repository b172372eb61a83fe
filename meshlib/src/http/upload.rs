//! What becomes of an upload that goes on when the response has begun.

use crate::base::{RequestInfo, info::Upload, task::AbortOnDropHandle};

/// Gives the upload to the request's own server stream, or spawns it: then it ends with the handle.
pub(crate) fn hand_over(upload: Upload, info: Option<&RequestInfo>) -> Option<AbortOnDropHandle<()>> {
    let upload = match info {
        Some(info) => info.offer_upload(upload).err()?,
        None => upload,
    };
    Some(AbortOnDropHandle::new(tokio::spawn(upload)))
}
