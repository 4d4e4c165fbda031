//! The main job from end to end, as `sluice up` does it.

use sluice_tests::{Host, fleet};

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_is_rolled_out_repaired_upgraded_pruned_and_deleted() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    fleet::play(&Host::Up, folder.path()).await
}
