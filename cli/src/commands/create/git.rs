//! `sluice create source git`.

use std::path::PathBuf;

use clap::Args;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Map, Value, json};
use sluice_api::duration::GoDuration;
use sluice_api::key;
use sluice_api::reference::LocalObjectReference;
use sluice_api::source::{GitProvider, GitRepositoryRef, GitRepositorySpec};

use super::{Common, Draft, duration_text, finish, go_duration, to_value, valid_name};
use crate::error::{Failure, Outcome};
use crate::object;
use crate::resources;
use crate::session::Session;

/// The options of `create source git`.
#[derive(Args, Debug)]
pub(super) struct GitArgs {
    /// Name of the GitRepository
    name: Option<String>,
    /// Address of the repository
    #[arg(long)]
    url: Option<String>,
    /// Branch to follow
    #[arg(long)]
    branch: Option<String>,
    /// Tag to use
    #[arg(long)]
    tag: Option<String>,
    /// Range of versions
    #[arg(long)]
    tag_semver: Option<String>,
    /// Full name of a reference
    #[arg(long)]
    ref_name: Option<String>,
    /// Commit to use
    #[arg(long)]
    commit: Option<String>,
    /// User for HTTP
    #[arg(short, long)]
    username: Option<String>,
    /// Password for HTTP
    #[arg(short, long)]
    password: Option<String>,
    /// File with the certificate authority, for HTTPS
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Secret with the credentials
    #[arg(long)]
    secret_ref: Option<String>,
    /// Secret with the proxy's address and credentials
    #[arg(long)]
    proxy_secret_ref: Option<String>,
    /// Where the credentials come from: generic, aws, azure, github
    #[arg(long)]
    provider: Option<String>,
    /// Fetch submodules as well
    #[arg(long)]
    recurse_submodules: bool,
    /// Files to leave out
    #[arg(long, value_delimiter = ',')]
    ignore_paths: Vec<String>,
    /// Directories to fetch instead of all
    #[arg(long, value_delimiter = ',')]
    sparse_checkout_paths: Vec<String>,
    /// How long one Git operation may take
    #[arg(long, value_parser = go_duration)]
    fetch_timeout: Option<GoDuration>,
    /// Do not ask
    #[arg(short, long)]
    silent: bool,
}

/// Makes the GitRepository, and a Secret for the credentials where some are given.
pub(super) async fn run(args: &GitArgs, common: &Common, session: &mut Session) -> Outcome {
    let name = valid_name(args.name.as_deref())?;
    let mut spec = specification(args, common)?;
    if args.secret_ref.is_none()
        && let Some(secret) = credentials(args, name, &session.namespace)?
    {
        if spec.url.starts_with("http://") {
            session
                .terminal
                .warning(" insecure configuration: credentials configured for an HTTP URL");
        }
        spec.secret_ref = Some(LocalObjectReference {
            name: name.to_owned(),
        });
        match common.export {
            true => {
                let yaml = sluice_yaml::to_string(&secret)?;
                session.terminal.print(&format!("---\n{yaml}"))?;
            }
            false => apply_secret(session, name, &secret).await?,
        }
    }
    let draft = Draft {
        resource: &resources::GIT_REPOSITORY,
        name,
        spec: to_value(&spec)?,
        title: "GitRepository source",
        ready: "GitRepository source reconciliation completed".to_owned(),
        outcome: |object| {
            let revision = object::text(object, "/status/artifact/revision");
            format!("fetched revision: {revision}")
        },
    };
    finish(session, draft, common).await
}

fn specification(args: &GitArgs, common: &Common) -> Outcome<GitRepositorySpec> {
    let url = args
        .url
        .clone()
        .ok_or_else(|| Failure::new("url is required"))?;
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    if !["ssh", "http", "https"].contains(&scheme) {
        return Err(Failure::new(format!(
            "git URL scheme '{scheme}' not supported, can be: ssh, http and https"
        )));
    }
    if scheme == "ssh" && args.ca_file.is_some() {
        return Err(Failure::new(
            "specifying a CA file is not supported for SSH",
        ));
    }
    if scheme == "ssh" && args.secret_ref.is_none() && !common.export {
        return Err(Failure::new(
            "no credentials for SSH: make a Secret with `identity` and `known_hosts` \
             and name it with --secret-ref",
        ));
    }
    let ignore = args.ignore_paths.join("\n");
    Ok(GitRepositorySpec {
        url,
        interval: common.interval.into(),
        timeout: duration_text(args.fetch_timeout),
        reference: Some(reference(args)?),
        secret_ref: local(&args.secret_ref),
        proxy_secret_ref: local(&args.proxy_secret_ref),
        provider: provider(args)?,
        ignore: Some(ignore).filter(|ignore| !ignore.is_empty()),
        recurse_submodules: args.recurse_submodules,
        sparse_checkout: args.sparse_checkout_paths.clone(),
        ..GitRepositorySpec::default()
    })
}

/// The revision: a commit keeps its branch, the others stand alone.
fn reference(args: &GitArgs) -> Outcome<GitRepositoryRef> {
    let none = GitRepositoryRef::default();
    Ok(match args {
        GitArgs {
            commit: Some(commit),
            branch,
            ..
        } => GitRepositoryRef {
            commit: Some(commit.clone()),
            branch: branch.clone(),
            ..none
        },
        GitArgs {
            ref_name: Some(name),
            ..
        } => GitRepositoryRef {
            name: Some(name.clone()),
            ..none
        },
        GitArgs {
            tag_semver: Some(range),
            ..
        } => GitRepositoryRef {
            semver: Some(range.clone()),
            ..none
        },
        GitArgs { tag: Some(tag), .. } => GitRepositoryRef {
            tag: Some(tag.clone()),
            ..none
        },
        GitArgs {
            branch: Some(branch),
            ..
        } => GitRepositoryRef {
            branch: Some(branch.clone()),
            ..none
        },
        _ => {
            return Err(Failure::new(
                "a Git ref is required, use one of the following: \
                 --branch, --tag, --commit, --ref-name or --tag-semver",
            ));
        }
    })
}

fn local(name: &Option<String>) -> Option<LocalObjectReference> {
    name.clone().map(|name| LocalObjectReference { name })
}

fn provider(args: &GitArgs) -> Outcome<Option<GitProvider>> {
    match args.provider.as_deref().map(GitProvider::from) {
        None => Ok(None),
        Some(GitProvider::Other(other)) => Err(Failure::new(format!(
            "source Git provider '{other}' is not supported, must be one of: {}",
            GitProvider::VALUES.join(", ")
        ))),
        Some(known) => Ok(Some(known)),
    }
}

/// The Secret for the credentials that were given, if any were.
fn credentials(args: &GitArgs, name: &str, namespace: &str) -> Outcome<Option<Value>> {
    let mut data = Map::new();
    if let (Some(username), Some(password)) = (&args.username, &args.password) {
        data.insert("username".to_owned(), username.as_str().into());
        data.insert("password".to_owned(), password.as_str().into());
    }
    if let Some(path) = &args.ca_file {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::new(format!(
                "unable to read TLS CA file: {}: {error}",
                path.display()
            ))
        })?;
        data.insert("ca.crt".to_owned(), text.into());
    }
    if data.is_empty() {
        return Ok(None);
    }
    Ok(Some(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": name, "namespace": namespace },
        "stringData": data,
    })))
}

/// Makes the Secret or adds to it; keys that it has besides stay.
async fn apply_secret(session: &mut Session, name: &str, secret: &Value) -> Outcome {
    session
        .terminal
        .action("applying secret with repository credentials");
    let client = session.client().await?;
    let secrets: Api<Secret> = Api::namespaced(client, &session.namespace);
    let params = PatchParams::apply(key::CLI_MANAGER).force();
    secrets.patch(name, &params, &Patch::Apply(secret)).await?;
    session.terminal.success("authentication configured");
    Ok(())
}
