//! The table of kinds.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sluice_api::{helm, image, kustomize, notification, source};

use super::columns::Column;
use super::{Dependency, Place, Resource, Verb};
use crate::error::{Failure, Outcome};
use crate::object::{self, Object};
use crate::table::shorten_digests;

/// All kinds.
pub const ALL: &[&Resource] = &[
    &OCI_REPOSITORY,
    &BUCKET,
    &GIT_REPOSITORY,
    &HELM_REPOSITORY,
    &HELM_CHART,
    &EXTERNAL_ARTIFACT,
    &IMAGE_REPOSITORY,
    &IMAGE_POLICY,
    &IMAGE_UPDATE,
    &HELM_RELEASE,
    &KUSTOMIZATION,
    &RECEIVER,
    &ALERT_PROVIDER,
    &ALERT,
];

/// The kinds of `get all`, in its order.
pub const GET_ALL: &[&Resource] = ALL;

/// The kinds of `get sources all`, in its order.
pub const SOURCES: &[&Resource] = &[
    &OCI_REPOSITORY,
    &BUCKET,
    &GIT_REPOSITORY,
    &HELM_REPOSITORY,
    &HELM_CHART,
    &EXTERNAL_ARTIFACT,
];

/// The kinds of `get images all`, in its order.
pub const IMAGES: &[&Resource] = &[&IMAGE_REPOSITORY, &IMAGE_POLICY, &IMAGE_UPDATE];

const EVERY_VERB: &[Verb] = &[
    Verb::Get,
    Verb::Reconcile,
    Verb::Suspend,
    Verb::Resume,
    Verb::Delete,
    Verb::Export,
];

const STATIC_VERBS: &[Verb] = &[
    Verb::Get,
    Verb::Suspend,
    Verb::Resume,
    Verb::Delete,
    Verb::Export,
];

const SOURCE_COLUMNS: &[Column] = &[
    NAME,
    Column::ARTIFACT_REVISION,
    Column::SUSPENDED,
    Column::READY,
    Column::MESSAGE,
];

const NAME: Column = Column::new("Name", |_, object| object::name(object).to_owned());

/// A Git repository.
pub static GIT_REPOSITORY: Resource = Resource {
    kind: source::GitRepository::KIND,
    human: "source git",
    place: Place::Source("git"),
    columns: SOURCE_COLUMNS,
    verbs: EVERY_VERB,
    success: fetched,
    source: None,
    is_static: never,
    normalise: through::<source::GitRepository>,
};

static OCI_REPOSITORY: Resource = Resource {
    kind: source::OciRepository::KIND,
    human: "source oci",
    place: Place::Source("oci"),
    columns: SOURCE_COLUMNS,
    verbs: EVERY_VERB,
    success: fetched,
    source: None,
    is_static: never,
    normalise: through::<source::OciRepository>,
};

static BUCKET: Resource = Resource {
    kind: source::Bucket::KIND,
    human: "source bucket",
    place: Place::Source("bucket"),
    columns: SOURCE_COLUMNS,
    verbs: EVERY_VERB,
    success: fetched,
    source: None,
    is_static: never,
    normalise: through::<source::Bucket>,
};

static HELM_REPOSITORY: Resource = Resource {
    kind: source::HelmRepository::KIND,
    human: "source helm",
    place: Place::Source("helm"),
    columns: SOURCE_COLUMNS,
    verbs: EVERY_VERB,
    success: fetched,
    source: None,
    is_static: |object| object::text(object, "/spec/type") == "oci",
    normalise: through::<source::HelmRepository>,
};

static HELM_CHART: Resource = Resource {
    kind: source::HelmChart::KIND,
    human: "source chart",
    place: Place::Source("chart"),
    columns: SOURCE_COLUMNS,
    verbs: EVERY_VERB,
    success: fetched,
    source: Some(chart_source),
    is_static: never,
    normalise: through::<source::HelmChart>,
};

static EXTERNAL_ARTIFACT: Resource = Resource {
    kind: source::ExternalArtifact::KIND,
    human: "source external-artifact",
    place: Place::Source("external"),
    columns: &[
        NAME,
        Column::ARTIFACT_REVISION,
        Column::new("Source", |_, object| reference(object, "/spec/sourceRef")),
        Column::READY,
        Column::MESSAGE,
    ],
    verbs: &[Verb::Get, Verb::Export],
    success: fetched,
    source: None,
    is_static: never,
    normalise: through::<source::ExternalArtifact>,
};

/// A Kustomization.
pub static KUSTOMIZATION: Resource = Resource {
    kind: kustomize::Kustomization::KIND,
    human: "kustomization",
    place: Place::Top {
        name: "kustomization",
        aliases: &["ks"],
        plural: "kustomizations",
        plural_aliases: &["ks", "kustomization"],
    },
    columns: &[
        NAME,
        Column::source_on_demand(|_, object| reference(object, "/spec/sourceRef")),
        Column::new("Revision", |_, object| {
            shorten_digests(object::text(object, "/status/lastAppliedRevision"))
        }),
        Column::SUSPENDED,
        Column::READY,
        Column::MESSAGE,
    ],
    verbs: EVERY_VERB,
    success: |object| {
        let revision = object::text(object, "/status/lastAppliedRevision");
        format!("applied revision {revision}")
    },
    source: Some(|object| dependency(object, "/spec/sourceRef", SOURCES_OF_KUSTOMIZATIONS)),
    is_static: never,
    normalise: through::<kustomize::Kustomization>,
};

const SOURCES_OF_KUSTOMIZATIONS: &[&Resource] = &[&GIT_REPOSITORY, &OCI_REPOSITORY, &BUCKET];

static HELM_RELEASE: Resource = Resource {
    kind: helm::HelmRelease::KIND,
    human: "helmrelease",
    place: Place::Top {
        name: "helmrelease",
        aliases: &["hr"],
        plural: "helmreleases",
        plural_aliases: &["hr", "helmrelease"],
    },
    columns: &[
        NAME,
        Column::source_on_demand(|_, object| match object.data.pointer("/spec/chartRef") {
            Some(_) => reference(object, "/spec/chartRef"),
            None => reference(object, "/spec/chart/spec/sourceRef"),
        }),
        Column::new("Revision", |_, object| release_revision(object).to_owned()),
        Column::SUSPENDED,
        Column::READY,
        Column::MESSAGE,
    ],
    verbs: EVERY_VERB,
    success: |object| format!("applied revision {}", release_revision(object)),
    source: Some(release_source),
    is_static: never,
    normalise: through::<helm::HelmRelease>,
};

static RECEIVER: Resource = Resource {
    kind: notification::Receiver::KIND,
    human: "receiver",
    place: Place::Top {
        name: "receiver",
        aliases: &[],
        plural: "receivers",
        plural_aliases: &["receiver"],
    },
    columns: &[NAME, Column::SUSPENDED, Column::READY, Column::MESSAGE],
    verbs: EVERY_VERB,
    success: |_| "Receiver reconciliation completed".to_owned(),
    source: None,
    is_static: never,
    normalise: through::<notification::Receiver>,
};

static ALERT: Resource = Resource {
    kind: notification::Alert::KIND,
    human: "alert",
    place: Place::Top {
        name: "alert",
        aliases: &[],
        plural: "alerts",
        plural_aliases: &["alert"],
    },
    columns: &[NAME, Column::SUSPENDED, Column::READY, Column::MESSAGE],
    verbs: STATIC_VERBS,
    success: |_| "Alert reconciliation completed".to_owned(),
    source: None,
    is_static: always,
    normalise: through::<notification::Alert>,
};

static ALERT_PROVIDER: Resource = Resource {
    kind: notification::Provider::KIND,
    human: "alert provider",
    place: Place::Top {
        name: "alert-provider",
        aliases: &[],
        plural: "alert-providers",
        plural_aliases: &["alert-provider"],
    },
    columns: &[NAME, Column::READY, Column::MESSAGE],
    verbs: STATIC_VERBS,
    success: |_| "Provider reconciliation completed".to_owned(),
    source: None,
    is_static: always,
    normalise: through::<notification::Provider>,
};

static IMAGE_REPOSITORY: Resource = Resource {
    kind: image::ImageRepository::KIND,
    human: "image repository",
    place: Place::Image("repository"),
    columns: &[
        NAME,
        Column::new("Last scan", |_, object| {
            object::text(object, "/status/lastScanResult/scanTime").to_owned()
        }),
        Column::SUSPENDED,
        Column::READY,
        Column::MESSAGE,
    ],
    verbs: EVERY_VERB,
    success: |object| {
        let tags = object.data.pointer("/status/lastScanResult/tagCount");
        let count = tags.and_then(Value::as_i64).unwrap_or_default();
        format!("scan fetched {count} tags")
    },
    source: None,
    is_static: never,
    normalise: through::<image::ImageRepository>,
};

static IMAGE_POLICY: Resource = Resource {
    kind: image::ImagePolicy::KIND,
    human: "image policy",
    place: Place::Image("policy"),
    columns: &[
        NAME,
        Column::new("Image", |_, object| {
            object::text(object, "/status/latestRef/name").to_owned()
        }),
        Column::new("Tag", |_, object| {
            object::text(object, "/status/latestRef/tag").to_owned()
        }),
        Column::READY,
        Column::MESSAGE,
    ],
    verbs: EVERY_VERB,
    success: |object| format!("selected ref {}", latest_image(object)),
    source: None,
    is_static: never,
    normalise: through::<image::ImagePolicy>,
};

static IMAGE_UPDATE: Resource = Resource {
    kind: image::ImageUpdateAutomation::KIND,
    human: "image update automation",
    place: Place::Image("update"),
    columns: &[
        NAME,
        Column::new("Last run", |_, object| {
            object::text(object, "/status/lastAutomationRunTime").to_owned()
        }),
        Column::SUSPENDED,
        Column::READY,
        Column::MESSAGE,
    ],
    verbs: EVERY_VERB,
    success: |object| {
        let last_run = object::text(object, "/status/lastAutomationRunTime");
        match object::ready(object) {
            Some(ready) => ready.message.to_owned(),
            None if last_run.is_empty() => "automation not yet run".to_owned(),
            None => format!("last run {last_run}"),
        }
    },
    source: None,
    is_static: never,
    normalise: through::<image::ImageUpdateAutomation>,
};

fn never(_: &Object) -> bool {
    false
}

fn always(_: &Object) -> bool {
    true
}

/// Reads an object as its type and writes it back.
fn through<T: DeserializeOwned + Serialize>(object: Value) -> serde_json::Result<Value> {
    serde_json::to_value(serde_json::from_value::<T>(object)?)
}

fn fetched(object: &Object) -> String {
    let revision = object::text(object, "/status/artifact/revision");
    format!("fetched revision {revision}")
}

/// A reference as `Kind/namespace/name`; the namespace is that of the object by default.
fn reference(object: &Object, pointer: &str) -> String {
    let part = |name: &str| object::text(object, &format!("{pointer}/{name}"));
    if part("name").is_empty() {
        return String::new();
    }
    let namespace = match part("namespace") {
        "" => object::namespace(object),
        namespace => namespace,
    };
    format!("{}/{namespace}/{}", part("kind"), part("name"))
}

/// The version of the chart of the newest release, or of the last attempt.
fn release_revision(object: &Object) -> &str {
    match object::text(object, "/status/history/0/chartVersion") {
        "" => object::text(object, "/status/lastAttemptedRevision"),
        version => version,
    }
}

fn latest_image(object: &Object) -> String {
    let part = |name: &str| object::text(object, &format!("/status/latestRef/{name}"));
    let mut image = format!("{}:{}", part("name"), part("tag"));
    if !part("digest").is_empty() {
        image.push('@');
        image.push_str(part("digest"));
    }
    image
}

/// The object at a reference, if it is of one of these kinds.
fn dependency(object: &Object, pointer: &str, kinds: &[&'static Resource]) -> Outcome<Dependency> {
    let part = |name: &str| object::text(object, &format!("{pointer}/{name}"));
    let kind = part("kind");
    let resource = kinds
        .iter()
        .copied()
        .find(|resource| resource.kind.kind == kind)
        .ok_or_else(|| Failure::new(format!("cannot reconcile source of kind {kind}")))?;
    Ok(Dependency {
        resource,
        namespace: Some(part("namespace").to_owned()).filter(|namespace| !namespace.is_empty()),
        name: part("name").to_owned(),
    })
}

fn chart_source(object: &Object) -> Outcome<Dependency> {
    let kinds: &[&Resource] = &[&HELM_REPOSITORY, &GIT_REPOSITORY, &BUCKET];
    dependency(object, "/spec/sourceRef", kinds)
}

fn release_source(object: &Object) -> Outcome<Dependency> {
    if object.data.pointer("/spec/chartRef").is_some() {
        return dependency(object, "/spec/chartRef", &[&OCI_REPOSITORY, &HELM_CHART]);
    }
    let namespace = object::text(object, "/spec/chart/spec/sourceRef/namespace");
    Ok(Dependency {
        resource: &HELM_CHART,
        namespace: Some(namespace.to_owned()).filter(|namespace| !namespace.is_empty()),
        name: format!("{}-{}", object::namespace(object), object::name(object)),
    })
}
