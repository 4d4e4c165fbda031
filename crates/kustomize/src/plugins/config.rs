//! What built-in plugins are configured with.

use std::collections::BTreeMap;

use crate::gojson::go_struct;
use crate::kustomization::{
    self, ConfigMapArgs, GeneratorOptions, Image, PatchOptions, ReplacementField, Replica,
    SecretArgs, Selector,
};

go_struct! {
    /// Every field that a built-in plugin reads.
    pub struct Args("PluginConfig") {
        /// Name and namespace of the plugin object.
        metadata: Option<kustomization::ObjectMeta> = "metadata",
        /// Annotations to set.
        annotations: BTreeMap<String, String> = "annotations",
        /// Labels to set.
        labels: BTreeMap<String, String> = "labels",
        /// Fields to act on.
        field_specs: Option<Vec<kustomization::FieldSpec>> = "fieldSpecs",
        /// Only where there is no namespace yet.
        unset_only: bool = "unsetOnly",
        /// Which subjects get the namespace.
        set_role_binding_subjects: String = "setRoleBindingSubjects",
        /// Put before names.
        prefix: String = "prefix",
        /// Put behind names.
        suffix: String = "suffix",
        /// The image to change.
        image_tag: Image = "imageTag",
        /// The count to set.
        replica: Replica = "replica",
        /// The file of a patch.
        path: String = "path",
        /// The patch.
        patch: String = "patch",
        /// What to patch.
        target: Option<Selector> = "target",
        /// What a patch may change.
        options: Option<PatchOptions> = "options",
        /// Files of patches.
        paths: Vec<String> = "paths",
        /// Patches.
        patches: String = "patches",
        /// A JSON patch.
        json_op: String = "jsonOp",
        /// Replacements to make.
        replacements: Vec<ReplacementField> = "replacements",
    }
}

go_struct! {
    /// Configuration of the ValueAddTransformer.
    pub struct ValueAddArgs("ValueAddTransformer") {
        /// The value; the base name of the root when empty.
        value: String = "value",
        /// Where it goes.
        targets: Vec<ValueAddTarget> = "targets",
        /// A file of targets.
        target_file_path: String = "targetFilePath",
    }
}

go_struct! {
    /// A field that gets the value.
    pub struct ValueAddTarget("Target") {
        /// The objects.
        selector: Option<Selector> = "selector",
        /// The field.
        field_path: String = "fieldPath",
        /// Which part of a path.
        file_path_position: i32 = "filePathPosition",
    }
}

go_struct! {
    /// Configuration of the IAMPolicyGenerator.
    pub struct IamArgs("IAMPolicyGeneratorArgs") {
        /// `gke`.
        cloud: String = "cloud",
        /// The account in the cluster.
        kubernetes_service: IamService = "kubernetesService",
        /// The account in the cloud.
        service_account: IamAccount = "serviceAccount",
    }
}

go_struct! {
    /// An account in the cluster.
    pub struct IamService("KubernetesService") {
        /// Its namespace.
        namespace: String = "namespace",
        /// Its name.
        name: String = "name",
    }
}

go_struct! {
    /// An account in the cloud.
    pub struct IamAccount("ServiceAccount") {
        /// Its name.
        name: String = "name",
        /// Its project.
        project_id: String = "projectId",
    }
}

go_struct! {
    /// A replacement in a file of its own.
    pub struct ReplacementFile("Replacement") {
        /// Where the value comes from.
        source: Option<kustomization::SourceSelector> = "source",
        /// Where it goes.
        targets: Option<Vec<kustomization::TargetSelector>> = "targets",
        /// The value itself.
        source_value: Option<String> = "sourceValue",
    }
}

impl From<ReplacementFile> for ReplacementField {
    fn from(file: ReplacementFile) -> Self {
        ReplacementField {
            path: String::new(),
            source: file.source,
            targets: file.targets,
            source_value: file.source_value,
        }
    }
}

go_struct! {
    /// Configuration of the ConfigMapGenerator.
    pub struct ConfigMapPlugin("ConfigMapGeneratorPlugin") {
        /// Name and namespace of the plugin object.
        metadata: Option<kustomization::ObjectMeta> = "metadata",
        /// Its namespace.
        namespace: String = "ConfigMapArgs.GeneratorArgs.namespace",
        /// Its name, before the hash.
        name: String = "ConfigMapArgs.GeneratorArgs.name",
        /// `create`, `merge` or `replace`.
        behavior: String = "ConfigMapArgs.GeneratorArgs.behavior",
        /// `key=value` texts.
        literals: Vec<String> = "ConfigMapArgs.GeneratorArgs.KvPairSources.literals",
        /// Files, as `[key=]path`.
        files: Vec<String> = "ConfigMapArgs.GeneratorArgs.KvPairSources.files",
        /// Files of `key=value` lines.
        envs: Vec<String> = "ConfigMapArgs.GeneratorArgs.KvPairSources.envs",
        /// Deprecated: one more of `envs`.
        env: String = "ConfigMapArgs.GeneratorArgs.KvPairSources.env",
        /// Options of this one.
        options: Option<GeneratorOptions> = "ConfigMapArgs.GeneratorArgs.options",
    }
}

go_struct! {
    /// Configuration of the SecretGenerator.
    pub struct SecretPlugin("SecretGeneratorPlugin") {
        /// Name and namespace of the plugin object.
        metadata: Option<kustomization::ObjectMeta> = "metadata",
        /// Its namespace.
        namespace: String = "SecretArgs.GeneratorArgs.namespace",
        /// Its name, before the hash.
        name: String = "SecretArgs.GeneratorArgs.name",
        /// `create`, `merge` or `replace`.
        behavior: String = "SecretArgs.GeneratorArgs.behavior",
        /// `key=value` texts.
        literals: Vec<String> = "SecretArgs.GeneratorArgs.KvPairSources.literals",
        /// Files, as `[key=]path`.
        files: Vec<String> = "SecretArgs.GeneratorArgs.KvPairSources.files",
        /// Files of `key=value` lines.
        envs: Vec<String> = "SecretArgs.GeneratorArgs.KvPairSources.envs",
        /// Deprecated: one more of `envs`.
        env: String = "SecretArgs.GeneratorArgs.KvPairSources.env",
        /// Options of this one.
        options: Option<GeneratorOptions> = "SecretArgs.GeneratorArgs.options",
        /// The type of the Secret; `Opaque` when empty.
        kind: String = "SecretArgs.type",
    }
}

impl ConfigMapPlugin {
    /// The arguments, with what the plugin object is called in place of what they leave out.
    pub(crate) fn into_args(self) -> ConfigMapArgs {
        let own = self.metadata.unwrap_or_default();
        ConfigMapArgs {
            namespace: or(self.namespace, own.namespace),
            name: or(self.name, own.name),
            behavior: self.behavior,
            literals: self.literals,
            files: self.files,
            envs: self.envs,
            env: self.env,
            options: self.options,
        }
    }
}

impl SecretPlugin {
    /// As [`ConfigMapPlugin::into_args`].
    pub(crate) fn into_args(self) -> SecretArgs {
        let own = self.metadata.unwrap_or_default();
        SecretArgs {
            namespace: or(self.namespace, own.namespace),
            name: or(self.name, own.name),
            behavior: self.behavior,
            literals: self.literals,
            files: self.files,
            envs: self.envs,
            env: self.env,
            options: self.options,
            kind: self.kind,
        }
    }
}

/// The text, or another when it is empty.
fn or(text: String, other: String) -> String {
    if text.is_empty() { other } else { text }
}
