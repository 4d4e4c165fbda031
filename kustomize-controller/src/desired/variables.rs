//! Variables and their substitution in built objects (`spec.postBuild`).

use std::collections::BTreeMap;

use serde_json::Value;
use sluice_api::kustomize::{PostBuild, SubstituteStrategy, ValuesKind};
use sluice_envsubst::{Limits, Undefined, check_name, substitute};
use sluice_objects::object::Gvk;
use sluice_objects::switches::substitution_disabled;
use sluice_yaml::Dialect;

/// What an object that variables are taken from holds, or the server's text why it cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loaded {
    /// Its texts by key.
    Found(BTreeMap<String, String>),
    /// There is no such object.
    Missing(String),
    /// It could not be read.
    Failed(String),
}

/// The variables of one run, or why there are none. The error belongs to the first object that would
/// have needed them, so it is kept until then.
#[derive(Debug, Clone, PartialEq)]
pub struct Variables {
    values: Result<BTreeMap<String, String>, String>,
    is_always: bool,
    undefined: Undefined,
}

impl Variables {
    /// Joins the variables: later references win over earlier ones, inline ones over all. Line breaks
    /// are removed from all values.
    pub fn new(post_build: &PostBuild, loaded: &[Loaded], undefined: Undefined) -> Self {
        Self {
            values: join(post_build, loaded),
            is_always: post_build.substitute_strategy == Some(SubstituteStrategy::Always),
            undefined,
        }
    }

    /// The variables, for telling whether they changed.
    pub fn values(&self) -> Option<&BTreeMap<String, String>> {
        self.values.as_ref().ok()
    }

    /// Substitutes in one object.
    ///
    /// # Errors
    /// The text of Flux, with the object named. Values are never quoted.
    pub fn apply(&self, object: Value) -> Result<Value, String> {
        if substitution_disabled(&object) {
            return Ok(object);
        }
        let gvk = Gvk::of(&object)
            .map(|gvk| gvk.to_string())
            .unwrap_or_default();
        let name = sluice_objects::object::name(&object).to_owned();
        self.replace(object)
            .map_err(|error| format!("post build failed for '{gvk}/{name}': {error}"))
    }

    fn replace(&self, object: Value) -> Result<Value, String> {
        let values = self.values.as_ref().map_err(Clone::clone)?;
        if values.is_empty() && !self.is_always {
            return Ok(object);
        }
        for name in values.keys() {
            check_name(name).map_err(|error| format!("envsubst error: {error}"))?;
        }
        let text =
            sluice_yaml::to_string(&object).map_err(|error| format!("envsubst error: {error}"))?;
        let lookup = |name: &str| values.get(name).map(String::as_str);
        let text = substitute(&text, lookup, self.undefined, &Limits::default())
            .map_err(|error| format!("envsubst error: variable substitution failed: {error}"))?;
        sluice_yaml::from_str_with(&text, Dialect::Sigs, &sluice_yaml::Limits::default())
            .map_err(|error| format!("envsubst error: YAMLToJSON: {error}"))
    }
}

fn join(post_build: &PostBuild, loaded: &[Loaded]) -> Result<BTreeMap<String, String>, String> {
    let mut values = BTreeMap::new();
    for (reference, loaded) in post_build.substitute_from.iter().zip(loaded) {
        let kind = match reference.kind {
            ValuesKind::ConfigMap => "ConfigMap",
            _ => "Secret",
        };
        let fail =
            |error: &str| format!("substitute from '{kind}/{}' error: {error}", reference.name);
        match loaded {
            Loaded::Found(data) => values.extend(data.clone()),
            Loaded::Missing(_) if reference.optional => {}
            Loaded::Missing(error) | Loaded::Failed(error) => return Err(fail(error)),
        }
    }
    values.extend(post_build.substitute.clone());
    for value in values.values_mut() {
        value.retain(|c| c != '\n');
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sluice_api::kustomize::SubstituteReference;

    use super::*;

    fn data(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    fn post_build(references: &[(&str, &str, bool)], inline: &[(&str, &str)]) -> PostBuild {
        PostBuild {
            substitute: data(inline),
            substitute_from: references
                .iter()
                .map(|(kind, name, optional)| SubstituteReference {
                    kind: (*kind).into(),
                    name: (*name).to_owned(),
                    optional: *optional,
                })
                .collect(),
            substitute_strategy: None,
        }
    }

    fn config_map(value: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": value}})
    }

    fn with(inline: &[(&str, &str)], value: &str) -> Result<Value, String> {
        let variables = Variables::new(&post_build(&[], inline), &[], Undefined::Refuse);
        variables
            .apply(config_map(value))
            .map(|object| object["data"]["k"].clone())
    }

    #[test]
    fn later_references_win_and_inline_ones_over_all_and_line_breaks_go() {
        let post_build = post_build(
            &[
                ("ConfigMap", "a", false),
                ("Secret", "b", false),
                ("ConfigMap", "c", true),
            ],
            &[("inline", "3")],
        );
        let loaded = [
            Loaded::Found(data(&[
                ("who", "map"),
                ("zone", "\naz-\n1a\n"),
                ("inline", "1"),
            ])),
            Loaded::Found(data(&[("who", "secret"), ("inline", "2")])),
            Loaded::Missing("configmaps \"c\" not found".into()),
        ];
        let variables = Variables::new(&post_build, &loaded, Undefined::Refuse);
        let object = variables
            .apply(config_map("${who} ${zone} ${inline}"))
            .unwrap();
        assert_eq!(object["data"]["k"], "secret az-1a 3");
    }

    #[test]
    fn quoting_does_not_survive() {
        assert_eq!(with(&[("n", "123")], "${n}"), Ok(json!(123)));
        assert_eq!(with(&[("n", "yes")], "${n}"), Ok(json!(true)));
        assert_eq!(
            with(&[("q", "\""), ("n", "123")], "${q}${n}${q}"),
            Ok(json!("123"))
        );
        assert_eq!(with(&[("n", "!!str 123")], "${n}"), Ok(json!("123")));
        assert_eq!(with(&[("n", "")], "${n}"), Ok(json!(null)));
    }

    #[test]
    fn errors_are_flux_s() {
        let text = |inline: &[(&str, &str)], value: &str| with(inline, value).unwrap_err();
        let head = "post build failed for 'ConfigMap.v1.[noGrp]/a': ";
        assert_eq!(
            text(&[("my-key", "1")], "x"),
            format!(
                "{head}envsubst error: 'my-key' var name is invalid, must match '^[_[:alpha:]][_[:alpha:][:digit:]]*$'"
            )
        );
        assert_eq!(
            text(&[("a", "1")], "${absent}"),
            format!(
                "{head}envsubst error: variable substitution failed: variable not set (strict mode): \"absent\""
            )
        );
        assert_eq!(
            text(&[("list", "[1")], "${list}"),
            format!(
                "{head}envsubst error: YAMLToJSON: yaml: line 3: did not find expected ',' or ']'"
            )
        );
        assert_eq!(
            text(&[("map", "x: y")], "${map}"),
            format!(
                "{head}envsubst error: YAMLToJSON: yaml: line 3: mapping values are not allowed in this context"
            )
        );
        let post_build = post_build(&[("Secret", "absent", false)], &[]);
        let missing = [Loaded::Missing("secrets \"absent\" not found".into())];
        let variables = Variables::new(&post_build, &missing, Undefined::Refuse);
        assert_eq!(
            variables.apply(config_map("x")).unwrap_err(),
            format!("{head}substitute from 'Secret/absent' error: secrets \"absent\" not found")
        );
    }

    #[test]
    fn without_variables_nothing_happens_unless_asked_for() {
        assert_eq!(with(&[], "$$ ${a:=b}"), Ok(json!("$$ ${a:=b}")));
        let mut always = post_build(&[], &[]);
        always.substitute_strategy = Some(SubstituteStrategy::Always);
        let variables = Variables::new(&always, &[], Undefined::Refuse);
        assert_eq!(
            variables.apply(config_map("$$ ${a:=b}")).unwrap()["data"]["k"],
            "$ b"
        );
    }

    #[test]
    fn the_switch_is_exact() {
        let variables = Variables::new(&post_build(&[], &[("a", "1")]), &[], Undefined::Refuse);
        let mut object = config_map("${not valid}");
        object["metadata"]["annotations"] =
            json!({"kustomize.toolkit.fluxcd.io/substitute": "disabled"});
        assert_eq!(variables.apply(object.clone()), Ok(object));
    }
}
