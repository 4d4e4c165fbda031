//! `sluice create kustomization`.

use clap::Args;
use sluice_api::duration::GoDuration;
use sluice_api::helm::HelmRelease;
use sluice_api::kustomize::{
    CrossNamespaceSourceReference, Decryption, DecryptionProvider, KustomizationSpec, SourceKind,
};
use sluice_api::reference::{
    DependencyReference, KubeConfigReference, LocalObjectReference, NamespacedObjectKindReference,
    SecretKeyReference,
};

use super::{Common, Draft, duration_text, finish, go_duration, to_value, valid_name};
use crate::error::{Failure, Outcome};
use crate::object;
use crate::resources;
use crate::session::Session;

/// The options of `create kustomization`.
#[derive(Args, Debug)]
pub(super) struct KustomizationArgs {
    /// Name of the Kustomization
    name: Option<String>,
    /// Source of the files; a GitRepository unless the kind is given
    #[arg(long, value_name = "[KIND/]NAME[.NAMESPACE]")]
    source: Option<String>,
    /// Directory in the source
    #[arg(long, default_value = "./")]
    path: String,
    /// Delete objects that are no longer in the source
    #[arg(long)]
    prune: bool,
    /// Wait for all objects to be healthy
    #[arg(long)]
    wait: bool,
    /// Object that has to be healthy; may be repeated
    #[arg(long, value_delimiter = ',', value_name = "KIND/NAME.NAMESPACE")]
    health_check: Vec<String>,
    /// How long health checks may take
    #[arg(long, default_value = "2m0s", value_parser = go_duration)]
    health_check_timeout: GoDuration,
    /// Kustomization that has to be ready first; may be repeated
    #[arg(long, value_delimiter = ',', value_name = "[NAMESPACE/]NAME")]
    depends_on: Vec<String>,
    /// ServiceAccount to apply the objects as
    #[arg(long)]
    service_account: Option<String>,
    /// How the files are encrypted: sops
    #[arg(long)]
    decryption_provider: Option<String>,
    /// Secret with the keys for decryption
    #[arg(long)]
    decryption_secret: Option<String>,
    /// Namespace for all objects
    #[arg(long)]
    target_namespace: Option<String>,
    /// Secret with the kubeconfig of another cluster
    #[arg(long)]
    kubeconfig_secret_ref: Option<String>,
    /// How long to wait after a failure
    #[arg(long, value_parser = go_duration)]
    retry_interval: Option<GoDuration>,
    /// Accepted for the sake of scripts
    #[arg(long, hide = true)]
    validation: Option<String>,
}

/// Makes the Kustomization.
pub(super) async fn run(
    args: &KustomizationArgs,
    common: &Common,
    session: &mut Session,
) -> Outcome {
    let name = valid_name(args.name.as_deref())?;
    let spec = specification(args, common)?;
    let draft = Draft {
        resource: &resources::KUSTOMIZATION,
        name,
        spec: to_value(&spec)?,
        title: "Kustomization",
        ready: format!("Kustomization {name} is ready"),
        outcome: |object| {
            let revision = object::text(object, "/status/lastAppliedRevision");
            format!("applied revision {revision}")
        },
    };
    finish(session, draft, common).await
}

fn specification(args: &KustomizationArgs, common: &Common) -> Outcome<KustomizationSpec> {
    if !args.path.starts_with("./") {
        return Err(Failure::new("path must begin with ./"));
    }
    let source = args
        .source
        .as_deref()
        .ok_or_else(|| Failure::new("source is required"))?;
    let mut spec = KustomizationSpec {
        interval: common.interval.into(),
        path: Some(args.path.clone()),
        prune: args.prune,
        source_ref: source_reference(source)?,
        target_namespace: args.target_namespace.clone(),
        service_account_name: args.service_account.clone(),
        retry_interval: duration_text(args.retry_interval),
        depends_on: args
            .depends_on
            .iter()
            .map(|text| dependency(text))
            .collect(),
        decryption: decryption(args)?,
        ..KustomizationSpec::default()
    };
    if let Some(name) = &args.kubeconfig_secret_ref {
        spec.kube_config = Some(KubeConfigReference {
            secret_ref: Some(SecretKeyReference {
                name: name.clone(),
                key: None,
            }),
            config_map_ref: None,
        });
    }
    // As with flux, waiting for everything leaves no health checks.
    if args.wait {
        spec.wait = true;
    } else {
        let checks = args.health_check.iter().map(|text| health_check(text));
        spec.health_checks = checks.collect::<Outcome<_>>()?;
    }
    if spec.wait || !spec.health_checks.is_empty() {
        spec.timeout = duration_text(Some(args.health_check_timeout));
    }
    Ok(spec)
}

/// Splits `name.namespace` at the first dot.
fn with_namespace(text: &str) -> (String, Option<String>) {
    match text.split_once('.') {
        Some((name, namespace)) if !namespace.is_empty() => {
            (name.to_owned(), Some(namespace.to_owned()))
        }
        _ => (text.to_owned(), None),
    }
}

fn source_reference(text: &str) -> Outcome<CrossNamespaceSourceReference> {
    const KINDS: [SourceKind; 3] = [
        SourceKind::OciRepository,
        SourceKind::GitRepository,
        SourceKind::Bucket,
    ];
    let (kind, rest) = text.split_once('/').unwrap_or(("GitRepository", text));
    let kind = KINDS
        .into_iter()
        .find(|known| known.as_str().eq_ignore_ascii_case(kind))
        .ok_or_else(|| {
            Failure::new(format!(
                "source kind '{kind}' is not supported, must be one of: \
                 OCIRepository, GitRepository, Bucket"
            ))
        })?;
    let (name, namespace) = with_namespace(rest);
    if name.is_empty() {
        return Err(Failure::new("no name given"));
    }
    Ok(CrossNamespaceSourceReference {
        kind,
        name,
        namespace,
        api_version: None,
    })
}

fn dependency(text: &str) -> DependencyReference {
    let (namespace, name) = match text.split_once('/') {
        Some((namespace, name)) => (Some(namespace.to_owned()), name),
        None => (None, text),
    };
    DependencyReference {
        name: name.to_owned(),
        namespace,
        ready_expr: None,
    }
}

fn health_check(text: &str) -> Outcome<NamespacedObjectKindReference> {
    const KINDS: [&str; 4] = ["Deployment", "DaemonSet", "StatefulSet", "HelmRelease"];
    let malformed = || {
        Failure::new(format!(
            "invalid health check '{text}' must be in the format 'kind/name.namespace' \
             where kind can be one of: {}",
            KINDS.join(", ")
        ))
    };
    let (kind, rest) = text.split_once('/').ok_or_else(malformed)?;
    let kind = KINDS
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(kind))
        .ok_or_else(malformed)?;
    let (name, namespace) = with_namespace(rest);
    if name.is_empty() || namespace.is_none() {
        return Err(malformed());
    }
    Ok(NamespacedObjectKindReference {
        api_version: (kind == "HelmRelease").then(|| HelmRelease::KIND.api_version()),
        kind: kind.to_owned(),
        name,
        namespace,
    })
}

fn decryption(args: &KustomizationArgs) -> Outcome<Option<Decryption>> {
    let Some(provider) = &args.decryption_provider else {
        return Ok(None);
    };
    if provider != DecryptionProvider::Sops.as_str() {
        return Err(Failure::new(format!(
            "decryption provider '{provider}' is not supported, must be one of: sops"
        )));
    }
    Ok(Some(Decryption {
        provider: DecryptionProvider::Sops,
        service_account_name: None,
        secret_ref: args
            .decryption_secret
            .clone()
            .map(|name| LocalObjectReference { name }),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_have_a_kind_a_name_and_a_namespace() {
        for (text, kind, name, namespace) in [
            ("fleet", "GitRepository", "fleet", None),
            (
                "fleet.flux-system",
                "GitRepository",
                "fleet",
                Some("flux-system"),
            ),
            ("ocirepository/fleet", "OCIRepository", "fleet", None),
            ("Bucket/fleet.apps", "Bucket", "fleet", Some("apps")),
        ] {
            let reference = source_reference(text).unwrap();
            assert_eq!(reference.kind.as_str(), kind);
            assert_eq!(reference.name, name);
            assert_eq!(reference.namespace.as_deref(), namespace);
        }
        assert!(source_reference("HelmRepository/charts").is_err());
    }

    #[test]
    fn health_checks_need_a_namespace_and_a_known_kind() {
        let check = health_check("helmrelease/web.apps").unwrap();
        assert_eq!(
            check.api_version.as_deref(),
            Some("helm.toolkit.fluxcd.io/v2")
        );
        assert_eq!(check.kind, "HelmRelease");
        assert_eq!(check.namespace.as_deref(), Some("apps"));
        for text in ["web", "Deployment/web", "Pod/web.apps", "Deployment/.apps"] {
            assert!(health_check(text).is_err(), "{text}");
        }
    }
}
