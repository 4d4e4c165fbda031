//! batch: Job and CronJob.

use serde_json::{Value, json};

use super::apps::spec_of;
use super::meta::{self, selects, validate_selector};
use super::pod::validate_template;
use super::tools::{
    Errors, Object, Path, check_immutable, check_not_negative, count, fill, has, int, object, text,
};
use super::{Generation, Rules};
use crate::failure::FieldError;

pub(super) const JOB: Rules = Rules {
    generation: Generation::Spec,
    defaults: |value| {
        let labels = value["spec"]["template"]["metadata"]["labels"].clone();
        if count(&labels) > 0 && count(&value["metadata"]["labels"]) == 0 {
            value["metadata"]["labels"] = labels;
        }
        default_spec(spec_of(value));
    },
    prepare_create: |value| {
        if value["spec"]["manualSelector"] != true {
            generate_selector(value);
        }
    },
    validate: |object, errors| {
        validate_job(object, errors);
        validate_generated_selector(object, errors);
    },
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        // The server validates the spec of a change twice.
        validate_job(new, errors);
        validate_job(new, errors);
        validate_job_update(new, old, errors);
    },
    warn: |object, old| super::warnings::of_template(object, old, &["spec", "template"]),
    ..Rules::COMMON
};

pub(super) const CRON_JOB: Rules = Rules {
    generation: Generation::Spec,
    defaults: |value| {
        let spec = spec_of(value);
        fill(spec, "concurrencyPolicy", "Allow");
        fill(spec, "suspend", false);
        fill(spec, "successfulJobsHistoryLimit", 3);
        fill(spec, "failedJobsHistoryLimit", 1);
        // Of the job template only what hangs on types is defaulted.
    },
    validate: |object, errors| {
        validate_cron_job(object, errors);
        let name = &object["metadata"]["name"];
        if text(name).len() > 52 {
            let why = "must be no more than 52 characters";
            errors.push(FieldError::invalid("metadata.name", name, why));
        }
    },
    validate_update: |new, old, errors| {
        meta::validate_update(new, old, errors);
        validate_cron_job(new, errors);
    },
    warn: |object, old| {
        super::warnings::of_template(object, old, &["spec", "jobTemplate", "spec", "template"])
    },
    ..Rules::COMMON
};

const UID_LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];
const NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];

fn default_spec(spec: &mut Object) {
    let absent = |spec: &Object, name: &str| spec.get(name).is_none_or(Value::is_null);
    if absent(spec, "completions") && absent(spec, "parallelism") {
        spec.insert("completions".into(), 1.into());
    }
    fill(spec, "parallelism", 1);
    let limit = if absent(spec, "backoffLimitPerIndex") {
        6
    } else {
        i32::MAX
    };
    fill(spec, "backoffLimit", limit);
    fill(spec, "completionMode", "NonIndexed");
    fill(spec, "suspend", false);
    let replacement = if absent(spec, "podFailurePolicy") {
        "TerminatingOrFailed"
    } else {
        "Failed"
    };
    fill(spec, "podReplacementPolicy", replacement);
    fill(spec, "manualSelector", false);
}

/// Labels and selector by which a job knows its pods.
fn generate_selector(value: &mut Value) {
    let name = value["metadata"]["name"].clone();
    let uid = value["metadata"]["uid"].clone();
    // Labels that were taken from the template are one map with the template's on the server.
    let shared = value["metadata"]["labels"] == value["spec"]["template"]["metadata"]["labels"];
    let spec = spec_of(value);
    let labels = object(object(object(spec, "template"), "metadata"), "labels");
    for label in NAME_LABELS {
        labels.entry(label).or_insert_with(|| name.clone());
    }
    for label in UID_LABELS {
        labels.entry(label).or_insert_with(|| uid.clone());
    }
    let labels = labels.clone();
    let selected = object(object(spec, "selector"), "matchLabels");
    selected.entry(UID_LABELS[1]).or_insert(uid);
    if shared && count(&value["metadata"]["labels"]) > 0 {
        value["metadata"]["labels"] = labels.into();
    }
}

fn spec_path(name: &str) -> Path {
    Path::new("spec").child(name)
}

fn validate_job(object: &Value, errors: &mut Errors) {
    let spec = &object["spec"];
    validate_spec(spec, &Path::new("spec"), errors);
    if has(&spec["selector"]) {
        validate_selector(&spec["selector"], &spec_path("selector"), errors);
    } else {
        errors.push(FieldError::required(spec_path("selector"), ""));
    }
    let labels = &spec["template"]["metadata"]["labels"];
    if meta::is_selector(&spec["selector"])
        && !(has(&spec["selector"]) && selects(&spec["selector"], labels))
    {
        let path = spec_path("template").child("metadata").child("labels");
        errors.push(FieldError::invalid(
            path,
            labels,
            "`selector` does not match template `labels`",
        ));
    }
}

fn validate_spec(spec: &Value, path: &Path, errors: &mut Errors) {
    let names = [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ];
    for name in names {
        check_not_negative(errors, &path.child(name), &spec[name]);
    }
    if has(&spec["maxFailedIndexes"]) && !has(&spec["backoffLimitPerIndex"]) {
        let why = "when maxFailedIndexes is specified";
        errors.push(FieldError::required(
            path.child("backoffLimitPerIndex"),
            why,
        ));
    }
    match text(&spec["completionMode"]) {
        "Indexed" => {
            if !has(&spec["completions"]) {
                let why = "when completion mode is Indexed";
                errors.push(FieldError::required(path.child("completions"), why));
            }
            if int(&spec["parallelism"]) > 100_000 {
                let why = "must be less than or equal to 100000 when completion mode is Indexed";
                errors.push(FieldError::invalid(
                    path.child("parallelism"),
                    &spec["parallelism"],
                    why,
                ));
            }
        }
        "NonIndexed" | "" => {
            for name in ["backoffLimitPerIndex", "maxFailedIndexes"] {
                if has(&spec[name]) {
                    let why = "requires indexed completion mode";
                    errors.push(FieldError::invalid(path.child(name), &spec[name], why));
                }
            }
        }
        _ => {
            let supported = ["Indexed", "NonIndexed"];
            errors.push(FieldError::not_supported(
                path.child("completionMode"),
                &spec["completionMode"],
                &supported,
            ));
        }
    }
    let replacement = &spec["podReplacementPolicy"];
    if has(replacement) && !matches!(text(replacement), "Failed" | "TerminatingOrFailed") {
        let supported = ["Failed", "TerminatingOrFailed"];
        errors.push(FieldError::not_supported(
            path.child("podReplacementPolicy"),
            replacement,
            &supported,
        ));
    }
    validate_template(&spec["template"], &path.child("template"), errors);
    let policy = &spec["template"]["spec"]["restartPolicy"];
    let path = path.child("template").child("spec").child("restartPolicy");
    match text(policy) {
        "OnFailure" | "Never" => {
            if has(&spec["podFailurePolicy"]) && policy != "Never" {
                let why = "only \"Never\" is supported when podFailurePolicy is specified";
                errors.push(FieldError::invalid(path, policy, why));
            }
        }
        "Always" | "" => errors.push(FieldError::required(
            path,
            "valid values: \"OnFailure\", \"Never\"",
        )),
        _ => errors.push(FieldError::not_supported(
            path,
            policy,
            &["OnFailure", "Never"],
        )),
    }
}

/// A job that asked for a generated selector may not bring labels of its own that contradict it.
fn validate_generated_selector(object: &Value, errors: &mut Errors) {
    let spec = &object["spec"];
    if spec["manualSelector"] == true || text(&object["metadata"]["uid"]).is_empty() {
        return;
    }
    let labels = &spec["template"]["metadata"]["labels"];
    let path = spec_path("template").child("metadata").child("labels");
    let expected = UID_LABELS
        .map(|label| (label, &object["metadata"]["uid"]))
        .into_iter()
        .chain(NAME_LABELS.map(|label| (label, &object["metadata"]["name"])));
    for (label, value) in expected {
        if labels.get(label) != Some(value) {
            let why = format!("must be '{}'", text(value));
            errors.push(FieldError::invalid(path.key(label), &labels[label], why));
        }
    }
    let selector = json!({ UID_LABELS[1]: object["metadata"]["uid"] });
    if !selects(&spec["selector"], &selector) {
        let why = "`selector` not auto-generated";
        errors.push(FieldError::invalid(
            spec_path("selector"),
            &spec["selector"],
            why,
        ));
    }
}

fn validate_job_update(new: &Value, old: &Value, errors: &mut Errors) {
    let (spec, before) = (&new["spec"], &old["spec"]);
    let indexed = spec["completionMode"] == "Indexed";
    let elastic = indexed && spec["completions"] == spec["parallelism"];
    if !elastic {
        let name = "completions";
        check_immutable(errors, &spec_path(name), &spec[name], &before[name]);
    }
    check_immutable(
        errors,
        &spec_path("selector"),
        &spec["selector"],
        &before["selector"],
    );
    let mut template = before["template"].clone();
    let suspended = before["suspend"] == true;
    if suspended && !has(&old["status"]["startTime"]) {
        // A job that has not begun may be moved elsewhere.
        for name in ["nodeSelector", "tolerations", "schedulingGates"] {
            take(&spec["template"]["spec"], &mut template["spec"], name);
        }
        for name in ["annotations", "labels"] {
            take(
                &spec["template"]["metadata"],
                &mut template["metadata"],
                name,
            );
        }
        let affinity = spec["template"]["spec"]["affinity"]["nodeAffinity"].clone();
        if has(&affinity) {
            template["spec"]["affinity"]["nodeAffinity"] = affinity;
        }
    }
    if !super::tools::same(&spec["template"], &template) {
        errors.push(FieldError::invalid_printed(
            spec_path("template"),
            &super::pod_update::internal_template(&spec["template"]),
            "field is immutable",
        ));
    }
    for name in [
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ] {
        check_immutable(errors, &spec_path(name), &spec[name], &before[name]);
    }
}

fn take(from: &Value, to: &mut Value, name: &str) {
    super::tools::copy_path(from, to, &[name]);
}

fn validate_cron_job(object: &Value, errors: &mut Errors) {
    let spec = &object["spec"];
    let schedule = &spec["schedule"];
    if text(schedule).is_empty() {
        errors.push(FieldError::required(spec_path("schedule"), ""));
    } else {
        if let Err(why) = parse_schedule(text(schedule)) {
            errors.push(FieldError::invalid(spec_path("schedule"), schedule, why));
        }
        if text(schedule).contains("TZ") {
            let why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
            errors.push(FieldError::invalid(spec_path("schedule"), schedule, why));
        }
    }
    check_not_negative(
        errors,
        &spec_path("startingDeadlineSeconds"),
        &spec["startingDeadlineSeconds"],
    );
    validate_time_zone(&spec["timeZone"], errors);
    let policy = &spec["concurrencyPolicy"];
    if !matches!(text(policy), "Allow" | "Forbid" | "Replace") {
        let supported = ["Allow", "Forbid", "Replace"];
        errors.push(FieldError::not_supported(
            spec_path("concurrencyPolicy"),
            policy,
            &supported,
        ));
    }
    let path = spec_path("jobTemplate").child("spec");
    let job = &spec["jobTemplate"]["spec"];
    validate_spec(job, &path, errors);
    if has(&job["selector"]) {
        let why = "`selector` will be auto-generated";
        errors.push(FieldError::invalid(
            path.child("selector"),
            &job["selector"],
            why,
        ));
    }
    if job["manualSelector"] == true {
        let supported = ["nil", "false"];
        errors.push(FieldError::not_supported(
            path.child("manualSelector"),
            &job["manualSelector"],
            &supported,
        ));
    }
    for name in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        check_not_negative(errors, &spec_path(name), &spec[name]);
    }
}

fn validate_time_zone(zone: &Value, errors: &mut Errors) {
    let path = spec_path("timeZone");
    match zone.as_str() {
        None => {}
        Some("") => errors.push(FieldError::invalid(
            path,
            zone,
            "timeZone must be nil or non-empty string",
        )),
        Some(name) if name.eq_ignore_ascii_case("local") => {
            errors.push(FieldError::invalid(path, zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"));
        }
        Some(_) => {}
    }
}

const FIELDS: [(&str, u32, u32, &[&str]); 5] = [
    ("minute", 0, 59, &[]),
    ("hour", 0, 23, &[]),
    ("dom", 1, 31, &[]),
    (
        "month",
        1,
        12,
        &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    ),
    (
        "dow",
        0,
        6,
        &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    ),
];

/// Checks a cron schedule, with the texts of the library that the server uses.
fn parse_schedule(text: &str) -> Result<(), String> {
    let mut spec = text;
    if spec.starts_with("TZ=") || spec.starts_with("CRON_TZ=") {
        spec = spec
            .split_once(' ')
            .map(|(_, rest)| rest.trim())
            .unwrap_or_default();
    }
    if let Some(word) = spec.strip_prefix('@') {
        return match word.split_once(' ') {
            Some(("every", duration)) => crate::read::parse_duration(duration)
                .map(|_| ())
                .map_err(|error| format!("failed to parse duration {spec}: {error}")),
            _ if matches!(
                word,
                "yearly" | "annually" | "monthly" | "weekly" | "daily" | "midnight" | "hourly"
            ) =>
            {
                Ok(())
            }
            _ => Err(format!("unrecognized descriptor: {spec}")),
        };
    }
    let fields: Vec<&str> = spec.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        let shown: Vec<&str> = fields.clone();
        return Err(format!(
            "expected exactly 5 fields, found {}: [{}]",
            shown.len(),
            shown.join(" ")
        ));
    }
    for (field, (_, low, high, names)) in fields.iter().zip(FIELDS) {
        for part in field.split(',') {
            parse_range(part, low, high, names)?;
        }
    }
    Ok(())
}

fn parse_range(part: &str, low: u32, high: u32, names: &[&str]) -> Result<(), String> {
    let (range, step) = match part.split_once('/') {
        Some((_, step)) if step.contains('/') => return Err(format!("too many slashes: {part}")),
        Some((range, step)) => (range, Some(step)),
        None => (part, None),
    };
    let number = |text: &str| -> Result<u32, String> {
        let lower = text.to_lowercase();
        if let Some(at) = names.iter().position(|name| *name == lower) {
            return Ok(at as u32 + low.min(1) * u32::from(names.len() == 12));
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        if text.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) || digits.is_empty()
        {
            let quoted = crate::gofmt::quote(text);
            return Err(format!(
                "failed to parse int from {text}: strconv.Atoi: parsing {quoted}: invalid syntax"
            ));
        }
        if text.starts_with('-') {
            return Err(format!("negative number ({text}) not allowed: {text}"));
        }
        text.parse().map_err(|_| {
            let quoted = crate::gofmt::quote(text);
            format!("failed to parse int from {text}: strconv.Atoi: parsing {quoted}: value out of range")
        })
    };
    let (start, end) = match range {
        "*" | "?" => (low, high),
        range => match range.split_once('-') {
            Some((_, end)) if end.contains('-') => return Err(format!("too many hyphens: {part}")),
            Some((start, end)) => (number(start)?, number(end)?),
            None => {
                let start = number(range)?;
                (start, if step.is_some() { high } else { start })
            }
        },
    };
    let step = match step {
        Some(step) => number(step)?,
        None => 1,
    };
    if start < low {
        return Err(format!(
            "beginning of range ({start}) below minimum ({low}): {part}"
        ));
    }
    if end > high {
        return Err(format!(
            "end of range ({end}) above maximum ({high}): {part}"
        ));
    }
    if start > end {
        return Err(format!(
            "beginning of range ({start}) beyond end of range ({end}): {part}"
        ));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {part}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_read_as_the_server_reads_them() {
        for good in [
            "* * * * *",
            "*/5 0 1-5 jan,dec mon-fri",
            "@daily",
            "@every 1h",
            "0 0 ? * 0",
        ] {
            assert_eq!(parse_schedule(good), Ok(()), "{good}");
        }
        for (bad, text) in [
            ("x", "expected exactly 5 fields, found 1: [x]"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("@never", "unrecognized descriptor: @never"),
            (
                "a * * * *",
                "failed to parse int from a: strconv.Atoi: parsing \"a\": invalid syntax",
            ),
        ] {
            assert_eq!(parse_schedule(bad), Err(text.to_owned()));
        }
    }
}
