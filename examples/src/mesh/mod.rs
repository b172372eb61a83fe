//! The reference deployment on loopback: pods of an application and its sidecar, a name server, an edge with TLS.
//!
//! Every proxy runs an Envoy file, in this process. Pods have addresses of their own (127.x.y.z) and one port, as in
//! Kubernetes; the name server says which of them there are.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! use meshlib_examples::{client::EchoClient, mesh::{Deployment, Options}};
//!
//! let deployment = Deployment::start(Options::default()).await?;
//! let reply = EchoClient::connect(&deployment.url()).await?.echo("hello").await?;
//! assert!(reply.hostname().is_some_and(|pod| pod.starts_with("pod-")));
//! # Ok(())
//! # }
//! ```

mod deployment;
mod files;
mod pod;

pub use self::{
    deployment::{Deployment, Options},
    pod::Pod,
};

/// The name under which the pods are found.
pub const SERVICE: &str = "echo-grpc.envoy.svc.cluster.local";
/// Any error of a start.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;
