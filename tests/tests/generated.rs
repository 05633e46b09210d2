//! The gRPC code in the tree is what its `.proto` files say. `UPDATE_GENERATED=1 cargo test -p sentinal-tests --test generated`
//! writes it anew; no `protoc` is needed.

use std::{fs, path::Path};

struct Schema {
    proto: &'static str,
    folder: &'static str,
    file: &'static str,
}

const SCHEMAS: [Schema; 2] = [
    Schema { proto: "agent.proto", folder: "crates/agent-protocol", file: "sentinal.agent.v1.rs" },
    Schema { proto: "node.proto", folder: "crates/node-protocol", file: "sentinal.node.v1.rs" },
];

/// What bulk data is carried in: a piece of what was received, not a copy of it.
const BULK: [&str; 4] = [
    ".sentinal.agent.v1.ReadFileResponse.data",
    ".sentinal.agent.v1.WriteFileRequest.data",
    ".sentinal.agent.v1.StdinRequest.data",
    ".sentinal.agent.v1.ConnectResponse.data",
];

#[test]
fn the_generated_code_is_what_the_schemas_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for schema in SCHEMAS {
        let folder = root.join(schema.folder);
        let descriptors = protox::compile([schema.proto], [folder.join("proto")]).unwrap();
        let out = tempfile::tempdir().unwrap();
        let generator = BULK.iter().fold(tonic_prost_build::configure(), tonic_prost_build::Builder::bytes);
        generator.out_dir(out.path()).compile_fds(descriptors).unwrap();
        let fresh = fs::read_to_string(out.path().join(schema.file)).unwrap();
        let checked_in = folder.join("src/generated").join(schema.file);
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            fs::write(&checked_in, &fresh).unwrap();
        }
        assert_eq!(fs::read_to_string(&checked_in).unwrap_or_default(), fresh, "{} is stale", checked_in.display());
    }
}
