//! PersistentVolumeClaims: bound at once to a volume made for them.

use serde_json::{Value, json};

use super::workload::Context;
use super::{Next, Outcome};
use crate::objects::meta;
use crate::status::Result;
use crate::store::{Object, key};
use crate::verbs::delete::DeleteOptions;

const CLAIMS: &str = "persistentvolumeclaims";
const VOLUMES: &str = "persistentvolumes";
const CLASSES: &str = "storageclasses.storage.k8s.io";
const CLAIM_FINALIZER: &str = "kubernetes.io/pvc-protection";
const VOLUME_FINALIZER: &str = "kubernetes.io/pv-protection";

/// The provisioner of the default StorageClass.
pub(super) const PROVISIONER: &str = "sluice.dev/simulated";

fn drop_finalizer(cx: &Context<'_>, table: &str, object: &Object, name: &str) -> Result<()> {
    let result = cx.actor.update(
        table,
        object.namespace(),
        object.name(),
        "",
        &|value: &mut Value| {
            let kept: Vec<String> = meta::finalizers(value)
                .into_iter()
                .filter(|known| *known != name)
                .map(str::to_owned)
                .collect();
            meta::set_finalizers(value, &kept);
            Ok(())
        },
    );
    match result {
        Err(status) if status.code != 404 => Err(status),
        _ => Ok(()),
    }
}

/// Looks at one claim.
pub(super) fn reconcile_claim(cx: &Context<'_>, claim_key: &str) -> Outcome {
    let Some(object) = cx.app.store.table(CLAIMS).get(claim_key) else {
        return Ok(Next::Done);
    };
    let claim = object.value();
    let name = object.name();
    if object.deleting {
        let prefix = format!("{}/", object.namespace().unwrap_or_default());
        let pods = cx
            .app
            .store
            .table("pods")
            .list(&prefix, None, None)
            .map(|all| all.objects)
            .unwrap_or_default();
        let used = pods.iter().any(|pod| {
            let value = pod.value();
            let mut volumes = value["spec"]["volumes"].as_array().into_iter().flatten();
            volumes.any(|volume| volume["persistentVolumeClaim"]["claimName"] == name)
        });
        if !used && meta::finalizers(&claim).contains(&CLAIM_FINALIZER) {
            drop_finalizer(cx, CLAIMS, &object, CLAIM_FINALIZER)?;
        }
        return Ok(Next::Done);
    }
    if claim["status"]["phase"] == "Bound" {
        return Ok(Next::Done);
    }
    let class_name = claim["spec"]["storageClassName"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let Some(volume) = volume_for(cx, &object, &claim, &class_name)? else {
        if !class_name.is_empty() && cx.app.store.table(CLASSES).get(&class_name).is_none() {
            let message = format!("storageclass.storage.k8s.io {class_name:?} not found");
            let component = "persistentvolume-controller";
            cx.event(&claim, component, "Warning", "ProvisioningFailed", &message);
        }
        return Ok(Next::Done);
    };
    cx.actor.update(
        CLAIMS,
        object.namespace(),
        name,
        "",
        &|claim: &mut Value| {
            claim["spec"]["volumeName"] = volume.0.as_str().into();
            let annotations = &mut claim["metadata"]["annotations"];
            annotations["pv.kubernetes.io/bind-completed"] = "yes".into();
            annotations["pv.kubernetes.io/bound-by-controller"] = "yes".into();
            if volume.2 {
                annotations["volume.kubernetes.io/storage-provisioner"] = PROVISIONER.into();
            }
            Ok(())
        },
    )?;
    cx.actor.update(
        CLAIMS,
        object.namespace(),
        name,
        "status",
        &|claim: &mut Value| {
            claim["status"] = json!({
                "phase": "Bound", "accessModes": claim["spec"]["accessModes"], "capacity": volume.1,
            });
            Ok(())
        },
    )?;
    Ok(Next::Done)
}

/// The volume for a claim, its capacity, and whether it was made for it: one that waits for this claim, or a new one.
fn volume_for(
    cx: &Context<'_>,
    object: &Object,
    claim: &Value,
    class_name: &str,
) -> Result<Option<(String, Value, bool)>> {
    let wanted = claim["spec"]["volumeName"]
        .as_str()
        .filter(|name| !name.is_empty());
    let reference = json!({
        "kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": object.namespace(), "name": object.name(),
        "uid": &*object.uid, "resourceVersion": object.version.to_string(),
    });
    for volume in cx.app.store.table(VOLUMES).all() {
        let value = volume.value();
        let spec = &value["spec"];
        let claimed = &spec["claimRef"];
        let mine =
            claimed["name"] == object.name() && claimed["namespace"].as_str() == object.namespace();
        let free = claimed.is_null()
            && wanted.is_none_or(|wanted| wanted == volume.name())
            && spec["storageClassName"].as_str().unwrap_or_default() == class_name
            && value["status"]["phase"] != "Released";
        if (wanted == Some(volume.name()) || wanted.is_none()) && (mine || free) && !volume.deleting
        {
            cx.actor
                .update(VOLUMES, None, volume.name(), "", &|value: &mut Value| {
                    value["spec"]["claimRef"] = reference.clone();
                    Ok(())
                })?;
            return Ok(Some((
                volume.name().to_owned(),
                spec["capacity"].clone(),
                false,
            )));
        }
    }
    let Some(class) = cx
        .app
        .store
        .table(CLASSES)
        .get(class_name)
        .filter(|_| wanted.is_none())
    else {
        return Ok(None);
    };
    let class = class.value();
    let name = format!("pvc-{}", object.uid);
    let capacity = json!({"storage": claim["spec"]["resources"]["requests"]["storage"]});
    let policy = class["reclaimPolicy"].as_str().unwrap_or("Delete");
    let volume = json!({
        "metadata": {
            "name": name, "finalizers": [VOLUME_FINALIZER],
            "annotations": {"pv.kubernetes.io/provisioned-by": class["provisioner"]},
        },
        "spec": {
            "capacity": capacity, "accessModes": claim["spec"]["accessModes"], "claimRef": reference,
            "persistentVolumeReclaimPolicy": policy, "storageClassName": class_name,
            "volumeMode": claim["spec"]["volumeMode"].as_str().unwrap_or("Filesystem"),
            "hostPath": {"path": format!("/simulated/{name}"), "type": ""},
        },
    });
    match cx.actor.create(VOLUMES, None, volume) {
        Err(status) if status.reason != "AlreadyExists" => return Err(status),
        _ => {}
    }
    Ok(Some((name, capacity, true)))
}

/// Looks at one volume.
pub(super) fn reconcile_volume(cx: &Context<'_>, name: &str) -> Outcome {
    let Some(object) = cx.app.store.table(VOLUMES).get(name) else {
        return Ok(Next::Done);
    };
    let volume = object.value();
    let reference = &volume["spec"]["claimRef"];
    let claim = reference["name"].as_str().and_then(|claim| {
        let found = cx
            .app
            .store
            .table(CLAIMS)
            .get(&key(reference["namespace"].as_str(), claim))?;
        reference["uid"]
            .as_str()
            .is_none_or(|uid| *uid == *found.uid)
            .then_some(found)
    });
    if object.deleting {
        if claim.is_none() && meta::finalizers(&volume).contains(&VOLUME_FINALIZER) {
            drop_finalizer(cx, VOLUMES, &object, VOLUME_FINALIZER)?;
        }
        return Ok(Next::Done);
    }
    let phase = match (&claim, reference["name"].is_string()) {
        (Some(_), _) => "Bound",
        (None, true) => "Released",
        (None, false) => "Available",
    };
    if phase == "Released" && volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete" {
        let resource = cx.actor.resource(VOLUMES)?;
        cx.actor
            .delete(resource, &object, &DeleteOptions::default())?;
        return Ok(Next::Done);
    }
    if volume["status"]["phase"] != phase {
        cx.actor
            .update(VOLUMES, None, name, "status", &|volume: &mut Value| {
                volume["status"]["phase"] = phase.into();
                volume["status"]["lastPhaseTransitionTime"] = cx.now.as_str().into();
                Ok(())
            })?;
    }
    Ok(Next::Done)
}
