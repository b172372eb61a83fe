//! Response flags: why a request ended as it did, in the letters of Envoy's access log.
//!
//! ```
//! use meshlib::base::ResponseFlags;
//!
//! let flags = ResponseFlags::NO_HEALTHY_UPSTREAM | ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION;
//! assert_eq!(flags.to_string(), "UH,DC");
//! assert_eq!(ResponseFlags::empty().to_string(), "-");
//! ```

use std::{
    fmt,
    ops::{BitOr, BitOrAssign},
};

/// A set of response flags (Envoy's `%RESPONSE_FLAGS%`).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ResponseFlags(u32);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $short:literal;)*) => {
        impl ResponseFlags {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*

            /// Every flag with its letters, in the order in which they are printed.
            const NAMES: &'static [(Self, &'static str)] = &[$((Self::$name, $short)),*];
        }
    };
}

flags! {
    /// `LH`: the local service failed its health check.
    FAILED_LOCAL_HEALTH_CHECK = 0, "LH";
    /// `UH`: no healthy host in the cluster.
    NO_HEALTHY_UPSTREAM = 1, "UH";
    /// `UT`: the route's timeout ended the request.
    UPSTREAM_REQUEST_TIMEOUT = 2, "UT";
    /// `LR`: this side reset the upstream stream.
    LOCAL_RESET = 3, "LR";
    /// `UR`: the upstream reset the stream.
    UPSTREAM_REMOTE_RESET = 4, "UR";
    /// `UF`: no connection to the upstream could be made.
    UPSTREAM_CONNECTION_FAILURE = 5, "UF";
    /// `UC`: the upstream closed the connection.
    UPSTREAM_CONNECTION_TERMINATION = 6, "UC";
    /// `UO`: a circuit breaker was open.
    UPSTREAM_OVERFLOW = 7, "UO";
    /// `NR`: no route matched.
    NO_ROUTE_FOUND = 8, "NR";
    /// `DC`: the client went away.
    DOWNSTREAM_CONNECTION_TERMINATION = 9, "DC";
    /// `URX`: the retry limit was reached.
    UPSTREAM_RETRY_LIMIT_EXCEEDED = 10, "URX";
    /// `SI`: the stream was idle too long.
    STREAM_IDLE_TIMEOUT = 11, "SI";
    /// `DPE`: the client broke the protocol.
    DOWNSTREAM_PROTOCOL_ERROR = 12, "DPE";
    /// `UPE`: the upstream broke the protocol.
    UPSTREAM_PROTOCOL_ERROR = 13, "UPE";
    /// `NC`: the route names a cluster that does not exist.
    NO_CLUSTER_FOUND = 14, "NC";
    /// `OM`: the overload manager refused the request.
    OVERLOAD_MANAGER = 15, "OM";
}

impl ResponseFlags {
    /// No flag.
    pub const fn empty() -> Self {
        Self(0)
    }

    /// Whether no flag is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether every flag of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for ResponseFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for ResponseFlags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Display for ResponseFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("-");
        }
        let mut separator = "";
        for (flag, name) in Self::NAMES {
            if self.contains(*flag) {
                write!(f, "{separator}{name}")?;
                separator = ",";
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ResponseFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResponseFlags({self})")
    }
}
