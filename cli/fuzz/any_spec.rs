//! Reading any bytes as a spec file: what the fuzz target runs without end and the tests for a
//! moment.

use oms_cli::parse_spec;

/// Reads the bytes as both formats. Gives how often they were a spec.
///
/// # Panics
/// Where the reader panics, a refusal has no words or names no line of the file, or what was read
/// is not read again from what it is written as.
pub(crate) fn read(data: &[u8]) -> usize {
    // All that ends lines in YAML 1.1.
    let breaks = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
    let lines = String::from_utf8_lossy(data).matches(breaks).count() + 1;
    let mut specs = 0;
    for name in ["spec.yaml", "spec.json", "-"] {
        match parse_spec(data, name) {
            Ok(spec) => {
                specs += 1;
                let text = serde_json::to_string(&spec).expect("a spec can be written");
                assert_eq!(parse_spec(text.as_bytes(), "again.json").as_ref(), Ok(&spec));
            }
            Err(error) => {
                assert!(!error.message.is_empty() && error.to_string().starts_with(name));
                if let Some((line, column)) = error.place {
                    assert!(
                        line >= 1 && line <= lines + 1 && column >= 1,
                        "{line}:{column} of {lines} lines"
                    );
                }
            }
        }
    }
    specs
}
