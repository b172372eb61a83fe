//! A port that is free the moment its server is dropped.
//!
//! The task that accepts is aborted then, but goes only when its runtime has the next turn. Who starts a server again
//! at once must not find the address in use by what is no more.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use crate::base::resources::{Accepted, Acceptor};

type Shared = Arc<Mutex<Option<Box<dyn Acceptor>>>>;

/// The server's hold on a port. Dropping it closes the port; so does dropping the acceptor.
pub(crate) struct Port(Shared);

impl Port {
    /// Splits an acceptor into what accepts and what closes it.
    pub(crate) fn new(acceptor: Box<dyn Acceptor>) -> (Self, Box<dyn Acceptor>) {
        let shared: Shared = Arc::new(Mutex::new(Some(acceptor)));
        (Self(shared.clone()), Box::new(Accepting(shared)))
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        close(&self.0);
    }
}

/// The lock is taken for each connection that is accepted, and never waited for but in the moment of the drop.
struct Accepting(Shared);

impl Acceptor for Accepting {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        lock(&self.0).as_ref().map_or_else(|| Err(io::ErrorKind::NotConnected.into()), |acceptor| acceptor.local_addr())
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        // Once closed, whoever polls is about to be dropped.
        lock(&self.0).as_mut().map_or(Poll::Pending, |acceptor| acceptor.poll_accept(cx))
    }

    fn shed(&mut self, cx: &mut Context<'_>) -> usize {
        lock(&self.0).as_mut().map_or(0, |acceptor| acceptor.shed(cx))
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        close(&self.0);
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, Option<Box<dyn Acceptor>>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn close(shared: &Shared) {
    let acceptor = lock(shared).take();
    // Outside of the lock: it resets what waits in its queue.
    drop(acceptor);
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::{base::resources::Network, testkit::MemoryNetwork};

    #[tokio::test(start_paused = true)]
    async fn either_half_closes_the_port_and_only_then() {
        let (network, at) = (MemoryNetwork::new(), "10.0.0.1:80".parse().unwrap());
        for first in [true, false] {
            let (port, mut accepting) = Port::new(network.bind(at).unwrap());
            assert_eq!(accepting.local_addr().unwrap(), at);
            network.connect(at).await.unwrap();
            poll_fn(|cx| accepting.poll_accept(cx)).await.unwrap();
            let kept: Box<dyn std::any::Any> = if first {
                drop(accepting);
                Box::new(port)
            } else {
                drop(port);
                assert!(accepting.local_addr().is_err());
                let pending = poll_fn(|cx| Poll::Ready(accepting.poll_accept(cx).is_pending())).await;
                assert!(pending);
                Box::new(())
            };
            network.bind(at).unwrap();
            drop(kept);
        }
    }
}
