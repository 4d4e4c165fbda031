//! Reads objects, one in a line of JSON, and prints each as it would be applied: beside `gotypes/`, which
//! does the same with Flux's code.

use std::io::BufRead as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for line in std::io::stdin().lock().lines() {
        let mut object = serde_json::from_str(&line?)?;
        sluice_objects::normalise::normalise(&mut object);
        println!("{object}");
    }
    Ok(())
}
