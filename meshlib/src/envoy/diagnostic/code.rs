//! What can be wrong with a file, numbered.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// What a diagnostic is about. The numbers stay; a test or an editor may rely on them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// The number as it is printed, `E012` for example.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $number,)*
                }
            }
        }
    };
}

codes! {
    /// The text is not YAML (nor JSON).
    Syntax = "E001",
    /// A mapping has one key twice.
    DuplicateKey = "E002",
    /// The file is too large, too deep, or has too many nodes once its aliases are expanded.
    Limit = "E003",
    /// The file is not UTF-8.
    Encoding = "E004",
    /// The file is empty, or holds more than one document.
    Document = "E005",
    /// The file cannot be read.
    File = "E006",
    /// A value has the wrong type.
    Type = "E010",
    /// A field that must be there is not.
    MissingField = "E011",
    /// The message has no such field.
    UnknownField = "E012",
    /// Envoy knows this; this version of meshlib does not support it.
    Unsupported = "E013",
    /// Two fields exclude each other.
    Conflict = "E014",
    /// The enum has no such value.
    UnknownValue = "E015",
    /// Not a duration as protobuf's JSON writes it.
    Duration = "E016",
    /// The value is of the right type, but cannot be.
    InvalidValue = "E017",
    /// No extension has this name or this type.
    UnknownExtension = "E020",
    /// An extension's name and the type of its configuration contradict each other.
    NameTypeMismatch = "E021",
    /// The filters are in no order that works: the router must be there, once, and last.
    FilterOrder = "E022",
    /// A route names a cluster that is not there.
    UnknownCluster = "E030",
    /// Two clusters have one name.
    DuplicateCluster = "E031",
    /// An address must be an IP address, and is a name.
    NotAnIpAddress = "E032",
    /// A gRPC health check needs HTTP/2, and the cluster speaks HTTP/1.
    Http2Needed = "E033",
    /// Two listeners have one address or one name.
    DuplicateListener = "E034",
    /// Not the name of a header.
    HeaderName = "E035",
    /// A domain is not one, or stands in two virtual hosts.
    Domain = "E036",
    /// An outdated spelling; it works.
    Deprecated = "W001",
    /// It works, but probably not as meant.
    Suspicious = "W002",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
