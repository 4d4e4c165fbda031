//! Who sends a request, and as whom.

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::app::App;
use crate::auth::{self, Attributes, Decision, User};
use crate::status::{Result, Status};

/// What is asked of the authorizer, as values of its own.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// See [`Attributes`].
    pub verb: String,
    /// See [`Attributes`].
    pub group: String,
    /// See [`Attributes`].
    pub resource: String,
    /// See [`Attributes`].
    pub subresource: String,
    /// See [`Attributes`].
    pub namespace: String,
    /// See [`Attributes`].
    pub name: String,
    /// See [`Attributes`].
    pub path: String,
}

impl Asked {
    /// The attributes.
    pub fn attributes(&self) -> Attributes<'_> {
        Attributes {
            verb: &self.verb,
            group: &self.group,
            resource: &self.resource,
            subresource: &self.subresource,
            namespace: &self.namespace,
            name: &self.name,
            path: &self.path,
        }
    }
}

/// The user whose credentials the request carries; anonymous without any.
///
/// # Errors
/// 401 for credentials that are not valid.
pub fn authenticate(app: &App, headers: &HeaderMap) -> Result<User> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Ok(User::anonymous());
    };
    let token = value.to_str().ok().and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let Some(token) = token.filter(|token| !token.is_empty()) else {
        return Ok(User::anonymous());
    };
    if same(token.as_bytes(), app.admin_token.as_bytes()) {
        return Ok(User::admin());
    }
    match app.user_of_token(token) {
        Some((user, claims))
            if claims
                .audiences
                .iter()
                .any(|audience| audience == auth::ISSUER) =>
        {
            Ok(user)
        }
        _ => Err(Status::unauthorized()),
    }
}

/// Compares secrets in a time that does not depend on where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

/// The user that the request acts as.
///
/// # Errors
/// 400 where the headers make no sense, 403 where the sender may not.
pub fn impersonate(app: &App, sender: User, headers: &HeaderMap, asked: &Asked) -> Result<User> {
    let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let name = headers
        .get("impersonate-user")
        .map(text)
        .unwrap_or_default();
    let uid = headers.get("impersonate-uid").map(text).unwrap_or_default();
    let groups: Vec<String> = headers
        .get_all("impersonate-group")
        .iter()
        .map(text)
        .collect();
    let extra: Vec<(String, String)> = headers
        .iter()
        .filter_map(|(key, value)| {
            let key = key.as_str().strip_prefix("impersonate-extra-")?;
            Some((percent_decoded(key), text(value)))
        })
        .collect();
    if name.is_empty() {
        if groups.is_empty() && uid.is_empty() && extra.is_empty() {
            return Ok(sender);
        }
        let listed: Vec<String> = groups.iter().map(|group| format!("{group:?}")).collect();
        return Err(Status::bad_request(format!(
            "requested &user.DefaultInfo{{Name:\"\", UID:{uid:?}, Groups:[]string{{{}}}, Extra:map[string][]string(nil)}} without impersonating a user name",
            listed.join(", ")
        )));
    }
    let account = auth::split_service_account(&name);
    let may = |resource: &str, group: &str, namespace: &str, name: &str, subresource: &str| {
        let attributes = Attributes {
            verb: "impersonate",
            group,
            resource,
            subresource,
            namespace,
            name,
            path: "",
        };
        matches!(app.rbac.authorize(&sender, &attributes), Decision::Allow(_))
    };
    let user_allowed = match account {
        Some((namespace, name)) => may("serviceaccounts", "", namespace, name, ""),
        None => may("users", "", "", &name, ""),
    };
    let allowed = user_allowed
        && groups.iter().all(|group| may("groups", "", "", group, ""))
        && (uid.is_empty() || may("uids", "authentication.k8s.io", "", &uid, ""))
        && extra
            .iter()
            .all(|(key, value)| may("userextras", "authentication.k8s.io", "", value, key));
    if !allowed {
        let mode = if account.is_some() {
            "serviceaccount"
        } else {
            "user-info"
        };
        let mut attributes = asked.attributes();
        let verb = format!("impersonate-on:{mode}:{}", asked.verb);
        attributes.verb = &verb;
        let why = attributes.refusal(&sender);
        return Err(Status::forbidden(
            &asked.group,
            &asked.resource,
            &asked.name,
            &why,
        ));
    }
    let mut user = User {
        name: name.clone(),
        uid,
        groups,
        ..User::default()
    };
    if let Some((namespace, _)) = account
        && user.groups.is_empty()
    {
        user.groups = auth::service_account_groups(namespace);
    }
    let anonymous = user.name == auth::ANONYMOUS;
    let group = if anonymous {
        auth::UNAUTHENTICATED
    } else {
        auth::AUTHENTICATED
    };
    if !user.in_group(auth::UNAUTHENTICATED) && !user.in_group(auth::AUTHENTICATED) {
        user.groups.push(group.to_owned());
    }
    for (key, value) in extra {
        user.extra.entry(key).or_default().push(value);
    }
    Ok(user)
}

fn percent_decoded(text: &str) -> String {
    url::form_urlencoded::parse(format!("k={text}").as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}
