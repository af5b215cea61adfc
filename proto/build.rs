//! Compiles the contracts without a system compiler and gives enums their names.

use std::{env, fmt::Write as _, fs, path::PathBuf};

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};

/// Enums whose names people know in capitals.
const CAPITALS: &[&str] = &["ProjectState", "StepKind", "StepState"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut files = Vec::new();
    collect(&root.join("oms"), &mut files)?;
    files.sort();
    println!("cargo:rerun-if-changed={}", root.join("oms").display());

    let set = protox::compile(&files, [&root])?;
    fs::write(out.join("descriptors.bin"), set.encode_to_vec())?;

    let mut config = tonic_prost_build::configure()
        .bytes(".oms.raft.v1")
        .bytes(".oms.peer.v1");
    let mut names = String::new();
    for file in set.file.iter().filter(|f| f.package() == "oms.v1") {
        for message in &file.message_type {
            let path = format!(".oms.v1.{}", message.name());
            config = config
                .type_attribute(&path, "#[derive(serde::Serialize, serde::Deserialize)]")
                .type_attribute(&path, "#[serde(default, deny_unknown_fields)]");
            for field in &message.field {
                let field_path = format!("{path}.{}", field.name());
                let single = field.label() != Label::Repeated && !field.proto3_optional();
                if field.r#type() == Type::Enum && single {
                    let module = snake(field.type_name().rsplit('.').next().unwrap_or_default());
                    config = config.field_attribute(
                        &field_path,
                        format!("#[serde(with = \"crate::names::{module}\", skip_serializing_if = \"crate::names::is_zero\")]"),
                    );
                } else if field.proto3_optional() || (field.r#type() == Type::Message && single) {
                    config = config
                        .field_attribute(&field_path, "#[serde(skip_serializing_if = \"Option::is_none\")]");
                }
            }
        }
        for enumeration in &file.enum_type {
            name_enum(&mut names, enumeration)?;
        }
    }
    fs::write(out.join("names.rs"), names)?;
    config.compile_fds(set)?;
    Ok(())
}

fn collect(folder: &PathBuf, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "proto") {
            files.push(path);
        }
    }
    Ok(())
}

/// Writes, for one enum, its short names and a module for serde.
fn name_enum(out: &mut String, e: &prost_types::EnumDescriptorProto) -> std::fmt::Result {
    let name = e.name();
    let prefix = format!("{}_", snake(name).to_uppercase());
    let capitals = CAPITALS.contains(&name);
    let short: Vec<(String, String)> = e
        .value
        .iter()
        .map(|v| {
            let bare = v.name().strip_prefix(&prefix).unwrap_or(v.name());
            let text = if capitals {
                bare.to_owned()
            } else {
                bare.to_lowercase()
            };
            (camel(bare), text)
        })
        .collect();
    writeln!(out, "impl crate::v1::{name} {{")?;
    writeln!(out, "/// The short name used in files and by the command line.")?;
    writeln!(out, "pub fn name(self) -> &'static str {{ match self {{")?;
    for (variant, text) in &short {
        writeln!(out, "Self::{variant} => {text:?},")?;
    }
    writeln!(out, "}} }}")?;
    writeln!(out, "/// All short names but the one for \"unspecified\".")?;
    let list: Vec<_> = short.iter().skip(1).map(|(_, t)| format!("{t:?}")).collect();
    writeln!(
        out,
        "pub const NAMES: &'static [&'static str] = &[{}];",
        list.join(", ")
    )?;
    writeln!(out, "/// Finds a value by its short name, ignoring case.")?;
    writeln!(
        out,
        "pub fn from_name(name: &str) -> Option<Self> {{ match name.to_lowercase().as_str() {{"
    )?;
    for (variant, text) in short.iter().skip(1) {
        writeln!(out, "{:?} => Some(Self::{variant}),", text.to_lowercase())?;
    }
    writeln!(out, "_ => None }} }}\n}}")?;
    let module = snake(name);
    writeln!(
        out,
        "pub(crate) mod {module} {{
            use crate::v1::{name} as E;
            pub(crate) fn serialize<S: serde::Serializer>(v: &i32, s: S) -> Result<S::Ok, S::Error> {{
                match E::try_from(*v) {{ Ok(e) => s.serialize_str(e.name()), Err(_) => s.serialize_i32(*v) }}
            }}
            pub(crate) fn deserialize<'de, D: serde::Deserializer<'de>>(d: D) -> Result<i32, D::Error> {{
                let text = <String as serde::Deserialize>::deserialize(d)?;
                E::from_name(&text).map(|e| e as i32).ok_or_else(|| serde::de::Error::unknown_variant(&text, E::NAMES))
            }}
        }}"
    )
}

fn snake(name: &str) -> String {
    let mut out = String::new();
    for (i, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn camel(upper: &str) -> String {
    upper
        .split('_')
        .map(|word| {
            let mut chars = word.chars();
            chars
                .next()
                .map(|c| c.to_ascii_uppercase())
                .into_iter()
                .collect::<String>()
                + &chars.as_str().to_lowercase()
        })
        .collect()
}
