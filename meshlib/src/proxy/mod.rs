//! Floor 6: the assembly. Listeners for the binary, [`Mesh`](mesh::Mesh) for in-process use.

pub mod admin;
pub mod config;
