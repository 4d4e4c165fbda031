//! A controller as a process of its own, for scenarios that kill it: `sluice-tests NAME FLAGS`.
//!
//! Tests of this package cannot know where the controllers' own binaries are; this program does what
//! they do.

fn main() -> std::process::ExitCode {
    sluice_tests::program::run()
}
