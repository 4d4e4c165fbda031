//! Random templates and values, rendered here and by the real Helm.
//!
//! Templates that render are put into one chart by the hundred; those that fail
//! get a helm of their own, because the text of the error counts.

use anyhow::ensure;
use fastrand::Rng;

use super::cases::{self, CHART, Case};

/// Arguments of `cargo xtask helm-random`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many templates to try
    #[arg(long, default_value_t = 10_000)]
    runs: usize,
    /// Where to start; the same seed makes the same templates
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// At most how many failing templates to try
    #[arg(long, default_value_t = 3000)]
    errors: usize,
}

/// How many templates share a chart and its values.
const BATCH: usize = 100;
/// How many differences are shown.
const SHOWN: usize = 25;

/// Compares; prints every difference.
///
/// # Errors
/// Helm cannot be run, or there is a difference.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let helm = super::helm()?;
    let seeds: Vec<u64> = (0..args.runs.div_ceil(BATCH) as u64)
        .map(|batch| args.seed + batch)
        .collect();
    let errors_per_batch = args.errors.div_ceil(seeds.len().max(1));
    let results = super::parallel(&seeds, |seed| {
        let mut rng = Rng::with_seed(*seed);
        let values = values_text(&mut rng);
        let texts: Vec<String> = (0..BATCH).map(|_| template_text(&mut rng)).collect();
        let mut batch = Batch {
            helm: &helm,
            values,
            rendered: 0,
            failed: 0,
            differences: Vec::new(),
        };
        let (good, bad): (Vec<String>, Vec<String>) = texts
            .into_iter()
            .partition(|text| cases::outcome(&batch.case(std::slice::from_ref(text))).is_ok());
        batch.compare(&good)?;
        for text in bad.iter().take(errors_per_batch) {
            batch.compare(std::slice::from_ref(text))?;
        }
        Ok((batch.rendered, batch.failed, batch.differences))
    })?;
    let (mut rendered, mut failed, mut differences) = (0, 0, Vec::new());
    for (ok, bad, found) in results {
        rendered += ok;
        failed += bad;
        differences.extend(found);
    }
    for difference in differences.iter().take(SHOWN) {
        println!("{difference}");
    }
    println!(
        "{rendered} templates that render, {failed} that fail, {} differ",
        differences.len()
    );
    ensure!(
        differences.is_empty(),
        "{} templates differ",
        differences.len()
    );
    Ok(())
}

struct Batch<'h> {
    helm: &'h std::path::Path,
    values: String,
    rendered: usize,
    failed: usize,
    differences: Vec<String>,
}

impl Batch<'_> {
    fn case(&self, texts: &[String]) -> Case {
        let mut files = vec![
            ("Chart.yaml".to_owned(), CHART.as_bytes().to_vec()),
            ("values.yaml".to_owned(), self.values.clone().into_bytes()),
            ("templates/_h.tpl".to_owned(), HELPERS.as_bytes().to_vec()),
        ];
        for (i, text) in texts.iter().enumerate() {
            let text = format!("#{text}").into_bytes();
            files.push((format!("templates/t{i:03}.txt"), text));
        }
        Case {
            files,
            ..Case::default()
        }
    }

    /// Compares, and halves what differs until the culprits are alone.
    fn compare(&mut self, texts: &[String]) -> anyhow::Result<()> {
        if texts.is_empty() {
            return Ok(());
        }
        let case = self.case(texts);
        let clean = |r: Result<String, String>| match r {
            Ok(text) => Ok(super::without_pointers(&text)),
            Err(text) => Err(super::without_pointers(&text)),
        };
        let ours = clean(cases::outcome(&case));
        // What is too slow in a crowd is tried alone; alone it is an error.
        let theirs = match super::judge(self.helm, &case) {
            Ok(theirs) => clean(theirs),
            Err(_) if texts.len() > 1 => Err("helm takes too long".to_owned()),
            Err(error) => return Err(error),
        };
        if ours == theirs {
            match ours {
                Ok(_) => self.rendered += texts.len(),
                Err(_) => self.failed += texts.len(),
            }
            return Ok(());
        }
        if let [text] = texts {
            self.failed += 1;
            self.differences.push(format!(
                "{text}\n  helm {theirs:?}\n  ours {ours:?}\n  values {}",
                self.values
            ));
            return Ok(());
        }
        let (left, right) = texts.split_at(texts.len() / 2);
        self.compare(left)?;
        self.compare(right)
    }
}

/// Named templates that the random ones may include.
const HELPERS: &str = "{{define \"id\"}}{{.}}{{end}}{{define \"j\"}}{{toJson .}}{{end}}\
                       {{define \"nested\"}}{{include \"id\" .}}-{{template \"j\" .}}{{end}}";

/// What a generated expression should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    Text,
    Int,
    Float,
    Bool,
    List,
    Map,
    Any,
}

use Want::{Any, Bool, Float, Int, List, Map, Text};

/// Functions with what they take and give. Those that answer by chance or in
/// random order are not among them.
const FUNCTIONS: &[(&str, &[Want], Want)] = &[
    ("trim", &[Text], Text),
    ("upper", &[Text], Text),
    ("lower", &[Text], Text),
    ("title", &[Text], Text),
    ("untitle", &[Text], Text),
    ("swapcase", &[Text], Text),
    ("nospace", &[Text], Text),
    ("initials", &[Text], Text),
    ("snakecase", &[Text], Text),
    ("camelcase", &[Text], Text),
    ("kebabcase", &[Text], Text),
    ("trimAll", &[Text, Text], Text),
    ("trimPrefix", &[Text, Text], Text),
    ("trimSuffix", &[Text, Text], Text),
    ("repeat", &[Int, Text], Text),
    ("substr", &[Int, Int, Text], Text),
    ("trunc", &[Int, Text], Text),
    ("abbrev", &[Int, Text], Text),
    ("abbrevboth", &[Int, Int, Text], Text),
    ("wrap", &[Int, Text], Text),
    ("wrapWith", &[Int, Text, Text], Text),
    ("contains", &[Text, Text], Bool),
    ("hasPrefix", &[Text, Text], Bool),
    ("hasSuffix", &[Text, Text], Bool),
    ("quote", &[Any], Text),
    ("quote", &[Any, Any], Text),
    ("squote", &[Any], Text),
    ("cat", &[Any, Any, Any], Text),
    ("indent", &[Int, Text], Text),
    ("nindent", &[Int, Text], Text),
    ("replace", &[Text, Text, Text], Text),
    ("plural", &[Text, Text, Int], Text),
    ("toString", &[Any], Text),
    ("toStrings", &[Any], List),
    ("join", &[Text, Any], Text),
    ("split", &[Text, Text], Map),
    ("splitn", &[Text, Int, Text], Map),
    ("splitList", &[Text, Text], List),
    ("sortAlpha", &[Any], List),
    ("regexMatch", &[Text, Text], Bool),
    ("regexFind", &[Text, Text], Text),
    ("regexFindAll", &[Text, Text, Int], List),
    ("regexReplaceAll", &[Text, Text, Text], Text),
    ("regexSplit", &[Text, Text, Int], List),
    ("regexQuoteMeta", &[Text], Text),
    ("atoi", &[Text], Int),
    ("int", &[Any], Int),
    ("int64", &[Any], Int),
    ("float64", &[Any], Float),
    ("toDecimal", &[Any], Int),
    ("add", &[Any, Any], Int),
    ("add1", &[Any], Int),
    ("sub", &[Any, Any], Int),
    ("mul", &[Any, Any], Int),
    ("div", &[Any, Any], Int),
    ("mod", &[Any, Any], Int),
    ("addf", &[Any, Any], Float),
    ("subf", &[Any, Any], Float),
    ("mulf", &[Any, Any], Float),
    ("divf", &[Any, Any], Float),
    ("max", &[Any, Any], Int),
    ("min", &[Any, Any], Int),
    ("maxf", &[Any, Any], Float),
    ("minf", &[Any, Any], Float),
    ("ceil", &[Any], Float),
    ("floor", &[Any], Float),
    ("round", &[Any, Int], Float),
    ("until", &[Int], List),
    ("untilStep", &[Int, Int, Int], List),
    ("seq", &[Int, Int], Text),
    ("default", &[Any, Any], Any),
    ("empty", &[Any], Bool),
    ("coalesce", &[Any, Any, Any], Any),
    ("all", &[Any, Any], Bool),
    ("any", &[Any, Any], Bool),
    ("ternary", &[Any, Any, Bool], Any),
    ("compact", &[List], List),
    ("fromJson", &[Text], Map),
    ("fromJsonArray", &[Text], List),
    ("toJson", &[Any], Text),
    ("toPrettyJson", &[Any], Text),
    ("toRawJson", &[Any], Text),
    ("toYaml", &[Any], Text),
    ("toYamlPretty", &[Any], Text),
    ("fromYaml", &[Text], Map),
    ("fromYamlArray", &[Text], List),
    ("toToml", &[Map], Text),
    ("fromToml", &[Text], Map),
    ("typeOf", &[Any], Text),
    ("kindOf", &[Any], Text),
    ("kindIs", &[Text, Any], Bool),
    ("typeIs", &[Text, Any], Bool),
    ("deepEqual", &[Any, Any], Bool),
    ("dict", &[Text, Any], Map),
    ("dict", &[Text, Any, Text, Any], Map),
    ("get", &[Map, Text], Any),
    ("hasKey", &[Map, Text], Bool),
    ("pluck", &[Text, Map], List),
    ("pick", &[Map, Text], Map),
    ("omit", &[Map, Text], Map),
    ("dig", &[Text, Any, Map], Any),
    ("dig", &[Text, Text, Any, Map], Any),
    ("deepCopy", &[Any], Any),
    ("merge", &[Map, Map], Map),
    ("mergeOverwrite", &[Map, Map], Map),
    ("set", &[Map, Text, Any], Map),
    ("unset", &[Map, Text], Map),
    ("list", &[Any, Any], List),
    ("list", &[], List),
    ("append", &[List, Any], List),
    ("prepend", &[List, Any], List),
    ("first", &[List], Any),
    ("last", &[List], Any),
    ("rest", &[List], List),
    ("initial", &[List], List),
    ("reverse", &[List], List),
    ("uniq", &[List], List),
    ("without", &[List, Any], List),
    ("has", &[Any, List], Bool),
    ("slice", &[List, Int], List),
    ("slice", &[List, Int, Int], List),
    ("concat", &[List, List], List),
    ("chunk", &[Int, List], List),
    ("b64enc", &[Text], Text),
    ("b64dec", &[Text], Text),
    ("b32enc", &[Text], Text),
    ("b32dec", &[Text], Text),
    ("sha1sum", &[Text], Text),
    ("sha256sum", &[Text], Text),
    ("adler32sum", &[Text], Text),
    ("duration", &[Any], Text),
    ("durationRound", &[Any], Text),
    ("semverCompare", &[Text, Text], Bool),
    ("semver", &[Text], Any),
    ("urlParse", &[Text], Map),
    ("base", &[Text], Text),
    ("dir", &[Text], Text),
    ("clean", &[Text], Text),
    ("ext", &[Text], Text),
    ("isAbs", &[Text], Bool),
    ("required", &[Text, Any], Any),
    ("html", &[Any], Text),
    ("js", &[Any], Text),
    ("urlquery", &[Any], Text),
    ("print", &[Any, Any], Text),
    ("println", &[Any, Any], Text),
    ("len", &[Any], Int),
    ("index", &[Any, Any], Any),
    ("and", &[Any, Any], Any),
    ("or", &[Any, Any], Any),
    ("not", &[Any], Bool),
    ("eq", &[Any, Any], Bool),
    ("ne", &[Any, Any], Bool),
    ("lt", &[Any, Any], Bool),
    ("le", &[Any, Any], Bool),
    ("gt", &[Any, Any], Bool),
    ("ge", &[Any, Any], Bool),
    ("tpl", &[Text, Any], Text),
];

const TEXTS: &[&str] = &[
    "",
    "a",
    "abc",
    "a b  c",
    "fooBar-baz_Qux",
    "HTTPServer2x",
    "  x ",
    "é日本",
    "1",
    "0x1f",
    "010",
    "1.5",
    "true",
    "null",
    "-7",
    "1e3",
    "a,b,,c",
    "a=b",
    "k: v\\nl: [1, 2]",
    "{\\\"a\\\": [1, null]}",
    "[1, 2",
    "x\\ty",
    "line\\nline2\\n",
    "<&>'\\\"",
    "v1.2.3-rc.1+b",
    ">=1.2 <2",
    "^1",
    "~1.2",
    "http://u:p@h:8/p/q?x=1#f",
    "/a/../b.c",
    "(a+)(b)?",
    "[a-c]+",
    "$1-${2}",
    "\\\\d+",
    "{{ .a }}",
    "aGVsbG8=",
    "a.b.c",
    "_0",
    "string",
    "map",
    "y",
    "no",
    "2020-01-02",
    "%d %s %v",
    "1h30m",
    "90s",
    "- a\\n- b",
    "a\\n b: |\\n  c",
    "#x",
    "\\u00a0",
    "100000000000000000000",
];

const FIELDS: &[&str] = &[
    "a", "b", "c", "d", "e", "f", "g", "none", "a.b", "b.c", "m.a", "m.b.c", "m", "l", "s", "i",
    "t",
];

const VERBS: &[&str] = &[
    "%v", "%+v", "%#v", "%T", "%d", "%5d", "%-5d|", "%05d", "%x", "%X", "%o", "%b", "%c", "%q",
    "%U", "%s", "%10s", "%.2s", "%-4s|", "%f", "%.2f", "%8.3f", "%e", "%g", "%t", "%%", "%!", "%",
    "%z", "%[1]v", "%*d", "% x", "%#x", "%+d", "%+q", "%6.2f%%", "%3c",
];

fn pick<T: Copy>(rng: &mut Rng, all: &[T]) -> T {
    all[rng.usize(0..all.len())]
}

fn field(rng: &mut Rng, name: &str) -> String {
    match rng.u8(0..4) {
        0 => format!("$.Values.{name}"),
        1 => format!("(.Values).{name}"),
        _ => format!(".Values.{name}"),
    }
}

fn literal(rng: &mut Rng, want: Want) -> String {
    match want {
        Text => match rng.u8(0..5) {
            0 => field(rng, "s"),
            _ => format!("\"{}\"", pick(rng, TEXTS)),
        },
        Int => match rng.u8(0..12) {
            0 => "(int .Values.i)".to_owned(),
            1 => "-1".to_owned(),
            2 => "0".to_owned(),
            3 => "1000000".to_owned(),
            4 => "0x1F".to_owned(),
            _ => rng.u8(0..9).to_string(),
        },
        Float => match rng.u8(0..5) {
            0 => ".Values.i".to_owned(),
            1 => "1e6".to_owned(),
            2 => "-0.5".to_owned(),
            _ => format!("{}.{}", rng.u8(0..100), rng.u8(0..100)),
        },
        Bool => match rng.u8(0..3) {
            0 => ".Values.t".to_owned(),
            1 => "true".to_owned(),
            _ => "false".to_owned(),
        },
        List => match rng.u8(0..4) {
            0 => "(list 1 \"a\" nil 2.5)".to_owned(),
            1 => "(until 3)".to_owned(),
            _ => field(rng, "l"),
        },
        // Copies, so that nothing changes what other templates see.
        Map => match rng.u8(0..3) {
            0 => "(dict \"a\" 1 \"b\" (dict \"c\" \"x\"))".to_owned(),
            _ => "(deepCopy .Values.m)".to_owned(),
        },
        Any => match rng.u8(0..10) {
            0 => "nil".to_owned(),
            1 => ".".to_owned() + "Release.Name",
            2 => ".Chart.Version".to_owned(),
            3 => "'x'".to_owned(),
            4..=6 => {
                let name = pick(rng, FIELDS);
                field(rng, name)
            }
            _ => {
                let kind = pick(rng, &[Text, Int, Float, Bool, List, Map]);
                literal(rng, kind)
            }
        },
    }
}

fn expression(rng: &mut Rng, want: Want, depth: u32) -> String {
    if depth == 0 || rng.u8(0..4) == 0 {
        return literal(rng, want);
    }
    // Now and then something that does not fit.
    let want = if rng.u8(0..14) == 0 { Any } else { want };
    let fitting: Vec<_> = FUNCTIONS
        .iter()
        .filter(|(_, _, gives)| want == Any || *gives == want || *gives == Any)
        .collect();
    if want == Text && rng.u8(0..8) == 0 {
        let verbs: Vec<&str> = (0..rng.usize(1..4)).map(|_| pick(rng, VERBS)).collect();
        let args: Vec<String> = (0..rng.usize(0..4))
            .map(|_| expression(rng, Any, depth - 1))
            .collect();
        return format!("(printf \"{}\" {})", verbs.join(" "), args.join(" "));
    }
    if want == Text && rng.u8(0..12) == 0 {
        let name = pick(rng, &["id", "j", "nested", "no"]);
        return format!("(include \"{name}\" {})", expression(rng, Any, depth - 1));
    }
    let (name, params, _) = fitting[rng.usize(0..fitting.len())];
    let mut args: Vec<String> = params
        .iter()
        .map(|param| expression(rng, *param, depth - 1))
        .collect();
    if rng.u8(0..60) == 0 {
        args.pop();
    }
    match args.pop() {
        Some(last) if rng.bool() => {
            args.insert(0, (*name).to_owned());
            format!("({last} | {})", args.join(" "))
        }
        Some(last) => {
            args.push(last);
            format!("({name} {})", args.join(" "))
        }
        None => format!("({name})"),
    }
}

/// One random template.
fn template_text(rng: &mut Rng) -> String {
    let mut one = |want| expression(rng, want, 3);
    let value = one(Any);
    let other = one(Any);
    let list = one(List);
    match rng.u8(0..16) {
        0 => format!("{{{{if {value}}}}}yes{{{{else if {other}}}}}maybe{{{{else}}}}no{{{{end}}}}"),
        1 => format!(
            "{{{{range $i, $x := {list}}}}}{{{{$i}}}}={{{{$x}}}};{{{{else}}}}none{{{{end}}}}"
        ),
        2 => format!("{{{{range {value}}}}}[{{{{.}}}}]{{{{end}}}}"),
        3 => format!("{{{{with {value}}}}}{{{{. | toJson}}}}{{{{else}}}}empty{{{{end}}}}"),
        4 => format!("{{{{$x := {value}}}}}{{{{$y := {other}}}}}{{{{list $x $y | toJson}}}}"),
        5 => format!("{{{{- {value} -}}}}  {{{{- {other} }}}}"),
        6 => format!("{{{{$x := {value}}}}}{{{{if {other}}}}}{{{{$x = 1}}}}{{{{end}}}}{{{{$x}}}}"),
        7 => format!(
            "{{{{range $x := {list}}}}}{{{{if eq (toString $x) \"a\"}}}}{{{{continue}}}}{{{{end}}}}{{{{$x}}}}{{{{break}}}}{{{{end}}}}"
        ),
        8 => format!("{{{{ {value} | toJson }}}}"),
        9 => format!("{{{{ ({value}).a }}}}{{{{ {other} | typeOf }}}}"),
        10 => format!("{{{{ {value} | toYaml | quote }}}}"),
        _ => format!("{{{{ {value} }}}}"),
    }
}

fn value(rng: &mut Rng, depth: u32) -> serde_json::Value {
    use serde_json::{Value, json};
    match rng.u8(0..14) {
        0..=2 if depth > 0 => {
            let entries = (0..rng.usize(0..4)).map(|_| {
                let key = pick(rng, &["a", "b", "c", "x", "k1", "é"]);
                (key.to_owned(), value(rng, depth - 1))
            });
            Value::Object(entries.collect())
        }
        3..=4 if depth > 0 => (0..rng.usize(0..4))
            .map(|_| value(rng, depth - 1))
            .collect(),
        5 => Value::Null,
        6 => json!(rng.i32(-5..1_000_000)),
        7 => json!(f64::from(rng.i32(-50..5000)) / 8.0),
        8 => json!(rng.bool()),
        9 => json!(1e21),
        10 => json!(12_345_678),
        _ => json!(unescaped(pick(rng, TEXTS))),
    }
}

fn unescaped(text: &str) -> String {
    serde_json::from_str(&format!("\"{text}\"")).unwrap_or_default()
}

/// The values of a batch, as JSON, which is YAML.
fn values_text(rng: &mut Rng) -> String {
    let mut all = serde_json::Map::new();
    for name in ["a", "b", "c", "d", "e", "f", "g"] {
        all.insert(name.to_owned(), value(rng, 2));
    }
    let text = unescaped(pick(rng, TEXTS));
    all.insert("s".to_owned(), text.into());
    all.insert("i".to_owned(), rng.i32(-3..20).into());
    all.insert("t".to_owned(), rng.bool().into());
    let list = (0..rng.usize(0..5)).map(|_| value(rng, 1)).collect();
    all.insert("l".to_owned(), list);
    all.insert(
        "m".to_owned(),
        serde_json::json!({"a": value(rng, 1), "b": {"c": value(rng, 1)}}),
    );
    serde_json::Value::Object(all).to_string()
}
