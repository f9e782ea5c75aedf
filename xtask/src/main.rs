//! Set-up, demo, tests and benchmarks of the whole project.
mod schema;
fn main() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let out = std::env::args().nth(2).map_or(root.join("schema/src/generated"), Into::into);
    schema::generate(root, &out).unwrap();
}
