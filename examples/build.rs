//! Compiles `proto/` into Rust and into a descriptor set for server reflection. No `protoc` is needed.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

const FILES: [&str; 2] = ["echo.proto", "stream.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true).open_files(FILES)?;
    let output = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    fs::write(output.join("api_descriptor.bin"), compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure().build_transport(true).compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
