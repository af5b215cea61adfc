//! The packed character set tables are what the servers say.
//!
//! With `OMSNODE_WRITE_CHARSET_TABLES=FILE` the uncompressed tables are written there instead, to be
//! compressed with `zstd -19` into `src/sink/charset/tables.bin`.

use std::collections::{BTreeMap, BTreeSet};

use oms_cluster_tests::{Client, Server, ServerKind, ServerOptions};
use oms_mysql::sink::charset::{Decoder, pack};

const CHARSETS: [(&str, usize); 33] = [
    ("armscii8", 1),
    ("big5", 2),
    ("cp1250", 1),
    ("cp1251", 1),
    ("cp1256", 1),
    ("cp1257", 1),
    ("cp850", 1),
    ("cp852", 1),
    ("cp866", 1),
    ("cp932", 2),
    ("dec8", 1),
    ("eucjpms", 3),
    ("euckr", 2),
    ("gb18030", 4),
    ("gb2312", 2),
    ("gbk", 2),
    ("geostd8", 1),
    ("greek", 1),
    ("hebrew", 1),
    ("hp8", 1),
    ("keybcs2", 1),
    ("koi8r", 1),
    ("koi8u", 1),
    ("latin1", 1),
    ("latin2", 1),
    ("latin5", 1),
    ("latin7", 1),
    ("macce", 1),
    ("macroman", 1),
    ("sjis", 2),
    ("swe7", 1),
    ("tis620", 1),
    ("ujis", 3),
];

/// Every byte sequence that may be a character of some set.
fn candidates() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = (0..=255u8).map(|a| vec![a]).collect();
    all.extend((0x80..=255u8).flat_map(|a| (0x30..=255u8).map(move |b| vec![a, b])));
    all.extend((0xA1..=0xFEu8).flat_map(|a| (0xA1..=0xFEu8).map(move |b| vec![0x8F, a, b])));
    for a in 0x81..=0x84u8 {
        for b in 0x30..=0x39u8 {
            for c in 0x81..=0xFEu8 {
                all.extend((0x30..=0x39u8).map(|d| vec![a, b, c, d]));
            }
        }
    }
    all
}

async fn fill(client: &mut Client) {
    client
        .query_drop("SET sql_mode = ''")
        .await
        .expect("the server answers");
    client
        .query_drop("CREATE DATABASE charsets")
        .await
        .expect("the server answers");
    client
        .query_drop("CREATE TABLE charsets.c (l INT, b VARBINARY(4), PRIMARY KEY (l, b))")
        .await
        .expect("the server answers");
    for part in candidates().chunks(5_000) {
        let rows: Vec<String> = part
            .iter()
            .map(|b| {
                format!(
                    "({},X'{}')",
                    b.len(),
                    b.iter().map(|x| format!("{x:02X}")).collect::<String>()
                )
            })
            .collect();
        client
            .query_drop(&format!("INSERT INTO charsets.c VALUES {}", rows.join(",")))
            .await
            .expect("the server answers");
    }
}

/// The server's table of a set; `None` when it does not know the set.
async fn table(client: &mut Client, charset: &str, longest: usize) -> Option<BTreeMap<u32, char>> {
    let known = format!(
        "SELECT COUNT(*) FROM information_schema.character_sets WHERE character_set_name = '{charset}'"
    );
    if client.query_count(&known).await.expect("the server answers") == 0 {
        return None;
    }
    let rows = client
        .query_strings(&format!(
            "SELECT HEX(b), HEX(CONVERT(CONVERT(b USING {charset}) USING utf32)) FROM charsets.c \
             WHERE l <= LEAST(2, {longest}) OR l = {longest}"
        ))
        .await
        .expect("the server answers");
    let mut found = Vec::new();
    let mut single = BTreeSet::new();
    for row in rows {
        // Exactly one character; a question mark only for itself.
        let Some(c) = Some(&row[1])
            .filter(|c| c.len() == 8)
            .and_then(|c| u32::from_str_radix(c, 16).ok())
        else {
            continue;
        };
        if c == 0x3F && row[0] != "3F" {
            continue;
        }
        if row[0].len() == 2 {
            single.insert(row[0].clone());
        }
        found.push((row[0].clone(), char::from_u32(c)?));
    }
    found.retain(|(code, _)| code.len() == 2 || !single.contains(&code[..2]));
    Some(
        found
            .into_iter()
            .map(|(code, c)| (u32::from_str_radix(&code, 16).expect("the server answers"), c))
            .collect(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_the_servers() {
    let mut tables: Vec<BTreeMap<&str, BTreeMap<u32, char>>> = Vec::new();
    for kind in [ServerKind::MariaDb, ServerKind::Mysql97] {
        let mut server = Server::start(kind, ServerOptions::destination())
            .await
            .expect("the server answers");
        let mut client = server.client().await.expect("the server answers");
        fill(&mut client).await;
        let mut all = BTreeMap::new();
        for (charset, longest) in CHARSETS {
            all.extend(table(&mut client, charset, longest).await.map(|t| (charset, t)));
        }
        tables.push(all);
        server.stop().await.expect("the server answers");
    }
    let mut packed = Vec::new();
    let write_to = std::env::var_os("OMSNODE_WRITE_CHARSET_TABLES");
    for (charset, _) in CHARSETS {
        let both: Vec<_> = tables.iter().filter_map(|t| t.get(charset)).collect();
        let mut agreed = both.first().map(|t| (*t).clone()).expect("some server knows it");
        agreed.retain(|code, c| both.iter().all(|t| t.get(code) == Some(c)));
        pack(charset, &agreed, &mut packed);
        if write_to.is_some() {
            continue;
        }
        let decoder = Decoder::find(charset).unwrap_or_else(|| panic!("{charset} has no table"));
        for (code, c) in &agreed {
            let bytes = code.to_be_bytes();
            let start = (code.leading_zeros() as usize / 8).min(3);
            assert_eq!(
                decoder.decode(&bytes[start..]).as_deref(),
                Ok(c.to_string().as_str()),
                "{charset} {code:X}"
            );
        }
        for bytes in candidates().iter().filter(|b| b.len() <= 2) {
            let code = bytes.iter().fold(0, |code, b| code << 8 | u32::from(*b));
            let alone = agreed.contains_key(&code) && (bytes.len() == 1 || code > 255);
            let parts = bytes.len() == 2 && bytes.iter().all(|b| agreed.contains_key(&u32::from(*b)));
            assert_eq!(
                decoder.decode(bytes).is_ok(),
                alone || parts,
                "{charset} {bytes:X?}"
            );
        }
    }
    if let Some(file) = write_to {
        std::fs::write(file, packed).expect("the server answers");
    }
}
