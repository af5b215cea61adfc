//! Layers: file, environment, flags.

use std::path::{Path, PathBuf};

use oms_types::{ErrorCode, codes};
use thiserror::Error;
use toml::{Table, Value};

use crate::NodeConfig;

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A key or value is wrong; names it and, for a file, the line.
    #[error("{origin}: {message}")]
    Invalid {
        /// File, variable or flag.
        origin: String,
        /// What is wrong.
        message: String,
    },
}

impl ConfigError {
    /// The public code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Unreadable { .. } => codes::config::UNREADABLE,
            Self::Invalid { .. } => codes::config::INVALID,
        }
    }
}

/// What the configuration is made of; later ones win.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// A TOML file.
    pub file: Option<PathBuf>,
    /// Environment variables: `OMSNODE_LISTEN`, `OMSNODE_TELEMETRY__LOG`, … Others are ignored unless
    /// they begin with `OMSNODE_`.
    pub environment: Vec<(String, String)>,
    /// Flags as dotted keys.
    pub flags: Vec<(String, String)>,
}

/// Variables with our prefix that are not settings of a node.
const NOT_SETTINGS: &[&str] = &[
    "OMSNODE_CONFIG",
    "OMSNODE_SERVER",
    "OMSNODE_OUTPUT",
    "OMSNODE_PASSWORD",
    "OMSNODE_TOKEN",
    "OMSNODE_SERVERS",
    "OMSNODE_BIN",
];

/// Puts the layers together and checks the result.
pub fn load(source: &Source) -> Result<NodeConfig, ConfigError> {
    let mut table = match &source.file {
        Some(path) => read(path)?,
        None => Table::new(),
    };
    for (name, value) in &source.environment {
        let Some(rest) = name
            .strip_prefix("OMSNODE_")
            .filter(|_| !NOT_SETTINGS.contains(&name.as_str()))
        else {
            continue;
        };
        let key = rest.to_lowercase().replace("__", ".");
        set(&mut table, &key, value).map_err(|message| ConfigError::Invalid {
            origin: name.clone(),
            message,
        })?;
    }
    for (key, value) in &source.flags {
        let origin = format!("--{}", key.replace(['_', '.'], "-"));
        set(&mut table, key, value).map_err(|message| ConfigError::Invalid { origin, message })?;
    }
    let origin = || {
        source
            .file
            .as_ref()
            .map_or_else(|| "configuration".to_owned(), |p| p.display().to_string())
    };
    let config: NodeConfig =
        Value::Table(table)
            .try_into()
            .map_err(|e: toml::de::Error| ConfigError::Invalid {
                origin: origin(),
                message: e.message().to_owned(),
            })?;
    let problems = config.problems();
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(ConfigError::Invalid {
            origin: origin(),
            message: problems.join("; "),
        })
    }
}

fn read(path: &Path) -> Result<Table, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let invalid = |e: toml::de::Error| ConfigError::Invalid {
        origin: path.display().to_string(),
        message: e.to_string(),
    };
    // Read for its own sake first: this error knows line and column.
    toml::from_str::<NodeConfig>(&text).map_err(invalid)?;
    toml::from_str(&text).map_err(invalid)
}

/// Sets a dotted key to a text, read as the type that the setting has.
fn set(table: &mut Table, key: &str, text: &str) -> Result<(), String> {
    let defaults = Table::try_from(NodeConfig::default()).map_err(|e| e.to_string())?;
    let parts: Vec<&str> = key.split('.').collect();
    let mut shape = &Value::Table(defaults);
    for part in &parts {
        shape = shape
            .get(part)
            .ok_or_else(|| format!("there is no setting {key:?}"))?;
    }
    let value = match shape {
        Value::String(_) => Value::String(text.to_owned()),
        Value::Integer(_) => Value::Integer(
            text.parse()
                .map_err(|_| format!("{text:?} is not a whole number"))?,
        ),
        Value::Boolean(_) => Value::Boolean(
            text.parse()
                .map_err(|_| format!("{text:?} is not true or false"))?,
        ),
        _ => return Err(format!("{key:?} is a group of settings")),
    };
    let Some((last, groups)) = parts.split_last() else {
        return Err("the key is empty".to_owned());
    };
    let mut at = table;
    for group in groups {
        let entry = at
            .entry((*group).to_owned())
            .or_insert_with(|| Value::Table(Table::new()));
        at = entry
            .as_table_mut()
            .ok_or_else(|| format!("{group:?} is not a group of settings"))?;
    }
    at.insert((*last).to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(
        text: &str,
        environment: &[(&str, &str)],
        flags: &[(&str, &str)],
    ) -> Result<NodeConfig, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("omsnode.toml");
        std::fs::write(&path, text).unwrap();
        let own = |list: &[(&str, &str)]| list.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        load(&Source {
            file: Some(path),
            environment: own(environment),
            flags: own(flags),
        })
    }

    #[test]
    fn works_without_anything() {
        assert_eq!(load(&Source::default()).unwrap(), NodeConfig::default());
    }

    #[test]
    fn later_layers_win() {
        let c = with_file(
            "listen = \"127.0.0.1:1\"\nregion = \"a\"\nzone = \"z\"",
            &[
                ("OMSNODE_REGION", "b"),
                ("OMSNODE_LISTEN", "127.0.0.1:2"),
                ("PATH", "x"),
            ],
            &[("listen", "127.0.0.1:3")],
        )
        .unwrap();
        assert_eq!(
            (c.listen.as_str(), c.region.as_str(), c.zone.as_str()),
            ("127.0.0.1:3", "b", "z")
        );
    }

    #[test]
    fn environment_reaches_groups_and_numbers() {
        let c = with_file(
            "",
            &[
                ("OMSNODE_TELEMETRY__LOG", "debug"),
                ("OMSNODE_DISK_RESERVE_MB", "7"),
            ],
            &[],
        )
        .unwrap();
        assert_eq!((c.telemetry.log.as_str(), c.disk_reserve_mb), ("debug", 7));
    }

    #[test]
    fn errors_name_the_place() {
        let text = |r: Result<NodeConfig, ConfigError>| r.unwrap_err().to_string();
        let error = text(with_file("region = \"a\"\nlissten = \"x\"", &[], &[]));
        assert!(error.contains("line 2") && error.contains("lissten"), "{error}");
        assert!(text(with_file("", &[("OMSNODE_REGOIN", "x")], &[])).contains("OMSNODE_REGOIN"));
        assert!(text(with_file("", &[], &[("disk_reserve_mb", "many")])).contains("--disk-reserve-mb"));
        assert!(text(with_file("listen = \"nowhere\"", &[], &[])).contains("HOST:PORT"));
        let missing = load(&Source {
            file: Some("/nonexistent/omsnode.toml".into()),
            ..Source::default()
        });
        assert_eq!(missing.unwrap_err().code(), codes::config::UNREADABLE);
    }
}
