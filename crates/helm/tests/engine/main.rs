//! The engine beside outcomes of the real Helm, and under attack.

#[path = "../cases/mod.rs"]
mod cases;
mod goldens;
mod hostile;
