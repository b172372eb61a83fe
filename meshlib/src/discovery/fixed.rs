//! Endpoints that never change (Envoy's `STATIC`).
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! use std::future::poll_fn;
//! use meshlib::discovery::{Discover, Fixed, Update, config::StaticEndpoint};
//!
//! let mut fixed = Fixed::from([StaticEndpoint::new("127.0.0.1:8081".parse().unwrap())].as_slice());
//! let Some(Update::Endpoints(endpoints)) = poll_fn(|cx| fixed.poll_update(cx)).await else { panic!("endpoints") };
//! assert_eq!(endpoints.len(), 1);
//! # }
//! ```

use std::task::{Context, Poll};

use super::{Discover, Endpoint, Update, config::StaticEndpoint};

/// Reports its endpoints once, and never again.
#[derive(Clone, Debug)]
pub struct Fixed(Option<Vec<Endpoint>>);

impl Fixed {
    /// These endpoints.
    pub fn new(endpoints: Vec<Endpoint>) -> Self {
        Self(Some(endpoints))
    }
}

impl From<&[StaticEndpoint]> for Fixed {
    fn from(endpoints: &[StaticEndpoint]) -> Self {
        let endpoint =
            |fixed: &StaticEndpoint| Endpoint { address: fixed.address, hostname: None, weight: fixed.weight.max(1) };
        Self::new(endpoints.iter().map(endpoint).collect())
    }
}

impl Discover for Fixed {
    fn poll_update(&mut self, _: &mut Context<'_>) -> Poll<Option<Update>> {
        // Never `None`: a listener that hears "no other" may let go of what it has.
        self.0.take().map_or(Poll::Pending, |endpoints| Poll::Ready(Some(Update::Endpoints(endpoints))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_once_and_then_is_pending() {
        let fixed = StaticEndpoint { address: "127.0.0.1:8081".parse().unwrap(), weight: 0 };
        let mut discover = Fixed::from([fixed].as_slice());
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let Poll::Ready(Some(Update::Endpoints(endpoints))) = discover.poll_update(&mut cx) else { panic!("once") };
        assert_eq!((endpoints.len(), endpoints[0].weight), (1, 1));
        assert!(discover.poll_update(&mut cx).is_pending());
        assert!(discover.is_settled());
    }
}
