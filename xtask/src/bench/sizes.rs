//! How large the binaries are.

/// The binaries, and what Flux's image needs for the same (MB), if there is one.
const BINARIES: [(&str, Option<u32>); 3] = [
    ("source-controller", Some(140)),
    ("kustomize-controller", Some(120)),
    ("sluice", None),
];

/// Prints the size of each.
///
/// # Errors
/// A binary is not there.
pub fn run() -> anyhow::Result<()> {
    println!("| binary | MB | Flux |\n|---|---|---|");
    for (name, flux) in BINARIES {
        let bytes = std::fs::metadata(super::binary(name)?)?.len();
        let flux = flux.map_or_else(|| "-".to_owned(), |flux| flux.to_string());
        println!("| {name} | {:.1} | {flux} |", bytes as f64 / 1e6);
    }
    Ok(())
}
