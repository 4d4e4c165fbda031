use super::*;
use crate::manifest::HookEvent;

/// Records that helm 4.2.3 wrote, unpacked.
const RECORDS: [&str; 3] = [
    include_str!("testdata/upgraded.json"),
    include_str!("testdata/uninstalled.json"),
    include_str!("testdata/empty-chart.json"),
];

#[test]
fn a_record_of_helm_is_written_back_byte_for_byte() {
    for text in RECORDS {
        let release = decode_json(text.as_bytes()).expect("reads");
        assert_eq!(encode_json(&release), text);
    }
}

#[test]
fn a_record_says_what_became_of_the_release() {
    let release = decode_json(RECORDS[0].as_bytes()).expect("reads");
    assert_eq!(release.name, "r1");
    assert_eq!(release.version, 2);
    assert_eq!(release.info.status, Status::Deployed);
    assert_eq!(release.info.notes, "hello r1\n");
    assert_eq!(release.apply_method, Some(ApplyMethod::ServerSide));
    assert_eq!(release.chart.templates.len(), 3);
    let hook = &release.hooks[0];
    assert_eq!(hook.events, [HookEvent::PreInstall, HookEvent::PostUpgrade]);
    assert_eq!(
        (hook.weight, hook.last_run.phase.as_str()),
        (3, "Succeeded")
    );
    assert_eq!(release.chart.to_chart().metadata.app_version, "1 < 2");
}

#[test]
fn objects_hold_records_and_labels_as_helms_do() {
    let mut release = decode_json(RECORDS[0].as_bytes()).expect("reads");
    release.labels.insert("team".to_owned(), "a".to_owned());
    for driver in [Driver::Secrets, Driver::ConfigMaps] {
        let object = to_object(&release, driver, Stamp::Created(17)).expect("packs");
        assert_eq!(
            object["metadata"],
            serde_json::json!({
                "name": "sh.helm.release.v1.r1.v2",
                "namespace": "default",
                "labels": {"createdAt": "17", "name": "r1", "owner": "helm", "status": "deployed",
                    "team": "a", "version": "2"},
            })
        );
        assert_eq!(
            from_object(&object, LabelSource::User).as_ref(),
            Ok(&release)
        );
        let listed = from_object(&object, LabelSource::All).expect("reads");
        assert_eq!(listed.labels["createdAt"], "17");
        let again = to_object(&listed, driver, Stamp::Modified(18)).expect("packs");
        assert_eq!(again["metadata"]["labels"]["createdAt"], "17");
        assert_eq!(again["metadata"]["labels"]["modifiedAt"], "18");
    }
    assert!(check_labels(&release.labels).is_ok());
    release.labels.insert("owner".to_owned(), "me".to_owned());
    assert_eq!(check_labels(&release.labels), Err(RecordError::SystemLabel));
}

#[test]
fn records_of_helm_3_have_empty_times() {
    let text = r#"{"name":"old","info":{"first_deployed":"2024-01-01T00:00:00+02:00",
        "last_deployed":"2024-01-01T00:00:00+02:00","deleted":"","status":"deployed"},
        "chart":{"metadata":{"name":"c","version":"1.0.0"},"lock":null,"templates":[],
        "values":{},"schema":null,"files":null},"hooks":[{"name":"h","last_run":
        {"started_at":"","completed_at":"","phase":""}}],"version":3,"namespace":"n","new":1}"#;
    let release = decode_json(text.as_bytes()).expect("reads");
    assert_eq!(release.info.deleted, "");
    assert_eq!(release.apply_method, None);
    assert_eq!(release.info.first_deployed, "2024-01-01T00:00:00+02:00");
    assert_eq!(release.chart.modified, None);
}

#[test]
fn broken_records_are_refused_without_showing_them() {
    let object = |data: &str| serde_json::json!({"kind": "ConfigMap", "data": {"release": data}});
    for (object, want) in [
        (
            serde_json::json!({}),
            "the object has no `release` in its data",
        ),
        (object("&"), "the record is not encoded properly: no base64"),
        (
            object("H4sI"),
            "the record is not encoded properly: no gzip",
        ),
        (
            object("c2VjcmV0"),
            "the record is no JSON at line 1 column 1",
        ),
        (object("W10="), "`release` of the record is no object"),
        (
            object("eyJuYW1lIjp7fX0="),
            "`name` of the record is no text",
        ),
    ] {
        let error = from_object(&object, LabelSource::User).expect_err(want);
        assert_eq!(error.to_string(), want);
    }
}
