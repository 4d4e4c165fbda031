//! Provider: a service that events are sent to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::duration::{DurationText, PATTERN, PATTERN_WITHOUT_HOURS};
use crate::kinds::{
    Column, Controller, InitialStatus, Kind, NO_SUBSTITUTION, NOTIFICATION_CATEGORIES,
    NOTIFICATION_GROUP,
};
use crate::reference::LocalObjectReference;
use crate::resource::resource;
use crate::wire::{is_false, non_empty, wire_enum};

resource! {
    /// Service that events are sent to.
    Provider {
        spec: ProviderSpec,
        kind: Kind {
            group: NOTIFICATION_GROUP,
            version: "v1beta3",
            kind: "Provider",
            plural: "providers",
            short_names: &[],
            categories: NOTIFICATION_CATEGORIES,
            columns: &[Column::AGE],
            annotations: NO_SUBSTITUTION,
            initial_status: InitialStatus::Never,
            controller: Controller::Notification,
        },
    }
}

/// Which service it is, and how to reach it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "self.type == 'github' || self.type == 'gitlab' || self.type == 'gitea' || self.type == 'bitbucketserver' || self.type == 'bitbucket' || self.type == 'azuredevops' || !has(self.commitStatusExpr)",
        "message": "spec.commitStatusExpr is only supported for the 'github', 'gitlab', 'gitea', 'bitbucketserver', 'bitbucket', 'azuredevops' provider types",
    },
]))]
pub struct ProviderSpec {
    /// Kind of service.
    pub type_: ProviderType,
    /// Not in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = PATTERN))]
    pub interval: Option<DurationText>,
    /// Channel to post to.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("maxLength" = 2048))]
    pub channel: Option<String>,
    /// Name to post under.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("maxLength" = 2048))]
    pub username: Option<String>,
    /// Address of the service; the Secret's `address` wins.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("maxLength" = 2048))]
    pub address: Option<String>,
    /// How long one request may take; 15 seconds by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = PATTERN_WITHOUT_HOURS))]
    pub timeout: Option<DurationText>,
    /// Address of the proxy; `proxySecretRef` is better.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(extend("maxLength" = 2048, "pattern" = "^(http|https)://.*$"))]
    pub proxy: Option<String>,
    /// Secret with the proxy's `address`, `username` and `password`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalObjectReference>,
    /// Secret with the credentials: `address`, `token`, `username`, `password`, `headers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// ServiceAccount to get credentials of the cloud as.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub service_account_name: Option<String>,
    /// Secret with `ca.crt`, `tls.crt` and `tls.key` for TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalObjectReference>,
    /// Whether to stop sending.
    #[serde(default, skip_serializing_if = "is_false")]
    pub suspend: bool,
    /// CEL expression over `event`, `provider` and `alert` for the id of commit statuses.
    #[serde(
        default,
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub commit_status_expr: Option<String>,
}

wire_enum! {
    /// A kind of service that events are sent to.
    pub enum ProviderType {
        /// Slack.
        Slack = "slack",
        /// Discord.
        Discord = "discord",
        /// Microsoft Teams.
        MsTeams = "msteams",
        /// Rocket.Chat.
        Rocket = "rocket",
        /// Any HTTP server.
        Generic = "generic",
        /// Any HTTP server, with a signature.
        GenericHmac = "generic-hmac",
        /// Commit statuses of GitHub.
        GitHub = "github",
        /// Commit statuses of GitLab.
        GitLab = "gitlab",
        /// Commit statuses of Gitea.
        Gitea = "gitea",
        /// Comments on pull requests of Gitea.
        GiteaPullRequestComment = "giteapullrequestcomment",
        /// Commit statuses of Bitbucket Server.
        BitbucketServer = "bitbucketserver",
        /// Commit statuses of Bitbucket.
        Bitbucket = "bitbucket",
        /// Commit statuses of Azure DevOps.
        AzureDevOps = "azuredevops",
        /// Google Chat.
        GoogleChat = "googlechat",
        /// Google Pub/Sub.
        GooglePubSub = "googlepubsub",
        /// Webex.
        Webex = "webex",
        /// Sentry.
        Sentry = "sentry",
        /// Azure Event Hubs.
        AzureEventHub = "azureeventhub",
        /// Telegram.
        Telegram = "telegram",
        /// Lark.
        Lark = "lark",
        /// Matrix.
        Matrix = "matrix",
        /// Opsgenie.
        Opsgenie = "opsgenie",
        /// Prometheus Alertmanager.
        Alertmanager = "alertmanager",
        /// Annotations of Grafana.
        Grafana = "grafana",
        /// Repository dispatches of GitHub.
        GitHubDispatch = "githubdispatch",
        /// Comments on pull requests of GitHub.
        GitHubPullRequestComment = "githubpullrequestcomment",
        /// Comments on merge requests of GitLab.
        GitLabMergeRequestComment = "gitlabmergerequestcomment",
        /// PagerDuty.
        PagerDuty = "pagerduty",
        /// Datadog.
        DataDog = "datadog",
        /// NATS.
        Nats = "nats",
        /// Zulip.
        Zulip = "zulip",
        /// OpenTelemetry.
        Otel = "otel",
    }
}
