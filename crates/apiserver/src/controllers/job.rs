//! Jobs and CronJobs.

use std::sync::Arc;
use std::time::Duration;

use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use super::workload::{Context, Simulation, is_active, is_ready, pod_of, reference};
use super::{Next, Outcome};
use crate::app::time_text;
use crate::objects::meta;
use crate::status::Result;
use crate::store::Object;
use crate::verbs::delete::{DeleteOptions, Propagation};
use crate::verbs::selector::Selector;

const JOBS: &str = "jobs.batch";
const CRON_JOBS: &str = "cronjobs.batch";
/// Pods of a Job keep this finalizer until they are counted.
const TRACKING: &str = "batch.kubernetes.io/job-tracking";

fn condition(job: &Value, kind: &str) -> bool {
    super::workload::is_true(&job["status"], kind)
}

fn seconds_since(text: &Value, now: Timestamp) -> Option<i64> {
    let then: Timestamp = text.as_str()?.parse().ok()?;
    Some(now.as_second() - then.as_second())
}

/// Looks at one Job.
pub(super) fn reconcile(cx: &Context<'_>, key: &str) -> Outcome {
    let Some(object) = cx.app.store.table(JOBS).get(key) else {
        return Ok(Next::Done);
    };
    let job = object.value();
    let selector = Selector::of_label_selector(&job["spec"]["selector"]);
    let pods: Vec<(Arc<Object>, Value)> = cx
        .children(&object, &job, "pods", &selector)
        .into_iter()
        .map(|pod| (pod.clone(), pod.value()))
        .collect();
    release(cx, &pods)?;
    if object.deleting {
        return Ok(Next::Done);
    }
    let now = cx.app.now();
    if condition(&job, "Complete") || condition(&job, "Failed") {
        return expire(cx, &object, &job, now);
    }
    let spec = &job["spec"];
    let suspended = spec["suspend"] == true;
    let phase = |name: &str| {
        pods.iter()
            .filter(|(_, pod)| pod["status"]["phase"] == name)
            .count() as i64
    };
    let (succeeded, failed) = (phase("Succeeded"), phase("Failed"));
    let active: Vec<&(Arc<Object>, Value)> =
        pods.iter().filter(|(_, pod)| is_active(pod)).collect();
    let parallelism = spec["parallelism"].as_i64().unwrap_or(1).max(0);
    let completions = spec["completions"].as_i64();
    let done = match completions {
        Some(wanted) => succeeded >= wanted,
        None => succeeded > 0 && active.is_empty(),
    };
    let limit = spec["backoffLimit"].as_i64().unwrap_or(6);
    let started = job["status"]["startTime"].clone();
    let deadline = spec["activeDeadlineSeconds"].as_i64();
    let left = deadline.and_then(|deadline| Some(deadline - seconds_since(&started, now)?));
    let simulated = Simulation::of(&job).or_else(|| Simulation::of(&spec["template"]));
    let told_to_fail = simulated.is_some_and(|simulation| simulation.fail.is_some());
    let failure = if failed > 0 && (failed > limit || told_to_fail) {
        Some((
            "BackoffLimitExceeded",
            "Job has reached the specified backoff limit".to_owned(),
        ))
    } else if left.is_some_and(|left| left <= 0) && !suspended {
        Some((
            "DeadlineExceeded",
            "Job was active longer than specified deadline".to_owned(),
        ))
    } else {
        None
    };
    let mut status = json!({});
    if started.is_string() && !suspended {
        status["startTime"] = started;
    } else if !suspended {
        status["startTime"] = cx.now.as_str().into();
    }
    let mut conditions = job["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let mut add = |kind: &str, value: &str, reason: &str, message: &str| {
        let known = conditions
            .iter()
            .find(|known| known["type"] == kind && known["status"] == value);
        if known.is_none() {
            conditions.retain(|known| known["type"] != kind);
            conditions.push(json!({
                "type": kind, "status": value, "lastProbeTime": cx.now, "lastTransitionTime": cx.now,
                "reason": reason, "message": message,
            }));
        }
    };
    let mut running = active.len() as i64;
    let mut next = Next::Done;
    if let Some((reason, message)) = &failure {
        delete_pods(cx, &active)?;
        running = 0;
        add("FailureTarget", "True", reason, message);
        add("Failed", "True", reason, message);
        cx.event(&job, "job-controller", "Warning", reason, message);
    } else if done {
        delete_pods(cx, &active)?;
        running = 0;
        let message = "Reached expected number of succeeded pods";
        add("SuccessCriteriaMet", "True", "CompletionsReached", message);
        add("Complete", "True", "CompletionsReached", message);
        status["completionTime"] = cx.now.as_str().into();
        cx.event(
            &job,
            "job-controller",
            "Normal",
            "Completed",
            "Job completed",
        );
    } else if suspended {
        delete_pods(cx, &active)?;
        running = 0;
        add("Suspended", "True", "JobSuspended", "Job suspended");
    } else {
        if super::workload::condition(&job["status"], "Suspended").is_some() {
            add("Suspended", "False", "JobResumed", "Job resumed");
        }
        let room = match completions {
            Some(wanted) => parallelism.min(wanted - succeeded),
            None if succeeded > 0 => running,
            None => parallelism,
        };
        for _ in running..room {
            create_pod(cx, &job, &pods)?;
        }
        running = running.max(room);
        if let Some(left) = left.filter(|left| *left > 0) {
            next = Next::After(Duration::from_secs(left as u64));
        } else if let Some(deadline) = deadline {
            next = Next::After(Duration::from_secs(deadline.max(0) as u64));
        }
    }
    let ready = pods
        .iter()
        .filter(|(_, pod)| is_active(pod) && is_ready(pod))
        .count() as i64;
    for (name, count) in [
        ("active", running),
        ("succeeded", succeeded),
        ("failed", failed),
    ] {
        if count != 0 {
            status[name] = count.into();
        }
    }
    status["ready"] = if running == 0 { 0 } else { ready }.into();
    status["terminating"] = 0.into();
    status["uncountedTerminatedPods"] = json!({});
    if !conditions.is_empty() {
        status["conditions"] = conditions.into();
    }
    if job["status"] != status {
        cx.actor.update(
            JOBS,
            object.namespace(),
            object.name(),
            "status",
            &|job: &mut Value| {
                job["status"] = status.clone();
                Ok(())
            },
        )?;
    }
    Ok(next)
}

/// Pods that are over, or on their way out, were counted: nothing holds them any more.
fn release(cx: &Context<'_>, pods: &[(Arc<Object>, Value)]) -> Result<()> {
    for (object, pod) in pods.iter().filter(|(_, pod)| !is_active(pod)) {
        if meta::finalizers(pod).contains(&TRACKING) {
            let result = cx.actor.update(
                "pods",
                object.namespace(),
                object.name(),
                "",
                &|pod: &mut Value| {
                    let kept: Vec<String> = meta::finalizers(pod)
                        .into_iter()
                        .filter(|name| *name != TRACKING)
                        .map(str::to_owned)
                        .collect();
                    meta::set_finalizers(pod, &kept);
                    Ok(())
                },
            );
            if let Err(status) = result
                && status.code != 404
            {
                return Err(status);
            }
        }
    }
    Ok(())
}

fn delete_pods(cx: &Context<'_>, pods: &[&(Arc<Object>, Value)]) -> Result<()> {
    let resource = cx.actor.resource("pods")?;
    for (pod, _) in pods {
        cx.actor.delete(resource, pod, &DeleteOptions::default())?;
    }
    Ok(())
}

fn create_pod(cx: &Context<'_>, job: &Value, pods: &[(Arc<Object>, Value)]) -> Result<()> {
    let name = job["metadata"]["name"].as_str().unwrap_or_default();
    let mut pod = pod_of(&job["spec"]["template"], job);
    let mut finalizers = meta::finalizers(&pod)
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    finalizers.push(TRACKING.into());
    meta::set_finalizers(&mut pod, &finalizers);
    pod["metadata"]["generateName"] = format!("{name}-").into();
    if job["spec"]["completionMode"] == "Indexed" {
        let key = "batch.kubernetes.io/job-completion-index";
        let taken: Vec<i64> = pods
            .iter()
            .filter(|(_, pod)| pod["status"]["phase"] != "Failed")
            .filter_map(|(_, pod)| pod["metadata"]["annotations"][key].as_str()?.parse().ok())
            .collect();
        let index = (0..).find(|index| !taken.contains(index)).unwrap_or(0);
        pod["metadata"]["annotations"][key] = index.to_string().into();
        pod["metadata"]["labels"][key] = index.to_string().into();
        pod["metadata"]["generateName"] = format!("{name}-{index}-").into();
        pod["spec"]["hostname"] = format!("{name}-{index}").into();
    }
    let made = cx
        .actor
        .create("pods", job["metadata"]["namespace"].as_str(), pod)?;
    let message = format!("Created pod: {}", made.name());
    cx.event(
        job,
        "job-controller",
        "Normal",
        "SuccessfulCreate",
        &message,
    );
    Ok(())
}

/// A finished Job goes when its time to live is over.
fn expire(cx: &Context<'_>, object: &Object, job: &Value, now: Timestamp) -> Outcome {
    let Some(ttl) = job["spec"]["ttlSecondsAfterFinished"].as_i64() else {
        return Ok(Next::Done);
    };
    let mut ends = job["status"]["conditions"].as_array().into_iter().flatten();
    let end = ends.find(|one| one["type"] == "Complete" || one["type"] == "Failed");
    let age = end
        .and_then(|end| seconds_since(&end["lastTransitionTime"], now))
        .unwrap_or(0);
    if age < ttl {
        return Ok(Next::After(Duration::from_secs((ttl - age) as u64)));
    }
    let resource = cx.actor.resource(JOBS)?;
    let options = DeleteOptions {
        propagation: Some(Propagation::Foreground),
        ..DeleteOptions::default()
    };
    cx.actor.delete(resource, object, &options)?;
    Ok(Next::Done)
}

/// Looks at one CronJob.
pub(super) fn reconcile_cron(cx: &Context<'_>, key: &str) -> Outcome {
    let Some(object) = cx.app.store.table(CRON_JOBS).get(key) else {
        return Ok(Next::Done);
    };
    let cron = object.value();
    if object.deleting || cron["spec"]["suspend"] == true {
        return Ok(Next::Done);
    }
    let now = cx.app.now();
    let jobs = cx.graph.dependents(cx.app, &object.uid, JOBS);
    let values: Vec<Value> = jobs.iter().map(|job| job.value()).collect();
    let over = |job: &Value| condition(job, "Complete") || condition(job, "Failed");
    let mut active: Vec<Value> = values
        .iter()
        .filter(|job| !over(job))
        .map(|job| {
            json!({
                "apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"],
                "namespace": job["metadata"]["namespace"], "uid": job["metadata"]["uid"],
                "resourceVersion": job["metadata"]["resourceVersion"],
            })
        })
        .collect();
    let Some(schedule) = Schedule::parse(cron["spec"]["schedule"].as_str().unwrap_or_default())
    else {
        return Ok(Next::Done);
    };
    let last = cron["status"]["lastScheduleTime"]
        .as_str()
        .or(cron["metadata"]["creationTimestamp"].as_str());
    let last: Timestamp = last.and_then(|text| text.parse().ok()).unwrap_or(now);
    let mut status = cron["status"].clone();
    if !status.is_object() {
        status = json!({});
    }
    let due = schedule.after(last).filter(|due| *due <= now);
    let forbidden = cron["spec"]["concurrencyPolicy"] == "Forbid" && !active.is_empty();
    if let Some(due) = due.filter(|_| !forbidden) {
        // Only the last of several missed times counts.
        let mut at = due;
        while let Some(next) = schedule.after(at).filter(|next| *next <= now) {
            at = next;
        }
        let name = format!("{}-{}", object.name(), at.as_second() / 60);
        let template = &cron["spec"]["jobTemplate"];
        let mut annotations = template["metadata"]["annotations"].clone();
        if !annotations.is_object() {
            annotations = json!({});
        }
        annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"] = time_text(at).into();
        let job = json!({
            "metadata": {
                "name": name, "labels": template["metadata"]["labels"], "annotations": annotations,
                "ownerReferences": [reference(&cron)],
            },
            "spec": template["spec"],
        });
        match cx.actor.create(JOBS, object.namespace(), job) {
            Ok(made) => {
                active.push(json!({
                    "apiVersion": "batch/v1", "kind": "Job", "name": made.name(), "namespace": made.namespace(),
                    "uid": &*made.uid, "resourceVersion": made.version.to_string(),
                }));
                let message = format!("Created job {}", made.name());
                cx.event(
                    &cron,
                    "cronjob-controller",
                    "Normal",
                    "SuccessfulCreate",
                    &message,
                );
            }
            Err(status) if status.reason != "AlreadyExists" => return Err(status),
            Err(_) => {}
        }
        status["lastScheduleTime"] = time_text(at).into();
    }
    let ended = values
        .iter()
        .filter_map(|job| job["status"]["completionTime"].as_str())
        .max();
    if let Some(ended) = ended {
        status["lastSuccessfulTime"] = ended.into();
    }
    if active.is_empty() {
        if let Some(map) = status.as_object_mut() {
            map.remove("active");
        }
    } else {
        status["active"] = active.into();
    }
    if cron["status"] != status {
        cx.actor.update(
            CRON_JOBS,
            object.namespace(),
            object.name(),
            "status",
            &|cron: &mut Value| {
                cron["status"] = status.clone();
                Ok(())
            },
        )?;
    }
    forget_old_jobs(cx, &cron, &jobs)?;
    let next = schedule
        .after(now)
        .map(|next| next.as_second() - now.as_second())
        .unwrap_or(3600);
    Ok(Next::After(Duration::from_secs(next.clamp(1, 3600) as u64)))
}

fn forget_old_jobs(cx: &Context<'_>, cron: &Value, jobs: &[Arc<Object>]) -> Result<()> {
    let resource = cx.actor.resource(JOBS)?;
    for (kind, limit, default) in [
        ("Complete", "successfulJobsHistoryLimit", 3),
        ("Failed", "failedJobsHistoryLimit", 1),
    ] {
        let limit = cron["spec"][limit].as_i64().unwrap_or(default).max(0) as usize;
        let mut ended: Vec<&Arc<Object>> = jobs
            .iter()
            .filter(|job| condition(&job.value(), kind))
            .collect();
        ended.sort_by_key(|job| job.version);
        for job in ended.iter().take(ended.len().saturating_sub(limit)) {
            let options = DeleteOptions {
                propagation: Some(Propagation::Background),
                ..DeleteOptions::default()
            };
            cx.actor.delete(resource, job, &options)?;
        }
    }
    Ok(())
}

/// A cron schedule in UTC: minute, hour, day of month, month, day of week.
struct Schedule {
    fields: [u64; 5],
    days_restricted: (bool, bool),
}

impl Schedule {
    fn parse(text: &str) -> Option<Self> {
        let text = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let parts: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = parts.as_slice() else {
            return None;
        };
        let months = [
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ];
        let days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
        let mut fields = [
            bits(minute, 0, 59, &[])?,
            bits(hour, 0, 23, &[])?,
            bits(day, 1, 31, &[])?,
            bits(month, 1, 12, &months)?,
            bits(weekday, 0, 7, &days)?,
        ];
        // Sunday is 0 and 7.
        if fields[4] & 1 << 7 != 0 {
            fields[4] |= 1;
        }
        let star = |text: &str| !text.starts_with(['*', '?']);
        Some(Schedule {
            fields,
            days_restricted: (star(day), star(weekday)),
        })
    }

    /// The first time after `time`, within five years.
    fn after(&self, time: Timestamp) -> Option<Timestamp> {
        let mut at = time.to_zoned(jiff::tz::TimeZone::UTC).datetime();
        at = at
            .with()
            .second(0)
            .subsec_nanosecond(0)
            .build()
            .ok()?
            .checked_add(1.minute())
            .ok()?;
        for _ in 0..500_000 {
            let has = |field: usize, value: i8| self.fields[field] & 1 << value != 0;
            let day = has(2, at.day());
            let weekday = has(4, at.weekday().to_sunday_zero_offset());
            let day_fits = match self.days_restricted {
                (true, true) => day || weekday,
                _ => day && weekday,
            };
            let next = if !has(3, at.month()) || !day_fits {
                at.date().tomorrow().ok()?.at(0, 0, 0, 0)
            } else if !has(1, at.hour()) {
                at.with()
                    .minute(0)
                    .build()
                    .ok()?
                    .checked_add(1.hour())
                    .ok()?
            } else if !has(0, at.minute()) {
                at.checked_add(1.minute()).ok()?
            } else {
                return at
                    .to_zoned(jiff::tz::TimeZone::UTC)
                    .ok()
                    .map(|zoned| zoned.timestamp());
            };
            at = next;
        }
        None
    }
}

/// The set of values of one field as bits.
fn bits(text: &str, low: u32, high: u32, names: &[&str]) -> Option<u64> {
    let number = |text: &str| -> Option<u32> {
        let lower = text.to_ascii_lowercase();
        let offset = u32::from(low == 1);
        let named = names
            .iter()
            .position(|name| *name == lower)
            .map(|at| at as u32 + offset);
        named
            .or_else(|| text.parse().ok())
            .filter(|number| (low..=high).contains(number))
    };
    let mut found = 0;
    for part in text.split(',') {
        let (range, step) = part
            .split_once('/')
            .map_or((part, None), |(range, step)| (range, Some(step)));
        let every: u32 = step
            .map_or(Some(1), |step| step.parse().ok())
            .filter(|step| *step > 0)?;
        let (from, to) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (low, high),
            Some((from, to)) => (number(from)?, number(to)?),
            None => {
                let from = number(range)?;
                (from, if step.is_some() { high } else { from })
            }
        };
        for value in (from..=to).step_by(every as usize) {
            found |= 1u64 << value;
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_read_as_cron_reads_them() {
        let start: Timestamp = "2026-11-25T01:14:04Z".parse().unwrap();
        let next = |text: &str| {
            Schedule::parse(text)
                .and_then(|s| s.after(start))
                .map(time_text)
        };
        let table = [
            ("* * * * *", "2026-11-25T01:15:00Z"),
            ("*/10 * * * *", "2026-11-25T01:20:00Z"),
            ("0 5 * * *", "2026-11-25T05:00:00Z"),
            ("14 1 * * *", "2026-11-26T01:14:00Z"),
            ("0 0 1 jan *", "2027-01-01T00:00:00Z"),
            ("0 0 * * sun", "2026-11-29T00:00:00Z"),
            ("0 0 * * 7", "2026-11-29T00:00:00Z"),
            ("30 4 1,15 * 5", "2026-11-27T04:30:00Z"),
            ("@hourly", "2026-11-25T02:00:00Z"),
            ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
        ];
        for (text, expected) in table {
            assert_eq!(next(text).as_deref(), Some(expected), "{text}");
        }
        for bad in [
            "",
            "* * * *",
            "60 * * * *",
            "* * 0 * *",
            "*/0 * * * *",
            "a * * * *",
        ] {
            assert!(Schedule::parse(bad).is_none(), "{bad}");
        }
        assert_eq!(next("0 0 31 2 *"), None);
    }
}
