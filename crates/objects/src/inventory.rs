//! The list of managed objects in a status, kept so that no crash loses one.
//!
//! Before an apply the status gets the [`union`] of what was managed and what is going to be; after
//! it, what really was applied plus what could not be deleted yet. So at every moment each object
//! that was ever applied and not confirmed gone is in the stored list. (Flux writes the list after
//! the apply only, and forgets objects of a failed one.)

use std::collections::HashSet;

use sluice_api::inventory::{ObjectId, ObjectIdError, ResourceRef};

use crate::stage;

/// One object that is managed no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    /// The object.
    pub id: ObjectId,
    /// API version of its kind when it was last applied.
    pub version: String,
}

/// `new` in its order, then what only `old` holds, in its order. Versions do not count.
pub fn union(old: &[ResourceRef], new: &[ResourceRef]) -> Vec<ResourceRef> {
    let mut seen = HashSet::new();
    new.iter()
        .chain(old)
        .filter(|entry| seen.insert(entry.id.as_str()))
        .cloned()
        .collect()
}

/// The entries of `old` that `new` does not hold, in the order of deletion: reverse to the apply.
///
/// # Errors
/// An id that cannot be read.
pub fn stale(old: &[ResourceRef], new: &[ResourceRef]) -> Result<Vec<Stale>, ObjectIdError> {
    let kept: HashSet<_> = new.iter().map(|entry| entry.id.as_str()).collect();
    let mut stale = old
        .iter()
        .filter(|entry| !kept.contains(entry.id.as_str()))
        .map(|entry| {
            Ok(Stale {
                id: entry.object_id()?,
                version: entry.version.clone(),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    stale.sort_by(|a, b| stage::order(&b.id, &a.id));
    Ok(stale)
}

/// The entry of an object.
pub fn entry(id: &ObjectId, version: &str) -> ResourceRef {
    ResourceRef::new(id, version)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries(ids: &[&str]) -> Vec<ResourceRef> {
        ids.iter()
            .map(|id| ResourceRef {
                id: (*id).to_owned(),
                version: "v1".to_owned(),
            })
            .collect()
    }

    #[test]
    fn deletion_goes_backwards() {
        let old = entries(&[
            "_apps__Namespace",
            "apps_a__ConfigMap",
            "apps_b__ConfigMap",
            "apps_d_apps_Deployment",
            "apps_w_example.com_Widget",
            "_v_admissionregistration.k8s.io_ValidatingWebhookConfiguration",
        ]);
        let stale = stale(&old, &entries(&["apps_a__ConfigMap"])).unwrap();
        let subjects: Vec<_> = stale.iter().map(|s| crate::subject(&s.id)).collect();
        assert_eq!(
            subjects,
            [
                "ValidatingWebhookConfiguration/v",
                "Widget/apps/w",
                "Deployment/apps/d",
                "ConfigMap/apps/b",
                "Namespace/apps"
            ]
        );
    }

    #[test]
    fn a_new_version_is_the_same_object_and_replaces_the_entry() {
        let old = entries(&["a_b_autoscaling_HorizontalPodAutoscaler"]);
        let mut new = old.clone();
        new[0].version = "v2".to_owned();
        assert_eq!(stale(&old, &new), Ok(vec![]));
        assert_eq!(union(&old, &new), new);
    }

    #[test]
    fn an_unreadable_entry_is_an_error_only_when_stale() {
        let odd = entries(&["odd"]);
        assert!(stale(&odd, &[]).is_err());
        assert_eq!(stale(&odd, &odd), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn a_union_loses_nothing_and_repeats_nothing(old in "[a-e]{0,5}", new in "[a-e]{0,5}") {
            let list = |text: &str| -> Vec<ResourceRef> {
                text.chars().map(|c| ResourceRef { id: format!("_{c}__X"), version: "v1".into() }).collect()
            };
            let (old, new) = (list(&old), list(&new));
            let union = union(&old, &new);
            let ids: HashSet<_> = union.iter().map(|e| &e.id).collect();
            prop_assert_eq!(ids.len(), union.len());
            prop_assert!(old.iter().chain(&new).all(|e| ids.contains(&e.id)));
            // What is stale and what is kept make up the old list.
            let stale = stale(&old, &new).unwrap();
            for entry in &old {
                let gone = stale.iter().any(|s| s.id.to_string() == entry.id);
                prop_assert_eq!(gone, !new.iter().any(|n| n.id == entry.id));
            }
        }
    }
}
