//! DEFAULT.

use super::{Reader, Result};
use crate::{
    DefaultValue,
    syntax::{text, token::TokenKind, unwrap_parentheses},
};

impl Reader<'_> {
    pub(super) fn default_value(&mut self) -> Result<DefaultValue> {
        if self.c.accept("NULL") {
            return Ok(DefaultValue::Null);
        }
        if self.c.accept("TRUE") {
            return Ok(DefaultValue::Number("1".to_owned()));
        }
        if self.c.accept("FALSE") {
            return Ok(DefaultValue::Number("0".to_owned()));
        }
        if let Some(fraction) = self.now()? {
            return Ok(DefaultValue::Now(fraction));
        }
        if self.c.is_symbol(0, "(") {
            let inner = unwrap_parentheses(&self.c.parenthesized()?);
            if inner.is_empty() {
                return self.c.refuse("(in front of this) an expression");
            }
            return Ok(DefaultValue::Expression(inner));
        }
        let sign = match (self.c.accept_symbol("-"), self.c.accept_symbol("+")) {
            (true, _) => "-",
            _ => "",
        };
        match self.c.peek().kind.clone() {
            TokenKind::Number(n) => {
                self.c.advance();
                Ok(DefaultValue::Number(format!("{sign}{n}")))
            }
            _ if !sign.is_empty() => self.c.refuse("a number"),
            TokenKind::Text(_) => Ok(DefaultValue::Text(self.texts()?)),
            TokenKind::Bits(bits) => {
                self.c.advance();
                Ok(DefaultValue::Bits(bits))
            }
            TokenKind::Word(w) => self.word_default(&w),
            _ => self.c.refuse("a default"),
        }
    }

    /// Texts one behind another are one.
    fn texts(&mut self) -> Result<String> {
        let mut all = self.c.text()?;
        while let TokenKind::Text(more) = &self.c.peek().kind {
            all.push_str(more);
            self.c.advance();
        }
        Ok(all)
    }

    fn word_default(&mut self, word: &str) -> Result<DefaultValue> {
        let next_is_text = matches!(self.c.look(1).kind, TokenKind::Text(_));
        if next_is_text {
            self.c.advance();
            let value = self.texts()?;
            let is_time = ["DATE", "TIME", "TIMESTAMP"]
                .iter()
                .any(|w| word.eq_ignore_ascii_case(w));
            let is_national = word.eq_ignore_ascii_case("N");
            let is_introducer = word.starts_with('_');
            return match () {
                () if is_time || is_national => Ok(DefaultValue::Text(value)),
                () if is_introducer && value.is_ascii() && !word.eq_ignore_ascii_case("_binary") => {
                    Ok(DefaultValue::Text(value))
                }
                () if is_introducer => Ok(DefaultValue::Expression(format!("{word}{}", text(&value)))),
                () => self.c.refuse("(behind such a text) a default"),
            };
        }
        if word.starts_with('_')
            && let TokenKind::Bits(bits) = self.c.look(1).kind.clone()
        {
            self.c.advance();
            self.c.advance();
            return Ok(DefaultValue::Expression(format!("{word} {bits}")));
        }
        if self.c.accept("NEXT VALUE FOR") || self.c.accept("PREVIOUS VALUE FOR") {
            let name = self.table_name()?;
            return Ok(DefaultValue::Expression(format!("nextval({name})")));
        }
        if self.c.is_symbol(1, "(") {
            return Ok(DefaultValue::Expression(self.c.call()?));
        }
        // Functions of the standard that are called without parentheses.
        for function in [
            "CURRENT_DATE",
            "CURRENT_TIME",
            "CURRENT_USER",
            "CURRENT_ROLE",
            "UTC_TIMESTAMP",
        ] {
            if self.c.accept(function) {
                return Ok(DefaultValue::Expression(format!(
                    "{}()",
                    function.to_ascii_lowercase()
                )));
            }
        }
        self.c.refuse("a default")
    }

    /// The current time in its spellings: digits of its fraction.
    pub(super) fn now(&mut self) -> Result<Option<u8>> {
        let bare = ["CURRENT_TIMESTAMP", "LOCALTIMESTAMP", "LOCALTIME"];
        let is_bare = bare.iter().any(|w| self.c.is_word(0, w));
        let is_now = self.c.is_word(0, "NOW") && self.c.is_symbol(1, "(");
        if !(is_bare || is_now) {
            return Ok(None);
        }
        self.c.advance();
        if !self.c.accept_symbol("(") || self.c.accept_symbol(")") {
            return Ok(Some(0));
        }
        let fraction = self.c.integer()?;
        self.c.expect_symbol(")")?;
        Ok(Some(fraction))
    }
}
