//! Who asks, and whether they may.

mod bootstrap;
mod rbac;
mod reviews;
mod token;

use std::collections::BTreeMap;

pub use bootstrap::objects as bootstrap_objects;
pub use rbac::{Attributes, Decision, Rbac, Rule, rules_of};
pub use reviews::{
    local_subject_access_review, self_subject_access_review, self_subject_review,
    self_subject_rules_review, subject_access_review, token_review,
};
pub use token::{Claims, ISSUER, TokenSigner};

/// The authenticated or impersonated user of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// Name.
    pub name: String,
    /// Uid; empty for users without one.
    pub uid: String,
    /// Groups.
    pub groups: Vec<String>,
    /// Anything else that the authenticator says.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// The group of everyone who has proved who they are.
pub const AUTHENTICATED: &str = "system:authenticated";
/// The group that may do everything.
pub const MASTERS: &str = "system:masters";
/// The user of a request without credentials.
pub const ANONYMOUS: &str = "system:anonymous";
/// The group of [`ANONYMOUS`].
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

impl User {
    /// The user of the kubeconfig.
    pub fn admin() -> Self {
        User {
            name: "admin".into(),
            groups: vec![MASTERS.into(), AUTHENTICATED.into()],
            ..User::default()
        }
    }

    /// The user of a request without credentials.
    pub fn anonymous() -> Self {
        User {
            name: ANONYMOUS.into(),
            groups: vec![UNAUTHENTICATED.into()],
            ..User::default()
        }
    }

    /// A ServiceAccount.
    pub fn service_account(namespace: &str, name: &str, uid: &str) -> Self {
        User {
            name: format!("{SERVICE_ACCOUNT}{namespace}:{name}"),
            uid: uid.into(),
            groups: service_account_groups(namespace),
            extra: BTreeMap::new(),
        }
    }

    /// Whether the user is in the group.
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|member| member == group)
    }
}

/// The groups of every ServiceAccount of a namespace.
pub fn service_account_groups(namespace: &str) -> Vec<String> {
    vec![
        "system:serviceaccounts".into(),
        format!("system:serviceaccounts:{namespace}"),
        AUTHENTICATED.into(),
    ]
}

/// Namespace and name of a ServiceAccount's user name.
pub fn split_service_account(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix(SERVICE_ACCOUNT)?
        .split_once(':')
        .filter(|(_, name)| !name.contains(':'))
}
