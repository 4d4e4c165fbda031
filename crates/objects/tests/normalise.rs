//! What is sent is what Flux sends: `normalise/flux.jsonl` was made of `normalise/in.jsonl` by Flux's own
//! code, with the command in `gotypes/main.go`.

use serde_json::Value;
use sluice_objects::normalise::normalise;

const IN: &str = include_str!("normalise/in.jsonl");
const FLUX: &str = include_str!("normalise/flux.jsonl");

fn read(line: &str) -> Value {
    let mut object: Value = serde_json::from_str(line).expect("JSON");
    // Flux sends a null that the API server drops.
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("creationTimestamp");
    }
    object
}

#[test]
fn objects_are_sent_as_flux_sends_them() {
    assert_eq!(IN.lines().count(), FLUX.lines().count());
    for (line, flux) in IN.lines().zip(FLUX.lines()) {
        let mut object = read(line);
        normalise(&mut object);
        assert_eq!(object, read(flux), "{line}");
    }
}
