//! Generates the messages and services from the `.proto` files.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    tonic_prost_build::configure()
        .compile_protos(&["proto/ze/v1/dataplane.proto"], &["proto"])
        .map_err(|e| format!("protoc failed ({e}); on Debian: apt install protobuf-compiler").into())
}
