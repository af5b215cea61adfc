//! The spec file's shape and its errors.

use oms_proto::v1::{OnExistingRows, Project, ProjectSpec, ProjectState};

#[test]
fn a_spec_reads_short_enum_names() {
    let spec: ProjectSpec =
        serde_json::from_str(r#"{"name":"x","full":{"on_existing_rows":"ignore","workers":3}}"#).unwrap();
    let full = spec.full.unwrap();
    assert_eq!(full.on_existing_rows(), OnExistingRows::Ignore);
    assert_eq!(full.workers, 3);
}

#[test]
fn unknown_fields_and_values_are_refused_by_name() {
    let error = serde_json::from_str::<ProjectSpec>(r#"{"nam":"x"}"#)
        .unwrap_err()
        .to_string();
    assert!(error.contains("`nam`") && error.contains("`name`"), "{error}");
    let error = serde_json::from_str::<ProjectSpec>(r#"{"full":{"on_existing_rows":"keep"}}"#)
        .unwrap_err()
        .to_string();
    assert!(error.contains("keep") && error.contains("ignore"), "{error}");
}

#[test]
fn states_are_written_as_people_know_them() {
    let project = Project {
        state: ProjectState::Suspend as i32,
        ..Default::default()
    };
    assert!(
        serde_json::to_string(&project)
            .unwrap()
            .contains(r#""state":"SUSPEND""#)
    );
}
