use super::*;

const CHART: &str = "apiVersion: v2\nname: c\nversion: 0.1.0\nicon: https://x/y.png\n";

fn world() -> World {
    World::offline((0, 0), Box::new(|buffer| buffer.fill(1)))
}

fn linted(files: &[(&str, &str)]) -> Findings {
    let mut all = vec![
        File::new("Chart.yaml", CHART.as_bytes()),
        File::new("values.yaml", &b"a: 1\n"[..]),
    ];
    for (name, text) in files {
        all.retain(|file| file.name != *name);
        all.push(File::new(*name, text.as_bytes()));
    }
    let there = |prefix: &str| match all.iter().any(|f| f.name.starts_with(prefix)) {
        true => Present::Folder,
        false => Present::Nothing,
    };
    let linted = Linted {
        templates: there("templates/"),
        crds: there("crds/"),
        files: all,
        folder: "/c".to_owned(),
    };
    let options = LintOptions {
        namespace: "default".to_owned(),
        ..LintOptions::default()
    };
    lint(&linted, &options, world())
}

fn findings(files: &[(&str, &str)]) -> Vec<String> {
    let messages = linted(files).messages;
    messages.iter().map(Message::to_string).collect()
}

#[test]
fn a_good_chart_has_no_findings() {
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    assert_eq!(findings(&[("templates/a.yaml", template)]), [""; 0]);
}

#[test]
fn chart_files_are_checked_field_by_field() {
    let chart = "apiVersion: v1\nname: c\nversion: 1.2\ntype: library\nappVersion: 3\nicon: foo\n\
                 maintainers:\n- email: xx\nsources: [x]\ndependencies:\n- name: d\n";
    let found = findings(&[("Chart.yaml", chart), ("templates/NOTES.txt", "")]);
    assert_eq!(
        found,
        [
            "[ERROR] Chart.yaml: version should be of type string but it's of type float64",
            "[ERROR] Chart.yaml: appVersion should be of type string but it's of type float64",
            "[ERROR] Chart.yaml: each maintainer requires a name",
            "[ERROR] Chart.yaml: invalid source URL 'x'",
            "[ERROR] Chart.yaml: invalid icon URL 'foo'",
            "[ERROR] Chart.yaml: chart type is not valid in apiVersion 'v1'. It is valid in \
             apiVersion 'v2'",
            "[ERROR] Chart.yaml: dependencies are not valid in the Chart file with apiVersion \
             'v1'. They are valid in apiVersion 'v2'",
            "[WARNING] Chart.yaml: version '1.2' is not a valid SemVerV2",
            "[WARNING] /c: chart directory is missing these dependencies: d",
        ]
    );
}

#[test]
fn unknown_and_repeated_keys_are_warned_of() {
    for (more, problem) in [
        (
            "foo: 1\n",
            "error unmarshaling JSON: while decoding JSON: json: unknown field \"foo\"",
        ),
        (
            "foo: 1\nfoo: 2\n",
            "error converting YAML to JSON: yaml: unmarshal errors:\n  line 6: key \"foo\" \
             already set in map",
        ),
    ] {
        let chart = format!("{CHART}{more}");
        let found = findings(&[("Chart.yaml", &chart), ("templates/NOTES.txt", "")]);
        let want = format!(
            "[WARNING] Chart.yaml: failed to strictly parse chart metadata file\n\t{problem}"
        );
        assert_eq!(found, [want]);
    }
}

#[test]
fn a_chart_that_does_not_load_is_said_so_everywhere() {
    let found = findings(&[("values.yaml", "- a"), ("templates/a.yaml", "")]);
    let problem = "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into \
                   Go value of type";
    let loading = format!(
        "cannot load values.yaml: cannot unmarshal yaml document: {problem} map[string]interface {{}}"
    );
    assert_eq!(
        found,
        [
            format!("[ERROR] values.yaml: unable to parse YAML: {problem} common.Values"),
            format!("[ERROR] templates/: {loading}"),
            format!("[ERROR] : unable to load chart\n\t{loading}"),
        ]
    );
}

#[test]
fn rendered_objects_are_checked() {
    for (text, want) in [
        (
            "a: : b\n",
            "[ERROR] templates/a.yaml: unable to parse YAML: error converting YAML to JSON: yaml: \
             mapping values are not allowed in this context",
        ),
        (
            "  metadata: {name: a}\n",
            "[WARNING] templates/a.yaml: document starts with an illegal indent: \"  metadata: \
             {name: a}\", which may cause parsing problems",
        ),
        (
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: a.b}\n",
            "[WARNING] templates/a.yaml: object name does not conform to Kubernetes naming \
             requirements: \"a.b\": metadata.name: Invalid value: \"a.b\": must not contain dots",
        ),
        (
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: ok}\n",
            "[ERROR] templates/a.yaml: a Deployment must contain matchLabels or \
             matchExpressions, and \"ok\" does not",
        ),
        (
            "apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: a}\n",
            "[WARNING] templates/a.yaml: batch/v1beta1 CronJob is deprecated in v1.21+, \
             unavailable in v1.25+; use batch/v1 CronJob",
        ),
        (
            "kind: List\nmetadata: {name: a}\nitems:\n- metadata: {annotations: \
             {helm.sh/resource-policy: keep}}\n",
            "[ERROR] templates/a.yaml: annotation 'helm.sh/resource-policy' within List objects \
             are ignored",
        ),
        (
            "metadata: {name: {{ required \"x\" .Values.no }}a{{ fail \"no\" }}}\n",
            "",
        ),
        (
            "a: {{ .Values.x.y }}",
            "[ERROR] templates/: c/templates/a.yaml:1:13\n  executing \"c/templates/a.yaml\" at \
             <.Values.x.y>:\n    nil pointer evaluating interface {}.y",
        ),
    ] {
        let found = findings(&[("templates/a.yaml", text)]);
        assert_eq!(found.last().map_or("", String::as_str), want, "{text}");
    }
}

#[test]
fn crds_and_extensions_are_checked() {
    let found = findings(&[
        ("templates/a.foo", ""),
        ("crds/a.yaml", "apiVersion: v1\nkind: Foo\n"),
        (
            "charts/z/Chart.yaml",
            "apiVersion: v2\nname: z\nversion: 1.0.0\n",
        ),
    ]);
    assert_eq!(
        found,
        [
            "[ERROR] templates/a.foo: file extension '.foo' not valid. Valid extensions are \
             .yaml, .yml, .tpl, or .txt",
            "[ERROR] /c: chart metadata is missing these dependencies: z",
            "[ERROR] crds/a.yaml: apiVersion is not in 'apiextensions.k8s.io'",
            "[ERROR] crds/a.yaml: object kind is not 'CustomResourceDefinition'",
        ]
    );
}

#[test]
fn the_first_template_that_does_not_parse_ends_it_all() {
    let found = findings(&[
        ("templates/a.yaml", "a: b: c\n"),
        ("templates/b.yaml", "also: bad: yes\n"),
    ]);
    assert_eq!(
        found,
        [
            "[ERROR] templates/a.yaml: unable to parse YAML: error converting YAML to JSON: yaml: \
             mapping values are not allowed in this context"
        ]
    );
}

#[test]
fn heads_are_typed_as_by_go() {
    for (text, problem) in [
        (
            "kind: [a]\n",
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go \
             struct field k8sYamlStruct.Kind of type string",
        ),
        (
            "metadata: a\n",
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal string into Go \
             struct field k8sYamlStruct.Metadata of type rules.k8sYamlMetadata",
        ),
        (
            "metadata: {name: [a]}\n",
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go \
             struct field k8sYamlMetadata.Metadata.Name of type string",
        ),
        ("a: 1\n---b: 2\n", "invalid Yaml document separator: b: 2"),
        (
            "a: .inf\n",
            "error converting YAML to JSON: json: unsupported value: +Inf",
        ),
        ("{\"a\": 1", "unexpected EOF"),
    ] {
        let found = findings(&[("templates/a.yaml", text)]);
        let want = format!("[ERROR] templates/a.yaml: unable to parse YAML: {problem}");
        assert_eq!(found.last(), Some(&want), "{text}");
    }
    assert_eq!(
        findings(&[("templates/a.yaml", "metadata: {name: 1}\n")]),
        [""; 0]
    );
}

#[test]
fn what_is_required_and_missing_is_logged() {
    let template = "a: {{ required \"must be\" .Values.x }}{{ fail \"no\" }}\n";
    let files = [("templates/a.yaml", template)];
    assert_eq!(
        linted(&files).logged,
        [
            "level=WARN msg=\"missing required value\" message=\"must be\"",
            "level=INFO msg=\"funcMap fail\" message=no",
        ]
    );
    let ends = "a: {{ required \"it\" .Values.x }}{{ index .Values \"a\" \"b\" }}\n";
    assert_eq!(
        linted(&[("templates/a.yaml", ends)]).logged,
        ["level=WARN msg=\"missing required value\" message=it"]
    );
}
