//! Charts that mean harm: bounded in time and memory, one clear error.

use crate::cases;

use std::time::{Duration, Instant};

use crate::cases::{CHART, Case};
use sluice_helm::Limits;
use sluice_helm::chart::{File, load_archive, load_files};
use sluice_helm::index::Index;
use sluice_helm::values::{SetKind, Table, read_values, set_values};

/// How long anything may take, in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Less than usual, because an unoptimised build takes minutes for the usual.
const LIMITS: Limits = Limits {
    steps: 1_000_000,
    bytes: 128 << 20,
    depth: 12_000,
};

fn failure(files: &[(&str, &str)]) -> String {
    let mut all = vec![("Chart.yaml".to_owned(), CHART.as_bytes().to_vec())];
    for (name, text) in files {
        all.push(((*name).to_owned(), text.as_bytes().to_vec()));
    }
    let case = Case {
        files: all,
        ..Case::default()
    };
    let started = Instant::now();
    let error = cases::outcome_within(&case, LIMITS).expect_err("refused");
    assert!(
        started.elapsed() < PATIENCE,
        "{files:?} took {:?}",
        started.elapsed()
    );
    // Helm shows one block for each of a thousand levels, and whole expressions.
    assert!(error.len() < 16 << 20, "an error of {} bytes", error.len());
    error
}

fn template(text: &str) -> String {
    failure(&[("templates/a.yaml", text)])
}

#[test]
fn endless_ranges_end() {
    for text in [
        "{{ range until 2000000000 }}{{ end }}",
        "{{ range $i := 9223372036854775807 }}{{ end }}",
        "{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}",
        "{{ range $i := 9223372036854775807 }}xxxxxxxxxxxxxxxx{{ end }}",
        "{{ untilStep 0 9223372036854775807 1 | len }}",
        "{{ seq 1 9000000000000 }}",
    ] {
        let error = template(text);
        assert!(
            error.contains("template run stopped after"),
            "{text}: {error:.300}"
        );
    }
}

#[test]
fn recursion_ends() {
    let loops = "{{ define \"a\" }}{{ include \"b\" . }}{{ end }}{{ define \"b\" }}{{ include \"a\" . }}{{ end }}";
    for text in [
        format!("{loops}{{{{ include \"a\" . }}}}"),
        "{{ define \"a\" }}{{ template \"a\" . }}{{ end }}{{ template \"a\" . }}".to_owned(),
        "{{ define \"t\" }}{{ tpl \"{{ include `t` . }}\" . }}{{ end }}{{ include \"t\" . }}"
            .to_owned(),
    ] {
        template(&text);
    }
    // Every level doubles the work.
    let doubling: String = (0..40)
        .map(|i| format!("{{{{ define \"d{i}\" }}}}{{{{ include \"d{0}\" . }}}}{{{{ include \"d{0}\" . }}}}{{{{ end }}}}", i + 1))
        .collect();
    template(&format!(
        "{doubling}{{{{ define \"d40\" }}}}x{{{{ end }}}}{{{{ include \"d0\" . }}}}"
    ));
}

#[test]
fn texts_do_not_grow_without_bound() {
    for text in [
        "{{ repeat 100000000 \"xxxxxxxxxx\" }}",
        "{{ $x := \"x\" }}{{ range until 60 }}{{ $x = print $x $x }}{{ end }}{{ $x }}",
        "{{ $x := list 1 }}{{ range until 60 }}{{ $x = concat $x $x }}{{ end }}{{ len $x }}",
        "{{ printf \"%999999999d\" 1 }}{{ printf \"%*d\" 900000000 1 }}{{ indent 2000000000 \"a\" }}",
        "{{ $d := dict }}{{ $_ := set $d \"a\" $d }}{{ toYaml $d }}{{ print $d }}",
        "{{ replace \"\" (repeat 100000 \"y\") (repeat 100000 \"x\") }}",
        "{{ $s := repeat 100000 \"a\" }}{{ regexReplaceAll \"a\" $s (repeat 10000 \"$0$0$0\") }}",
    ] {
        template(text);
    }
}

#[test]
fn expressions_are_bounded() {
    for text in [
        "{{ regexMatch \"((a{0,1000}){0,1000}){0,1000}\" \"a\" }}",
        "{{ regexFind (repeat 100000 \"(\") \"a\" }}",
        "{{ semverCompare (repeat 100000 \">1 ||\") \"1.2.3\" }}",
    ] {
        template(text);
    }
}

#[test]
fn schemas_load_nothing_from_elsewhere() {
    for reference in [
        "https://example.com/schema.json",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
    ] {
        let schema = format!("{{\"$ref\": \"{reference}\"}}");
        let error = failure(&[
            ("values.schema.json", &schema),
            ("templates/a.yaml", "a: 1\n"),
        ]);
        assert!(
            error.contains("not allowed") || error.contains("fail"),
            "{error}"
        );
        assert!(!error.contains("root:"), "{error}");
    }
}

#[test]
fn schemas_that_nest_for_ever_end() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    failure(&[
        ("values.schema.json", &deep),
        ("templates/a.yaml", "a: 1\n"),
    ]);
    let wide = r##"{"$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}, {"$ref": "#/$defs/b"}]},
        "b": {"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}"##;
    failure(&[("values.schema.json", wide), ("templates/a.yaml", "a: 1\n")]);
}

#[test]
fn bombs_of_yaml_are_refused() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let before = format!("*a{}", i - 1);
        let all = vec![before; 9].join(", ");
        laughs.push_str(&format!("a{i}: &a{i} [{all}]\n"));
    }
    let deep = format!("a: {}{}", "[".repeat(100_000), "]".repeat(100_000));
    for values in [&laughs, &deep] {
        let started = Instant::now();
        read_values(values.as_bytes()).expect_err("refused");
        load_files(vec![File::new("Chart.yaml", values.as_bytes())]).expect_err("refused");
        Index::parse(values.as_bytes(), &mut Vec::new()).expect_err("refused");
        assert!(started.elapsed() < PATIENCE);
    }
    template(&format!(
        "{{{{ fromYaml {laughs:?} | toJson | len | fail }}}}"
    ));
    template(&format!("{{{{ tpl {deep:?} . }}}}\n{deep}"));
}

#[test]
fn values_of_the_command_line_are_bounded() {
    let set = |line: &str| {
        let started = Instant::now();
        let outcome = set_values(line, SetKind::Typed, &mut Table::new());
        assert!(started.elapsed() < PATIENCE);
        outcome
    };
    set("a[999999999]=1").expect_err("refused");
    set(&format!("{}=1", vec!["a"; 1000].join("."))).expect_err("refused");
    // Long lists and deep ones are taken, but not without end.
    let _ = set("a[65536][65536][65536]=1");
    let _ = set(&format!("{}b=1", "a[0]".repeat(5000)));
    let _ = set(&format!("a={}", "{".repeat(100_000)));
}

#[test]
fn bombs_of_archives_are_refused() {
    use std::io::Write as _;
    let zeros = |count: usize| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        for _ in 0..count {
            encoder.write_all(&[0; 1 << 20]).expect("packs");
        }
        encoder.finish().expect("packs")
    };
    let started = Instant::now();
    load_archive(&zeros(300)).expect_err("refused");
    load_archive(b"PK\x03\x04").expect_err("refused");
    load_archive(&[0x1f, 0x8b, 8, 0, 0]).expect_err("refused");
    // An archive in an archive in an archive.
    let mut inner = Vec::new();
    for _ in 0..40 {
        let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(
            Vec::new(),
            flate2::Compression::fast(),
        ));
        let mut add = |name: &str, data: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(data.len() as u64);
            header.set_mode(0o644);
            builder
                .append_data(&mut header, name, data)
                .expect("appends");
        };
        add("c/Chart.yaml", CHART.as_bytes());
        if !inner.is_empty() {
            add("c/charts/c.tgz", &inner);
        }
        inner = builder
            .into_inner()
            .and_then(flate2::write::GzEncoder::finish)
            .expect("packs");
    }
    let error = load_archive(&inner).expect_err("refused").to_string();
    assert!(error.contains("nest deeper"), "{error:.200}");
    assert!(started.elapsed() < PATIENCE);
}

#[test]
fn broken_records_and_values_do_not_show_secrets() {
    let secret = "password-that-nobody-may-see";
    let record = format!(
        "{{\"name\": \"x\", \"config\": {{\"p\": \"{secret}\"}}, \"version\": \"{secret}\"}}"
    );
    let error = sluice_helm::release::decode_json(record.as_bytes()).expect_err("refused");
    assert!(!error.contains(secret), "{error}");
    let broken = format!("p: {secret}\nq: [\n");
    let error = read_values(broken.as_bytes()).expect_err("refused");
    assert!(!error.contains(secret), "{error}");
}
