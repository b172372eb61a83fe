//! What the examples and the integration tests of meshlib share: a gRPC application to proxy, a client to call it,
//! a name server and a certificate to reach it by. Every part runs in-process, on a port that the system chooses.
//!
//! ```
//! use meshlib_examples::client::EchoClient;
//! use meshlib_examples::echo::EchoServer;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = EchoServer::start("127.0.0.1:0".parse()?, "pod-1").await?;
//! let client = EchoClient::connect(&format!("http://{}", server.address())).await?;
//! let reply = client.echo("hello").await?;
//! assert_eq!(reply.content, "hello");
//! assert_eq!(reply.hostname(), Some("pod-1"));
//! # Ok(())
//! # }
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`echo`] | the echo application: server, health service, reflection |
//! | [`client`] | a client for it, over plaintext or TLS |
//! | [`dns`] | an authoritative name server whose answers can be changed |
//! | [`certificate`] | a self-signed certificate in PEM files |
//! | [`mesh`] | all of the reference deployment on loopback, each proxy from an Envoy file |
//! | [`pods`] | echo applications and a name server that knows them, for examples without a proxy |
//! | [`demo`] | what the programs share: arguments, signals, printing, loopback addresses |
//! | [`proto`] | the messages, clients and servers that are generated from `proto/` |

pub mod certificate;
pub mod client;
pub mod demo;
pub mod dns;
pub mod echo;
pub mod mesh;
pub mod pods;

/// The messages, clients and servers of the package `api`, generated from `proto/echo.proto` and `proto/stream.proto`.
#[expect(clippy::too_many_lines, reason = "generated code")]
pub mod proto {
    tonic::include_proto!("api");

    /// Both files, as a serialized `FileDescriptorSet`, for server reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("api_descriptor");
}

/// The code in README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
