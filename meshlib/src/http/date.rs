//! The `date` of responses, rendered once a second.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use http::{
    HeaderMap, HeaderValue,
    header::{DATE, Entry},
};

use crate::base::resources::WallClock;

/// A date that several share.
pub(crate) struct Date {
    clock: Arc<dyn WallClock>,
    /// The second since 1970, and its date.
    rendered: Mutex<(u64, HeaderValue)>,
}

impl Date {
    /// A date of this clock.
    pub(crate) fn new(clock: Arc<dyn WallClock>) -> Arc<Self> {
        Arc::new(Self { clock, rendered: Mutex::new((u64::MAX, HeaderValue::from_static(""))) })
    }

    /// Sets `date` where there is none.
    pub(crate) fn complete(&self, headers: &mut HeaderMap) {
        if let Entry::Vacant(entry) = headers.entry(DATE) {
            entry.insert(self.now());
        }
    }

    /// Costs a look at the clock, no system call on Linux, and a count on the shared bytes; the lock is contended only
    /// where several threads share one layer.
    fn now(&self) -> HeaderValue {
        let now = self.clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // httpdate ends with the year 9999.
        let second = now.min(Duration::from_secs(253_402_300_799)).as_secs();
        let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        if rendered.0 != second {
            let text = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(second));
            if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(text)) {
                *rendered = (second, value);
            }
        }
        rendered.1.clone()
    }
}
