//! Decoding of texts for verification and row filters, with the tables that the sinks convert with.

use std::{collections::BTreeMap, sync::RwLock};

use oms_apply::TextDecoder;
use oms_mysql::sink::charset::Decoder;
use oms_verify::Charsets;

/// Finds each decoder once.
#[derive(Default)]
pub(super) struct ServerCharsets {
    found: RwLock<BTreeMap<String, Option<Decoder>>>,
}

impl ServerCharsets {
    fn with<R>(&self, charset: &str, look: impl FnOnce(Option<&Decoder>) -> R) -> R {
        if let Ok(found) = self.found.read()
            && let Some(decoder) = found.get(charset)
        {
            return look(decoder.as_ref());
        }
        let decoder = Decoder::find(charset);
        let result = look(decoder.as_ref());
        if let Ok(mut found) = self.found.write() {
            found.insert(charset.to_owned(), decoder);
        }
        result
    }
}

impl Charsets for ServerCharsets {
    fn is_known(&self, charset: &str) -> bool {
        self.with(charset, |d| d.is_some())
    }

    fn decode(&self, charset: &str, bytes: &[u8]) -> Option<String> {
        self.with(charset, |d| d.and_then(|d| d.decode(bytes).ok()))
    }
}

impl TextDecoder for ServerCharsets {
    fn is_known(&self, charset: &str) -> bool {
        Charsets::is_known(self, charset)
    }

    fn decode(&self, charset: &str, bytes: &[u8]) -> Option<String> {
        Charsets::decode(self, charset, bytes)
    }
}
