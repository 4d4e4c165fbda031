//! Stop after any effect, start again, converge, lose nothing.

// Helpers of tests may panic.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{Fake, config_map, key, kustomization};
use proptest::prelude::*;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(600);

/// What somebody does between two runs of the controller.
#[derive(Debug, Clone)]
enum Act {
    /// A commit with these objects; the letter is the name, the digit the content.
    Commit(Vec<(char, u8)>),
    Edit(char),
    Delete(char),
}

fn act() -> impl Strategy<Value = Act> {
    let name = prop::sample::select(vec!['a', 'b', 'c', 'd']);
    let objects = prop::collection::btree_map(name.clone(), 0_u8..3, 0..4);
    prop_oneof![
        3 => objects.prop_map(|objects| Act::Commit(objects.into_iter().collect())),
        1 => name.clone().prop_map(Act::Edit),
        1 => name.prop_map(Act::Delete),
    ]
}

/// Two kinds, so that stages and ranks play a part.
fn object(name: char, content: u8) -> Value {
    match name {
        'd' => {
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "d", "labels": {"v": content.to_string()}}})
        }
        name => config_map(&name.to_string(), &content.to_string()),
    }
}

fn subject(name: char) -> String {
    if name == 'd' {
        "Namespace/d".to_owned()
    } else {
        format!("ConfigMap/apps/{name}")
    }
}

async fn play(acts: Vec<(Act, usize)>) -> Result<(), TestCaseError> {
    let fake = Fake::default();
    fake.state().ks = Some(kustomization(json!({"wait": true})));
    let mut wanted = Vec::new();
    let mut revision = 0;
    for (act, crash) in acts {
        match act {
            Act::Commit(objects) => {
                revision += 1;
                fake.publish(
                    &format!("r{revision}"),
                    objects.iter().map(|(n, c)| object(*n, *c)).collect(),
                );
                wanted = objects;
            }
            Act::Edit(name) => {
                fake.edit(&subject(name), |live| live["data"]["k"] = json!("edited"))
            }
            Act::Delete(name) => fake.remove(&subject(name)),
        }
        // One life of the controller, which may end early.
        {
            let mut state = fake.state();
            state.effects = 0;
            state.crash_after = (crash > 0).then_some(crash);
        }
        let reconciler = fake.reconciler(&[]);
        reconciler.registry.trigger(&key(), "test");
        fake.settle(&reconciler, PATIENCE).await;
    }
    // The last life goes on undisturbed, and past the time that a retry may take.
    fake.state().crash_after = None;
    let reconciler = fake.reconciler(&[]);
    fake.settle(&reconciler, PATIENCE).await;
    let state = fake.state();
    prop_assert_eq!(&state.violations, &Vec::<String>::new());
    let mut expected: Vec<_> = wanted.iter().map(|(name, _)| subject(*name)).collect();
    expected.sort();
    let live: Vec<_> = state.live.keys().cloned().collect();
    prop_assert_eq!(&live, &expected);
    for (name, content) in &wanted {
        let live = &state.live[&subject(*name)];
        let wanted = object(*name, *content);
        prop_assert_eq!(live.get("data"), wanted.get("data"));
        if *name == 'd' {
            prop_assert_eq!(
                &live["metadata"]["labels"]["v"],
                &wanted["metadata"]["labels"]["v"]
            );
        }
    }
    drop(state);
    let mut inventory = fake.inventory();
    inventory.sort();
    let mut ids: Vec<_> = wanted
        .iter()
        .map(|(n, _)| {
            if *n == 'd' {
                "_d__Namespace".into()
            } else {
                format!("apps_{n}__ConfigMap")
            }
        })
        .collect();
    ids.sort();
    prop_assert_eq!(inventory, ids);
    if revision > 0 {
        prop_assert_eq!(
            fake.ready(),
            format!("True ReconciliationSucceeded: Applied revision: r{revision}")
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn a_controller_that_stops_anywhere_converges_and_loses_nothing(acts in prop::collection::vec((act(), 0_usize..14), 1..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(play(acts))?;
    }
}
