//! What several kinds of sources share: cloud providers and verification.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::reference::LocalObjectReference;
use crate::wire::wire_enum;

wire_enum! {
    /// Where credentials for a registry or bucket come from.
    pub enum CloudProvider {
        /// The Secret, or none.
        Generic = "generic",
        /// Workload identity of AWS.
        Aws = "aws",
        /// Workload identity of Azure.
        Azure = "azure",
        /// Workload identity of Google Cloud.
        Gcp = "gcp",
    }
}

wire_enum! {
    /// The tool that signed an artifact.
    pub enum VerificationProvider {
        /// Cosign.
        Cosign = "cosign",
        /// Notation.
        Notation = "notation",
    }
}

/// Signer of a keyless signature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OidcIdentityMatch {
    /// Regular expression for the issuer of the token.
    pub issuer: String,
    /// Regular expression for the subject of the token.
    pub subject: String,
}

/// What has to be signed, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OciVerification {
    /// Tool that made the signature.
    #[schemars(extend("default" = "cosign"))]
    pub provider: VerificationProvider,
    /// Secret with the public keys of the trusted signers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// Signers of keyless signatures, of whom one has to match.
    #[serde(
        rename = "matchOIDCIdentity",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub match_oidc_identity: Vec<OidcIdentityMatch>,
    /// Secret with the root of trust of a private Sigstore, under `trusted_root.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_root_secret_ref: Option<LocalObjectReference>,
}

/// What has to be signed, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChartVerification {
    /// Tool that made the signature.
    #[schemars(extend("default" = "cosign"))]
    pub provider: VerificationProvider,
    /// Secret with the public keys of the trusted signers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// Signers of keyless signatures, of whom one has to match.
    #[serde(
        rename = "matchOIDCIdentity",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub match_oidc_identity: Vec<OidcIdentityMatch>,
}
