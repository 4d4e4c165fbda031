//! What the cluster and this engine can do, as templates see it.

use std::any::Any;
use std::rc::Rc;

use sluice_gotemplate::{List, Method, Named, Object, STRING_SLICE, Serial, Type, Under, Value};

/// The Helm version whose behaviour this engine has.
pub const HELM_VERSION: &str = "v4.2.3";

/// The Kubernetes version that counts where no cluster says otherwise.
pub const DEFAULT_KUBE_VERSION: &str = "v1.36.0";

/// The APIs that count where no cluster says otherwise, in Helm's order.
const DEFAULT_API_VERSIONS: &[&str] = &[
    "v1",
    "admissionregistration.k8s.io/v1",
    "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1",
    "internal.apiserver.k8s.io/v1alpha1",
    "apps/v1",
    "apps/v1beta1",
    "apps/v1beta2",
    "authentication.k8s.io/v1",
    "authentication.k8s.io/v1alpha1",
    "authentication.k8s.io/v1beta1",
    "authorization.k8s.io/v1",
    "authorization.k8s.io/v1beta1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "batch/v1beta1",
    "certificates.k8s.io/v1",
    "certificates.k8s.io/v1beta1",
    "certificates.k8s.io/v1alpha1",
    "coordination.k8s.io/v1alpha2",
    "coordination.k8s.io/v1beta1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "discovery.k8s.io/v1beta1",
    "events.k8s.io/v1",
    "events.k8s.io/v1beta1",
    "extensions/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3",
    "networking.k8s.io/v1",
    "networking.k8s.io/v1beta1",
    "node.k8s.io/v1",
    "node.k8s.io/v1alpha1",
    "node.k8s.io/v1beta1",
    "policy/v1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1",
    "resource.k8s.io/v1",
    "resource.k8s.io/v1beta2",
    "resource.k8s.io/v1beta1",
    "resource.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1alpha2",
    "scheduling.k8s.io/v1beta1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1",
    "storage.k8s.io/v1",
    "storage.k8s.io/v1alpha1",
    "storagemigration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1",
];

/// A Kubernetes version as templates see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeVersion {
    /// The full text, as the cluster reports it or the user gave it.
    pub version: String,
    /// The text that counts in comparisons and when printed.
    pub normalized: String,
    /// The major number as text.
    pub major: String,
    /// The minor number as text; some clusters add a plus.
    pub minor: String,
}

/// A text that is no Kubernetes version. The text is Helm's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid kube version '{text}': {problem}")]
pub struct KubeVersionError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub problem: String,
}

impl KubeVersion {
    /// Reads a version that a user gave: two or more numbers, and then anything,
    /// which does not count in comparisons.
    ///
    /// # Errors
    /// When the text is no version.
    pub fn parse(text: &str) -> Result<Self, KubeVersionError> {
        let wrong = |problem: String| KubeVersionError {
            text: text.to_owned(),
            problem,
        };
        let quoted = sluice_gotemplate::strconv::quote(text.as_bytes());
        let bare = text.trim_start();
        let bare = bare.strip_prefix('v').unwrap_or(bare);
        let mut numbers = Vec::new();
        let mut rest = bare;
        loop {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                break;
            }
            numbers.push(&rest[..digits]);
            match rest[digits..].strip_prefix('.') {
                Some(next) => rest = next,
                None => break,
            }
        }
        if numbers.is_empty() {
            return Err(wrong(format!("could not parse {quoted} as version")));
        }
        if numbers.len() < 2 {
            return Err(wrong(format!("illegal version string {quoted}")));
        }
        if numbers[0].len() > 1 && numbers[0].starts_with('0') {
            return Err(wrong(format!(
                "illegal zero-prefixed version component \"{}\" in {quoted}",
                numbers[0]
            )));
        }
        let mut parsed = Vec::new();
        for number in numbers {
            let value: u64 = number.parse().map_err(|_| {
                wrong(format!(
                    "illegal non-numeric version component \"{number}\" in {quoted}: \
                     strconv.ParseUint: parsing \"{number}\": value out of range"
                ))
            })?;
            parsed.push(value.to_string());
        }
        Ok(KubeVersion {
            version: format!("v{bare}"),
            normalized: format!("v{}", parsed.join(".")),
            major: parsed[0].clone(),
            minor: parsed[1].clone(),
        })
    }

    /// Takes a version as a cluster reports it.
    pub fn reported(version: &str, major: &str, minor: &str) -> Self {
        KubeVersion {
            version: version.to_owned(),
            normalized: version.to_owned(),
            major: major.to_owned(),
            minor: minor.to_owned(),
        }
    }
}

/// What the cluster and this engine can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The cluster's version.
    pub kube_version: KubeVersion,
    /// The APIs it serves: `group/version` and `group/version/Kind`.
    pub api_versions: Vec<String>,
}

impl Default for Capabilities {
    fn default() -> Self {
        Capabilities {
            kube_version: KubeVersion::reported(DEFAULT_KUBE_VERSION, "1", "36"),
            api_versions: DEFAULT_API_VERSIONS.iter().map(|&v| v.to_owned()).collect(),
        }
    }
}

static CAPABILITIES: Named = Named {
    name: "*common.Capabilities",
    under: Under::Pointer,
    text: None,
    action_text: None,
    methods: || &[],
};

static KUBE_VERSION: Named = Named {
    name: "common.KubeVersion",
    under: Under::Struct,
    text: None,
    action_text: Some(kube_text),
    methods: || KUBE_VERSION_METHODS,
};

static KUBE_VERSION_METHODS: &[Method] = &[
    Method {
        name: "String",
        params: &[],
        variadic: None,
        returns: Type::String,
        call: |value, _| Ok(Value::from(kube_text(value))),
    },
    Method {
        name: "GitVersion",
        params: &[],
        variadic: None,
        returns: Type::String,
        call: |value, _| Ok(Value::from(kube_text(value))),
    },
];

static VERSION_SET: Named = Named {
    name: "common.VersionSet",
    under: Under::Type(STRING_SLICE),
    text: None,
    action_text: None,
    methods: || {
        &[Method {
            name: "Has",
            params: &[Type::String],
            variadic: None,
            returns: Type::Bool,
            call: |value, args| {
                let (Value::List(list), Value::Str(wanted)) = (value, &args[0]) else {
                    return Ok(Value::Bool(false));
                };
                let has = list
                    .items()
                    .iter()
                    .any(|item| matches!(item, Value::Str(s) if s == wanted));
                Ok(Value::Bool(has))
            },
        }]
    },
};

static BUILD_INFO: Named = Named {
    name: "version.BuildInfo",
    under: Under::Struct,
    text: None,
    action_text: None,
    methods: || &[],
};

/// A struct of named values, which is all that these objects are.
struct Record {
    named: &'static Named,
    fields: Vec<(&'static str, Value)>,
    /// JSON names, where they differ from the fields' names.
    json: &'static [(&'static str, &'static str)],
}

impl Object for Record {
    fn named(&self) -> &'static Named {
        self.named
    }

    fn field(&self, name: &str) -> Option<Value> {
        let exported = name.starts_with(|c: char| c.is_ascii_uppercase());
        self.fields
            .iter()
            .find(|(known, _)| exported && *known == name)
            .map(|(_, value)| value.clone())
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        self.fields.clone()
    }

    fn serial(&self) -> Serial {
        let exported = self.fields.iter().filter_map(|(name, value)| {
            if !name.starts_with(|c: char| c.is_ascii_uppercase()) {
                return None;
            }
            let json = self.json.iter().find(|(known, _)| known == name);
            let empty = matches!(value, Value::Str(s) if s.is_empty());
            (!empty).then(|| (json.map_or(*name, |(_, json)| *json), value.clone()))
        });
        Serial::Fields(exported.collect())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn kube_text(value: &Value) -> String {
    let Value::Object(object) = value else {
        return String::new();
    };
    object
        .fields()
        .into_iter()
        .find(|(name, _)| *name == "normalizedVersion")
        .map(|(_, text)| match text {
            Value::Str(s) => s.to_string(),
            _ => String::new(),
        })
        .unwrap_or_default()
}

impl Capabilities {
    /// Makes the template value.
    pub(crate) fn to_template(&self) -> Value {
        let kube = &self.kube_version;
        let kube_version = Value::Object(Rc::new(Record {
            named: &KUBE_VERSION,
            fields: vec![
                ("Version", Value::from(kube.version.as_str())),
                ("normalizedVersion", Value::from(kube.normalized.as_str())),
                ("Major", Value::from(kube.major.as_str())),
                ("Minor", Value::from(kube.minor.as_str())),
            ],
            json: &[],
        }));
        let api_versions = Value::List(List::typed(
            Type::Named(&VERSION_SET),
            self.api_versions
                .iter()
                .map(|v| Value::from(v.as_str()))
                .collect(),
        ));
        let helm_version = Value::Object(Rc::new(Record {
            named: &BUILD_INFO,
            fields: vec![
                ("Version", Value::from(HELM_VERSION)),
                (
                    "GitCommit",
                    Value::from("43e8b7feece8beb0fcba47059ec9b522fd929a64"),
                ),
                ("GitTreeState", Value::from("clean")),
                ("GoVersion", Value::from("go1.26.5")),
                ("KubeClientVersion", Value::from("v1.36")),
            ],
            json: &[
                ("Version", "version"),
                ("GitCommit", "git_commit"),
                ("GitTreeState", "git_tree_state"),
                ("GoVersion", "go_version"),
                ("KubeClientVersion", "kube_client_version"),
            ],
        }));
        Value::Object(Rc::new(Record {
            named: &CAPABILITIES,
            fields: vec![
                ("KubeVersion", kube_version),
                ("APIVersions", api_versions),
                ("HelmVersion", helm_version),
            ],
            json: &[],
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_keep_their_text_and_count_by_their_numbers() {
        for (text, version, normalized) in [
            ("1.28", "v1.28", "v1.28"),
            ("v1.2.3.4", "v1.2.3.4", "v1.2.3.4"),
            ("1.28.3+x", "v1.28.3+x", "v1.28.3"),
            ("v1.28.3-gke.5", "v1.28.3-gke.5", "v1.28.3"),
            ("1.028.1", "v1.028.1", "v1.28.1"),
            ("1.28.x", "v1.28.x", "v1.28"),
        ] {
            let found = KubeVersion::parse(text).expect(text);
            assert_eq!(
                (found.version.as_str(), found.normalized.as_str()),
                (version, normalized)
            );
        }
        for (text, problem) in [
            ("x", "could not parse \"x\" as version"),
            ("v1", "illegal version string \"v1\""),
            (
                "01.2",
                "illegal zero-prefixed version component \"01\" in \"01.2\"",
            ),
        ] {
            let error = KubeVersion::parse(text).expect_err(text);
            assert_eq!(error.problem, problem);
        }
    }
}
