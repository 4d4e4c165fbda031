//! The main job with the two controllers as processes that share nothing but the API and the artifact
//! download: each has a folder, a temporary folder and a home of its own.

use sluice_tests::{Host, Programs, fleet};

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_runs_on_two_processes_that_share_nothing_but_the_api() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let programs = Programs::choose(env!("CARGO_BIN_EXE_sluice-tests"));
    fleet::play(&Host::Processes(programs), folder.path()).await
}
