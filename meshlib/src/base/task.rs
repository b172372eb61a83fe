//! Tasks that end with whoever began them.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::task::{JoinError, JoinHandle};

/// A task that is aborted when this is dropped.
///
/// Our own, because tokio-util would bring three crates with it for these few lines.
#[derive(Debug)]
pub(crate) struct AbortOnDropHandle<T>(JoinHandle<T>);

impl<T> AbortOnDropHandle<T> {
    /// Spawns a task that ends with the handle. Panics outside of a runtime, as [`tokio::spawn`] does.
    pub(crate) fn spawn(task: impl Future<Output = T> + Send + 'static) -> Self
    where
        T: Send + 'static,
    {
        Self(tokio::spawn(task))
    }

    /// Whether the task has ended.
    #[cfg(feature = "testkit")]
    pub(crate) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

/// What the task gives, or why it gives nothing: it panicked.
impl<T> Future for AbortOnDropHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for AbortOnDropHandle<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_task_ends_with_its_handle() {
        let (held, gone) = tokio::sync::oneshot::channel::<()>();
        let task = AbortOnDropHandle::spawn(async move {
            let _held = held;
            std::future::pending::<()>().await
        });
        drop(task);
        gone.await.unwrap_err();
    }
}
